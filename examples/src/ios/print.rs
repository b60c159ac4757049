//! Canonical IOS text: sections in the guide's order, each line of a section in the guide's order.

use core::fmt;
use core::net::Ipv4Addr;

use super::{
    ClientEndpoint, DhGroup, Eigrp, EspEncryption, EspIntegrity, EspMode, Interface,
    InterfaceAddress, IpsecProfile, Isakmp, IsakmpEncryption, IsakmpHash, IsakmpIdentity,
    IsakmpKey, IsakmpPeer, IsakmpPolicy, Keepalive, KeepaliveMode, KeyPeer, Nhrp, NhrpServer,
    Replay, Router, TransformSet, Tunnel, TunnelMode, TunnelSource,
};

impl fmt::Display for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names = String::new();
        if let Some(name) = &self.hostname {
            names += &format!("hostname {name}\n");
        }
        if let Some(name) = &self.domain_name {
            names += &format!("ip domain name {name}\n");
        }
        let mut sections = vec![names, self.isakmp.to_string()];
        sections.push(lines(&self.transform_sets));
        sections.push(lines(&self.ipsec_profiles));
        sections.push(lines(&self.tunnels));
        sections.push(lines(&self.ethernets));
        sections.push(lines(&self.loopbacks));
        sections.push(lines(&self.eigrp));
        sections.retain(|section| !section.is_empty());
        f.write_str(&sections.join("!\n"))
    }
}

fn lines<T: fmt::Display>(sections: &[T]) -> String {
    sections.iter().map(ToString::to_string).collect()
}

/// The mask with this many leading ones.
fn mask(prefix_length: u8) -> Ipv4Addr {
    let zeros = 32u32.saturating_sub(u32::from(prefix_length));
    Ipv4Addr::from_bits(u32::MAX.checked_shl(zeros).unwrap_or(0))
}

impl fmt::Display for InterfaceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.address, mask(self.prefix_length))
    }
}

impl fmt::Display for IsakmpPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "crypto isakmp policy {}", self.priority)?;
        writeln!(f, " encr {}", self.encryption)?;
        writeln!(f, " hash {}", self.hash)?;
        writeln!(f, " authentication pre-share")?;
        if self.group != DhGroup::DEFAULT {
            writeln!(f, " group {}", self.group.0)?;
        }
        if self.lifetime != Self::DEFAULT_LIFETIME {
            writeln!(f, " lifetime {}", self.lifetime)?;
        }
        Ok(())
    }
}

impl fmt::Display for IsakmpEncryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TripleDes => "3des",
            Self::Aes128 => "aes",
            Self::Aes192 => "aes 192",
            Self::Aes256 => "aes 256",
        })
    }
}

impl fmt::Display for IsakmpHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        })
    }
}

impl fmt::Display for Isakmp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&lines(&self.policies))?;
        f.write_str(&lines(&self.keys))?;
        match &self.identity {
            IsakmpIdentity::Address => {}
            IsakmpIdentity::Hostname => writeln!(f, "crypto isakmp identity hostname")?,
            IsakmpIdentity::KeyId(name) => writeln!(f, "crypto isakmp identity key-id {name}")?,
        }
        if let Some(keepalive) = self.keepalive {
            writeln!(f, "crypto isakmp keepalive {keepalive}")?;
        }
        if let Some(seconds) = self.nat_keepalive {
            writeln!(f, "crypto isakmp nat keepalive {seconds}")?;
        }
        if self.fragmentation {
            writeln!(f, "crypto isakmp fragmentation")?;
        }
        if self.aggressive_mode {
            writeln!(f, "no crypto isakmp aggressive-mode disable")?;
        }
        f.write_str(&lines(&self.peers))
    }
}

impl fmt::Display for IsakmpKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "crypto isakmp key {} ", self.key.dangerous_text())?;
        match &self.peer {
            KeyPeer::Address(InterfaceAddress { address, prefix_length: 32 }) => {
                writeln!(f, "address {address}")
            }
            KeyPeer::Address(prefix) => writeln!(f, "address {prefix}"),
            KeyPeer::Hostname(name) => writeln!(f, "hostname {name}"),
        }
    }
}

impl fmt::Display for Keepalive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.seconds)?;
        if self.retry != Self::DEFAULT_RETRY {
            write!(f, " {}", self.retry)?;
        }
        match self.mode {
            KeepaliveMode::OnDemand => Ok(()),
            KeepaliveMode::Periodic => f.write_str(" periodic"),
        }
    }
}

impl fmt::Display for IsakmpPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "crypto isakmp peer address {}", self.address)?;
        writeln!(f, " set aggressive-mode password {}", self.password.dangerous_text())?;
        write!(f, " set aggressive-mode client-endpoint ")?;
        match &self.client_endpoint {
            ClientEndpoint::Address(address) => writeln!(f, "ipv4-address {address}"),
            ClientEndpoint::Fqdn(name) => writeln!(f, "fqdn {name}"),
            ClientEndpoint::UserFqdn(name) => writeln!(f, "user-fqdn {name}"),
        }
    }
}

