//! The sections of `interface`.

use core::net::Ipv4Addr;

use super::{Draft, Open, Section, conflict, incomplete, open, undefined};
use crate::ios::words::{ReadError, Words};
use crate::ios::{
    Interface, InterfaceAddress, Nhrp, NhrpMap, NhrpServer, Router, Tunnel, TunnelMode,
    TunnelSource,
};

#[derive(Debug)]
pub(super) struct TunnelDraft {
    name: String,
    address: Option<InterfaceAddress>,
    redirects: bool,
    mtu: Option<u16>,
    nhrp: Nhrp,
    adjust_mss: Option<u16>,
    no_split_horizon: Option<u16>,
    shutdown: bool,
    source: Option<TunnelSource>,
    multipoint: bool,
    destination: Option<Ipv4Addr>,
    key: Option<u32>,
    checksum: bool,
    protection: Option<String>,
}

impl TunnelDraft {
    const fn new(name: String) -> Self {
        Self {
            name,
            address: None,
            redirects: true,
            mtu: None,
            nhrp: Nhrp {
                authentication: None,
                map: Vec::new(),
                map_multicast_dynamic: false,
                map_multicast: Vec::new(),
                network_id: None,
                holdtime: None,
                nhs: Vec::new(),
                no_unique: false,
                registration_timeout: None,
            },
            adjust_mss: None,
            no_split_horizon: None,
            shutdown: false,
            source: None,
            multipoint: false,
            destination: None,
            key: None,
            checksum: false,
            protection: None,
        }
    }
}

impl Draft {
    pub(super) fn interface(&mut self, words: &mut Words<'_>) -> Result<Section, ReadError> {
        let name = words.word("the interface's name")?.to_owned();
        let kind = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '/');
        if kind.len() == name.len() {
            return Err(words.unknown());
        }
        let line = words.line();
        let plain = Interface { name: name.clone(), address: None };
        let is = |interface: &Interface| interface.name == name;
        match kind {
            "Tunnel" => {
                let is = |tunnel: &TunnelDraft| tunnel.name == name;
                let draft = TunnelDraft::new(name.clone());
                Ok(Section::Tunnel(open(&mut self.tunnels, line, is, draft)))
            }
            "Ethernet" => Ok(Section::Ethernet(open(&mut self.ethernets, line, is, plain))),
            "Loopback" => Ok(Section::Loopback(open(&mut self.loopbacks, line, is, plain))),
            _ => Err(words.unknown()),
        }
    }
}

impl Open<TunnelDraft> {
    pub(super) fn finish(self, router: &Router) -> Result<Tunnel, ReadError> {
        let Self { line, draft } = self;
        let section = format!("interface {}", draft.name);
        let Some(address) = draft.address else {
            return Err(incomplete(line, section, "an `ip address` line"));
        };
        let Some(source) = draft.source else {
            return Err(incomplete(line, section, "a `tunnel source` line"));
        };
        let mode = match (draft.multipoint, draft.destination) {
            (true, None) => TunnelMode::Multipoint,
            (false, Some(destination)) => TunnelMode::PointToPoint { destination },
            (true, Some(_)) => {
                let (first, second) = ("`tunnel mode gre multipoint`", "`tunnel destination`");
                return Err(conflict(line, section, first, second));
            }
            (false, None) => {
                let needs = "`tunnel mode gre multipoint` or a `tunnel destination` line";
                return Err(incomplete(line, section, needs));
            }
        };
        if let TunnelSource::Interface(source) = &source {
            let mut interfaces = router.ethernets.iter().chain(&router.loopbacks);
            if !interfaces.any(|other| other.name == *source && other.address.is_some()) {
                return Err(undefined(line, section, source.clone()));
            }
        }
        if let Some(name) = &draft.protection
            && !router.ipsec_profiles.iter().any(|profile| profile.name == *name)
        {
            return Err(undefined(line, section, name.clone()));
        }
        Ok(Tunnel {
            name: draft.name,
            address,
            redirects: draft.redirects,
            mtu: draft.mtu,
            nhrp: draft.nhrp,
            adjust_mss: draft.adjust_mss,
            no_split_horizon: draft.no_split_horizon,
            shutdown: draft.shutdown,
            source,
            mode,
            key: draft.key,
            checksum: draft.checksum,
            protection: draft.protection,
        })
    }
}

fn ip_address(words: &mut Words<'_>) -> Result<InterfaceAddress, ReadError> {
    Ok(InterfaceAddress { address: words.address()?, prefix_length: words.mask()? })
}

