//! What the benchmarks share. The method is in `README.md`.

pub mod allocator;
pub mod cloud;
pub mod cpu;
pub mod esp;
pub mod evp;
pub mod hub;
pub mod ike;
pub mod measure;
#[cfg(target_arch = "x86_64")]
pub mod memcheck;
pub mod nhrp;
pub mod router;
pub mod suite;
pub mod wire;
