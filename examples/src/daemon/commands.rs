//! What is typed at the daemon.

use core::net::IpAddr;

use dmvpn_core::TunnelId;
use dmvpn_core::debug::Debug;

use super::help;
use crate::options::ShowCommand;

/// A command.
#[derive(Clone, Debug)]
pub enum Command {
    /// `show …`, as text or as JSON.
    Show {
        /// What.
        what: Show,
        /// `--json`
        json: bool,
    },
    /// `debug …`, until whoever asked goes away.
    Debug(Debug),
    /// `undebug all`, `no debug all`
    Undebug,
    /// `clear crypto session [remote ADDRESS]`
    ClearSession(Option<IpAddr>),
    /// `clear ip nhrp [ADDRESS]`
    ClearNhrp(Option<IpAddr>),
    /// `shutdown TunnelN`
    Shutdown(TunnelId),
    /// `no shutdown TunnelN`
    NoShutdown(TunnelId),
}

/// What can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// What IOS shows.
    Ios(ShowCommand),
    /// `show counters`
    Counters,
    /// `show events`
    Events,
}

/// Why a command is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No such command.
    #[error("unknown command `{line}`{}", more(line))]
    Unknown {
        /// What was typed.
        line: String,
    },
    /// An address that is none.
    #[error("`{0}` is no address")]
    NotAnAddress(String),
    /// No such tunnel in the configuration.
    #[error("no interface {0}")]
    NoTunnel(String),
    /// Nothing in the cache to clear.
    #[error("nobody registered {0}")]
    NotRegistered(IpAddr),
    /// Nobody to whom it applies.
    #[error("no session with {0}")]
    NoSession(IpAddr),
    /// A signal came: no tunnel comes up any more.
    #[error("the router is going down")]
    GoingDown,
    /// Nothing of it can be written as JSON.
    #[error("`{0}` has no --json")]
    NoJson(String),
}

/// Where to read more of what starts like this.
fn more(line: &str) -> String {
    let word = line.split_whitespace().next().filter(|word| help::knows(word));
    format!("; see `dmvpn help{}{}`", word.map_or("", |_| " "), word.unwrap_or_default())
}

impl Command {
    /// Reads a command.
    ///
    /// # Errors
    ///
    /// [`Refusal`].
    pub fn parse(line: &str) -> Result<Self, Refusal> {
        let mut words: Vec<&str> = line.split_whitespace().collect();
        let json = words.last() == Some(&"--json");
        if json {
            words.pop();
        }
        let unknown = || Refusal::Unknown { line: line.to_owned() };
        let command = match words[..] {
            ["show", "counters"] => Self::Show { what: Show::Counters, json },
            ["show", "events"] => Self::Show { what: Show::Events, json },
            ["show", ..] => {
                let typed = words.join(" ");
                let known = ShowCommand::ALL.iter().find(|(_, known)| *known == typed);
                let (command, _) = known.ok_or_else(unknown)?;
                Self::Show { what: Show::Ios(*command), json }
            }
            ["debug", ref conditions @ ..] => Self::Debug(debug(conditions).ok_or_else(unknown)?),
            ["undebug"] | ["undebug" | "u", "all"] | ["no", "debug"] | ["no", "debug", "all"] => {
                Self::Undebug
            }
            ["clear", "crypto", "session"] => Self::ClearSession(None),
            ["clear", "crypto", "session", "remote", remote] => {
                Self::ClearSession(Some(address(remote)?))
            }
            ["clear", "ip", "nhrp"] => Self::ClearNhrp(None),
            ["clear", "ip", "nhrp", target] => Self::ClearNhrp(Some(address(target)?)),
            ["shutdown", name] => Self::Shutdown(tunnel(name)?),
            ["no", "shutdown", name] => Self::NoShutdown(tunnel(name)?),
            _ => return Err(unknown()),
        };
        if json && !matches!(command, Self::Show { .. }) {
            return Err(Refusal::NoJson(words.join(" ")));
        }
        Ok(command)
    }
}

/// `debug` and its conditions, each as on IOS; several may follow each other.
fn debug(words: &[&str]) -> Option<Debug> {
    let mut debug = Debug::dmvpn_all();
    let mut rest = words;
    loop {
        rest = match rest {
            [] => return Some(debug),
            ["dmvpn", "all", "all", rest @ ..] => rest,
            ["dmvpn", "condition", "peer", "nbma", address, rest @ ..] => {
                debug.condition_nbma(address.parse().ok()?);
                rest
            }
            ["dmvpn", "condition", "peer", "tunnel", address, rest @ ..] => {
                debug.condition_tunnel(address.parse().ok()?);
                rest
            }
            ["crypto", "condition", "peer", "ipv4", address, rest @ ..] => {
                debug.condition_crypto(address.parse().ok()?);
                rest
            }
            _ => return None,
        }
    }
}

fn address(text: &str) -> Result<IpAddr, Refusal> {
    text.parse().map_err(|_| Refusal::NotAnAddress(text.to_owned()))
}

fn tunnel(name: &str) -> Result<TunnelId, Refusal> {
    let number = name.strip_prefix("Tunnel").and_then(|number| number.parse().ok());
    number.map(TunnelId).ok_or_else(|| Refusal::NoTunnel(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_as_typed() {
        let show = |line| match Command::parse(line) {
            Ok(Command::Show { what, json }) => (what, json),
            other => panic!("{other:?}"),
        };
        assert_eq!(show("show  dmvpn detail"), (Show::Ios(ShowCommand::DmvpnDetail), false));
        assert_eq!(show("show ip nhrp nhs --json"), (Show::Ios(ShowCommand::IpNhrpNhs), true));
        assert_eq!(show("show counters --json"), (Show::Counters, true));
        let cleared = Command::parse("clear crypto session remote 172.16.1.1");
        assert!(matches!(cleared, Ok(Command::ClearSession(Some(IpAddr::V4(_))))));
        assert!(matches!(
            Command::parse("no shutdown Tunnel7"),
            Ok(Command::NoShutdown(TunnelId(7)))
        ));
        for undebug in ["undebug all", "u all", "no debug all", "undebug"] {
            assert!(matches!(Command::parse(undebug), Ok(Command::Undebug)), "{undebug}");
        }
        let debug = "debug dmvpn condition peer nbma 172.16.1.1";
        assert!(matches!(Command::parse(debug), Ok(Command::Debug(_))));
    }

    #[test]
    fn what_is_no_command_is_named() {
        let refused = |line: &str| Command::parse(line).unwrap_err().to_string();
        let nonsense = "unknown command `show nonsense`; see `dmvpn help show`";
        assert_eq!(refused("show nonsense"), nonsense);
        assert_eq!(refused("clear crypto session remote here"), "`here` is no address");
        assert_eq!(refused("shutdown Ethernet0/0"), "no interface Ethernet0/0");
        assert_eq!(refused("shutdown Tunnel0 --json"), "`shutdown Tunnel0` has no --json");
        assert_eq!(refused(""), "unknown command ``; see `dmvpn help`");
    }
}