pub(super) fn interface(interface: &mut Interface, words: &mut Words<'_>) -> Result<(), ReadError> {
    words.expect(&["ip", "address"])?;
    interface.address = Some(ip_address(words)?);
    Ok(())
}

pub(super) fn tunnel(tunnel: &mut TunnelDraft, words: &mut Words<'_>) -> Result<(), ReadError> {
    match words.word("a line of the interface")? {
        "ip" => match words.word("a line of `ip`")? {
            "address" => tunnel.address = Some(ip_address(words)?),
            "mtu" => tunnel.mtu = Some(words.number(68..=17_940)?),
            "nhrp" => nhrp(&mut tunnel.nhrp, words)?,
            "tcp" => {
                words.expect(&["adjust-mss"])?;
                tunnel.adjust_mss = Some(words.number(500..=1_460)?);
            }
            _ => return Err(words.unknown()),
        },
        "no" => no(tunnel, words)?,
        "shutdown" => tunnel.shutdown = true,
        "tunnel" => match words.word("a line of `tunnel`")? {
            "source" => {
                let source = words.word("an interface or an address")?;
                tunnel.source = Some(match source.parse() {
                    Ok(address) => TunnelSource::Address(address),
                    Err(_) => TunnelSource::Interface(source.to_owned()),
                });
            }
            "destination" => tunnel.destination = Some(words.address()?),
            "mode" => {
                words.expect(&["gre", "multipoint"])?;
                tunnel.multipoint = true;
            }
            "key" => tunnel.key = Some(words.number(0..=u32::MAX)?),
            "checksum" => tunnel.checksum = true,
            "protection" => {
                words.expect(&["ipsec", "profile"])?;
                tunnel.protection = Some(words.word("the profile's name")?.to_owned());
            }
            _ => return Err(words.unknown()),
        },
        _ => return Err(words.unknown()),
    }
    Ok(())
}

/// What follows `no` on a tunnel: only what changes something.
fn no(tunnel: &mut TunnelDraft, words: &mut Words<'_>) -> Result<(), ReadError> {
    match words.word("a line to negate")? {
        "ip" => match words.word("a line of `no ip`")? {
            "redirects" => tunnel.redirects = false,
            "split-horizon" => {
                words.expect(&["eigrp"])?;
                tunnel.no_split_horizon = Some(words.number(1..=u16::MAX)?);
            }
            _ => return Err(words.unknown()),
        },
        "shutdown" => tunnel.shutdown = false,
        "tunnel" => {
            words.expect(&["protection"])?;
            tunnel.protection = None;
        }
        _ => return Err(words.unknown()),
    }
    Ok(())
}

fn nhrp(nhrp: &mut Nhrp, words: &mut Words<'_>) -> Result<(), ReadError> {
    match words.word("a line of `ip nhrp`")? {
        "authentication" => {
            let string = words.secret("the authentication string")?;
            if string.dangerous_text().len() > 8 {
                return Err(words.invalid("a string of at most 8 characters"));
            }
            nhrp.authentication = Some(string);
        }
        "map" if words.take("multicast") => {
            if words.take("dynamic") {
                nhrp.map_multicast_dynamic = true;
            } else {
                nhrp.map_multicast.push(words.address()?);
            }
        }
        "map" => nhrp.map.push(NhrpMap { protocol: words.address()?, nbma: words.address()? }),
        "network-id" => nhrp.network_id = Some(words.number(1..=u32::MAX)?),
        // A third of it is the time between registrations.
        "holdtime" => nhrp.holdtime = Some(words.number(3..=u16::MAX)?),
        "nhs" => nhrp.nhs.push(nhs(words)?),
        "registration" => match words.word("`no-unique` or `timeout`")? {
            "no-unique" => nhrp.no_unique = true,
            "timeout" => nhrp.registration_timeout = Some(words.number(1..=u16::MAX)?),
            _ => return Err(words.unknown()),
        },
        _ => return Err(words.unknown()),
    }
    Ok(())
}

/// What follows `ip nhrp nhs`.
fn nhs(words: &mut Words<'_>) -> Result<NhrpServer, ReadError> {
    let address = words.address()?;
    let nbma = if words.take("nbma") { Some(words.address()?) } else { None };
    let multicast = nbma.is_some() && words.take("multicast");
    let priority = if words.take("priority") { words.number(0..=u8::MAX)? } else { 0 };
    let cluster = if words.take("cluster") { words.number(0..=u8::MAX)? } else { 0 };
    Ok(NhrpServer { address, nbma, multicast, priority, cluster })
}
