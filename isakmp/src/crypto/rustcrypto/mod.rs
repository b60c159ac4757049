//! The provider made of RustCrypto's crates.

mod cipher;
#[cfg(feature = "ecp")]
mod ecp;
mod hash;
mod modp;

use super::{DiffieHellman, Provider};

pub(super) const PROVIDER: Provider =
    Provider { hashes: hash::ALL, ciphers: cipher::ALL, groups: GROUPS };

#[cfg(not(feature = "ecp"))]
const GROUPS: &[&dyn DiffieHellman] = &[
    &modp::GROUP_1,
    &modp::GROUP_2,
    &modp::GROUP_5,
    &modp::GROUP_14,
    &modp::GROUP_15,
    &modp::GROUP_16,
];

#[cfg(feature = "ecp")]
const GROUPS: &[&dyn DiffieHellman] = &[
    &modp::GROUP_1,
    &modp::GROUP_2,
    &modp::GROUP_5,
    &modp::GROUP_14,
    &modp::GROUP_15,
    &modp::GROUP_16,
    &ecp::GROUP_19,
    &ecp::GROUP_20,
];
