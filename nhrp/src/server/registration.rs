//! Registration (RFC 2332 §5.2.3, §5.2.4).

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use dmvpn_time::Instant;

use super::reply;
use crate::cache::{Binding, Cache};
use crate::link::Owner;
use crate::output::{Built, Output, Subject};
use crate::prefix::address_bits;
use crate::received::{ip, nbma_ip, same_family};
use crate::wire::{Cie, CieCode, ExtensionType, Flags, Message, Packet};
use crate::{Config, Discard, Link, NextHop, Prefix, RemovalCause, Trace};

/// A registration request, checked, with its answer.
#[derive(Debug)]
pub(crate) struct Registration {
    decisions: Vec<Decision>,
    source: IpAddr,
    source_nbma: IpAddr,
    /// The address by which the client says it reaches us.
    our_alternate: Option<IpAddr>,
    mandatory_length: usize,
    reply: Built,
}

/// What becomes of one client information entry.
#[derive(Debug)]
enum Decision {
    Bind(Binding),
    /// Its holding time is zero: what it says has expired already, and so has what the same
    /// owner said before.
    Expire {
        target: Prefix,
        own: bool,
    },
    Refuse {
        target: Prefix,
        code: CieCode,
    },
}

impl Decision {
    const fn code(&self) -> CieCode {
        match self {
            Self::Bind(_) | Self::Expire { .. } => CieCode::SUCCESS,
            Self::Refuse { code, .. } => *code,
        }
    }
}

/// What is new within one request, to be counted against the limits.
#[derive(Debug, Default)]
struct Additions {
    entries: usize,
    by_owner: usize,
}

impl Registration {
    pub(crate) fn check(
        packet: &Packet,
        message: &Message,
        link: &Link,
        cache: &Cache,
        config: &Config,
    ) -> Result<Self, Discard> {
        let source = ip(&packet.source_protocol)?;
        let source_nbma = nbma_ip(&packet.source_nbma)?;
        if message.entries.is_empty() {
            return Err(Discard::NoEntry);
        }
        let owner = Owner::of(link);
        let unique = message.flags.contains(Flags::UNIQUE);
        let mut additions = Additions::default();
        let mut targets = BTreeSet::new();
        let mut decisions = Vec::with_capacity(message.entries.len());
        for entry in &message.entries {
            // §5.2.3: without addresses an entry speaks of the packet's source.
            let address = if entry.protocol.is_none() { source } else { ip(&entry.protocol)? };
            let claimed =
                if entry.nbma.address.is_none() { source_nbma } else { nbma_ip(&entry.nbma)? };
            if !same_family(address, config.protocol_address) {
                return Err(Discard::AddressFamily);
            }
            let binding = Binding {
                target: target(entry, address),
                nbma: link.nbma,
                claimed_nbma: (claimed != link.nbma).then_some(claimed),
                link: link.id,
                owner: owner.clone(),
                unique,
                holding_time: Duration::from_secs(entry.holding_time.into()),
            };
            // Each entry is decided on against the cache as it is, so none may depend on another.
            let target = binding.target;
            if !targets.insert(target) {
                return Err(Discard::NamedTwice { target });
            }
            decisions.push(decide(binding, address, link, cache, config, &mut additions));
        }
        let entries = message
            .entries
            .iter()
            .zip(&decisions)
            .map(|(entry, decision)| {
                let code = decision.code();
                // §5.2.0.1: the holding time is 0 on a NAK.
                let holding_time = if code == CieCode::SUCCESS { entry.holding_time } else { 0 };
                Cie { code, holding_time, ..entry.clone() }
            })
            .collect();
        let nat = (source_nbma != link.nbma).then_some((link.nbma, source));
        let reply = reply::registration(packet, message, entries, nat, config);
        let mandatory_length = reply.extension_offset();
        let our_alternate = packet
            .extension(ExtensionType::NAT_ADDRESS)
            .and_then(|extension| extension.entries().first())
            .and_then(|entry| entry.nbma.ip());
        Ok(Self {
            decisions,
            source,
            source_nbma,
            our_alternate,
            mandatory_length: mandatory_length.saturating_sub(FIXED_PART),
            reply: Built::new(reply)?,
        })
    }

