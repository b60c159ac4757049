//! The command line of `phase1`.

use std::ffi::OsString;
use std::path::PathBuf;

use thiserror::Error;

/// One line of help for each option.
pub const USAGE: &str = "\
usage: phase1 [OPTION]...
  --debug hub|spoke|both|none   whose debug to print (both)
  --show hub:COMMAND            a `show` of the hub at the end, or spoke:COMMAND; repeatable
  --pcap FILE                   write what is on the wire between the two
  --keys DIR                    write the keys that let Wireshark read it
  --nat                         put a NAT in front of the spoke
  --loss PERCENT --seed N       lose packets on the wire, the same for the same seed
  --config-hub FILE --config-spoke FILE
                                other configurations than the guide's
";

/// What `phase1` is asked to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// `--debug`
    pub debug: Debug,
    /// `--show`, in order.
    pub show: Vec<Show>,
    /// `--pcap`
    pub pcap: Option<PathBuf>,
    /// `--keys`
    pub keys: Option<PathBuf>,
    /// `--nat`
    pub nat: bool,
    /// `--loss`, 0 to 100.
    pub loss: Option<u8>,
    /// `--seed`, 0 unless stated.
    pub seed: u64,
    /// `--config-hub`
    pub config_hub: Option<PathBuf>,
    /// `--config-spoke`
    pub config_spoke: Option<PathBuf>,
    /// `--help`
    pub help: bool,
}

/// Whose debug output to print.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Debug {
    /// The hub's.
    Hub,
    /// The spoke's.
    Spoke,
    /// Both, each line with its router's name before it.
    #[default]
    Both,
    /// Neither's.
    None,
}

/// One of the two routers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The hub.
    Hub,
    /// The spoke.
    Spoke,
}

/// `--show SIDE:COMMAND`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Show {
    /// On which router.
    pub side: Side,
    /// Which command.
    pub command: ShowCommand,
}

/// The commands that a router knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShowCommand {
    /// `show crypto sockets`
    CryptoSockets,
    /// `show crypto session detail`
    CryptoSessionDetail,
    /// `show crypto isakmp sa detail`
    CryptoIsakmpSaDetail,
    /// `show crypto ipsec sa detail`
    CryptoIpsecSaDetail,
    /// `show ip nhrp`
    IpNhrp,
    /// `show ip nhrp nhs`
    IpNhrpNhs,
    /// `show dmvpn`
    Dmvpn,
    /// `show dmvpn detail`
    DmvpnDetail,
}

impl ShowCommand {
    /// All of them, each as typed on the router.
    pub const ALL: [(Self, &str); 8] = [
        (Self::CryptoSockets, "show crypto sockets"),
        (Self::CryptoSessionDetail, "show crypto session detail"),
        (Self::CryptoIsakmpSaDetail, "show crypto isakmp sa detail"),
        (Self::CryptoIpsecSaDetail, "show crypto ipsec sa detail"),
        (Self::IpNhrp, "show ip nhrp"),
        (Self::IpNhrpNhs, "show ip nhrp nhs"),
        (Self::Dmvpn, "show dmvpn"),
        (Self::DmvpnDetail, "show dmvpn detail"),
    ];
}

/// Why a command line was not understood.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// An argument that is no option.
    #[error("unknown option `{0}`")]
    Unknown(String),
    /// The last argument is an option that needs a value.
    #[error("`{0}` needs {1}")]
    Missing(&'static str, &'static str),
    /// A value that its option does not take.
    #[error("`{option}` takes {takes}, not `{value}`")]
    Invalid {
        /// The option.
        option: &'static str,
        /// What it takes.
        takes: &'static str,
        /// What it got.
        value: String,
    },
}

impl Options {
    /// Reads the arguments that follow the program's name.
    ///
    /// # Errors
    ///
    /// [`OptionsError`], at the first argument that is not understood.
    pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, OptionsError> {
        let mut options = Self::default();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let mut value = |option, takes| {
                let value = arguments.next().ok_or(OptionsError::Missing(option, takes));
                value.map(|value| Value { option, takes, value })
            };
            match argument.to_str() {
                Some("--debug") => {
                    options.debug = value("--debug", "hub, spoke, both or none")?.parsed(debug)?;
                }
                Some("--show") => {
                    let takes = "hub: or spoke: and a show command as typed on the router";
                    options.show.push(value("--show", takes)?.parsed(show)?);
                }
                Some("--pcap") => options.pcap = Some(value("--pcap", "a file")?.value.into()),
                Some("--keys") => {
                    options.keys = Some(value("--keys", "a directory")?.value.into());
                }
                Some("--nat") => options.nat = true,
                Some("--loss") => {
                    let percent =
                        |text: &str| text.parse().ok().filter(|percent: &u8| *percent <= 100);
                    options.loss = Some(value("--loss", "0 to 100")?.parsed(percent)?);
                }
                Some("--seed") => {
                    options.seed = value("--seed", "a number")?.parsed(|text| text.parse().ok())?;
                }
                Some("--config-hub") => {
                    options.config_hub = Some(value("--config-hub", "a file")?.value.into());
                }
                Some("--config-spoke") => {
                    options.config_spoke = Some(value("--config-spoke", "a file")?.value.into());
                }
                Some("--help" | "-h") => options.help = true,
                _ => return Err(OptionsError::Unknown(argument.to_string_lossy().into_owned())),
            }
        }
        Ok(options)
    }
}

/// An option's value, and what to say where it is wrong.
struct Value {
    option: &'static str,
    takes: &'static str,
    value: OsString,
}

impl Value {
    fn parsed<T>(self, parse: impl Fn(&str) -> Option<T>) -> Result<T, OptionsError> {
        let Self { option, takes, value } = self;
        let invalid = || {
            let value = value.to_string_lossy().into_owned();
            OptionsError::Invalid { option, takes, value }
        };
        value.to_str().and_then(parse).ok_or_else(invalid)
    }
}

fn debug(text: &str) -> Option<Debug> {
    Some(match text {
        "hub" => Debug::Hub,
        "spoke" => Debug::Spoke,
        "both" => Debug::Both,
        "none" => Debug::None,
        _ => return None,
    })
}

fn show(text: &str) -> Option<Show> {
    let (side, typed) = text.split_once(':')?;
    let side = match side {
        "hub" => Side::Hub,
        "spoke" => Side::Spoke,
        _ => return None,
    };
    let typed = typed.split_whitespace().collect::<Vec<_>>().join(" ");
    let known = ShowCommand::ALL.iter().find(|(_, command)| *command == typed);
    known.map(|(command, _)| Show { side, command: *command })
}
