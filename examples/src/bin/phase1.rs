//! Cisco's "DMVPN Phase 1" guide, with this suite on both sides.
//!
//! Hub and spoke run as two threads, each with its own socket; a third forwards between them what
//! would cross the network between 172.16.1.1 and 172.16.10.1. The tunnel comes up, the spoke
//! registers, pings 203.0.113.1 from 209.165.201.1 and exchanges a multicast packet with the hub.
//! The exit status is 0 only if all of it happened.

use core::fmt::Write as _;
use core::net::Ipv4Addr;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use dmvpn_core::{Event, LoggedKey, TunnelId};
use dmvpn_examples::build::{Wishes, build};
use dmvpn_examples::ios::{InterfaceAddress, Router};
use dmvpn_examples::keys::Keys;
use dmvpn_examples::lab::{Loss, Nat, WireBuilder};
use dmvpn_examples::options::{Debug, Options, ShowCommand, Side, USAGE};
use dmvpn_examples::packet::{Echo, eigrp_hello};
use dmvpn_examples::routes::Routes;
use dmvpn_examples::site::Site;

const HUB: &str = include_str!("../../configs/hub.ios");
const SPOKE: &str = include_str!("../../configs/spoke.ios");

const TUNNEL: TunnelId = TunnelId(0);
/// The spoke's address on the other side of `--nat`.
const NAT_OUTSIDE: Ipv4Addr = Ipv4Addr::new(172, 16, 2, 1);
/// The first request id of the guide's spoke.
const FIRST_REQUEST: u32 = 65_540;
const PINGS: u16 = 5;
/// What tells our pings from others.
const IDENTIFIER: u16 = 1;
/// How long all of it may take. What is lost comes again after seconds, and then after more.
const PATIENCE: Duration = Duration::from_secs(20);
const PATIENCE_WITH_LOSS: Duration = Duration::from_secs(120);
/// The longest that a router sleeps without a look at what the other one has done.
const TURN: Duration = Duration::from_millis(20);

type Error = Box<dyn core::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let options = match Options::read(std::env::args_os().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("phase1: {error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if options.help {
        return match print(USAGE) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::from(2),
        };
    }
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("phase1: {error}");
            ExitCode::from(2)
        }
    }
}

/// What the two routers' threads know of each other.
#[derive(Debug, Default)]
struct Shared {
    /// One of them has ended, and so shall the other.
    over: AtomicBool,
    /// The spoke's multicast reached the hub.
    hub_heard: AtomicBool,
}

/// However a thread ends, panic included, it is over for both.
struct EndsBoth<'a>(&'a Shared);

impl Drop for EndsBoth<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Release);
    }
}

