//! The client: it registers with next hop servers, and keeps registered.
//!
//! ```text
//!  ''  ── register, the way to it is there ──▶  E   request sent, again after 1, 2, 4 … 64 s
//!  E   ── reply with code 0 ──────────────────▶  RE  NHS-UP; a new request each third of the
//!                                                    holding time
//!  RE  ── three requests unanswered, refusal ─▶  E   NHS-DOWN; requests go on
//!  E, RE ── the way to it went ───────────────▶  ''
//!  any ── others of its cluster preferred ────▶  W
//! ```
//!
//! When the interface goes down, `goodbye` withdraws what is registered.

mod goodbye;
mod registration;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use dmvpn_time::{Instant, Timers};

use goodbye::Goodbye;
use registration::Request;

use crate::links::Links;
use crate::output::{Output, Subject};
use crate::wire::{Flags, RequestId};
use crate::{Config, Event, NextHopServer, ServerState, ServerView, Trace};

/// What the client acts with.
pub(crate) struct Context<'a> {
    pub(crate) now: Instant,
    pub(crate) config: &'a Config,
    pub(crate) links: &'a Links,
    pub(crate) output: &'a mut Output,
}

/// The longest wait for a reply, and the wait after a refusal.
const LONGEST_WAIT: Duration = Duration::from_secs(64);
/// So many unanswered requests take a server down.
const MISSES: u32 = 3;
/// So many requests of one registration may wait for their replies: the first, and one further
/// that [`Client::register`] asks for.
const OUTSTANDING: usize = 2;

/// All next hop servers.
#[derive(Debug)]
pub(crate) struct Client {
    servers: BTreeMap<IpAddr, Server>,
    timers: Timers<IpAddr>,
    next_request_id: RequestId,
    goodbye: Option<Goodbye>,
}

/// One next hop server.
#[derive(Debug)]
struct Server {
    settings: NextHopServer,
    nbma: Option<IpAddr>,
    state: ServerState,
    /// Requests whose replies count, the newest last.
    outstanding: VecDeque<Request>,
    /// How often the newest was sent; 0 while nothing is retransmitted, so that the timer is for
    /// the next registration.
    transmissions: u32,
    /// Whether it left so many requests unanswered, or refused, that others are to be tried.
    failed: bool,
    /// Whether the way to it is newer than the last registration.
    fresh_link: bool,
    /// The registration that holds.
    registered: Option<RequestId>,
    outside_nbma: Option<IpAddr>,
}

impl Server {
    const fn new(settings: NextHopServer, nbma: Option<IpAddr>) -> Self {
        Self {
            settings,
            nbma,
            state: ServerState::Down,
            outstanding: VecDeque::new(),
            transmissions: 0,
            failed: false,
            fresh_link: false,
            registered: None,
            outside_nbma: None,
        }
    }

    const fn subject(&self) -> Subject {
        Subject { nbma: self.nbma, protocol: Some(self.settings.address) }
    }

    fn transition(&mut self, to: ServerState, ctx: &mut Context<'_>) {
        let from = core::mem::replace(&mut self.state, to);
        let NextHopServer { address, cluster, priority, .. } = self.settings;
        // IOS tells of the change between E and RE by NHS-UP and NHS-DOWN alone.
        match (from, to) {
            (ServerState::Expecting, ServerState::Responding) => {
                ctx.output.trace(ctx.now, self.subject(), || Trace::NhsUp { address });
            }
            (ServerState::Responding, ServerState::Expecting) => {
                ctx.output.trace(ctx.now, self.subject(), || Trace::NhsDown { address });
            }
            _ if from == to => {}
            _ => {
                if from == ServerState::Responding {
                    ctx.output.trace(ctx.now, self.subject(), || Trace::NhsDown { address });
                }
                ctx.output.trace(ctx.now, self.subject(), || Trace::ServerTransition {
                    address,
                    cluster,
                    priority,
                    to,
                    from,
                });
            }
        }
        match (from == ServerState::Responding, to == ServerState::Responding) {
            (false, true) => ctx.output.event(Event::NhsUp { address }),
            (true, false) => ctx.output.event(Event::NhsDown { address }),
            (true, true) | (false, false) => {}
        }
    }

    /// Forgets registrations under way and the one that holds.
    fn forget(&mut self) {
        self.outstanding.clear();
        self.transmissions = 0;
        self.registered = None;
        self.outside_nbma = None;
    }
}

impl Client {
    pub(crate) fn new(config: &Config, first_request_id: RequestId) -> Self {
        let mut client = Self {
            servers: BTreeMap::new(),
            timers: Timers::new(),
            next_request_id: first_request_id,
            goodbye: None,
        };
        client.add_servers(config);
        client
    }

    fn add_servers(&mut self, config: &Config) {
        for settings in &config.servers {
            let nbma = config.server_nbma(settings);
            self.servers
                .entry(settings.address)
                .and_modify(|server| server.settings = *settings)
                .or_insert_with(|| Server::new(*settings, nbma));
        }
    }

