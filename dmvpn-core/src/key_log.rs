//! Session keys for decrypting a capture.

use core::fmt;
use core::net::IpAddr;

use dmvpn_isakmp::crypto::Secret;
use dmvpn_isakmp::{Encryption, EspProposal};

/// A session key, handed out only where the configuration asks for it.
#[derive(Clone)]
#[non_exhaustive]
pub enum LoggedKey {
    /// The encryption key of a phase 1 security association.
    Isakmp {
        /// The initiator's cookie.
        initiator_cookie: [u8; 8],
        /// The cipher.
        encryption: Encryption,
        /// The key.
        key: Secret,
    },
    /// The keys of an ESP security association.
    Esp {
        /// Who sends on it.
        source: IpAddr,
        /// Who receives on it.
        destination: IpAddr,
        /// Its security parameters index.
        spi: u32,
        /// Its algorithms.
        transform: EspProposal,
        /// The encryption key, and the salt behind it where the algorithm has one.
        encryption_key: Secret,
        /// The integrity key, empty where the cipher authenticates as well.
        integrity_key: Secret,
    },
}

impl fmt::Debug for LoggedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Isakmp { .. } => "LoggedKey::Isakmp(..)",
            Self::Esp { .. } => "LoggedKey::Esp(..)",
        })
    }
}
