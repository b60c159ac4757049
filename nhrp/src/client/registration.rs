//! Our requests, and the replies to them (RFC 2332 §5.2.3 to §5.2.5).

use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use super::{Client, Context, LONGEST_WAIT};
use crate::output::{Built, Subject};
use crate::prefix::address_bits;
use crate::received::ip;
use crate::wire::{
    Body, Cie, CieCode, Extension, ExtensionType, Flags, Message, NbmaAddress, Packet, RequestId,
};
use crate::{Config, Discard, Event, Link, NextHop, ServerState, Trace};

/// A request that was sent.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) id: RequestId,
    /// Where it was sent last.
    pub(super) to: NextHop,
    pub(super) built: Built,
}

impl Request {
    /// A registration with the server at `address`, sent `to` where it is.
    pub(super) fn registration(
        id: RequestId,
        address: IpAddr,
        to: NextHop,
        config: &Config,
    ) -> Result<Self, Discard> {
        let host = address_bits(config.protocol_address);
        let unique = if config.unique { Flags::UNIQUE } else { Flags::NONE };
        let message = Message {
            flags: unique | Flags::NAT,
            request_id: id,
            // §5.2.3 wants 255 with the flag; IOS sends the address's length, and so do we.
            entries: Vec::from([Cie::bare(host, config.mtu, config.holding_time)]),
        };
        // Where we think the server is: behind a NAT it learns its own outside address by it.
        let server = Cie::bare(host, config.mtu, 0).of(to.nbma, address);
        let body = Body::RegistrationRequest(message);
        Self::build(id, address, to, body, Vec::from([server]), config)
    }

    /// A purge of our registration. It has the registration's identifier: IOS is said to look for
    /// that.
    pub(super) fn purge(
        id: RequestId,
        address: IpAddr,
        to: NextHop,
        flags: Flags,
        config: &Config,
    ) -> Result<Self, Discard> {
        let own = config.protocol_address;
        let host = address_bits(own);
        // §5.2.5: MTU and holding time are zero, the protocol address must be there.
        let entry = Cie { protocol: own.into(), ..Cie::bare(host, 0, 0) };
        let message = Message { flags, request_id: id, entries: Vec::from([entry]) };
        let server = Cie::bare(host, config.mtu, 0).of(to.nbma, address);
        Self::build(id, address, to, Body::PurgeRequest(message), Vec::from([server]), config)
    }

    fn build(
        id: RequestId,
        address: IpAddr,
        to: NextHop,
        body: Body,
        nat: Vec<Cie>,
        config: &Config,
    ) -> Result<Self, Discard> {
        let mut packet = Packet::new(config.nbma, config.protocol_address, address, body);
        packet.extensions = Vec::from([
            Extension::clients(ExtensionType::RESPONDER_ADDRESS, Vec::new()),
            Extension::clients(ExtensionType::FORWARD_TRANSIT_NHS_RECORD, Vec::new()),
            Extension::clients(ExtensionType::REVERSE_TRANSIT_NHS_RECORD, Vec::new()),
        ]);
        packet.extensions.extend(config.authentication.clone().map(Extension::authentication));
        packet.extensions.push(Extension::nat_address(nat));
        packet.extensions.push(Extension::end());
        Ok(Self { id, to, built: Built::new(packet)? })
    }

    /// Whether a reply with our identifier has our addresses, and comes from where the server is.
    pub(super) fn check_reply(
        &self,
        packet: &Packet,
        server: Option<IpAddr>,
        link: &Link,
    ) -> Result<(), Discard> {
        let sent = &self.built.packet;
        if packet.source_protocol != sent.source_protocol || packet.source_nbma != sent.source_nbma
        {
            return Err(Discard::ReplyMismatch(self.id));
        }
        if server != Some(link.nbma) {
            return Err(Discard::ReplyFromElsewhere { nbma: link.nbma });
        }
        // Several peers may share an NBMA address: behind a NAT it does not say who replies.
        if self.to.link.is_some_and(|asked| asked != link.id) {
            return Err(Discard::ReplyOverOtherLink { link: link.id });
        }
        Ok(())
    }
}

