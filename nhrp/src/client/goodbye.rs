//! The interface goes down: our registrations are withdrawn, and the servers say that they heard it.
//!
//! ```text
//!  interface down ── purge request ──▶  waiting ── a reply of each server, or 1 s ──▶  done
//! ```
//!
//! Who owns the way to the servers keeps it until then: a purge that is overtaken by the end of the
//! security association that carries it is lost. Not every server replies, so that there is a bound;
//! RFC 2332 §5.2.5 would send it again and again, but whoever shuts an interface down has no time for that,
//! and what a server was not told it forgets with the holding time.

use alloc::collections::{BTreeMap, BTreeSet};
use core::net::IpAddr;
use core::time::Duration;

use dmvpn_time::Instant;

use super::registration::Request;
use super::{Client, Context};
use crate::received::ip;
use crate::wire::{Flags, Message, Packet};
use crate::{Discard, Link, ServerState};

/// The longest wait for the replies.
const WAIT: Duration = Duration::from_secs(1);

/// Purges that wait for their replies, of one server at least.
#[derive(Debug)]
pub(super) struct Goodbye {
    requests: BTreeMap<IpAddr, Request>,
    until: Instant,
}

impl Goodbye {
    pub(super) const fn until(&self) -> Instant {
        self.until
    }
}

impl Client {
    /// Says goodbye to the servers that know us.
    pub(crate) fn interface_down(&mut self, ctx: &mut Context<'_>) {
        let addresses: BTreeSet<IpAddr> = self.servers.keys().copied().collect();
        let mut requests = BTreeMap::new();
        for address in addresses {
            let request = self.purge_registration(address, Flags::NONE, ctx);
            requests.extend(request.map(|request| (address, request)));
            self.leave(address, ServerState::Down, ctx);
        }
        let until = ctx.now + WAIT;
        self.goodbye = (!requests.is_empty()).then_some(Goodbye { requests, until });
    }

    /// The interface is up again: what is still to be heard of the goodbye has no meaning.
    pub(crate) fn interface_up(&mut self) {
        self.goodbye = None;
    }

    /// Whether a server may still reply to our goodbye.
    pub(crate) const fn is_leaving(&self) -> bool {
        self.goodbye.is_some()
    }

    /// The server that a purge reply is of. What its entries say does not matter: there is nothing that
    /// we could do about it.
    pub(crate) fn check_purge_reply(
        &self,
        packet: &Packet,
        message: &Message,
        link: &Link,
    ) -> Result<IpAddr, Discard> {
        let unexpected = Discard::UnexpectedReply(message.request_id);
        let address = ip(&packet.destination_protocol)?;
        let waiting = self.goodbye.as_ref().and_then(|goodbye| goodbye.requests.get(&address));
        let request = waiting.filter(|request| request.id == message.request_id);
        let server = self.servers.get(&address).and_then(|server| server.nbma);
        request.ok_or(unexpected)?.check_reply(packet, server, link)?;
        Ok(address)
    }

    /// A server has heard that we go.
    pub(crate) fn accept_purge_reply(&mut self, server: IpAddr) {
        if let Some(goodbye) = &mut self.goodbye {
            goodbye.requests.remove(&server);
            if goodbye.requests.is_empty() {
                self.goodbye = None;
            }
        }
    }
}
