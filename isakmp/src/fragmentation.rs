//! IKE fragmentation: long messages cut into datagrams of their own, and put together again.
//!
//! ```text
//!   MM1, MM2    vendor ids: each side says that it takes fragments
//!   from MM3 on HDR, Fragment 1   HDR, Fragment 2   …   HDR, Fragment n (last)
//! ```
//!
//! Nothing authenticates a fragment, only the message that they make. So a fragment does nothing but
//! wait, in bounded memory, for the others. Who sees the packets can spoil a message of which it
//! forges a fragment, no more than it could by forging all of it: a protected one is mended by its
//! next transmission. Who does not see them can do nothing to peers whose cookies it cannot name.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::IpAddr;

use bytes::Bytes;

use crate::phase1::SaId;
use crate::wire::{
    Chain, Cookie, ExchangeType, Fragment, Header, Payload, PayloadType, Payloads, Vendor,
};
use crate::{Discard, Fragmentation, Limits, Path, Transport};

/// Octets before the data of a fragment: header, generic header, fixed part.
const OVERHEAD: usize = Header::LEN + 4 + Fragment::FIXED;

/// Fragments of one message that are accepted. Real messages have a dozen at most.
const MAX_FRAGMENTS: u8 = 64;

/// The bit of the vendor id's capabilities that stands for main and aggressive mode.
const MAIN_AND_AGGRESSIVE_MODE: u32 = 0x8000_0000;

/// Whether the sender of these vendor ids takes fragments. Some name no capabilities.
pub(crate) fn named(payloads: &Payloads<'_>) -> bool {
    payloads.iter().any(|received| {
        let Payload::VendorId(vendor_id) = &received.payload else { return false };
        match vendor_id.recognize() {
            Some(Vendor::Fragmentation { capabilities }) => {
                capabilities.is_none_or(|bits| bits & MAIN_AND_AGGRESSIVE_MODE != 0)
            }
            _ => false,
        }
    })
}

/// Whether one of these vendor ids says that its sender takes fragments, and names capabilities.
pub(crate) fn named_with_capabilities(payloads: &Payloads<'_>) -> bool {
    payloads.iter().any(|received| {
        let Payload::VendorId(vendor_id) = &received.payload else { return false };
        matches!(vendor_id.recognize(), Some(Vendor::Fragmentation { capabilities: Some(_) }))
    })
}

/// The datagrams of a message that is too long for one on this path; `None` if it is not.
///
/// The same message gives the same fragments, so that a retransmission completes what was lost.
pub(crate) fn split(message: &Bytes, to: Fragmentation, path: &Path) -> Option<Vec<Bytes>> {
    let ip_and_udp: usize = if path.remote.is_ipv4() { 28 } else { 48 };
    let marker = if path.transport == Transport::NatT { 4 } else { 0 };
    let longest = usize::from(to.packet_size).saturating_sub(ip_and_udp).saturating_sub(marker);
    if message.len() <= longest {
        return None;
    }
    let whole = Header::parse(message).ok()?;
    // As strongSwan does it: the exchange is that of phase 1, the message ID zero and the flags
    // clear, whatever the message is.
    let exchange = match whole.exchange {
        ExchangeType::AGGRESSIVE => ExchangeType::AGGRESSIVE,
        _ => ExchangeType::MAIN_MODE,
    };
    let header = Header::new(whole.initiator_cookie, whole.responder_cookie, exchange);
    let id = id_of(message);
    let pieces = message.chunks(longest.saturating_sub(OVERHEAD).max(1));
    let count = pieces.len();
    let fragments = (1..=u8::MAX).zip(pieces).map(|(number, data)| {
        let flags = if usize::from(number) == count { Fragment::LAST } else { 0 };
        let mut chain = Chain::new();
        chain.push(&Payload::Fragment(Fragment { id, number, flags, data: data.into() }));
        chain.message(header, 0).unwrap_or_default().into()
    });
    // What has no number is left to IP.
    (count <= usize::from(u8::MAX)).then(|| fragments.collect())
}

/// A number for the fragments of a message, the same each time it is sent and most likely another
/// than that of the next one, whose fragments may meet those of this one.
fn id_of(message: &[u8]) -> u16 {
    message.iter().fold(0, |sum: u16, byte| sum.wrapping_mul(31).wrapping_add(u16::from(*byte)))
}

