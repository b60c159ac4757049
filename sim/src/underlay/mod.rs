//! The network between the routers' NBMA addresses.

mod nat;
mod weather;

pub use nat::{Nat, NatKind, NatSettings};
pub use weather::{Arrival, Fate, Weather};