    pub(crate) fn advance(
        self,
        now: Instant,
        link: &Link,
        cache: &mut Cache,
        config: &Config,
        output: &mut Output,
    ) {
        let subject = Subject::at(link, Some(self.source));
        for decision in self.decisions {
            match decision {
                Decision::Bind(binding) => {
                    let counter = &mut output.counters.registrations_accepted;
                    *counter = counter.saturating_add(1);
                    cache.register(now, binding, config.multicast_dynamic, output);
                }
                Decision::Expire { target, own } => {
                    if own {
                        cache.remove(now, &target, RemovalCause::Expired, output);
                    }
                }
                Decision::Refuse { target, code } => {
                    let counter = &mut output.counters.registrations_refused;
                    *counter = counter.saturating_add(1);
                    if code == CieCode::INSUFFICIENT_RESOURCES {
                        let counter = &mut output.counters.entries_refused;
                        *counter = counter.saturating_add(1);
                    }
                    output.trace(now, subject, || Trace::RegistrationRefused { target, code });
                }
            }
        }
        let (claimed, outside) = (self.source_nbma, link.nbma);
        if claimed != outside {
            output.trace(now, subject, || Trace::NatDetected { claimed, outside });
        }
        if let Some(alternate) = self.our_alternate {
            let nbma = link.local;
            output.trace(now, subject, || Trace::OurNbma { nbma, alternate });
        }
        let octets = self.mandatory_length;
        output.trace(now, subject, || Trace::MandatoryLength { octets });
        let to = NextHop { nbma: link.nbma, link: Some(link.id) };
        reply::send(now, to, self.source, &self.reply, config, output);
    }
}

/// Octets of the fixed part.
const FIXED_PART: usize = crate::wire::FixedHeader::LEN;

/// Cisco's 32, the 255 that §5.2.3 wants for unique addresses, and 0 all mean the address itself.
fn target(entry: &Cie, address: IpAddr) -> Prefix {
    match entry.prefix_length {
        0 | u8::MAX => Prefix::host(address),
        length if length >= address_bits(address) => Prefix::host(address),
        length => Prefix::new(address, length),
    }
}

fn decide(
    binding: Binding,
    address: IpAddr,
    link: &Link,
    cache: &Cache,
    config: &Config,
    additions: &mut Additions,
) -> Decision {
    let target = binding.target;
    let refuse = |code| Decision::Refuse { target, code };
    let present = cache.get(&target);
    let network = config.network();
    // Clients register themselves: networks are for resolution. Ours, and what the operator
    // configured, nobody may register (§5.2.4, code 4).
    if !target.is_host()
        || address == config.protocol_address
        || network.is_no_host(address)
        || cache.is_configured(address, &network)
        || !config.policy.permits(link.identity.as_ref(), address, network)
    {
        return refuse(CieCode::ADMINISTRATIVELY_PROHIBITED);
    }
    let registered = present.filter(|entry| entry.origin.owner.is_some());
    let own = registered.is_some_and(|entry| entry.origin.owner.as_ref() == Some(&binding.owner));
    // §5.2.4, code 14. The RFC would let a request without the flag pass, but then it protected
    // nobody.
    if registered.is_some_and(|entry| entry.flags.unique) && !own {
        return refuse(CieCode::UNIQUE_ADDRESS_ALREADY_REGISTERED);
    }
    // Another identity is somebody else, whatever the flag says, as long as the one that registered
    // is there; who has its NBMA address for an identity comes back as another one. Without
    // identities the RFC's rule is all there is.
    let there = registered.filter(|entry| !entry.origin.abandoned);
    let other = there.and_then(|entry| entry.origin.owner.as_ref()).filter(|_| !own);
    if let (Some(Owner::Identity(_)), Owner::Identity(_)) = (other, &binding.owner) {
        return refuse(CieCode::ADMINISTRATIVELY_PROHIBITED);
    }
    if binding.holding_time.is_zero() {
        return Decision::Expire { target, own };
    }
    if !own {
        let limits = &config.limits;
        let entries = cache.registered().saturating_add(additions.entries);
        let by_owner = cache.count_registered_by(&binding.owner).saturating_add(additions.by_owner);
        if (registered.is_none() && entries >= limits.entries)
            || by_owner >= limits.entries_per_owner
        {
            return refuse(CieCode::INSUFFICIENT_RESOURCES);
        }
        additions.by_owner = additions.by_owner.saturating_add(1);
        if registered.is_none() {
            additions.entries = additions.entries.saturating_add(1);
        }
    }
    Decision::Bind(binding)
}
