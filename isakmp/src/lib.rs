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

pub mod wire;

pub mod crypto;

pub mod cisco;

mod aggressive_mode;
mod config;
mod dead_peer_detection;
mod discard;
mod endpoint;
mod event;
mod fragmentation;
mod identity;
mod informational;
mod main_mode;
mod nat_traversal;
mod output;
mod path;
mod phase1;
mod protection;
mod quick_mode;
mod state;
mod trace;
mod view;

pub use config::{
    AggressiveAnswer, AggressiveMode, AggressivePeer, Config, ConfigBuilder, ConfigError,
    DeadPeerDetection, Encryption, Fragmentation, Jobs, Limits, NatTraversal, Policy, Ports,
    PreSharedKey, Rekeying, Retransmission,
};
pub use discard::{Deviation, Discard};
pub use endpoint::{ConnectError, Endpoint, Phase1Key};
pub use event::{
    CloseReason, Direction, Encapsulation, EspKeys, Event, EventSubject, InstallSa, Nat,
    OriginalAddresses, SaLifetime,
};
pub use identity::Identity;
pub use path::{Path, Transmit, Transport};
pub use protection::{
    ChildLifetime, EspEncryption, EspIntegrity, EspProposal, Mode, PeerId, Protection,
    ProtectionId, Proxies, Remote, Selector, Selectors,
};
pub use state::{CoarseState, MajorInput, MinorInput, Role, StateKind};
pub use trace::{KeyEngineMessage, NodeEnd, Trace, Traced};
pub use view::{Counters, PeerView, Phase1View, Phase2View, SuiteView};
