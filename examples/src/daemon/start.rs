//! From a configuration to a daemon that runs.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use core::net::Ipv4Addr;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Instant as StdInstant;

use chacha20::ChaCha20Rng;
use dmvpn_core::Node;
use dmvpn_time::StdClock;
use mio::unix::SourceFd;
use mio::{Interest, Poll, Token};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rand_core::{Rng, SeedableRng};

use super::Error;
use super::backlog::Backlog;
use super::carrier::Carrier;
use super::control::Control;
use super::event_loop::{Daemon, KeyFiles, Source};
use super::forward::{Capture, Tunnel};
use super::options::Run;
use super::privileges::drop_all_but_needed;
use super::tap::Tap;
use super::underlay::{self, Inbox, Outbox};
use crate::build::{Wishes, build};
use crate::ios::Router;
use crate::keys::{ESP_FILE, IKEV1_FILE};

/// The MTU of a tunnel without `ip mtu`: Ethernet's, less the outer IPv4 header and GRE with a key.
const IP_MTU: u16 = 1476;

/// How many trace records are kept between two turns.
const TRACES: usize = 4096;

/// Reads the configuration, opens what it needs, drops privileges, says `ready` and runs.
///
/// # Errors
///
/// One line that says what is wrong.
pub fn run(options: &Run) -> Result<(), Error> {
    let daemon = start(options)?;
    // Whoever started us may not listen.
    let _closed = writeln!(std::io::stdout(), "ready");
    daemon.run()
}

fn start(options: &Run) -> Result<Daemon, Error> {
    let path = options.configuration.display();
    let text = std::fs::read_to_string(&options.configuration)
        .map_err(|error| format!("{path}: {error}"))?;
    let router = Router::read(&text).map_err(|error| format!("{path}: {error}"))?;
    let wishes = Wishes {
        trace_capacity: TRACES,
        key_log: options.keys.is_some(),
        force_encapsulation: options.force_encapsulation,
        first_request_id: None,
    };
    let built = build(&router, wishes).map_err(|error| format!("{path}: {error}"))?;

    // Before anything is there that would have to be ended in order.
    let signals = signals()?;
    let poll = Poll::new()?;
    let sources: BTreeSet<Ipv4Addr> =
        router.tunnels.iter().filter_map(|tunnel| router.tunnel_source(tunnel)).collect();
    let receivers = underlay::receivers(&sources)?;
    let icmp = underlay::icmp()?;
    let outbox = Outbox::open()?;
    let carrier = Carrier::open()?;
    let mut tunnels = BTreeMap::new();
    for ((id, _), tunnel) in built.tunnels.iter().zip(&router.tunnels) {
        tunnels.insert(*id, open_tunnel(tunnel, &carrier)?);
    }
    let capture = options.pcap.as_deref().map(capture).transpose()?;
    let keys = options.keys.as_deref().map(key_files).transpose()?;

    let mut tokens = BTreeMap::new();
    let receiver_fds = receivers.iter().enumerate();
    let receiver_fds = receiver_fds.map(|(at, socket)| (Source::Receiver(at), socket.as_raw_fd()));
    let tap_fds = tunnels.iter().map(|(id, tunnel)| (Source::Tap(*id), tunnel.tap.as_raw_fd()));
    let others =
        [(Source::Signals, signals.as_raw_fd()), (Source::Icmp, icmp.as_raw_fd())].into_iter();
    for (source, fd) in others.chain(receiver_fds).chain(tap_fds) {
        let token = Token(tokens.len());
        poll.registry().register(&mut SourceFd(&fd), token, Interest::READABLE)?;
        tokens.insert(token, source);
    }
    if options.debug {
        let (token, output) = (Token(tokens.len()), std::io::stdout().as_raw_fd());
        // A file is always ready, and cannot be registered.
        if poll.registry().register(&mut SourceFd(&output), token, Interest::WRITABLE).is_ok() {
            tokens.insert(token, Source::Output);
        }
    }
    let listener = Token(tokens.len());
    let control = Control::listen(&options.control, poll.registry(), listener)?;
    tokens.insert(listener, Source::Control);
    drop_all_but_needed(options.user.as_deref(), options.keys.is_some())
        .map_err(|error| format!("dropping privileges: {error}"))?;

    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| format!("no randomness: {error}"))?;
    let mut rng = ChaCha20Rng::from_seed(seed);
    let [high, low, ..] = rng.next_u32().to_be_bytes();
    let epoch = StdInstant::now();
    let clock = StdClock::new(epoch);
    let now = clock.instant(epoch);
    let mut node = Node::new(Arc::new(built.config), Box::new(rng), now);
    for (id, tunnel) in built.tunnels {
        node.add_tunnel(now, id, tunnel).map_err(|error| format!("{path}: {id}: {error}"))?;
    }
    Ok(Daemon {
        node,
        clock,
        tunnels,
        receivers,
        icmp,
        inbox: Inbox::default(),
        outbox,
        identification: u16::from_be_bytes([high, low]),
        forwarded: Default::default(),
        icmp_limit: Default::default(),
        capture,
        keys,
        debug: options.debug,
        output: Backlog::default(),
        ending: false,
        carrier,
        control,
        signals,
        poll,
        sources: tokens,
        events: VecDeque::new(),
    })
}

/// SIGTERM and SIGINT as something to read, and no longer as an interruption.
fn signals() -> Result<SignalFd, Error> {
    let ends = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT]);
    ends.thread_block()?;
    Ok(SignalFd::with_flags(&ends, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?)
}

fn open_tunnel(tunnel: &crate::ios::Tunnel, carrier: &Carrier) -> Result<Tunnel, Error> {
    let name = &tunnel.name;
    let mtu = tunnel.mtu.unwrap_or(IP_MTU);
    let tap = Tap::create(name, tunnel.address, mtu, carrier)
        .map_err(|error| format!("{name}: no tap device: {error}"))?;
    Ok(Tunnel { tap, name: name.clone(), address: tunnel.address })
}

fn capture(path: &Path) -> Result<Capture, Error> {
    let created = File::create(path).and_then(Capture::create);
    Ok(created.map_err(|error| format!("{}: {error}", path.display()))?)
}

/// The key files are for their owner only.
fn key_files(directory: &Path) -> Result<KeyFiles, Error> {
    let failed = |error| format!("{}: {error}", directory.display());
    std::fs::create_dir_all(directory).map_err(failed)?;
    let open = |name| {
        let path = directory.join(name);
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
    };
    let (ikev1, esp) = (open(IKEV1_FILE).map_err(failed)?, open(ESP_FILE).map_err(failed)?);
    Ok(KeyFiles { logged: BTreeSet::new(), ikev1, esp })
}
