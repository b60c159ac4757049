//! `show crypto isakmp sa detail`.

use core::fmt;
use core::time::Duration;

use crate::crypto::HashAlgorithm;
use crate::{CoarseState, Encryption, Phase1View, SuiteView};

const LEGEND: &str = "\
Codes: C - IKE configuration mode, D - Dead Peer Detection
       K - Keepalives, N - NAT-traversal
       T - cTCP encapsulation, X - IKE Extended Authentication
       psk - Preshared key, rsig - RSA signature
       renc - RSA encryption
IPv4 Crypto ISAKMP SA

C-id  Local           Remote          I-VRF  Status Encr Hash   Auth DH Lifetime Cap.
";

/// The whole output of `show crypto isakmp sa detail`, with its last line end.
#[derive(Clone, Copy, Debug)]
pub struct IsakmpSaDetail<'a>(pub &'a [Phase1View]);

impl fmt::Display for IsakmpSaDetail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(LEGEND)?;
        let of_version =
            |ipv4| self.0.iter().filter(move |sa| sa.path.remote.is_ipv4() == ipv4).map(Row);
        of_version(true).try_for_each(|row| row.ipv4(f))?;
        f.write_str("\nIPv6 Crypto ISAKMP SA\n")?;
        of_version(false).try_for_each(|row| row.ipv6(f))
    }
}

struct Row<'a>(&'a Phase1View);

impl Row<'_> {
    fn ipv4(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Phase1View { connection, path, .. } = self.0;
        let (local, remote) = (path.local.ip(), path.remote.ip());
        // A column that is empty at the end of the line leaves no white space.
        let capabilities = self.capabilities();
        let gap = if capabilities.is_empty() { "" } else { " " };
        writeln!(f)?;
        writeln!(
            f,
            "{connection:<5} {local:<15} {remote:<15}        {:<6} {:<4} {:<6} {:<4} {:<2} {}{gap}{capabilities}",
            self.status(),
            self.encryption(),
            self.hash(),
            self.authentication(),
            self.group(),
            Clock(self.0.remaining.unwrap_or_default()),
        )?;
        writeln!(f, "       {}", Engine(*connection))
    }

    fn ipv6(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Phase1View { connection, path, .. } = self.0;
        writeln!(f, "\n dst: {}", path.remote.ip())?;
        writeln!(f, " src: {}", path.local.ip())?;
        writeln!(
            f,
            " conn-id: {connection:>6}  I-VRF:        Status: {} Encr: {}  Hash: {}  Auth: {}",
            self.status(),
            self.encryption(),
            self.hash(),
            self.authentication(),
        )?;
        writeln!(
            f,
            " DH: {}  Lifetime: {}  Cap: {}    {}",
            self.group(),
            Clock(self.0.remaining.unwrap_or_default()),
            self.capabilities(),
            Engine(*connection),
        )
    }

    fn status(&self) -> &'static str {
        if self.0.coarse == CoarseState::QuickModeIdle { "ACTIVE" } else { "" }
    }

    fn encryption(&self) -> &'static str {
        match self.0.suite.map(|suite| suite.encryption) {
            Some(Encryption::TripleDes) => "3des",
            Some(Encryption::Aes128 | Encryption::Aes192 | Encryption::Aes256) => "aes",
            None => "",
        }
    }

    fn hash(&self) -> &'static str {
        match self.0.suite.map(|suite| suite.hash) {
            Some(HashAlgorithm::MD5) => "md5",
            Some(HashAlgorithm::SHA1) => "sha",
            Some(HashAlgorithm::SHA2_256) => "sha256",
            Some(HashAlgorithm::SHA2_384) => "sha384",
            Some(HashAlgorithm::SHA2_512) => "sha512",
            Some(_) | None => "",
        }
    }

    fn authentication(&self) -> &'static str {
        if self.0.suite.is_some() { "psk" } else { "" }
    }

    fn group(&self) -> Group {
        Group(self.0.suite)
    }

    fn capabilities(&self) -> &'static str {
        match (self.0.dead_peer_detection, self.0.nat.found()) {
            (false, false) => "",
            (true, false) => "D",
            (false, true) => "N",
            (true, true) => "DN",
        }
    }
}

/// The number of the group, or nothing before it is known.
struct Group(Option<SuiteView>);

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(suite) => fmt::Display::fmt(&suite.group.0, f),
            None => f.pad(""),
        }
    }
}

/// The first SA of the software engine has the connection id 1001.
struct Engine(u32);

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Engine-id:Conn-id =  ")?;
        match self.0.checked_sub(1000) {
            Some(number) => write!(f, "SW:{number}"),
            None => f.write_str("???"),
        }
    }
}

/// `23:59:10`, and `1d00h` from a day on.
struct Clock(Duration);

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
        if days > 0 {
            return write!(f, "{days}d{:02}h", hours % 24);
        }
        write!(f, "{hours:02}:{:02}:{:02}", minutes % 60, seconds % 60)
    }
}
