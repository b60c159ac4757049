//! Cisco's "DMVPN Phase 1" guide, with this suite on both sides.
//!
//! Hub and spoke run as two threads, each with its own socket; a third forwards between them what
//! would cross the network between 172.16.1.1 and 172.16.10.1. The tunnel comes up, the spoke
//! registers, pings 203.0.113.1 from 209.165.201.1 and exchanges a multicast packet with the hub.
//! The exit status is 0 only if all of it happened.

extern crate alloc;

use alloc::sync::Arc;
use core::net::Ipv4Addr;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use dmvpn_core::isakmp::{EspEncryption, EspIntegrity, EspProposal};
use dmvpn_core::{LoggedKey, TunnelId};
use dmvpn_examples::build::{Wishes, build};
use dmvpn_examples::ios::Router;
use dmvpn_examples::keys::{AddressFilter, Authentication, Encryption, EspKey, IsakmpKey, Keys};
use dmvpn_examples::lab::{Loss, Nat, WireBuilder};
use dmvpn_examples::options::{Debug, Options, ShowCommand, Side, USAGE};
use dmvpn_examples::packet::{Echo, eigrp_hello};
use dmvpn_examples::site::Site;

const HUB: &str = include_str!("../../configs/hub.ios");
const SPOKE: &str = include_str!("../../configs/spoke.ios");

const TUNNEL: TunnelId = TunnelId(0);
/// The spoke's address on the other side of `--nat`.
const NAT_OUTSIDE: Ipv4Addr = Ipv4Addr::new(172, 16, 2, 1);
const PINGS: u16 = 5;

