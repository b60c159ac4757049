//! What of ESP is on the wire in the clear, and the trailer that is not.

mod header;
pub use header::{Header, NextHeader, ParseError, Spi};

pub(crate) mod inner;
pub(crate) mod trailer;
