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

pub mod cisco;
pub mod wire;

mod cache;
mod client;
mod config;
mod discard;
mod endpoint;
mod event;
mod identity;
mod link;
mod links;
mod multicast;
mod output;
mod policy;
mod prefix;
mod received;
mod server;
mod trace;
mod view;

pub use config::{Config, ConfigBuilder, ConfigError, Limits, NextHopServer, StaticMap};
pub use discard::{Deviation, Discard};
pub use endpoint::Endpoint;
pub use event::{Event, EventSubject};
pub use identity::Identity;
pub use link::{Link, LinkId, NextHop, Transmit};
pub use policy::RegistrationPolicy;
pub use prefix::Prefix;
pub use trace::{RemovalCause, Trace, Traced};
pub use view::{CacheFlags, CacheKind, CacheView, Counters, ServerState, ServerView};
