//! What happens when. One thread; each turn serves at most a batch of each source that is ready, and
//! then the clock, so that no source starves another or the timers.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use core::time::Duration;
use std::fs::File;
use std::io::{self, Write};
use std::time::Instant as StdInstant;

use dmvpn_core::cisco::Debug;
use dmvpn_core::{Event, Instant, InterfaceState, LoggedKey, Node, PeerId, TunnelId};
use dmvpn_time::StdClock;
use mio::{Events, Poll, Token};
use nix::sys::signalfd::SignalFd;
use socket2::Socket;

use super::Error;
use super::backlog::{Backlog, Patient};
use super::carrier::Carrier;
use super::commands::{Command, Refusal, Show};
use super::control::Control;
use super::forward::{Capture, ForwardCounters, IcmpLimit, Tunnel};
use super::underlay::{Inbox, Outbox, Receiver, SendCounters};
use crate::json;
use crate::keys::Keys;

/// How many events `show events` remembers.
const REMEMBERED: usize = 512;

/// A source of readiness. A connection's token is none of these; it is the control socket's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A signal came.
    Signals,
    /// ICMP from the underlay.
    Icmp,
    /// A receiver, by its index.
    Receiver(usize),
    /// A tunnel's device.
    Tap(TunnelId),
    /// Somebody connects to the control socket.
    Control,
    /// Standard output takes more.
    Output,
}

/// The daemon, running.
pub struct Daemon {
    pub(super) node: Node,
    pub(super) clock: StdClock,
    pub(super) tunnels: BTreeMap<TunnelId, Tunnel>,
    pub(super) receivers: Vec<Receiver>,
    pub(super) icmp: Socket,
    pub(super) inbox: Inbox,
    pub(super) outbox: Outbox,
    /// The last outer header's identification.
    pub(super) identification: u16,
    pub(super) forwarded: ForwardCounters,
    pub(super) icmp_limit: IcmpLimit,
    pub(super) capture: Option<Capture>,
    pub(super) keys: Option<KeyFiles>,
    pub(super) debug: bool,
    /// What is to go to standard output.
    pub(super) output: Backlog,
    /// Whether the tunnels go down for good.
    pub(super) ending: bool,
    pub(super) carrier: Carrier,
    pub(super) control: Control,
    pub(super) signals: SignalFd,
    pub(super) poll: Poll,
    pub(super) sources: BTreeMap<Token, Source>,
    pub(super) events: VecDeque<(Instant, Event)>,
}

impl core::fmt::Debug for Daemon {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Daemon").field("tunnels", &self.tunnels).finish_non_exhaustive()
    }
}

/// `--keys`: the two files, held open, since they may lie where another user may not write.
#[derive(Debug)]
pub struct KeyFiles {
    /// The lines that they hold.
    pub logged: BTreeSet<String>,
    /// `ikev1_decryption_table`
    pub ikev1: File,
    /// `esp_sa`
    pub esp: File,
}

impl KeyFiles {
    /// Adds a key to its file, unless it is there.
    fn log(&mut self, key: &LoggedKey) -> io::Result<()> {
        let mut new = Keys::default();
        new.log(key);
        for (file, line) in [(&mut self.ikev1, new.ikev1_text()), (&mut self.esp, new.esp_text())] {
            if self.logged.insert(line.clone()) {
                file.write_all(line.as_bytes())?;
            }
        }
        Ok(())
    }
}

impl Daemon {
    pub(super) fn now(&self) -> Instant {
        self.clock.instant(StdInstant::now())
    }

