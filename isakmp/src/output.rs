//! What the machines write to: queues, timers, traces, and the randomness they draw from.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;

use bytes::Bytes;
use dmvpn_time::{EventQueue, Instant, Timers, TraceRing};
use rand_core::CryptoRng;

use crate::crypto::{Job, JobId};
use crate::fragmentation::{self, Standing};
use crate::phase1::{Negotiation, SaId};
use crate::wire::{Cookie, MessageId};
use crate::{
    Config, Counters, Deviation, Event, MajorInput, MinorInput, Path, PeerId, StateKind, Trace,
    Traced, Transmit, Transport,
};

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// A main mode message was not answered.
    Retransmit(SaId),
    /// A quick mode message was not answered.
    RetransmitQuick(SaId, MessageId),
    /// A negotiation of phase 1 is to be given up.
    HalfOpen(SaId),
    /// A phase 1 SA is to be negotiated anew.
    Phase1Rekey(SaId),
    /// A phase 1 SA ends.
    Phase1Expire(SaId),
    /// A quick mode is to be given up, or forgotten if it is complete.
    QuickModeEnd(SaId, MessageId),
    /// A phase 2 SA is to be negotiated anew.
    ChildRekey(u32),
    /// The outbound SA of a re-keying that we started is used from now on, whether the peer has
    /// shown that it has it or not.
    ChildEnable(u32),
    /// A phase 2 SA ends.
    ChildExpire(u32),
    /// Quick modes have waited for aggressive mode's last message to arrive.
    FirstQuickMode(PeerId),
    /// The peer has been silent.
    DeadPeer(PeerId),
    /// The NAT's mapping wants to be kept.
    Keepalive(PeerId),
    /// The missing fragments of a message did not come.
    Reassembly(Standing, u64),
}

/// What is about no peer.
const NOWHERE: Path = {
    let unspecified = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
    Path { local: unspecified, remote: unspecified, transport: Transport::Isakmp }
};

/// What an endpoint's machines write to.
pub(crate) struct Output {
    pub(crate) now: Instant,
    pub(crate) config: Arc<Config>,
    pub(crate) rng: Box<dyn CryptoRng + Send>,
    pub(crate) timers: Timers<Timer>,
    pub(crate) transmits: VecDeque<Transmit>,
    pub(crate) events: EventQueue<Event>,
    /// By number: the oldest first, and one that nobody waits for any more is found.
    pub(crate) jobs: BTreeMap<JobId, Job>,
    pub(crate) traces: TraceRing<Traced>,
    pub(crate) counters: Counters,
    pub(crate) next_connection: u32,
    next_job: u64,
}

impl Output {
    pub(crate) fn new(config: Arc<Config>, rng: Box<dyn CryptoRng + Send>, now: Instant) -> Self {
        Self {
            now,
            traces: TraceRing::new(config.trace_capacity),
            next_connection: config.first_connection,
            config,
            rng,
            timers: Timers::new(),
            transmits: VecDeque::new(),
            events: EventQueue::new(),
            jobs: BTreeMap::new(),
            counters: Counters::default(),
            next_job: 0,
        }
    }

    /// What is replaced ends after `grace`, or sooner if its lifetime does.
    pub(crate) fn end_within(&mut self, timer: Timer, grace: Duration) {
        let end = self.now + grace;
        let end = self.timers.get(&timer).map_or(end, |before| before.min(end));
        self.timers.set(timer, end);
    }

    /// Records something about an SA.
    pub(crate) fn trace(&mut self, sa: &Negotiation, trace: Trace) {
        self.trace_on(&sa.path, sa.connection, trace);
    }

    /// Records something about a path, whether there is an SA or not.
    pub(crate) fn trace_on(&mut self, path: &Path, connection: u32, trace: Trace) {
        if let Trace::Deviation(_) = trace {
            self.counters.deviations = self.counters.deviations.saturating_add(1);
        }
        let (at, local, remote) = (self.now, path.local, path.remote);
        self.traces.push(Traced { at, local, remote, connection, trace });
    }

    /// Records what a check noted.
    pub(crate) fn trace_all(&mut self, sa: &Negotiation, traces: impl IntoIterator<Item = Trace>) {
        for trace in traces {
            self.trace(sa, trace);
        }
    }

    /// Records that a message ID was forgotten.
    pub(crate) fn forgot(&mut self, sa: &Negotiation, forgotten: Option<MessageId>) {
        if let Some(message_id) = forgotten {
            let counter = &mut self.counters.message_ids_forgotten;
            *counter = counter.saturating_add(1);
            self.trace(sa, Trace::MessageIdForgotten { message_id });
        }
    }

    /// Records a leniency.
    pub(crate) fn deviation(&mut self, sa: &Negotiation, deviation: Deviation) {
        self.trace(sa, Trace::Deviation(deviation));
    }

    /// Records a transition of main mode.
    pub(crate) fn transition(
        &mut self,
        sa: &Negotiation,
        (major, minor): (MajorInput, MinorInput),
        old: StateKind,
        new: StateKind,
    ) {
        self.trace(sa, Trace::Transition { node: None, major, minor, old, new });
    }