    /// Servers that are no longer configured, or are somewhere else now, are forgotten.
    pub(crate) fn configure(&mut self, ctx: &mut Context<'_>) {
        let known: BTreeMap<IpAddr, Option<IpAddr>> = ctx
            .config
            .servers
            .iter()
            .map(|settings| (settings.address, ctx.config.server_nbma(settings)))
            .collect();
        let gone: BTreeSet<IpAddr> = self
            .servers
            .iter()
            .filter(|(address, server)| known.get(address) != Some(&server.nbma))
            .map(|(address, _)| *address)
            .collect();
        for address in gone {
            self.leave(address, ServerState::Down, ctx);
            self.servers.remove(&address);
        }
        self.add_servers(ctx.config);
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let goodbye = self.goodbye.as_ref().map(Goodbye::until);
        self.timers.next().into_iter().chain(goodbye).min()
    }

    pub(crate) fn view(&self) -> impl Iterator<Item = ServerView> + '_ {
        self.servers.values().map(|server| ServerView {
            address: server.settings.address,
            nbma: server.nbma,
            state: server.state,
            priority: server.settings.priority,
            cluster: server.settings.cluster,
            outside_nbma: server.outside_nbma,
        })
    }

    /// Registers with each server that is reachable, not waiting, and does not respond yet.
    pub(crate) fn register(&mut self, ctx: &mut Context<'_>) {
        if self.servers.is_empty() {
            ctx.output.trace(ctx.now, Subject::NONE, || Trace::NoServers);
            return;
        }
        // Those that wait for a reply get a further request; what `settle` starts does not.
        let again: BTreeSet<IpAddr> = self
            .servers
            .iter()
            .filter(|(_, server)| match server.state {
                ServerState::Expecting => true,
                ServerState::Responding => server.fresh_link,
                ServerState::Down | ServerState::Waiting => false,
            })
            .map(|(address, _)| *address)
            .collect();
        self.settle(ctx);
        for address in again {
            let Some(server) = self.servers.get(&address) else { continue };
            if server.transmissions > 0 {
                // Every peer's link coming up may be the reason for this call, so it must not
                // put off the retransmissions, whose number takes a silent server down.
                if server.outstanding.len() < OUTSTANDING {
                    self.send_request(address, ctx);
                }
            } else if server.fresh_link {
                self.send_registration(address, ctx);
            }
        }
    }

    /// A way to `nbma` came up.
    pub(crate) fn link_up(&mut self, nbma: IpAddr) {
        for server in self.servers.values_mut().filter(|server| server.nbma == Some(nbma)) {
            server.fresh_link = true;
        }
    }

    /// The last way to `nbma` went.
    pub(crate) fn link_down(&mut self, nbma: IpAddr, ctx: &mut Context<'_>) {
        if !ctx.config.links_required {
            return;
        }
        let at_nbma = self.servers.iter().filter(|(_, server)| server.nbma == Some(nbma));
        let addresses: BTreeSet<IpAddr> = at_nbma.map(|(address, _)| *address).collect();
        if addresses.is_empty() {
            return;
        }
        for address in addresses {
            self.leave(address, ServerState::Down, ctx);
        }
        self.settle(ctx);
    }

    /// Stops everything about a server.
    fn leave(&mut self, address: IpAddr, to: ServerState, ctx: &mut Context<'_>) {
        self.timers.cancel(&address);
        if let Some(server) = self.servers.get_mut(&address) {
            server.forget();
            server.failed = false;
            server.transition(to, ctx);
        }
    }

    /// Starts registration with the servers of each cluster that are preferred and reachable, as
    /// many as configured; the others wait. A server that failed goes on being asked, but does not
    /// count. One that is in use is left only when as many better ones respond.
    fn settle(&mut self, ctx: &mut Context<'_>) {
        let mut order: Vec<(u8, u8, IpAddr)> = self
            .servers
            .values()
            .map(|server| &server.settings)
            .map(|settings| (settings.cluster, settings.priority, settings.address))
            .collect();
        order.sort_unstable();
        let mut connections = BTreeMap::<u8, (usize, usize)>::new();
        for (cluster, _, address) in order {
            let Some(server) = self.servers.get(&address) else { continue };
            if !reachable(server, ctx) {
                continue;
            }
            let (count, responding) = connections.entry(cluster).or_default();
            let limit = ctx.config.max_connections.get(&cluster).copied().unwrap_or(usize::MAX);
            let wanted = *count < limit;
            if wanted && !server.failed {
                *count = count.saturating_add(1);
            }
            let replaced = *responding >= limit;
            if server.state == ServerState::Responding {
                *responding = responding.saturating_add(1);
            }
            match (server.state, wanted) {
                (ServerState::Down | ServerState::Waiting, true) => {
                    self.start(address, ctx);
                }
                (ServerState::Down, false) => self.leave(address, ServerState::Waiting, ctx),
                (ServerState::Expecting | ServerState::Responding, false) if replaced => {
                    // The way to it stays, so nobody waits for a reply.
                    self.purge_registration(address, Flags::NO_REPLY, ctx);
                    self.leave(address, ServerState::Waiting, ctx);
                }
                (ServerState::Expecting | ServerState::Responding, _)
                | (ServerState::Waiting, false) => {}
            }
        }
    }

    fn start(&mut self, address: IpAddr, ctx: &mut Context<'_>) {
        if let Some(server) = self.servers.get_mut(&address) {
            server.transition(ServerState::Expecting, ctx);
        }
        self.send_registration(address, ctx);
    }

    /// Starts a registration.
    fn send_registration(&mut self, address: IpAddr, ctx: &mut Context<'_>) {
        let Some(server) = self.servers.get_mut(&address) else { return };
        server.outstanding.clear();
        if self.send_request(address, ctx)
            && let Some(server) = self.servers.get_mut(&address)
        {
            server.transmissions = 1;
            self.timers.set(address, ctx.now + wait(1));
        }
    }

    /// Sends a request with a new identifier, and says whether it could.
    fn send_request(&mut self, address: IpAddr, ctx: &mut Context<'_>) -> bool {
        let Some(server) = self.servers.get_mut(&address) else { return false };
        let Some(nbma) = server.nbma else { return false };
        let to = ctx.links.towards(nbma);
        let id = self.next_request_id;
        let Ok(request) = Request::registration(id, address, to, ctx.config) else {
            return false;
        };
        self.next_request_id = id.next();
        ctx.output.trace(ctx.now, server.subject(), || Trace::SendAttempt { destination: address });
        ctx.output.send(ctx.now, to, ctx.config.protocol_address, address, &request.built);
        ctx.output.trace(ctx.now, server.subject(), || Trace::RegistrationInitial {
            address,
            request_id: id,
        });
        server.outstanding.push_back(request);
        server.fresh_link = false;
        true
    }

    /// Tells a server that knows us to forget us (RFC 2332 §5.2.5): the request, if one was sent.
    fn purge_registration(
        &mut self,
        address: IpAddr,
        flags: Flags,
        ctx: &mut Context<'_>,
    ) -> Option<Request> {
        let server = self.servers.get(&address)?;
        let (nbma, id) = (server.nbma?, server.registered?);
        let to = ctx.links.towards(nbma);
        let request = Request::purge(id, address, to, flags, ctx.config).ok()?;
        ctx.output.trace(ctx.now, server.subject(), || Trace::SendAttempt { destination: address });
        ctx.output.send(ctx.now, to, ctx.config.protocol_address, address, &request.built);
        Some(request)
    }

    /// Does one thing that is due.
    pub(crate) fn handle_one_due(&mut self, ctx: &mut Context<'_>) -> bool {
        if self.goodbye.as_ref().is_some_and(|goodbye| goodbye.until() <= ctx.now) {
            self.goodbye = None;
            return true;
        }
        let Some(address) = self.timers.pop_due(ctx.now) else { return false };
        let Some(server) = self.servers.get_mut(&address) else { return true };
        if server.transmissions == 0 {
            // A third of the holding time is over (§5.2.3), or the pause after a refusal.
            self.send_registration(address, ctx);
            return true;
        }
        let missed = server.transmissions;
        self.retransmit(address, ctx);
        if missed == MISSES {
            self.fail(address, ctx);
        }
        true
    }

    /// Sends the newest request again: the same octets.
    fn retransmit(&mut self, address: IpAddr, ctx: &mut Context<'_>) {
        let Some(server) = self.servers.get_mut(&address) else { return };
        server.transmissions = server.transmissions.saturating_add(1);
        let interval = wait(server.transmissions);
        let nbma = server.nbma;
        let (Some(request), Some(nbma)) = (server.outstanding.back_mut(), nbma) else { return };
        let to = ctx.links.towards(nbma);
        request.to = to;
        let request_id = request.id;
        let subject = Subject { nbma: Some(nbma), protocol: Some(address) };
        ctx.output.trace(ctx.now, subject, || Trace::SendAttempt { destination: address });
        ctx.output.send(ctx.now, to, ctx.config.protocol_address, address, &request.built);
        ctx.output.trace(ctx.now, server.subject(), || Trace::RegistrationRetransmit {
            address,
            request_id,
            interval,
        });
        let counter = &mut ctx.output.counters.retransmitted;
        *counter = counter.saturating_add(1);
        self.timers.set(address, ctx.now + interval);
    }

    /// A server does not answer or refuses: it goes down, and others of its cluster are tried.
    fn fail(&mut self, address: IpAddr, ctx: &mut Context<'_>) {
        let Some(server) = self.servers.get_mut(&address) else { return };
        server.failed = true;
        server.transition(ServerState::Expecting, ctx);
        self.settle(ctx);
    }
}

/// The wait after transmission number `sent`, which counts from 1: 1, 2, 4 … 64 s.
fn wait(sent: u32) -> Duration {
    let seconds = 1_u64.checked_shl(sent.saturating_sub(1)).unwrap_or(u64::MAX);
    Duration::from_secs(seconds).min(LONGEST_WAIT)
}

fn reachable(server: &Server, ctx: &Context<'_>) -> bool {
    server.nbma.is_some_and(|nbma| !ctx.config.links_required || ctx.links.at(nbma).is_some())
}
