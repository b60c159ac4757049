//! Session keys for decrypting a capture.

use crate::crypto::EncryptionKey;
use crate::wire::Cookie;
use crate::{Encryption, PeerId};

use super::Endpoint;

/// The encryption key of an established phase 1 SA. Its `Debug` shows none of it.
#[derive(Clone, Debug)]
pub struct Phase1Key {
    /// The peer.
    pub peer: PeerId,
    /// What Wireshark's `ikev1_decryption_table` finds the SA by.
    pub initiator_cookie: Cookie,
    /// The cipher.
    pub encryption: Encryption,
    /// The key; it leaves by [`EncryptionKey::dangerous_key`].
    pub key: EncryptionKey,
}

/// # For debugging
impl Endpoint {
    /// The encryption keys of all established phase 1 SAs, so that a capture can be decrypted.
    pub fn dangerous_phase1_keys(&self) -> impl Iterator<Item = Phase1Key> + '_ {
        self.phase1.values().filter_map(|sa| {
            let established = sa.state.established()?;
            Some(Phase1Key {
                peer: sa.negotiation.peer?,
                initiator_cookie: sa.negotiation.initiator_cookie,
                encryption: established.policy.encryption,
                key: established.keys.cipher.clone(),
            })
        })
    }
}
