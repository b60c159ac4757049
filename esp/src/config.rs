//! What was negotiated for an SA.

use crate::crypto::Unsupported;
use crate::lifetime::Lifetime;
use crate::transform::{KeymatError, Transform};
use crate::wire::Spi;

/// The largest anti-replay window, in packets.
pub const MAX_REPLAY_WINDOW: u16 = 1024;

/// What an ESP packet's payload is (RFC 4303 §3.1).
///
/// Either way, the outer IP header is the caller's: this crate starts behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// What followed the IP header of the packet: GRE, for DMVPN. Its protocol number goes with it.
    Transport,
    /// A whole IP packet: its protocol number is 4 or 41.
    Tunnel,
}

/// One SA, as negotiated; the keys come beside it.
///
/// Both ends of an SA take the same; what only one of them reads says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaConfig {
    pub(crate) spi: Spi,
    pub(crate) transform: Transform,
    pub(crate) mode: Mode,
    pub(crate) extended_sequence: bool,
    pub(crate) lifetime: Lifetime,
    pub(crate) replay_window: u16,
    pub(crate) tolerate_odd_padding: bool,
}

impl SaConfig {
    /// An SA with 32-bit sequence numbers, a replay window of 64 and no lifetime by volume.
    #[must_use]
    pub const fn new(spi: Spi, transform: Transform, mode: Mode) -> Self {
        Self {
            spi,
            transform,
            mode,
            extended_sequence: false,
            lifetime: Lifetime {
                soft: crate::lifetime::Volume { bytes: None, packets: None },
                hard: crate::lifetime::Volume { bytes: None, packets: None },
            },
            replay_window: 64,
            tolerate_odd_padding: false,
        }
    }

    /// Sequence numbers of 64 bits, of which 32 are sent (RFC 4303 §2.2.1). Off by default.
    #[must_use]
    pub const fn extended_sequence(mut self, on: bool) -> Self {
        self.extended_sequence = on;
        self
    }

    /// Lifetime by volume. None by default.
    #[must_use]
    pub const fn lifetime(mut self, lifetime: Lifetime) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Size of the anti-replay window in packets, up to [`MAX_REPLAY_WINDOW`]; 0 turns the check
    /// off (RFC 4303 §3.4.3). Read by the receiver. 64 by default.
    #[must_use]
    pub const fn replay_window(mut self, packets: u16) -> Self {
        self.replay_window = packets;
        self
    }

    /// Whether padding other than 1, 2, 3, … is accepted, as a
    /// [`Deviation`](crate::Deviation::OddPadding). Read by the receiver. Off by default.
    #[must_use]
    pub const fn tolerate_odd_padding(mut self, on: bool) -> Self {
        self.tolerate_odd_padding = on;
        self
    }

    pub(crate) const fn validate(&self) -> Result<(), ConfigError> {
        if self.spi.is_reserved() {
            return Err(ConfigError::ReservedSpi(self.spi));
        }
        if self.replay_window > MAX_REPLAY_WINDOW {
            return Err(ConfigError::ReplayWindow { size: self.replay_window });
        }
        // RFC 4303 §3.3.3: the high half is derived from the window.
        if self.extended_sequence && self.replay_window == 0 {
            return Err(ConfigError::ExtendedSequenceWithoutWindow);
        }
        Ok(())
    }
}

/// Why there is no such SA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The SPI is one of 0 to 255 (RFC 4303 §2.1).
    #[error("spi {0} is reserved")]
    ReservedSpi(Spi),
    /// The window is larger than [`MAX_REPLAY_WINDOW`].
    #[error("replay window of {size} packets, at most {MAX_REPLAY_WINDOW}")]
    ReplayWindow {
        /// The size asked for.
        size: u16,
    },
    /// Extended sequence numbers need a window (RFC 4303 §3.3.3).
    #[error("extended sequence numbers without a replay window")]
    ExtendedSequenceWithoutWindow,
    /// The keying material is of the wrong length.
    #[error(transparent)]
    Keymat(#[from] KeymatError),
    /// The provider does not have the algorithm.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
}
