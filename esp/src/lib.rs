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

pub mod crypto;
pub mod udp;

mod wire;
pub use wire::{Header, NextHeader, ParseError, Spi};

mod transform;
pub use transform::{Encryption, Integrity, KeymatError, SplitKeymat, Transform, TransformError};

mod config;
pub use config::{ConfigError, MAX_REPLAY_WINDOW, Mode, SaConfig};

mod lifetime;
pub use lifetime::{Lifetime, Remaining, Volume};

mod counters;
pub use counters::Counters;

mod error;
pub use error::{OpenError, SealError};

mod key;
pub use key::{Iv, Key};

mod batch;
pub use batch::BESIDE;

mod outbound;
pub use outbound::{OutboundSa, SealJob, Sequence, seal_batch};

mod replay;

mod inbound;
pub use inbound::{
    Candidate, Deviation, InboundSa, OpenJob, Opened, Payload, Verified, open_batch,
};
