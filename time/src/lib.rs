#![doc = include_str!("../README.md")]
#![no_std]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

#[cfg(feature = "std")]
mod std_clock;
#[cfg(feature = "std")]
pub use std_clock::StdClock;

mod event_queue;
pub use event_queue::{Coalesce, Coalescing, EventQueue};

mod few;
pub use few::Few;

mod instant;
pub use instant::{Instant, LatestSeen};

mod slab;
pub use slab::Slab;

mod timers;
pub use timers::Timers;

mod trace_ring;
pub use trace_ring::TraceRing;
