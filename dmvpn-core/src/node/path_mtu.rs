//! The path MTU towards a peer: what ICMP says of it, and for how long that is believed.

use core::time::Duration;

use dmvpn_time::Instant;

use super::{Node, Timer};
use crate::error::Discard;
use crate::peer::{Peer, PeerId, Whereabouts};
use crate::underlay::{Transport, Underlay};

/// After this long a larger packet is tried again (RFC 1191 §6.3, RFC 8201 §5.3).
const AGE: Duration = Duration::from_secs(600);
/// What every IPv4 host takes (RFC 791 §3.1). A link may have 68, but who says so in a message
/// that nothing proves would more likely starve us.
const LEAST_IPV4: u16 = 576;
/// What every IPv6 link takes (RFC 8200 §5).
const LEAST_IPV6: u16 = 1280;

impl Node {
    /// The path towards a peer takes packets of at most `mtu` octets. It holds until it is set
    /// again; [`handle_too_big`](Self::handle_too_big) may lower it for a while.
    pub fn set_path_mtu(&mut self, peer: PeerId, mtu: u16) {
        if let Some(entry) = self.peers.get_mut(peer.0) {
            entry.path_mtu = mtu.max(68);
            entry.lasting_path_mtu = entry.path_mtu;
            self.timers.cancel(&Timer::PathMtu(peer));
        }
    }

    /// ICMP "fragmentation needed" (RFC 1191 §4) or "packet too big" (RFC 8201): a packet of ours
    /// was larger than the `mtu` octets that some link takes. Whose path MTU it lowered.
    ///
    /// `quoted` is how the packet that the error quotes went out, `spi` the first word of it if it
    /// was ESP and that word was quoted. Nothing proves such a message (RFC 4301 §8.2.1), so it must
    /// name an association that we send on: by its SPI in native ESP, by its ports in UDP. It only
    /// lowers, never below 576 octets (IPv4) or 1280 (IPv6), and for ten minutes.
    ///
    /// # Errors
    ///
    /// [`Discard::NotOurPacket`], [`Discard::NotSmaller`]; nothing changed then.
    pub fn handle_too_big(
        &mut self,
        now: Instant,
        quoted: Underlay,
        spi: Option<u32>,
        mtu: u16,
    ) -> Result<PeerId, Discard> {
        let now = self.latest.observe(now);
        let outcome = self.lower_path_mtu(now, quoted, spi, mtu);
        let counter = match &outcome {
            Ok(_) => &mut self.counters.path_mtu_lowered,
            Err(_) => &mut self.counters.path_mtu_refused,
        };
        *counter = counter.saturating_add(1);
        outcome
    }

    fn lower_path_mtu(
        &mut self,
        now: Instant,
        quoted: Underlay,
        spi: Option<u32>,
        mtu: u16,
    ) -> Result<PeerId, Discard> {
        let remote = quoted.remote;
        let id = self.sender_of(quoted, spi).ok_or(Discard::NotOurPacket { remote })?;
        let Some(peer) = self.peers.get_mut(id.0) else {
            return Err(Discard::NotOurPacket { remote });
        };
        let least = if remote.is_ipv4() { LEAST_IPV4 } else { LEAST_IPV6 };
        let (mtu, path_mtu) = (mtu.max(least), peer.path_mtu);
        if mtu >= path_mtu {
            return Err(Discard::NotSmaller { mtu, path_mtu });
        }
        peer.path_mtu = mtu;
        self.timers.set(Timer::PathMtu(id), now + AGE);
        Ok(id)
    }

    /// The peer to whom a packet like this goes out.
    fn sender_of(&self, quoted: Underlay, spi: Option<u32>) -> Option<PeerId> {
        let (local, remote) = (quoted.local.ip(), quoted.remote.ip());
        let at = |protection, port| {
            let place = Whereabouts { protection, local, remote, port };
            let id = *self.by_whereabouts.get(&place)?;
            Some((id, self.peers.get(id.0)?))
        };
        let protected = |port| self.protections.keys().filter_map(move |id| at(Some(*id), port));
        match quoted.transport {
            // Key management's own packets may be fragmented.
            Transport::Isakmp => None,
            Transport::Gre => at(None, 0).map(|(id, _)| id),
            Transport::Esp => {
                let spi = spi?;
                let sends = |peer: &Peer| peer.outbounds().any(|ours| ours.spi() == spi);
                protected(0).find(|(_, peer)| sends(peer)).map(|(id, _)| id)
            }
            Transport::NatT => {
                let port = Some(quoted.local.port());
                // A router need not quote more than the UDP header (RFC 792).
                let sends = |peer: &Peer| {
                    let mut ours = peer.outbounds().filter(|ours| ours.association.udp == port);
                    ours.any(|ours| spi.is_none_or(|spi| ours.spi() == spi))
                };
                let places = protected(quoted.remote.port());
                places.into_iter().find(|(_, peer)| sends(peer)).map(|(id, _)| id)
            }
        }
    }

    /// What ICMP said is old: the path may have changed.
    pub(super) fn age_path_mtu(&mut self, id: PeerId) {
        if let Some(peer) = self.peers.get_mut(id.0) {
            peer.path_mtu = peer.lasting_path_mtu;
        }
    }
}