type Error = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let options = match Options::read(std::env::args_os().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("phase1: {error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if options.help {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
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

/// What happened at the spoke.
#[derive(Debug, Default)]
struct Outcome {
    tunnel_up: bool,
    registered: bool,
    pings_answered: u16,
    multicast_received: bool,
}

fn run(options: &Options) -> Result<bool, Error> {
    let started = Instant::now();
    let hub_router = configuration(options.config_hub.as_deref(), HUB, "hub.ios")?;
    let spoke_router = configuration(options.config_spoke.as_deref(), SPOKE, "spoke.ios")?;
    let wishes = |debugged: bool| Wishes {
        trace_capacity: if debugged { 4096 } else { 0 },
        key_log: options.keys.is_some(),
    };
    let debug = options.debug;
    let debug_hub = matches!(debug, Debug::Hub | Debug::Both);
    let debug_spoke = matches!(debug, Debug::Spoke | Debug::Both);
    let hub_built = build(&hub_router, wishes(debug_hub))?;
    let spoke_built = build(&spoke_router, wishes(debug_spoke))?;
    let hub_multicast = eigrp_hello(tunnel_address(&hub_router)?, 1);
    let hub_tunnel = tunnel_address(&hub_router)?;

    let mut wire = WireBuilder::new()?;
    if options.nat {
        wire = wire.nat(Nat { inside: spoke_built.address, outside: NAT_OUTSIDE });
    }
    if let Some(percent) = options.loss {
        wire = wire.loss(Loss { percent, seed: options.seed });
    }
    if let Some(path) = &options.pcap {
        wire = wire.capture(Box::new(io::BufWriter::new(File::create(path)?)))?;
    }
    let hub_port = wire.port(hub_built.address)?;
    let spoke_port = wire.port(spoke_built.address)?;
    let wire = wire.start()?;

    // Lost packets come again after seconds: retransmission is not for the impatient.
    let patience = Duration::from_secs(if options.loss.is_some() { 120 } else { 10 });
    let done = Arc::new(AtomicBool::new(false));
    let heard = Arc::new(AtomicBool::new(false));
    let hub = {
        let (done, heard) = (Arc::clone(&done), Arc::clone(&heard));
        thread::spawn(move || -> Result<Site, Error> {
            let mut site = Site::new(&hub_router, hub_built, hub_port)?;
            let mut print = printer("Hub", debug_hub);
            while !done.load(Ordering::Acquire) {
                let before = site.multicast;
                site.turn(Duration::from_millis(20), &mut print)?;
                if site.multicast > before {
                    heard.store(true, Ordering::Release);
                    // As a routing protocol would: a hello for a hello, to the dynamic map.
                    site.send_multicast(TUNNEL, &hub_multicast)?;
                }
            }
            Ok(site)
        })
    };
    let spoke = {
        let (done, heard) = (Arc::clone(&done), Arc::clone(&heard));
        thread::spawn(move || -> Result<(Site, Outcome), Error> {
            let site = Site::new(&spoke_router, spoke_built, spoke_port)?;
            let scenario = Scenario {
                site,
                print: printer("Spoke1", debug_spoke),
                deadline: started + patience,
                outcome: Outcome::default(),
            };
            let result = scenario.run(&spoke_router, hub_tunnel, &heard);
            done.store(true, Ordering::Release);
            result
        })
    };
    let spoke = spoke.join().map_err(|_| "the spoke's thread died")?;
    done.store(true, Ordering::Release);
    let hub = hub.join().map_err(|_| "the hub's thread died")??;
    let (spoke, outcome) = spoke?;
    wire.stop()?;

    if let Some(directory) = &options.keys {
        write_keys(directory, hub.keys.iter().chain(&spoke.keys))?;
    }
    let mut out = io::stdout().lock();
    for show in &options.show {
        let (name, site) = match show.side {
            Side::Hub => ("Hub", &hub),
            Side::Spoke => ("Spoke1", &spoke),
        };
        print_show(&mut out, name, site, show.command)?;
    }
    print_show(&mut out, "Spoke1", &spoke, ShowCommand::DmvpnDetail)?;
    print_show(&mut out, "Hub", &hub, ShowCommand::DmvpnDetail)?;
    let heard = heard.load(Ordering::Acquire);
    let yes = |it: bool| if it { "yes" } else { "NO" };
    let ok = outcome.tunnel_up
        && outcome.registered
        && outcome.pings_answered == PINGS
        && outcome.multicast_received
        && heard;
    writeln!(
        out,
        "\nphase1: tunnel up {}, registered {}, pings answered {}/{PINGS}, multicast to hub {}, to \
         spoke {}: {} after {:.2} s",
        yes(outcome.tunnel_up),
        yes(outcome.registered),
        outcome.pings_answered,
        yes(heard),
        yes(outcome.multicast_received),
        if ok { "all of it happened" } else { "FAILED" },
        started.elapsed().as_secs_f64(),
    )?;
    Ok(ok)
}

/// The spoke's part of the guide.
struct Scenario<P> {
    site: Site,
    print: P,
    deadline: Instant,
    outcome: Outcome,
}

impl<P: FnMut(String)> Scenario<P> {
    fn run(
        mut self,
        router: &Router,
        hub_tunnel: Ipv4Addr,
        heard: &AtomicBool,
    ) -> Result<(Site, Outcome), Error> {
        self.outcome.tunnel_up = self.wait_until(|site| site.tunnel_is_up(TUNNEL))?;
        self.outcome.registered = self.wait_until(|site| site.is_registered(TUNNEL))?;
        let loopback = router.loopbacks.iter().find_map(|loopback| loopback.address);
        let source = loopback.ok_or("the spoke has no loopback to ping from")?.address;
        for sequence in 0..PINGS {
            if self.ping(source, hub_tunnel, sequence)? {
                self.outcome.pings_answered += 1;
            }
        }
        // Multicast is not acknowledged: a hello is repeated, as routing protocols do.
        let hello = eigrp_hello(tunnel_address(router)?, 1);
        while !(heard.load(Ordering::Acquire) && self.site.multicast > 0) && self.in_time() {
            self.site.send_multicast(TUNNEL, &hello)?;
            let pause = Instant::now() + Duration::from_millis(500);
            self.wait_while(|site| {
                Instant::now() < pause && !(heard.load(Ordering::Acquire) && site.multicast > 0)
            })?;
        }
        self.outcome.multicast_received = self.site.multicast > 0;
        Ok((self.site, self.outcome))
    }

    /// One echo request to the guide's loopback, repeated once a second until it is answered.
    fn ping(&mut self, source: Ipv4Addr, hub: Ipv4Addr, sequence: u16) -> Result<bool, Error> {
        const IDENTIFIER: u16 = 1;
        let echo = Echo {
            source,
            destination: Ipv4Addr::new(203, 0, 113, 1),
            request: true,
            identifier: IDENTIFIER,
            sequence,
            data: b"through the tunnel and back again, please",
        };
        let answered = |site: &Site| site.replies.contains(&(IDENTIFIER, sequence));
        while !answered(&self.site) && self.in_time() {
            // Refused while there is no security association: the next attempt may do.
            let _refused = self.site.ping(TUNNEL, hub, &echo)?;
            let pause = Instant::now() + Duration::from_secs(1);
            self.wait_while(|site| Instant::now() < pause && !answered(site))?;
        }
        Ok(answered(&self.site))
    }

    fn in_time(&self) -> bool {
        Instant::now() < self.deadline
    }

    fn wait_until(&mut self, condition: impl Fn(&Site) -> bool) -> Result<bool, Error> {
        self.wait_while(|site| !condition(site))?;
        Ok(condition(&self.site))
    }

    fn wait_while(&mut self, condition: impl Fn(&Site) -> bool) -> Result<(), Error> {
        while condition(&self.site) && self.in_time() {
            self.site.turn(Duration::from_millis(20), &mut self.print)?;
        }
        Ok(())
    }
}

fn configuration(path: Option<&Path>, guide: &str, name: &str) -> Result<Router, Error> {
    let (text, name) = match path {
        Some(path) => (std::fs::read_to_string(path)?, path.display().to_string()),
        None => (guide.to_owned(), name.to_owned()),
    };
    Router::read(&text).map_err(|error| format!("{name}: {error}").into())
}

fn tunnel_address(router: &Router) -> Result<Ipv4Addr, Error> {
    let tunnel = router.tunnels.first().ok_or("no tunnel interface is configured")?;
    Ok(tunnel.address.address)
}

/// Prints debug lines as they happen, each with the router's name before it.
fn printer(name: &'static str, on: bool) -> impl FnMut(String) {
    move |lines| {
        if on {
            let mut out = io::stdout().lock();
            for line in lines.lines() {
                // A closed pipe ends the printing, not the tunnel.
                let _closed = writeln!(out, "{name:>6}| {line}");
            }
        }
    }
}

fn print_show(
    out: &mut impl Write,
    name: &str,
    site: &Site,
    command: ShowCommand,
) -> io::Result<()> {
    let typed = ShowCommand::ALL.iter().find(|(known, _)| *known == command);
    let typed = typed.map_or("", |(_, typed)| typed);
    writeln!(out, "\n{name}#{typed}\n\n{}", site.show(command))
}

/// Writes the keys of both routers, each once.
fn write_keys<'a>(
    directory: &Path,
    logged: impl Iterator<Item = &'a LoggedKey>,
) -> Result<(), Error> {
    let mut keys = Keys::default();
    for key in logged {
        match key {
            LoggedKey::Isakmp { initiator_cookie, key, .. } => {
                let key = IsakmpKey { initiator_cookie: *initiator_cookie, key: key.dangerous_bytes().to_vec() };
                if !keys.isakmp.contains(&key) {
                    keys.isakmp.push(key);
                }
            }
            LoggedKey::Esp { spi, transform, encryption_key, integrity_key, .. } => {
                let key = EspKey {
                    // A NAT changes the addresses, not the index.
                    source: AddressFilter::Any,
                    destination: AddressFilter::Any,
                    ipv6: false,
                    spi: *spi,
                    encryption: encryption(*transform),
                    encryption_key: encryption_key.dangerous_bytes().to_vec(),
                    authentication: authentication(*transform),
                    authentication_key: integrity_key.dangerous_bytes().to_vec(),
                };
                if !keys.esp.contains(&key) {
                    keys.esp.push(key);
                }
            }
            _ => {}
        }
    }
    std::fs::create_dir_all(directory)?;
    Ok(keys.write(directory)?)
}

fn encryption(transform: EspProposal) -> Encryption {
    match transform.encryption {
        EspEncryption::TripleDes => Encryption::TripleDesCbc,
        EspEncryption::Aes128Cbc | EspEncryption::Aes192Cbc | EspEncryption::Aes256Cbc => {
            Encryption::AesCbc
        }
        EspEncryption::Aes128Gcm16 | EspEncryption::Aes192Gcm16 | EspEncryption::Aes256Gcm16 => {
            Encryption::AesGcm16
        }
        _ => Encryption::Null,
    }
}

fn authentication(transform: EspProposal) -> Authentication {
    match transform.integrity {
        Some(EspIntegrity::HmacMd5) => Authentication::HmacMd5,
        Some(EspIntegrity::HmacSha1) => Authentication::HmacSha1,
        Some(EspIntegrity::HmacSha256) => Authentication::HmacSha256,
        Some(EspIntegrity::HmacSha384) => Authentication::HmacSha384,
        Some(EspIntegrity::HmacSha512) => Authentication::HmacSha512,
        _ => Authentication::Null,
    }
}
