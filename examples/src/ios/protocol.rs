//! What a configuration says to the protocols.

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use dmvpn_isakmp::crypto::{Group, HashAlgorithm};
use dmvpn_isakmp::{
    AggressivePeer, ChildLifetime, DeadPeerDetection, Encryption, EspProposal, Identity, Mode,
    Policy, PreSharedKey,
};
use dmvpn_nhrp::NextHopServer;

use super::{
    ClientEndpoint, DhGroup, EspEncryption, EspIntegrity, EspMode, IpsecProfile, IsakmpEncryption,
    IsakmpHash, IsakmpKey, IsakmpPeer, IsakmpPolicy, Keepalive, KeyPeer, NhrpServer, Replay,
    TransformSet,
};

impl From<DhGroup> for Group {
    fn from(group: DhGroup) -> Self {
        Self(group.0)
    }
}

impl From<&IsakmpPolicy> for Policy {
    fn from(policy: &IsakmpPolicy) -> Self {
        Self {
            priority: policy.priority,
            encryption: match policy.encryption {
                IsakmpEncryption::TripleDes => Encryption::TripleDes,
                IsakmpEncryption::Aes128 => Encryption::Aes128,
                IsakmpEncryption::Aes192 => Encryption::Aes192,
                IsakmpEncryption::Aes256 => Encryption::Aes256,
            },
            hash: match policy.hash {
                IsakmpHash::Md5 => HashAlgorithm::MD5,
                IsakmpHash::Sha1 => HashAlgorithm::SHA1,
                IsakmpHash::Sha256 => HashAlgorithm::SHA2_256,
                IsakmpHash::Sha384 => HashAlgorithm::SHA2_384,
                IsakmpHash::Sha512 => HashAlgorithm::SHA2_512,
            },
            group: policy.group.into(),
            lifetime: policy.lifetime,
        }
    }
}

impl From<&IsakmpKey> for PreSharedKey {
    fn from(key: &IsakmpKey) -> Self {
        let text = key.key.dangerous_text().as_bytes();
        match &key.peer {
            KeyPeer::Address(peers) => {
                Self::new(IpAddr::V4(peers.address), peers.prefix_length, text)
            }
            // Wherever it comes from, it must be called so.
            KeyPeer::Hostname(name) => Self {
                identity: Some(Identity::fqdn(name)),
                ..Self::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0, text)
            },
        }
    }
}

/// The key of a peer that we start aggressive mode with.
impl From<&IsakmpPeer> for PreSharedKey {
    fn from(peer: &IsakmpPeer) -> Self {
        Self::new(IpAddr::V4(peer.address), 32, peer.password.dangerous_text().as_bytes())
    }
}

impl IsakmpPeer {
    /// The peer, with the group of the first message to it.
    #[must_use]
    pub fn in_group(&self, group: Group) -> AggressivePeer {
        let identity = match &self.client_endpoint {
            ClientEndpoint::Address(address) => Identity::address(IpAddr::V4(*address)),
            ClientEndpoint::Fqdn(name) => Identity::fqdn(name),
            ClientEndpoint::UserFqdn(name) => Identity::user_fqdn(name),
        };
        AggressivePeer {
            identity: Some(identity),
            ..AggressivePeer::new(IpAddr::V4(self.address), group)
        }
    }
}

impl From<Keepalive> for DeadPeerDetection {
    fn from(keepalive: Keepalive) -> Self {
        Self {
            interval: Duration::from_secs(keepalive.seconds.into()),
            retry: Duration::from_secs(keepalive.retry.into()),
            ..Self::default()
        }
    }
}

impl From<&NhrpServer> for NextHopServer {
    fn from(server: &NhrpServer) -> Self {
        Self {
            nbma: server.nbma.map(IpAddr::V4),
            priority: server.priority,
            cluster: server.cluster,
            ..Self::new(IpAddr::V4(server.address))
        }
    }
}

impl Replay {
    /// The width of the anti-replay window in packets, 0 for none.
    #[must_use]
    pub const fn packets(self) -> u16 {
        match self {
            Self::Disabled => 0,
            Self::Window(packets) => packets,
        }
    }
}

impl From<&TransformSet> for EspProposal {
    fn from(set: &TransformSet) -> Self {
        use dmvpn_isakmp::{EspEncryption as Cipher, EspIntegrity as Mac};
        Self {
            encryption: match set.encryption {
                EspEncryption::Null => Cipher::Null,
                EspEncryption::TripleDes => Cipher::TripleDes,
                EspEncryption::Aes128 => Cipher::Aes128Cbc,
                EspEncryption::Aes192 => Cipher::Aes192Cbc,
                EspEncryption::Aes256 => Cipher::Aes256Cbc,
                EspEncryption::AesGcm128 => Cipher::Aes128Gcm16,
                EspEncryption::AesGcm192 => Cipher::Aes192Gcm16,
                EspEncryption::AesGcm256 => Cipher::Aes256Gcm16,
            },
            integrity: set.integrity.map(|integrity| match integrity {
                EspIntegrity::Md5 => Mac::HmacMd5,
                EspIntegrity::Sha1 => Mac::HmacSha1,
                EspIntegrity::Sha256 => Mac::HmacSha256,
                EspIntegrity::Sha384 => Mac::HmacSha384,
                EspIntegrity::Sha512 => Mac::HmacSha512,
            }),
        }
    }
}

impl From<EspMode> for Mode {
    fn from(mode: EspMode) -> Self {
        match mode {
            EspMode::Transport => Self::Transport,
            EspMode::Tunnel => Self::Tunnel,
        }
    }
}

impl From<&IpsecProfile> for ChildLifetime {
    fn from(profile: &IpsecProfile) -> Self {
        Self { seconds: profile.lifetime_seconds, kilobytes: Some(profile.lifetime_kilobytes) }
    }
}
