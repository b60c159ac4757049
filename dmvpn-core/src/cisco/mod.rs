//! The node's records and views as IOS prints them. Nothing here decides anything.

mod debug;
mod show_crypto;
mod show_dmvpn;

pub use debug::Debug;
pub use show_crypto::{CryptoIpsecSa, CryptoIsakmpSa, CryptoSession, CryptoSockets};
pub use show_dmvpn::{Dmvpn, IpNhrp, IpNhrpNhs};

use core::fmt;
use core::time::Duration;

/// A duration as IOS writes it: `00:01:01`, and `1d02h` from a day on.
pub(crate) struct Clock(pub(crate) Duration);

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        const DAY: u64 = 24 * HOUR;
        let seconds = self.0.as_secs();
        let of =
            |unit: u64, within: u64| seconds.checked_rem(within).unwrap_or(0).checked_div(unit);
        let [days, hours] = [DAY, HOUR].map(|unit| seconds.checked_div(unit).unwrap_or(0));
        if days > 0 {
            return write!(f, "{days}d{:02}h", of(HOUR, DAY).unwrap_or(0));
        }
        let minutes = of(MINUTE, HOUR).unwrap_or(0);
        write!(f, "{hours:02}:{minutes:02}:{:02}", of(1, MINUTE).unwrap_or(0))
    }
}