    /// Records a transition of quick mode.
    pub(crate) fn node_transition(
        &mut self,
        sa: &Negotiation,
        node: MessageId,
        (major, minor): (MajorInput, MinorInput),
        old: StateKind,
        new: StateKind,
    ) {
        self.trace(sa, Trace::Transition { node: Some(node), major, minor, old, new });
    }

    /// Queues a message of an SA, in fragments if it is long and the peer takes them.
    pub(crate) fn send(&mut self, sa: &Negotiation, message: Bytes) {
        let fragments = sa.fragments.and_then(|to| fragmentation::split(&message, to, &sa.path));
        let Some(fragments) = fragments else { return self.transmit(sa.path, message) };
        let count = fragments.len();
        self.trace(sa, Trace::FragmentsSent { count, octets: message.len() });
        for fragment in fragments {
            self.transmit(sa.path, fragment);
        }
    }

    /// Queues an ISAKMP datagram.
    pub(crate) fn transmit(&mut self, path: Path, payload: Bytes) {
        let non_esp_marker = path.transport == Transport::NatT;
        if self.queue_transmit(Transmit { path, payload, non_esp_marker }) {
            self.counters.sent = self.counters.sent.saturating_add(1);
        }
    }

    /// What nobody fetches is lost, as on any path.
    fn queue_transmit(&mut self, transmit: Transmit) -> bool {
        let limit = self.config.limits.queue;
        if self.transmits.len() >= limit {
            self.counters.transmits_dropped = self.counters.transmits_dropped.saturating_add(1);
            self.trace_on(&transmit.path, 0, Trace::TransmitDropped { limit });
            return false;
        }
        self.transmits.push_back(transmit);
        true
    }

    /// Queues a NAT keepalive (RFC 3948 §2.3): one byte, no marker.
    pub(crate) fn transmit_keepalive(&mut self, path: Path) {
        let payload = Bytes::from_static(&[0xff]);
        self.queue_transmit(Transmit { path, payload, non_esp_marker: false });
    }

    /// Queues an event.
    pub(crate) fn event(&mut self, event: Event) {
        if !self.events.push(event, self.config.limits.queue) {
            let total = self.events.coalesced();
            self.counters.events_coalesced = total;
            self.trace_on(&NOWHERE, 0, Trace::EventsCoalesced { total });
        }
    }

    /// Queues a job.
    pub(crate) fn job(&mut self, job: Job) {
        self.jobs.insert(job.id(), job);
    }

    /// A number for the next job.
    pub(crate) fn job_id(&mut self) -> JobId {
        self.next_job = self.next_job.saturating_add(1);
        JobId(self.next_job)
    }

    /// The next connection id.
    pub(crate) fn connection(&mut self) -> u32 {
        let connection = self.next_connection;
        self.next_connection = connection.checked_add(1).unwrap_or(1);
        connection
    }

    /// A cookie: random and not zero (RFC 2408 §2.5.3 asks for it to be unpredictable).
    pub(crate) fn cookie(&mut self) -> Cookie {
        let mut bytes = [0; 8];
        self.rng.fill_bytes(&mut bytes);
        if bytes == [0; 8] {
            bytes = [1; 8];
        }
        Cookie(bytes)
    }

    /// A nonce of the configured length (RFC 2409 §5).
    pub(crate) fn nonce(&mut self, len: usize) -> Bytes {
        let mut bytes = alloc::vec![0; len];
        self.rng.fill_bytes(&mut bytes);
        bytes.into()
    }

    /// A random number below `bound`, 0 if there is none.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        // The bias of the remainder is at most bound / 2^64: of no account for jitter.
        self.rng.next_u64().checked_rem(bound).unwrap_or(0)
    }
}

#[cfg(all(test, feature = "rustcrypto"))]
mod tests {
    use super::*;
    use crate::PreSharedKey;
    use crate::crypto::Provider;
    use alloc::vec::Vec;
    use chacha20::ChaCha20Rng;
    use rand_core::SeedableRng;

    /// Within a run, and after a restart with another seed.
    #[test]
    fn a_million_nonces_are_a_million() {
        let key = PreSharedKey::new(Ipv4Addr::UNSPECIFIED.into(), 0, b"key");
        let config = Config::builder(Provider::rustcrypto(), Vec::from([key])).build().unwrap();
        let config = Arc::new(config);
        let each = if cfg!(miri) { 100 } else { 500_000 };
        let mut nonces = Vec::new();
        for seed in [1, 2] {
            let rng = Box::new(ChaCha20Rng::seed_from_u64(seed));
            let mut output = Output::new(Arc::clone(&config), rng, Instant::from_secs(0));
            nonces.extend((0..each).map(|_| output.nonce(config.nonce_len)));
        }
        nonces.sort_unstable();
        nonces.dedup();
        assert_eq!(nonces.len(), 2 * each);
    }
}
