//! What passes between ISAKMP and IPsec, and the SAs that come of it.

use core::fmt;
use core::net::IpAddr;

use super::{Proxy, TransformSet, mode};
use crate::trace::KeyEngineMessage;
use crate::{ChildLifetime, Direction, EspProposal, Selectors};

/// `(key eng. msg.) …`, six lines.
pub(super) struct KeyEngine<'a>(pub(super) &'a KeyEngineMessage);

impl fmt::Display for KeyEngine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = self.0;
        let direction = match message.direction {
            Direction::Inbound => "INBOUND",
            Direction::Outbound => "OUTBOUND",
        };
        let (local, remote) = (message.local, message.remote);
        writeln!(f, "  (key eng. msg.) {direction} local= {local}, remote= {remote},")?;
        writeln!(f, "    local_proxy= {},", Proxy(message.local_proxy))?;
        writeln!(f, "    remote_proxy= {},", Proxy(message.remote_proxy))?;
        f.write_str("    protocol= ESP, transform= ")?;
        match message.transform {
            Some(transform) => write!(f, "{}", TransformSet(transform))?,
            None => f.write_str("NONE")?,
        }
        writeln!(f, "  ({}),", mode(message.mode))?;
        writeln!(f, "    lifedur= {}s and {}kb,", message.seconds, message.kilobytes)?;
        write!(f, "    spi= 0x0(0), conn_id= 0, keysize= {}, flags= 0x0", message.keysize)
    }
}

pub(super) fn creating_sas(
    f: &mut fmt::Formatter<'_>,
    (remote, local): (IpAddr, IpAddr),
    selectors: &Selectors,
    (inbound_spi, outbound_spi): (u32, u32),
    lifetime: ChildLifetime,
) -> fmt::Result {
    let (near, far) = (selectors.local.address, selectors.remote.address);
    let lifetime = Lifetime(lifetime);
    writeln!(f, "        inbound SA from {remote} to {local} (f/i)  0/ 0")?;
    writeln!(f, "        (proxy {far} to {near})")?;
    writeln!(f, "        has spi 0x{inbound_spi:X} and conn_id 0{lifetime}")?;
    writeln!(f, "        outbound SA from {local} to {remote} (f/i) 0/0")?;
    writeln!(f, "        (proxy {near} to {far})")?;
    write!(f, "        has spi  0x{outbound_spi:X} and conn_id 0{lifetime}")
}

/// A line for each limit, each starting with a line feed.
struct Lifetime(ChildLifetime);

impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n        lifetime of {} seconds", self.0.seconds)?;
        match self.0.kilobytes {
            Some(kilobytes) => write!(f, "\n        lifetime of {kilobytes} kilobytes"),
            None => Ok(()),
        }
    }
}

pub(super) fn sa(f: &mut fmt::Formatter<'_>, destination: IpAddr, spi: u32) -> fmt::Result {
    writeln!(f, "  (sa) sa_dest= {destination}, sa_proto= 50,")?;
    write!(f, "    sa_spi= 0x{spi:X}({spi})")
}

pub(super) fn sa_transform(
    f: &mut fmt::Formatter<'_>,
    transform: EspProposal,
    conn_id: u32,
    lifetime: ChildLifetime,
) -> fmt::Result {
    let transform = TransformSet(transform);
    let (kilobytes, seconds) = (lifetime.kilobytes.unwrap_or(0), lifetime.seconds);
    writeln!(f, ",\n    sa_trans= {transform} , sa_conn_id= {conn_id}")?;
    write!(f, "    sa_lifetime(k/sec)= ({kilobytes}/{seconds})")
}