/// The fragment that is all of a message.
///
/// # Errors
/// What is wrong with the fragment itself.
pub(crate) fn fragment<'m, 'a>(payloads: &'m Payloads<'a>) -> Result<&'m Fragment<'a>, Discard> {
    let mut payloads = payloads.iter().map(|received| &received.payload);
    let Some(Payload::Fragment(fragment)) = payloads.next() else {
        return Err(Discard::MissingPayload(PayloadType::FRAGMENT));
    };
    // [MS-IKEE] §3.3.5.3: it is the only payload.
    if let Some(more) = payloads.next() {
        return Err(Discard::UnexpectedPayload(more.payload_type()));
    }
    let number = fragment.number;
    if !(1..=MAX_FRAGMENTS).contains(&number) {
        return Err(Discard::FragmentNumber { number, limit: MAX_FRAGMENTS });
    }
    if fragment.data.is_empty() {
        return Err(Discard::FragmentEmpty);
    }
    Ok(fragment)
}

/// Whether the message is a fragment. A header that has the encryption flag of the whole message is
/// no reason to decrypt: no encrypted message starts with a fragment.
pub(crate) fn is_fragment(header: &Header) -> bool {
    header.next_payload == PayloadType::FRAGMENT
}

/// Whose memory a fragment uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sender {
    /// Anybody: a first message.
    Address(IpAddr),
    /// Whoever negotiates phase 1.
    HalfOpen(SaId),
    /// A peer that we have an SA with.
    Established(SaId),
}

/// How much a sender has shown of itself. Each standing has memory of its own, which is not used up by
/// those who have shown less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    Stranger,
    HalfOpen,
    Established,
}

impl Sender {
    const fn standing(self) -> Standing {
        match self {
            Self::Address(_) => Standing::Stranger,
            Self::HalfOpen(_) => Standing::HalfOpen,
            Self::Established(_) => Standing::Established,
        }
    }
}

/// Which message a fragment belongs to. What comes over another path, or with other cookies, does
/// not mix with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) sender: Sender,
    pub(crate) path: Path,
    pub(crate) cookies: (Cookie, Cookie),
    pub(crate) id: u16,
}

/// Our name for a message of which only some fragments are here; never used twice, and of the same
/// standing the lower the older.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ReassemblyId(pub(crate) Standing, pub(crate) u64);

/// The fragments of one message.
#[derive(Debug)]
struct Reassembly {
    id: ReassemblyId,
    by_number: BTreeMap<u8, Bytes>,
    last: Option<u8>,
}

/// What a fragment led to.
#[derive(Debug)]
pub(crate) enum Added {
    /// Others are missing.
    Waiting,
    /// It is the first of its message: others are waited for from now on; perhaps in the place of
    /// those of another message.
    Started(ReassemblyId, Option<ReassemblyId>),
    /// The message, and whom nobody waits for any more.
    Complete(Vec<u8>, Option<ReassemblyId>),
}

/// Messages of which only some fragments are here.
#[derive(Debug, Default)]
pub(crate) struct Reassemblies {
    by_key: BTreeMap<Key, Reassembly>,
    by_id: BTreeMap<ReassemblyId, Key>,
    count: BTreeMap<Standing, usize>,
    next: u64,
}

impl Reassemblies {
    /// Adds a fragment.
    ///
    /// Of two views of a message, the newer fragment's counts: peers use the same id for all their
    /// messages, and what is left of an older one must not spoil the next.
    ///
    /// # Errors
    /// Why it was not added; nothing is changed then.
    pub(crate) fn add(
        &mut self,
        key: Key,
        fragment: &Fragment<'_>,
        limits: &Limits,
    ) -> Result<Added, Discard> {
        let limit = limits.message_octets;
        let number = fragment.number;
        if let Some(reassembly) = self.by_key.get_mut(&key) {
            let same =
                reassembly.by_number.get(&number).is_some_and(|data| **data == *fragment.data);
            if same && fragment.is_last() == (reassembly.last == Some(number)) {
                return Err(Discard::FragmentDuplicate { number });
            }
            let others = reassembly.by_number.iter().filter(|(other, _)| {
                **other != number && !(fragment.is_last() && **other > number)
            });
            let octets = others.map(|(_, data)| data.len()).sum::<usize>();
            if octets.saturating_add(fragment.data.len()) > limit {
                return Err(Discard::FragmentsTooLong { limit });
            }
            reassembly.insert(fragment);
            return Ok(match reassembly.message() {
                Some(message) => Added::Complete(message, self.remove(&key)),
                None => Added::Waiting,
            });
        }
        if number == 1 && fragment.is_last() {
            return Ok(Added::Complete(fragment.data.to_vec(), None));
        }
        let displaced = self.make_room(key.sender, limits)?;
        self.next = self.next.saturating_add(1);
        let standing = key.sender.standing();
        let id = ReassemblyId(standing, self.next);
        let mut reassembly = Reassembly { id, by_number: BTreeMap::new(), last: None };
        reassembly.insert(fragment);
        let count = self.count.entry(standing).or_default();
        *count = count.saturating_add(1);
        self.by_key.insert(key, reassembly);
        self.by_id.insert(id, key);
        Ok(Added::Started(id, displaced))
    }

