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

mod config;
pub use config::{Config, ConfigBuilder};

mod delivery;

mod error;
pub use error::{Discard, SendError};

mod event;
pub use event::{Event, EventSubject};

mod interface;
pub use interface::InterfaceState;

mod key_log;
pub use key_log::LoggedKey;

mod node;
pub use node::{
    AddTunnelError, Counters, Inbound, Incoming, NextHop, Node, Outbound, Outgoing, TableSizes,
    TunnelCounters,
};

mod peer;
pub use peer::{PeerId, SocketState};

mod tunnel;
pub use tunnel::{
    IpsecProfile, TunnelConfig, TunnelConfigBuilder, TunnelConfigError, TunnelId, TunnelMode,
};

mod underlay;
pub use underlay::{Transmit, Transport, Underlay};

pub mod cisco;
pub mod debug;
pub mod mtu;
pub mod trace;
pub mod traffic_class;
pub mod view;

// The crates that a node is composed of: their types are in its configuration, events and views.
pub use dmvpn_time::Instant;
pub use {dmvpn_esp as esp, dmvpn_gre as gre, dmvpn_isakmp as isakmp, dmvpn_nhrp as nhrp};
