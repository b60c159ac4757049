//! What the owner of the ESP SAs reports.

use alloc::borrow::Cow;
use core::net::SocketAddr;

use dmvpn_time::Instant;

use crate::phase1::{Phase1, Phase1State};
use crate::wire::{Doi, Notification, NotifyType, Payload, ProtocolId};
use crate::{Path, PeerId, Trace, informational};

use super::Endpoint;

/// # The data plane
impl Endpoint {
    /// The newest ESP packet of the peer, authenticated and not a replay, came in UDP from `remote`.
    /// If a NAT has moved the peer, messages and SAs follow (RFC 3947 §7), as they do for an
    /// authentic message.
    pub fn handle_moved(&mut self, now: Instant, peer: PeerId, remote: SocketAddr) {
        self.observe(now);
        let Some(id) = self.peers.get(peer.0).and_then(|peer| peer.current) else { return };
        let Some(Phase1 { negotiation, .. }) = self.phase1.get(&id) else { return };
        let path = Path { remote, ..negotiation.path };
        self.heard_from(id, path);
    }

    /// An ESP packet that seems to come from the peer has an SPI that is no SA's. The peer is told,
    /// protected by phase 1 (INVALID-SPI, RFC 2408 §3.14.1): if it does send on that SA, a delete was
    /// lost. The packet itself proves nothing, so the owner limits how often it calls this.
    ///
    /// Returns whether there was an SA to tell it on.
    pub fn handle_invalid_spi(&mut self, now: Instant, peer: PeerId, spi: u32) -> bool {
        self.observe(now);
        let Some(id) = self.peers.get(peer.0).and_then(|peer| peer.current) else { return false };
        let Some(Phase1 { negotiation, state: Phase1State::Established(established) }) =
            self.phase1.get_mut(&id)
        else {
            return false;
        };
        let notify_type = NotifyType::INVALID_SPI;
        let notification = Notification {
            doi: Doi::IPSEC,
            protocol: ProtocolId::ESP,
            notify_type,
            spi: Cow::Owned(spi.to_be_bytes().to_vec()),
            data: Cow::Borrowed(&[]),
        };
        self.output.trace(negotiation, Trace::NotifySent { notify_type, protected: true });
        let payload = Payload::Notification(notification);
        informational::send(negotiation, established, &[payload], &mut self.output);
        true
    }
}