    /// Runs until a signal ends it.
    ///
    /// # Errors
    ///
    /// What no router can go on without: its devices, its readiness.
    pub fn run(mut self) -> Result<(), Error> {
        // Edges, not levels, are reported: a source is ready until it had nothing more.
        let mut ready: BTreeSet<Source> = self.sources.values().copied().collect();
        let mut events = Events::with_capacity(256);
        let mut failed = None;
        loop {
            self.drain();
            if self.has_ended() {
                return failed.map_or(Ok(()), Err);
            }
            let now = StdInstant::now();
            let wait = if ready.is_empty() {
                self.node.poll_timeout().map(|deadline| self.clock.sleep(now, deadline))
            } else {
                Some(Duration::ZERO)
            };
            match self.poll.poll(&mut events, wait) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                polled => polled?,
            }
            let mut requests = Vec::new();
            for event in &events {
                match self.sources.get(&event.token()) {
                    Some(source) => {
                        ready.insert(*source);
                    }
                    None => {
                        if let Some(line) = self.control.ready(event.token()) {
                            requests.push((event.token(), line));
                        }
                    }
                }
            }
            for (token, line) in requests {
                self.request(token, &line);
            }
            for source in core::mem::take(&mut ready) {
                let more = match source {
                    Source::Signals => {
                        let signal = self.signals.read_signal()?;
                        if signal.is_some() {
                            self.shut_down();
                        }
                        signal.is_some()
                    }
                    Source::Control => {
                        self.control.accept(self.poll.registry());
                        false
                    }
                    // The next turn writes.
                    Source::Output => false,
                    Source::Icmp => self.serve_icmp()?,
                    Source::Receiver(index) => self.serve_receiver(index)?,
                    Source::Tap(id) => match self.serve_tap(id) {
                        Ok(more) => more,
                        // Without its device there is no router, but there are peers to tell.
                        Err(error) => {
                            failed.get_or_insert(error);
                            if !self.ending {
                                self.shut_down();
                            }
                            false
                        }
                    },
                };
                if more {
                    ready.insert(source);
                }
                self.drain();
            }
            let now = self.now();
            if self.node.poll_timeout().is_some_and(|deadline| deadline <= now) {
                self.node.handle_timeout(now);
            }
        }
    }

    /// A signal came: the tunnels go down in order, or at once if they are at it already.
    fn shut_down(&mut self) {
        self.ending = true;
        for id in self.tunnels.keys() {
            let now = self.now();
            self.node.shutdown(now, *id);
        }
    }

    /// Whether a signal came and every peer was told.
    fn has_ended(&self) -> bool {
        let down = |id| self.node.interface_state(id) == Some(InterfaceState::AdministrativelyDown);
        self.ending && self.tunnels.keys().all(|id| down(*id))
    }

    /// Everything that the node has to say: packets, events, keys, debug lines.
    fn drain(&mut self) {
        while let Some(traced) = self.node.poll_trace() {
            if self.debug {
                self.output.line(&Debug(&traced).to_string());
            }
            self.control.traced(&traced, &|| Debug(&traced).to_string());
        }
        if !self.output.is_empty() && self.output.write(&mut Patient(io::stdout())).is_err() {
            // Whoever read standard output has gone.
            self.debug = false;
            self.output = Backlog::default();
        }
        while let Some(key) = self.node.dangerous_poll_key() {
            if let Some(files) = &mut self.keys {
                // A full disk costs the reader of a capture its keys, nobody else anything.
                let _failed = files.log(&key);
            }
        }
        while let Some(event) = self.node.poll_event() {
            self.event(event);
        }
        while let Some(transmit) = self.node.poll_transmit() {
            self.transmit(&transmit);
        }
        self.outbox.flush();
    }

    fn event(&mut self, event: Event) {
        if let Event::InterfaceUp { tunnel } | Event::InterfaceDown { tunnel } = &event {
            self.line_protocol(*tunnel);
        }
        if self.events.len() >= REMEMBERED {
            self.events.pop_front();
        }
        self.events.push_back((self.now(), event));
    }

    /// A device's carrier follows the tunnel's line protocol.
    fn line_protocol(&self, id: TunnelId) {
        let Some(tunnel) = self.tunnels.get(&id) else { return };
        let up = self.node.interface_state(id) == Some(InterfaceState::Up);
        if let Err(error) = self.carrier.switch(tunnel.tap.index(), up) {
            // Somebody may have disabled the device: the tunnel goes on without telling.
            let state = if up { "up" } else { "down" };
            // Whoever read standard error may have gone, and that is no reason to panic.
            let _closed =
                writeln!(io::stderr(), "dmvpn: {}: carrier {state}: {error}", tunnel.name);
        }
    }

    fn request(&mut self, token: Token, line: &str) {
        match Command::parse(line) {
            Ok(Command::Debug(debug)) => self.control.debug(token, debug),
            Ok(command) => {
                let answer = self.command(&command).map_err(|refusal| format!("{refusal}\n"));
                self.control.answer(token, answer);
            }
            Err(refusal) => self.control.answer(token, Err(format!("{refusal}\n"))),
        }
    }

    fn command(&mut self, command: &Command) -> Result<String, Refusal> {
        let now = self.now();
        let tunnel = |id: &TunnelId| match self.tunnels.contains_key(id) {
            true => Ok(*id),
            false => Err(Refusal::NoTunnel(id.to_string())),
        };
        match command {
            Command::Show { what, json } => {
                // Ages are counted up to the latest time that the node was given.
                self.node.handle_timeout(now);
                return Ok(if *json { self.show_json(*what) } else { self.show(*what) });
            }
            Command::ClearSession(remote) => {
                let sessions = self.node.sessions();
                let meant = |session: &dmvpn_core::view::SessionView| {
                    remote.is_none_or(|remote| session.remote == remote)
                };
                let peers: Vec<PeerId> = sessions.filter(meant).map(|view| view.peer).collect();
                if let (Some(remote), true) = (remote, peers.is_empty()) {
                    return Err(Refusal::NoSession(*remote));
                }
                for peer in peers {
                    self.node.clear_session(now, peer);
                }
            }
            Command::ClearNhrp(target) => {
                let node = &mut self.node;
                let cleared = self.tunnels.keys().map(|id| node.clear_nhrp(now, *id, *target));
                if let (Some(target), 0) = (target, cleared.sum::<usize>()) {
                    return Err(Refusal::NotRegistered(*target));
                }
            }
            Command::Shutdown(id) => {
                let id = tunnel(id)?;
                self.node.shutdown(now, id);
            }
            Command::NoShutdown(id) => {
                let id = tunnel(id)?;
                if self.ending {
                    return Err(Refusal::GoingDown);
                }
                self.node.no_shutdown(now, id);
            }
            Command::Undebug => {
                self.debug = false;
                let readers = self.control.undebug();
                return Ok(format!("debugging is off, {readers} readers ended\n"));
            }
            Command::Debug(_) => {}
        }
        self.drain();
        Ok(String::new())
    }

    fn show(&self, what: Show) -> String {
        match what {
            Show::Ios(command) => crate::site::show(&self.node, command),
            Show::Counters => json::columns(&self.counters()),
            Show::Events => {
                let now = self.now();
                let line = |(at, event): &(Instant, Event)| {
                    let ago = now.saturating_duration_since(*at).as_secs_f64();
                    format!("{ago:.3} s ago: {event:?}\n")
                };
                self.events.iter().map(line).collect()
            }
        }
    }

    /// What the node counts, and what is counted around it.
    fn counters(&self) -> serde_json::Value {
        let mut value = json::counters(&self.node);
        value["forwarded"] = json::all_fields!(
            ForwardCounters {
                arp_unanswered,
                not_forwarded,
                refused,
                fragmented,
                icmp_sent,
                not_delivered,
            } = self.forwarded
        );
        value["outbox"] = json::all_fields!(
            SendCounters { sent, full, fragmented, too_big, refused } = self.outbox.counters
        );
        value
    }

    fn show_json(&self, what: Show) -> String {
        let value = match what {
            Show::Ios(command) => json::show(&self.node, command),
            Show::Counters => self.counters(),
            Show::Events => {
                let now = self.now();
                let ago = |at: &Instant| now.saturating_duration_since(*at);
                self.events.iter().map(|(at, event)| json::event(ago(at), event)).collect()
            }
        };
        format!("{value:#}\n")
    }
}
