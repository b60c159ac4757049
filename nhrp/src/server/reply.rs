//! Replies: the request with another type, and its extensions filled in (RFC 2332 §5.2.4,
//! §5.2.6).

use alloc::vec::Vec;
use core::net::IpAddr;

use dmvpn_time::Instant;

use crate::output::{Built, Output, Subject};
use crate::prefix::address_bits;
use crate::received::with_entries;
use crate::wire::{Body, Cie, Extension, ExtensionType, ExtensionValue, Message, Packet};
use crate::{Config, NextHop, Trace};

/// The hop count that Cisco sends: a packet with 0 it drops.
const HOP_COUNT: u8 = 255;

/// The reply to a registration; `nat` is where a client behind a NAT is, and its protocol address.
pub(super) fn registration(
    request: &Packet,
    message: &Message,
    entries: Vec<Cie>,
    nat: Option<(IpAddr, IpAddr)>,
    config: &Config,
) -> Packet {
    let body = Body::RegistrationReply(with_entries(message, entries));
    let mut reply = from_request(request, body, config);
    if let Some((outside, client)) = nat {
        append_nat_address(&mut reply, outside, client, config);
    }
    reply
}

/// The reply to a purge.
pub(super) fn purge(request: &Packet, message: &Message, config: &Config) -> Packet {
    from_request(request, Body::PurgeReply(message.clone()), config)
}

fn from_request(request: &Packet, body: Body, config: &Config) -> Packet {
    let mut reply = Packet { hop_count: HOP_COUNT, body, ..request.clone() };
    for extension in &mut reply.extensions {
        match extension.extension_type {
            // §5.3.1: who made the reply.
            ExtensionType::RESPONDER_ADDRESS => {
                let responder = own_entry(config, config.holding_time);
                extension.value = ExtensionValue::Clients(Vec::from([responder]));
            }
            // Authentication is from hop to hop (§5.3.4).
            ExtensionType::AUTHENTICATION => {
                if let Some(string) = &config.authentication {
                    *extension = Extension::authentication(string.clone());
                }
            }
            _ => {}
        }
    }
    reply
}

/// An entry about ourselves.
fn own_entry(config: &Config, holding_time: u16) -> Cie {
    let prefix_length = address_bits(config.protocol_address);
    Cie::bare(prefix_length, config.mtu, holding_time).of(config.nbma, config.protocol_address)
}

/// Says where a client behind a NAT is, after what its own extension says of us: Cisco's NAT
/// address extension is added to, never overwritten.
fn append_nat_address(reply: &mut Packet, outside: IpAddr, client: IpAddr, config: &Config) {
    let extension = reply
        .extensions
        .iter_mut()
        .find(|extension| extension.extension_type == ExtensionType::NAT_ADDRESS);
    if let Some(Extension { value: ExtensionValue::Clients(entries), .. }) = extension {
        entries.push(Cie::bare(address_bits(client), config.mtu, 0).of(outside, client));
    }
}

/// Sends a reply with the records that IOS has of it.
pub(super) fn send(
    now: Instant,
    to: NextHop,
    client: IpAddr,
    reply: &Built,
    config: &Config,
    output: &mut Output,
) {
    let nbma = to.nbma;
    let subject = Subject { nbma: Some(nbma), protocol: Some(client) };
    output.trace(now, subject, || Trace::SendAttempt { destination: client });
    output.trace(now, subject, || Trace::Resolved { address: client, nbma });
    output.trace(now, subject, || Trace::Encapsulated { nbma });
    output.send(now, to, config.protocol_address, client, reply);
}
