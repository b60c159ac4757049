//! Purge (RFC 2332 §5.2.5, §5.2.6).

use alloc::collections::BTreeSet;
use core::net::IpAddr;

use dmvpn_time::Instant;

use super::reply;
use crate::cache::Cache;
use crate::link::Owner;
use crate::output::{Built, Output};
use crate::prefix::address_bits;
use crate::received::{ip, wants_no_reply};
use crate::wire::{Message, Packet};
use crate::{Config, Discard, Link, NextHop, Prefix, RemovalCause};

/// A purge request, checked, with its answer.
#[derive(Debug)]
pub(crate) struct Purge {
    targets: BTreeSet<Prefix>,
    source: IpAddr,
    /// `None` if none is wanted.
    reply: Option<Built>,
}

impl Purge {
    pub(crate) fn check(
        packet: &Packet,
        message: &Message,
        link: &Link,
        cache: &Cache,
        config: &Config,
    ) -> Result<Self, Discard> {
        let source = ip(&packet.source_protocol)?;
        if message.entries.is_empty() {
            return Err(Discard::NoEntry);
        }
        let owner = Owner::of(link);
        let mut targets = BTreeSet::new();
        let mut classes = BTreeSet::new();
        for entry in &message.entries {
            let address = if entry.protocol.is_none() { source } else { ip(&entry.protocol)? };
            match entry.prefix_length {
                length @ 1.. if length < address_bits(address) => {
                    classes.insert(Prefix::new(address, length));
                }
                _ => {
                    let target = Prefix::host(address);
                    let present = cache.get(&target).and_then(|entry| entry.origin.owner.as_ref());
                    match present {
                        Some(present) if *present == owner => {
                            targets.insert(target);
                        }
                        // §5.2.5 knows of no refusal, and a reply would say that it is purged.
                        Some(_) => return Err(Discard::NotOwner { address }),
                        // §5.2.5: a reply is due even if there is no such entry.
                        None => {}
                    }
                }
            }
        }
        // Classes of addresses: of those in them, the sender's own. A class comes right after the
        // one that covers it, and adds nothing; so no binding is looked at twice.
        let mut last: Option<Prefix> = None;
        for class in classes {
            if last.is_some_and(|last| last.covers(&class)) {
                continue;
            }
            targets.extend(cache.registered_in(&owner, &class));
            last = Some(class);
        }
        let reply = if wants_no_reply(message.flags) {
            None
        } else {
            Some(Built::new(reply::purge(packet, message, config))?)
        };
        Ok(Self { targets, source, reply })
    }

    pub(crate) fn advance(
        self,
        now: Instant,
        link: &Link,
        cache: &mut Cache,
        config: &Config,
        output: &mut Output,
    ) {
        for target in self.targets {
            cache.remove(now, &target, RemovalCause::Purged, output);
        }
        if let Some(built) = self.reply {
            let to = NextHop { nbma: link.nbma, link: Some(link.id) };
            reply::send(now, to, self.source, &built, config, output);
        }
    }
}
