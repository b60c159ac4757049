//! The state of a tunnel interface: what the operator wants, and whether the line protocol is up.

/// The state of a tunnel interface, as `show interfaces` words it.
///
/// A multipoint tunnel is up as soon as it is enabled. A point-to-point tunnel with protection comes
/// up with its crypto socket and goes down with it; without protection there is nothing to wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InterfaceState {
    /// `shutdown`: administratively down.
    #[default]
    AdministrativelyDown,
    /// `shutdown`, and NHRP has yet to hear that its servers heard it: for a second at most, nothing
    /// but its packets goes through.
    ShuttingDown,
    /// Enabled, but the line protocol is down.
    Down,
    /// Enabled and up.
    Up,
}

impl InterfaceState {
    /// The words of `show dmvpn detail`: `up/up`.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::AdministrativelyDown | Self::ShuttingDown => "administratively down/down",
            Self::Down => "up/down",
            Self::Up => "up/up",
        }
    }
}