fn run(options: &Options) -> Result<bool, Error> {
    let started = Instant::now();
    let hub_router = configuration(options.config_hub.as_deref(), HUB, "hub.ios")?;
    let spoke_router = configuration(options.config_spoke.as_deref(), SPOKE, "spoke.ios")?;
    let debug_hub = matches!(options.debug, Debug::Hub | Debug::Both);
    let debug_spoke = matches!(options.debug, Debug::Spoke | Debug::Both);
    let wishes = |debugged: bool| Wishes {
        trace_capacity: if debugged { 4096 } else { 0 },
        key_log: options.keys.is_some(),
        force_encapsulation: false,
        first_request_id: Some(FIRST_REQUEST),
    };
    let hub_built = build(&hub_router, wishes(debug_hub))?;
    let spoke_built = build(&spoke_router, wishes(debug_spoke))?;
    let hub_hello = eigrp_hello(tunnel_address(&hub_router)?.address, 1);
    let spoke_tunnel = tunnel_address(&spoke_router)?;
    let destination = loopback(&hub_router).ok_or("the hub has no loopback to ping")?;
    let next_hop = Routes::learned_from(&hub_router, spoke_tunnel).next_hop(destination);
    let plan = Plan {
        source: loopback(&spoke_router).ok_or("the spoke has no loopback to ping from")?,
        destination,
        next_hop: next_hop.ok_or_else(|| format!("the spoke has no route to {destination}"))?,
        hello: eigrp_hello(spoke_tunnel.address, 1),
        deadline: started + if options.loss.is_some() { PATIENCE_WITH_LOSS } else { PATIENCE },
    };

    let mut wire = WireBuilder::new()?;
    if options.nat {
        wire = wire.nat(Nat { inside: spoke_built.address, outside: NAT_OUTSIDE });
    }
    if let Some(percent) = options.loss {
        wire = wire.loss(Loss { percent, seed: options.seed });
    }
    if let Some(path) = &options.pcap {
        let file = File::create(path).map_err(|error| format!("{}: {error}", path.display()))?;
        wire = wire.capture(Box::new(io::BufWriter::new(file)))?;
    }
    let hub_port = wire.port(hub_built.address)?;
    let spoke_port = wire.port(spoke_built.address)?;
    let wire = wire.start()?;

    let mut hub = Site::new(&hub_router, hub_built, hub_port)?;
    let mut spoke = Site::new(&spoke_router, spoke_built, spoke_port)?;
    let shared = Shared::default();
    let (hub_ended, spoke_ended) = thread::scope(|scope| {
        let hub = scope.spawn(|| {
            let _over = EndsBoth(&shared);
            serve(&mut hub, &hub_hello, &shared, printer("Hub", debug_hub))
        });
        let spoke = scope.spawn(|| {
            let _over = EndsBoth(&shared);
            let print = printer("Spoke1", debug_spoke);
            Scenario { site: &mut spoke, shared: &shared, plan: &plan, print }.run()
        });
        (hub.join(), spoke.join())
    });
    let wire_ended = wire.stop();

    if let Some(directory) = &options.keys {
        write_keys(directory, &[&hub.keys[..], &spoke.keys].concat())
            .map_err(|error| format!("{}: {error}", directory.display()))?;
    }
    let mut out = String::new();
    for show in &options.show {
        let (name, site) = match show.side {
            Side::Hub => ("Hub", &hub),
            Side::Spoke => ("Spoke1", &spoke),
        };
        out += &shown(name, site, show.command);
    }
    out += &shown("Spoke1", &spoke, ShowCommand::DmvpnDetail);
    out += &shown("Hub", &hub, ShowCommand::DmvpnDetail);
    let outcome = Outcome {
        tunnel_up: spoke.tunnel_is_up(TUNNEL),
        registered: spoke.is_registered(TUNNEL),
        pings_answered: (0..PINGS)
            .filter(|sequence| spoke.replies.contains(&(IDENTIFIER, *sequence)))
            .count(),
        hub_heard: shared.hub_heard.load(Ordering::Acquire),
        spoke_heard: spoke.multicast > 0,
    };
    let missing = outcome.missing();
    let elapsed = started.elapsed().as_secs_f64();
    if missing.is_empty() {
        writeln!(
            out,
            "\nphase1: tunnel up, spoke registered, {PINGS} of {PINGS} pings answered, multicast \
             both ways: all of it happened within {elapsed:.2} s"
        )?;
    } else {
        writeln!(out, "\nphase1: FAILED after {elapsed:.2} s: {}", missing.join("; "))?;
        for (name, site) in [("hub", &hub), ("spoke", &spoke)] {
            for event in &site.events {
                if let Event::NegotiationFailed { reason, .. } | Event::PeerDown { reason, .. } =
                    event
                {
                    writeln!(out, "phase1: at the {name}: {reason}")?;
                }
            }
        }
    }
    print(&out)?;
    hub_ended.map_err(|_| "the hub's thread panicked")?.map_err(|error| format!("hub: {error}"))?;
    spoke_ended
        .map_err(|_| "the spoke's thread panicked")?
        .map_err(|error| format!("spoke: {error}"))?;
    wire_ended.map_err(|error| format!("wire: {error}"))?;
    Ok(missing.is_empty())
}

/// What had happened in the end.
#[derive(Debug)]
struct Outcome {
    tunnel_up: bool,
    registered: bool,
    pings_answered: usize,
    hub_heard: bool,
    spoke_heard: bool,
}

impl Outcome {
    /// What should have happened and did not.
    fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        if !self.tunnel_up {
            missing.push("the spoke's tunnel is not up".to_owned());
        }
        if !self.registered {
            missing.push("the spoke is not registered with the hub".to_owned());
        }
        if self.pings_answered < usize::from(PINGS) {
            missing.push(format!("{} of {PINGS} pings answered", self.pings_answered));
        }
        if !self.hub_heard {
            missing.push("no multicast reached the hub".to_owned());
        }
        if !self.spoke_heard {
            missing.push("no multicast reached the spoke".to_owned());
        }
        missing
    }
}

/// The hub's part of the guide: to be there.
fn serve(
    site: &mut Site,
    hello: &[u8],
    shared: &Shared,
    mut print: impl FnMut(String),
) -> io::Result<()> {
    while !shared.over.load(Ordering::Acquire) {
        let before = site.multicast;
        site.turn(TURN, &mut print)?;
        if site.multicast > before {
            shared.hub_heard.store(true, Ordering::Release);
            // As a routing protocol would: a hello for a hello, to the dynamic map.
            site.send_multicast(TUNNEL, hello)?;
        }
    }
    Ok(())
}