    /// A sender that has its share gives up its own oldest; if all is taken, the oldest of those of its
    /// standing goes. Who floods us displaces what he likes, but cannot make anybody wait.
    fn make_room(
        &mut self,
        sender: Sender,
        limits: &Limits,
    ) -> Result<Option<ReassemblyId>, Discard> {
        let own = self.of(sender);
        let oldest = own.iter().min_by_key(|(_, id)| *id).map(|(key, _)| *key);
        if own.len() >= limits.reassemblies_per_source
            && let Some(oldest) = oldest
        {
            return Ok(self.remove(&oldest));
        }
        let standing = sender.standing();
        let limit = limits.reassemblies;
        if self.count.get(&standing).copied().unwrap_or(0) < limit {
            return Ok(None);
        }
        let oldest = self.by_id.range(ReassemblyId(standing, 0)..).next();
        let oldest = oldest.filter(|(id, _)| id.0 == standing).map(|(_, key)| *key);
        let oldest = oldest.ok_or(Discard::ReassemblyLimit { limit })?;
        Ok(self.remove(&oldest))
    }

    /// The messages of one sender: a few.
    fn of(&self, sender: Sender) -> Vec<(Key, ReassemblyId)> {
        let unspecified = (IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED), 0).into();
        let path = Path { local: unspecified, remote: unspecified, transport: Transport::Isakmp };
        let first = Key { sender, path, cookies: (Cookie::ZERO, Cookie::ZERO), id: 0 };
        let own = self.by_key.range(first..).take_while(|(key, _)| key.sender == sender);
        own.map(|(key, reassembly)| (*key, reassembly.id)).collect()
    }

    fn remove(&mut self, key: &Key) -> Option<ReassemblyId> {
        let id = self.by_key.remove(key)?.id;
        self.by_id.remove(&id);
        if let Some(count) = self.count.get_mut(&id.0) {
            *count = count.saturating_sub(1);
        }
        Some(id)
    }

    /// Gives up waiting for a message.
    pub(crate) fn expire(&mut self, id: ReassemblyId) -> Option<Path> {
        let key = self.by_id.get(&id).copied()?;
        self.remove(&key);
        Some(key.path)
    }

    /// Gives up waiting for the messages of an SA that is gone.
    pub(crate) fn forget(&mut self, sa: SaId) -> Vec<ReassemblyId> {
        let own = [Sender::HalfOpen(sa), Sender::Established(sa)].map(|sender| self.of(sender));
        own.into_iter().flatten().filter_map(|(key, _)| self.remove(&key)).collect()
    }
}

impl Reassembly {
    /// What the fragment contradicts is forgotten.
    fn insert(&mut self, fragment: &Fragment<'_>) {
        let number = fragment.number;
        if fragment.is_last() {
            self.last = Some(number);
            self.by_number.retain(|other, _| *other < number);
        } else if self.last.is_some_and(|last| last <= number) {
            self.last = None;
        }
        self.by_number.insert(number, Bytes::copy_from_slice(&fragment.data));
    }

    /// The message, if no fragment is missing: then there are as many as the last one's number.
    fn message(&self) -> Option<Vec<u8>> {
        let complete = self.last.map(usize::from) == Some(self.by_number.len());
        complete.then(|| self.by_number.values().flatten().copied().collect())
    }
}
