//! The fuzz targets of the suite as functions of octets, with their oracles.
//!
//! `targets/` gives each to libFuzzer, `tests/corpus.rs` replays the committed corpus through them
//! without it. Each function returns, whatever the octets, or panics: that is a finding.

// A panic is how an oracle speaks.
#![allow(clippy::missing_panics_doc)]

mod amplification;
mod contract;
mod memory;
mod script;

pub mod dissect;
pub mod esp_mutate;
pub mod esp_open;
pub mod gre;
pub mod ios;
pub mod isakmp_codec;
pub mod natt;
pub mod nhrp_codec;

pub mod isakmp_initiator;
mod isakmp_pair;
pub mod isakmp_responder;

pub mod nhrp_client;
mod nhrp_pair;
pub mod nhrp_server;

pub mod node_hub;
mod node_pair;
pub mod node_spoke;

/// A target: what it does with an input.
pub type Run = fn(&[u8]);

/// All targets by name.
pub const TARGETS: [(&str, Run); 14] = [
    ("gre", gre::run),
    ("esp_open", esp_open::run),
    ("esp_mutate", esp_mutate::run),
    ("natt", natt::run),
    ("nhrp_codec", nhrp_codec::run),
    ("isakmp_codec", isakmp_codec::run),
    ("isakmp_responder", isakmp_responder::run),
    ("isakmp_initiator", isakmp_initiator::run),
    ("nhrp_server", nhrp_server::run),
    ("nhrp_client", nhrp_client::run),
    ("node_hub", node_hub::run),
    ("node_spoke", node_spoke::run),
    ("ios", ios::run),
    ("dissect", dissect::run),
];