/// What the spoke is to do once its tunnel is up.
#[derive(Debug)]
struct Plan {
    /// Pings go from here,
    source: Ipv4Addr,
    /// to here,
    destination: Ipv4Addr,
    /// by way of this address of the tunnel.
    next_hop: Ipv4Addr,
    /// The multicast packet.
    hello: Vec<u8>,
    deadline: Instant,
}

/// The spoke's part of the guide.
struct Scenario<'a, P> {
    site: &'a mut Site,
    shared: &'a Shared,
    plan: &'a Plan,
    print: P,
}

impl<P: FnMut(String)> Scenario<'_, P> {
    fn run(mut self) -> Result<(), Error> {
        let plan = self.plan;
        self.wait_until(plan.deadline, |site| {
            site.tunnel_is_up(TUNNEL) && site.is_registered(TUNNEL)
        })?;
        for sequence in 0..PINGS {
            self.ping(sequence)?;
        }
        // Multicast is not acknowledged: a hello is repeated, as routing protocols do.
        let shared = self.shared;
        let heard = |site: &Site| shared.hub_heard.load(Ordering::Acquire) && site.multicast > 0;
        while !heard(self.site) && self.in_time() {
            self.site.send_multicast(TUNNEL, &plan.hello)?;
            self.wait_until(Instant::now() + Duration::from_millis(500), heard)?;
        }
        Ok(())
    }

    /// One echo request, repeated once a second until it is answered.
    fn ping(&mut self, sequence: u16) -> Result<(), Error> {
        let echo = Echo {
            source: self.plan.source,
            destination: self.plan.destination,
            request: true,
            identifier: IDENTIFIER,
            sequence,
            data: b"through the tunnel and back again, please",
        };
        let answered = |site: &Site| site.replies.contains(&(IDENTIFIER, sequence));
        while !answered(self.site) && self.in_time() {
            // Refused while there is no security association: the next attempt may do.
            let _refused = self.site.ping(TUNNEL, self.plan.next_hop, &echo)?;
            self.wait_until(Instant::now() + Duration::from_secs(1), answered)?;
        }
        Ok(())
    }

    fn in_time(&self) -> bool {
        Instant::now() < self.plan.deadline && !self.shared.over.load(Ordering::Acquire)
    }

    fn wait_until(
        &mut self,
        at_most: Instant,
        condition: impl Fn(&Site) -> bool,
    ) -> Result<(), Error> {
        while !condition(self.site) && Instant::now() < at_most && self.in_time() {
            self.site.turn(TURN, &mut self.print)?;
        }
        Ok(())
    }
}

fn configuration(path: Option<&Path>, guide: &str, name: &str) -> Result<Router, Error> {
    let (text, name) = match path {
        Some(path) => {
            let name = path.display().to_string();
            (std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?, name)
        }
        None => (guide.to_owned(), name.to_owned()),
    };
    Router::read(&text).map_err(|error| format!("{name}: {error}").into())
}

fn tunnel_address(router: &Router) -> Result<InterfaceAddress, Error> {
    let tunnel = router.tunnels.first().ok_or("no tunnel interface is configured")?;
    Ok(tunnel.address)
}

fn loopback(router: &Router) -> Option<Ipv4Addr> {
    let addresses = router.loopbacks.iter().filter_map(|loopback| loopback.address);
    addresses.map(|address| address.address).next()
}

/// Prints debug lines as they happen, each with the router's name before it; the lines of one record
/// in one piece.
fn printer(name: &'static str, on: bool) -> impl FnMut(String) {
    move |record| {
        if on {
            let mut text = String::new();
            for line in record.lines() {
                let _infallible = writeln!(text, "{name:>6}| {line}");
            }
            // What cannot be printed does not end the tunnel.
            let _failed = print(&text);
        }
    }
}

fn shown(name: &str, site: &Site, command: ShowCommand) -> String {
    let typed = ShowCommand::ALL.iter().find(|(known, _)| *known == command);
    let typed = typed.map_or("", |(_, typed)| typed);
    format!("\n{name}#{typed}\n\n{}\n", site.show(command))
}

/// Prints to standard output. That it is closed is no failure: whoever reads has seen enough, as
/// `head` has, and the exit status still says what happened.
fn print(text: &str) -> io::Result<()> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Writes the keys of both routers, each once.
fn write_keys(directory: &Path, logged: &[LoggedKey]) -> io::Result<()> {
    let mut keys = Keys::default();
    for key in logged {
        keys.log(key);
    }
    keys.write(directory)
}
