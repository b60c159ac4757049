//! What the example programs share: the reader of IOS configuration, capture files, the lab underlay.

extern crate alloc;

pub mod build;
pub mod capture;
#[cfg(target_os = "linux")]
pub mod daemon;
pub mod dissect;
pub mod ios;
pub mod json;
pub mod keys;
pub mod lab;
pub mod options;
pub mod packet;
pub mod routes;
pub mod site;
