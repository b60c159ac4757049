//! Records and views as Cisco's IOS prints them. Nothing here decides anything, and every function
//! is total: whatever a peer sends can be printed.
//!
//! What IOS prints of its own insides (addresses of structures) is replaced by the connection id.

mod attributes;
mod debug;
mod key_engine;
mod payloads;
mod show;

pub use debug::Debug;
pub use show::IsakmpSaDetail;

use core::fmt;
use core::net::{IpAddr, Ipv4Addr};

use crate::{EspEncryption, EspIntegrity, EspProposal, Mode, Selector};

/// A transform set as it is configured: `esp-3des esp-sha-hmac`.
#[derive(Clone, Copy, Debug)]
pub struct TransformSet(pub EspProposal);

impl fmt::Display for TransformSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0.encryption {
            EspEncryption::TripleDes => "esp-3des",
            EspEncryption::Aes128Cbc => "esp-aes",
            EspEncryption::Aes192Cbc => "esp-aes 192",
            EspEncryption::Aes256Cbc => "esp-aes 256",
            EspEncryption::Aes128Gcm16 => "esp-gcm",
            EspEncryption::Aes192Gcm16 => "esp-gcm 192",
            EspEncryption::Aes256Gcm16 => "esp-gcm 256",
            EspEncryption::Null => "esp-null",
        })?;
        f.write_str(match self.0.integrity {
            None => "",
            Some(EspIntegrity::HmacMd5) => " esp-md5-hmac",
            Some(EspIntegrity::HmacSha1) => " esp-sha-hmac",
            Some(EspIntegrity::HmacSha256) => " esp-sha256-hmac",
            Some(EspIntegrity::HmacSha384) => " esp-sha384-hmac",
            Some(EspIntegrity::HmacSha512) => " esp-sha512-hmac",
        })
    }
}

const fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Transport => "Transport",
        Mode::Tunnel => "Tunnel",
    }
}

/// A proxy identity: `172.16.1.1/255.255.255.255/47/0 (type=1)`, the type being that of the ID
/// payload (RFC 2407 §4.6.2.1).
struct Proxy(Selector);

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Selector { address, prefix, protocol, port } = self.0;
        let id_type = match (address, self.0.is_host()) {
            (IpAddr::V4(_), true) => 1,
            (IpAddr::V4(_), false) => 4,
            (IpAddr::V6(_), true) => 5,
            (IpAddr::V6(_), false) => 6,
        };
        match address {
            IpAddr::V4(_) => {
                let host_bits = 32_u32.saturating_sub(u32::from(prefix));
                let mask = u32::MAX.checked_shl(host_bits).unwrap_or(0);
                write!(f, "{address}/{}", Ipv4Addr::from_bits(mask))?;
            }
            IpAddr::V6(_) => write!(f, "{address}/{prefix}")?,
        }
        write!(f, "/{protocol}/{port} (type={id_type})")
    }
}
