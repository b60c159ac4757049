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

mod checksum;

mod header;
pub use header::{Checksum, EncodeError, Header, ParseError, ProtocolType, Reserved0};

mod receiver;
pub use receiver::{Discard, Received, Receiver, ReceiverCounters};

mod sender;
pub use sender::{EncapsulateError, Sender};
