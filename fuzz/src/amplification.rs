//! What an ISAKMP endpoint sends to who has not shown that it receives: at most one datagram for
//! each that came from there, and none that is longer.

use core::net::{IpAddr, SocketAddr};
use std::collections::{HashMap, HashSet};

use dmvpn_isakmp::wire::{Cookie, ExchangeType, Header};

/// Everybody who ever sent something, and what they can know of the endpoint under test.
#[derive(Default)]
pub(crate) struct Strangers {
    /// Cookies of others: those of first messages.
    foreign: HashSet<Cookie>,
    /// Cookies of the endpoint's own. Who sends one has received it.
    own: HashSet<Cookie>,
    shown: HashSet<SocketAddr>,
    /// Where the owner wants it to send.
    trusted: HashSet<IpAddr>,
    given: HashMap<SocketAddr, Given>,
}

/// What one source gave, and got.
#[derive(Default)]
struct Given {
    received: u32,
    sent: u32,
    longest: usize,
}

impl Strangers {
    /// The owner itself wants something of an address.
    pub(crate) fn trust(&mut self, address: IpAddr) {
        self.trusted.insert(address);
    }

    /// The endpoint is about to get a datagram.
    pub(crate) fn received(&mut self, from: SocketAddr, datagram: &[u8]) {
        let given = self.given.entry(from).or_default();
        given.received += 1;
        given.longest = given.longest.max(datagram.len());
        let Ok(header) = Header::parse(datagram) else { return };
        let cookies = [header.initiator_cookie, header.responder_cookie];
        if cookies.iter().any(|cookie| self.own.contains(cookie)) {
            self.shown.insert(from);
        } else if header.responder_cookie == Cookie::ZERO {
            self.foreign.insert(header.initiator_cookie);
        }
    }

    /// The endpoint sent a datagram.
    pub(crate) fn sent(&mut self, to: SocketAddr, datagram: &[u8]) {
        // A keepalive of NAT traversal has no header, and counts like any other.
        let header = Header::parse(datagram).ok();
        if let Some(header) = &header {
            for cookie in [header.initiator_cookie, header.responder_cookie] {
                if cookie != Cookie::ZERO && !self.foreign.contains(&cookie) {
                    self.own.insert(cookie);
                }
            }
        }
        if self.shown.contains(&to) || self.trusted.contains(&to.ip()) {
            return;
        }
        let given = self.given.entry(to).or_default();
        given.sent += 1;
        let Given { received, sent, longest } = *given;
        assert!(sent <= received, "{to} gave {received} datagrams and gets {sent}");
        // AM2 has a hash that AM1 has not: SECURITY.md has it as an exception.
        let aggressive = header.is_some_and(|header| header.exchange == ExchangeType::AGGRESSIVE);
        let most = if aggressive { longest * 2 } else { longest };
        let len = datagram.len();
        assert!(len <= most, "{to} gave at most {longest} octets and gets {len}");
    }
}
