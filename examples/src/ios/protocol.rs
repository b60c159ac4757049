//! What a configuration says to the protocols.

use core::net::IpAddr;

use dmvpn_isakmp::crypto::{Group, HashAlgorithm};
use dmvpn_isakmp::{ChildLifetime, Encryption, EspProposal, Mode, Policy, PreSharedKey};

use super::{
    DhGroup, EspEncryption, EspIntegrity, EspMode, IpsecProfile, IsakmpEncryption, IsakmpHash,
    IsakmpKey, IsakmpPolicy, TransformSet,
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
        Self::new(IpAddr::V4(key.address), key.prefix_length, key.key.as_bytes())
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
