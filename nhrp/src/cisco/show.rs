//! `show ip nhrp` and `show ip nhrp nhs`.

use core::fmt;
use core::time::Duration;

use crate::{CacheFlags, CacheKind, CacheView, ServerView};

/// A block of `show ip nhrp`: four lines, each ended; a fifth for a client behind a NAT.
#[derive(Clone, Copy, Debug)]
pub struct ShowCache<'a>(pub &'a CacheView);

impl fmt::Display for ShowCache<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CacheView { interface, target, next_hop, nbma, age, .. } = self.0;
        writeln!(f, "{target} via {next_hop}")?;
        write!(f, "   {interface} created {}, ", Clock(*age))?;
        match self.0.expires {
            Some(expires) => writeln!(f, "expire {}", Clock(expires))?,
            None => writeln!(f, "never expire")?,
        }
        let kind = match self.0.kind {
            CacheKind::Static => "static",
            CacheKind::Dynamic => "dynamic",
            CacheKind::Incomplete => "incomplete",
        };
        writeln!(f, "   Type: {kind}, Flags:{}", FlagNames(self.0.flags))?;
        if let Some(nbma) = nbma {
            writeln!(f, "   NBMA address: {nbma}")?;
        }
        if let Some(claimed) = self.0.claimed_nbma {
            writeln!(f, "    (Claimed NBMA address: {claimed})")?;
        }
        Ok(())
    }
}

/// The flags by name, each with a space before it.
struct FlagNames(CacheFlags);

impl fmt::Display for FlagNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CacheFlags { unique, registered, local, nat } = self.0;
        let names =
            [(unique, " unique"), (registered, " registered"), (nat, " nat"), (local, " local")];
        names.iter().filter(|(set, _)| *set).try_for_each(|(_, name)| f.write_str(name))
    }
}

/// A line of `show ip nhrp nhs`, without its end.
#[derive(Clone, Copy, Debug)]
pub struct ShowServer<'a>(pub &'a ServerView);

impl fmt::Display for ShowServer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ServerView { address, state, priority, cluster, .. } = self.0;
        write!(f, "   {address}  {:>2} ", state.letters())?;
        write!(f, "priority = {priority} cluster = {cluster}")
    }
}

/// `Target Network` of `show dmvpn detail`: `10.1.1.1/32`. Takes a width.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a>(pub &'a CacheView);

impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&alloc::format!("{}", self.0.target))
    }
}

/// `Attrb` of `show dmvpn`: S static, D dynamic, I incomplete, then N behind a NAT, L local. Takes
/// a width.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a>(pub &'a CacheView);

impl fmt::Display for Attributes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CacheFlags { nat, local, .. } = self.0.flags;
        f.pad(match (self.0.kind, nat, local) {
            (CacheKind::Static, false, false) => "S",
            (CacheKind::Static, true, false) => "SN",
            (CacheKind::Static, false, true) => "SL",
            (CacheKind::Static, true, true) => "SNL",
            (CacheKind::Dynamic, false, false) => "D",
            (CacheKind::Dynamic, true, false) => "DN",
            (CacheKind::Dynamic, false, true) => "DL",
            (CacheKind::Dynamic, true, true) => "DNL",
            (CacheKind::Incomplete, false, false) => "I",
            (CacheKind::Incomplete, true, false) => "IN",
            (CacheKind::Incomplete, false, true) => "IL",
            (CacheKind::Incomplete, true, true) => "INL",
        })
    }
}

/// A time as IOS prints it: `00:00:55`, from a day on `1d02h`, from a week on `1w2d`, from a year
/// on `1y2w`.
struct Clock(Duration);

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 3600;
        const DAY: u64 = 86_400;
        const WEEK: u64 = 604_800;
        const YEAR: u64 = 31_536_000;
        let seconds = self.0.as_secs();
        if seconds >= YEAR {
            write!(f, "{}y{}w", seconds / YEAR, seconds % YEAR / WEEK)
        } else if seconds >= WEEK {
            write!(f, "{}w{}d", seconds / WEEK, seconds % WEEK / DAY)
        } else if seconds >= DAY {
            write!(f, "{}d{:02}h", seconds / DAY, seconds % DAY / HOUR)
        } else {
            let (hours, minutes) = (seconds / HOUR, seconds % HOUR / MINUTE);
            write!(f, "{hours:02}:{minutes:02}:{:02}", seconds % MINUTE)
        }
    }
}
