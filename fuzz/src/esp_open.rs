//! An inbound SA against anything: a packet that is refused leaves it as it was.

use dmvpn_esp::crypto::{ChecksumProvider, NullProvider, Provider, RustCrypto};
use dmvpn_esp::{
    Encryption, InboundSa, Integrity, Lifetime, Mode, OpenError, Opened, SaConfig, Spi, Transform,
    Volume,
};

use crate::memory::bounded;
use crate::script::Script;

const SPI: u32 = 0x0b25_9d71;

/// An SA as the script wants it.
pub(crate) fn sa_config(script: &mut Script<'_>) -> (SaConfig, Transform) {
    let choice = script.u8();
    let encryption = [
        Encryption::Null,
        Encryption::TripleDesCbc,
        Encryption::AesCbc128,
        Encryption::AesCbc192,
        Encryption::AesCbc256,
        Encryption::AesGcm128,
        Encryption::AesGcm192,
        Encryption::AesGcm256,
    ][usize::from(choice & 7)];
    let integrity = [
        Integrity::HmacMd5,
        Integrity::HmacSha1,
        Integrity::HmacSha256,
        Integrity::HmacSha384,
        Integrity::HmacSha512,
    ][usize::from(choice >> 3) % 5];
    let integrity = (!encryption.is_combined()).then_some(integrity);
    let transform = Transform::new(encryption, integrity).expect("they go together");
    let flags = script.u8();
    let mode = if flags & 1 == 0 { Mode::Transport } else { Mode::Tunnel };
    let window = [64, 32, 1024, 1, 7, 128, 0, 65][usize::from(flags >> 5)];
    let mut config = SaConfig::new(Spi(SPI), transform, mode)
        .extended_sequence(flags & 2 != 0 && window != 0)
        .tolerate_odd_padding(flags & 4 != 0)
        .replay_window(window);
    if flags & 8 != 0 {
        let soft = Volume { bytes: Some(u64::from(script.u8())), packets: Some(3) };
        let hard = Volume { bytes: Some(u64::from(script.u16())), packets: Some(9) };
        config = config.lifetime(Lifetime { soft, hard });
    }
    (config, transform)
}

pub(crate) fn keymat(transform: Transform) -> Vec<u8> {
    (0..transform.keymat_len()).map(|at| (at % 251) as u8).collect()
}

/// What a refused packet must not change.
fn state(sa: &InboundSa) -> (u64, u64, String, bool) {
    (sa.highest_sequence(), sa.bytes(), format!("{:?}", sa.remaining()), sa.soft_expired())
}

pub fn run(input: &[u8]) {
    let mut script = Script::new(input);
    let provider: &dyn Provider =
        [&NullProvider as &dyn Provider, &RustCrypto, &ChecksumProvider][script.index(3)];
    let (config, transform) = sa_config(&mut script);
    let Ok(mut sa) = InboundSa::new(provider, &config, &keymat(transform)) else { return };
    let mut seen = Vec::new();
    while !script.is_empty() {
        let kind = script.u8();
        let mut buffer = script.octets().to_vec();
        // Mostly packets that have the SPI, so that they get further.
        if kind & 3 != 0 {
            buffer.splice(0..0, SPI.to_be_bytes());
        }
        let len = buffer.len();
        let range = if kind & 4 == 0 { 0..len } else { script.index(9)..script.index(300) };
        let before = state(&sa);
        let opened = bounded(0, 0, 0, || sa.open(&mut buffer, range.clone()));
        assert_eq!(buffer.len(), len);
        match opened {
            Ok(Opened::Payload(payload)) => {
                assert!(payload.range.start >= range.start + 8 && payload.range.end <= range.end);
                assert!(payload.range.start <= payload.range.end);
                assert!(payload.sequence <= sa.highest_sequence() || seen.is_empty());
                if config_has_window(&config) {
                    assert!(!seen.contains(&payload.sequence), "a sequence number twice");
                }
                seen.push(payload.sequence);
            }
            Ok(Opened::Dummy) => {}
            // RFC 4303 §3.4.3: what was authentic has moved the window whatever it carried.
            Err(
                OpenError::PadLength { .. }
                | OpenError::Padding
                | OpenError::InvalidProtocol { .. }
                | OpenError::InnerLength { .. },
            ) => {}
            Err(_) => assert_eq!(before, state(&sa)),
        }
    }
}

fn config_has_window(config: &SaConfig) -> bool {
    !format!("{config:?}").contains("replay_window: 0")
}
