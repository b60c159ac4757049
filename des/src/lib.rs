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

mod standard;

mod slice;
mod table;

mod triple_des;
pub use triple_des::{NotWholeBlocks, TripleDes};

mod cbc;
pub use cbc::{CbcDecrypt, CbcEncrypt, cbc_decrypt_batch, cbc_encrypt_batch};

mod cipher;