impl fmt::Display for TransformSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "crypto ipsec transform-set {} {}", self.name, self.encryption)?;
        if let Some(integrity) = self.integrity {
            write!(f, " {integrity}")?;
        }
        writeln!(f)?;
        match self.mode {
            EspMode::Tunnel => writeln!(f, " mode tunnel"),
            EspMode::Transport => writeln!(f, " mode transport"),
        }
    }
}

impl fmt::Display for EspEncryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "esp-null",
            Self::TripleDes => "esp-3des",
            Self::Aes128 => "esp-aes",
            Self::Aes192 => "esp-aes 192",
            Self::Aes256 => "esp-aes 256",
            Self::AesGcm128 => "esp-gcm",
            Self::AesGcm192 => "esp-gcm 192",
            Self::AesGcm256 => "esp-gcm 256",
        })
    }
}

impl fmt::Display for EspIntegrity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Md5 => "esp-md5-hmac",
            Self::Sha1 => "esp-sha-hmac",
            Self::Sha256 => "esp-sha256-hmac",
            Self::Sha384 => "esp-sha384-hmac",
            Self::Sha512 => "esp-sha512-hmac",
        })
    }
}

impl fmt::Display for IpsecProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "crypto ipsec profile {}", self.name)?;
        if self.lifetime_seconds != Self::DEFAULT_LIFETIME_SECONDS {
            let seconds = self.lifetime_seconds;
            writeln!(f, " set security-association lifetime seconds {seconds}")?;
        }
        if self.lifetime_kilobytes != Self::DEFAULT_LIFETIME_KILOBYTES {
            let kilobytes = self.lifetime_kilobytes;
            writeln!(f, " set security-association lifetime kilobytes {kilobytes}")?;
        }
        match self.replay {
            Replay::DEFAULT => {}
            Replay::Disabled => writeln!(f, " set security-association replay disable")?,
            Replay::Window(packets) => {
                writeln!(f, " set security-association replay window-size {packets}")?;
            }
        }
        writeln!(f, " set transform-set {}", self.transform_sets.join(" "))?;
        match self.pfs {
            Some(group) => writeln!(f, " set pfs group{}", group.0),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "interface {}", self.name)?;
        match self.address {
            Some(address) => writeln!(f, " ip address {address}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "interface {}", self.name)?;
        writeln!(f, " ip address {}", self.address)?;
        if !self.redirects {
            writeln!(f, " no ip redirects")?;
        }
        if let Some(mtu) = self.mtu {
            writeln!(f, " ip mtu {mtu}")?;
        }
        write!(f, "{}", self.nhrp)?;
        if let Some(mss) = self.adjust_mss {
            writeln!(f, " ip tcp adjust-mss {mss}")?;
        }
        if let Some(autonomous_system) = self.no_split_horizon {
            writeln!(f, " no ip split-horizon eigrp {autonomous_system}")?;
        }
        if self.shutdown {
            writeln!(f, " shutdown")?;
        }
        match &self.source {
            TunnelSource::Interface(name) => writeln!(f, " tunnel source {name}")?,
            TunnelSource::Address(address) => writeln!(f, " tunnel source {address}")?,
        }
        match self.mode {
            TunnelMode::Multipoint => writeln!(f, " tunnel mode gre multipoint")?,
            TunnelMode::PointToPoint { destination } => {
                writeln!(f, " tunnel destination {destination}")?;
            }
        }
        if let Some(key) = self.key {
            writeln!(f, " tunnel key {key}")?;
        }
        if self.checksum {
            writeln!(f, " tunnel checksum")?;
        }
        match &self.protection {
            Some(profile) => writeln!(f, " tunnel protection ipsec profile {profile}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Nhrp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(authentication) = &self.authentication {
            writeln!(f, " ip nhrp authentication {}", authentication.dangerous_text())?;
        }
        for map in &self.map {
            writeln!(f, " ip nhrp map {} {}", map.protocol, map.nbma)?;
        }
        if self.map_multicast_dynamic {
            writeln!(f, " ip nhrp map multicast dynamic")?;
        }
        for nbma in &self.map_multicast {
            writeln!(f, " ip nhrp map multicast {nbma}")?;
        }
        if let Some(network_id) = self.network_id {
            writeln!(f, " ip nhrp network-id {network_id}")?;
        }
        if let Some(seconds) = self.holdtime {
            writeln!(f, " ip nhrp holdtime {seconds}")?;
        }
        self.nhs.iter().try_for_each(|nhs| writeln!(f, " ip nhrp nhs {nhs}"))?;
        if self.no_unique {
            writeln!(f, " ip nhrp registration no-unique")?;
        }
        match self.registration_timeout {
            Some(seconds) => writeln!(f, " ip nhrp registration timeout {seconds}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for NhrpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)?;
        if let Some(nbma) = self.nbma {
            write!(f, " nbma {nbma}")?;
        }
        if self.multicast {
            write!(f, " multicast")?;
        }
        if self.priority != 0 {
            write!(f, " priority {}", self.priority)?;
        }
        if self.cluster != 0 {
            write!(f, " cluster {}", self.cluster)?;
        }
        Ok(())
    }
}

impl fmt::Display for Eigrp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "router eigrp {}", self.autonomous_system)?;
        let mut networks = self.networks.iter();
        networks.try_for_each(|(address, wildcard)| writeln!(f, " network {address} {wildcard}"))
    }
}