/// A registration reply that answers a request of ours, checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Accepted {
    server: IpAddr,
    id: RequestId,
    /// The first code that is not zero, if there is one: then it is a refusal (§5.2.4).
    refusal: Option<CieCode>,
    /// The shortest holding time that the server agreed to, in seconds; `None` if ours.
    holding_time: Option<u16>,
    /// Where the server sees us, if not where we are.
    outside_nbma: Option<IpAddr>,
}

impl Client {
    /// A reply counts if it comes from where the server is, and repeats identifier and addresses
    /// of a request that waits for it.
    pub(crate) fn check_reply(
        &self,
        packet: &Packet,
        message: &Message,
        link: &Link,
    ) -> Result<Accepted, Discard> {
        let id = message.request_id;
        let unexpected = Discard::UnexpectedReply(id);
        let address = ip(&packet.destination_protocol)?;
        let server = self.servers.get(&address).ok_or(unexpected)?;
        let request =
            server.outstanding.iter().find(|request| request.id == id).ok_or(unexpected)?;
        request.check_reply(packet, server.nbma, link)?;
        let entries = &message.entries;
        if entries.is_empty() {
            return Err(Discard::NoEntry);
        }
        Ok(Accepted {
            server: address,
            id,
            refusal: entries.iter().map(|entry| entry.code).find(|code| *code != CieCode::SUCCESS),
            holding_time: entries
                .iter()
                .map(|entry| entry.holding_time)
                .filter(|seconds| *seconds > 0)
                .min(),
            outside_nbma: outside_nbma(packet, &request.built.packet.source_nbma),
        })
    }

    pub(crate) fn accept_reply(&mut self, accepted: Accepted, ctx: &mut Context<'_>) {
        let Accepted { server: address, id, refusal, holding_time, outside_nbma } = accepted;
        let Some(server) = self.servers.get_mut(&address) else { return };
        server.outstanding.retain(|request| request.id != id);
        server.transmissions = 0;
        if let Some(code) = refusal {
            ctx.output
                .trace(ctx.now, server.subject(), || Trace::RefusalReceived { address, code });
            ctx.output.event(Event::RegistrationRefused { address, code });
            server.registered = None;
            self.timers.set(address, ctx.now + LONGEST_WAIT);
            self.fail(address, ctx);
            return;
        }
        server.registered = Some(id);
        if server.outside_nbma != outside_nbma
            && let Some(outside) = outside_nbma
        {
            let subject = Subject { protocol: Some(address), ..server.subject() };
            ctx.output.trace(ctx.now, subject, || Trace::BehindNat { outside });
        }
        server.outside_nbma = outside_nbma;
        server.failed = false;
        let came_up = server.state != ServerState::Responding;
        server.transition(ServerState::Responding, ctx);
        // §5.2.3 recommends a third of the holding time. Shorter than a second would be a flood.
        let seconds = holding_time.unwrap_or(u16::MAX).min(ctx.config.holding_time);
        let third = seconds.div_euclid(3);
        let seconds = ctx.config.registration_interval.map_or(third, |asked| asked.min(third));
        let refresh = Duration::from_secs(u64::from(seconds.max(1)));
        self.timers.set(address, ctx.now + refresh);
        if came_up {
            self.settle(ctx);
        }
    }
}

/// What a server appended to the NAT address extension about us: where it sees us.
fn outside_nbma(packet: &Packet, ours: &NbmaAddress) -> Option<IpAddr> {
    let entries = packet.extension(ExtensionType::NAT_ADDRESS)?.entries();
    let about_us = entries.iter().find(|entry| entry.protocol == packet.source_protocol)?;
    if about_us.nbma == *ours {
        return None;
    }
    about_us.nbma.ip()
}
