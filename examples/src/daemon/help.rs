//! Usage texts: one for each word that a command line can start with.

/// The first word, its forms, and what it does.
struct Topic {
    name: &'static str,
    usage: &'static str,
    more: &'static str,
}

const TOPICS: [Topic; 6] = [
    Topic {
        name: "run",
        usage: "dmvpn run ROUTER.ios [OPTION]...",
        more: "\
The router, in the foreground, until SIGTERM or SIGINT; a second signal ends it at once.
  --control SOCKET       where commands come in (/run/dmvpn.sock)
  --debug                every debug line to standard output
  --pcap FILE            write the packets of the underlay, as IP packets
  --keys DIR             write the keys that let Wireshark read them
  --force-encapsulation  ESP in UDP also where no NAT is found
  --user NAME            go on as this user
",
    },
    Topic {
        name: "show",
        usage: "dmvpn show WHAT [--json]",
        more: "\
What IOS shows:
  crypto sockets | crypto session detail | crypto isakmp sa detail | crypto ipsec sa detail
  ip nhrp | ip nhrp nhs | dmvpn | dmvpn detail
and beside it:
  counters    what was counted, by who counts it
  events      the last events, the latest at the end
",
    },
    Topic {
        name: "debug",
        usage: "dmvpn debug [CONDITION]...",
        more: "\
Debug lines until interrupted, or until `undebug all`. A CONDITION is
  dmvpn condition peer nbma ADDRESS
  dmvpn condition peer tunnel ADDRESS
  crypto condition peer ipv4 ADDRESS
",
    },
    Topic {
        name: "undebug",
        usage: "dmvpn undebug all",
        more: "\
Ends every `debug` that somebody reads, and what `run --debug` prints. The same as `no debug all`.
",
    },
    Topic {
        name: "clear",
        usage: "dmvpn clear crypto session [remote ADDRESS]
       dmvpn clear ip nhrp [ADDRESS]",
        more: "\
Deletes security associations; forgets what peers registered, until they register again.
",
    },
    Topic {
        name: "shutdown",
        usage: "dmvpn shutdown TunnelN
       dmvpn no shutdown TunnelN",
        more: "\
Takes a tunnel down: next hop servers are told, then peers. Brings it up again.
",
    },
];

/// How `dmvpn` is used; with a word that starts a command, how that is.
#[must_use]
pub fn text(word: Option<&str>) -> String {
    let topic = word.and_then(|word| {
        // `no shutdown`, `no debug`
        TOPICS.iter().find(|topic| topic.name == word || word == "no" && topic.name == "shutdown")
    });
    if let Some(Topic { usage, more, .. }) = topic {
        return format!("usage: {usage}\n\n{more}");
    }
    let forms: Vec<&str> = TOPICS.iter().map(|topic| topic.usage).collect();
    format!(
        "usage: {}\n       dmvpn help [WORD]\n\n\
         Commands go to the daemon that runs; `dmvpn --control SOCKET COMMAND` says which.\n",
        forms.join("\n       ")
    )
}

/// Whether there is a text of its own for a word.
#[must_use]
pub fn knows(word: &str) -> bool {
    TOPICS.iter().any(|topic| topic.name == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_has_its_own_text_and_all_are_in_the_first() {
        let all = text(None);
        for Topic { name, usage, .. } in TOPICS {
            assert!(text(Some(name)).starts_with(&format!("usage: {usage}\n")));
            assert!(all.contains(usage), "{name}");
        }
        assert_eq!(text(Some("nonsense")), all);
    }

    #[test]
    fn whatever_ios_shows_is_named() {
        let show = text(Some("show"));
        for (_, typed) in crate::options::ShowCommand::ALL {
            assert!(show.contains(typed.strip_prefix("show ").unwrap()), "{typed}");
        }
    }
}
