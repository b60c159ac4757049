//! Packets that others sealed: opened, and sealed again to the same bytes.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod support;

use dmvpn_esp::crypto::{Provider, RustCrypto};
use dmvpn_esp::{
    Encryption, InboundSa, Integrity, Mode, NextHeader, OpenError, Opened, OutboundSa, SaConfig,
    Spi, Transform, udp,
};
use serde_json::Value;
use support::{providers, seal_with_iv, shared, unhex};

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} in {value}"))
}

fn transform(encryption: &str, integrity: &str) -> Transform {
    let encryption = match encryption.to_ascii_lowercase().as_str() {
        "null" => Encryption::Null,
        "3des-cbc" => Encryption::TripleDesCbc,
        "aes-cbc-128" | "aes-128-cbc" => Encryption::AesCbc128,
        "aes-cbc-192" => Encryption::AesCbc192,
        "aes-cbc-256" => Encryption::AesCbc256,
        "aes-gcm-16-128" => Encryption::AesGcm128,
        "aes-gcm-16-256" => Encryption::AesGcm256,
        other => panic!("{other}"),
    };
    let integrity = match integrity.to_ascii_lowercase().as_str() {
        "none" => None,
        "hmac-md5-96" => Some(Integrity::HmacMd5),
        "hmac-sha1-96" => Some(Integrity::HmacSha1),
        "hmac-sha256-128" => Some(Integrity::HmacSha256),
        "hmac-sha512-256" => Some(Integrity::HmacSha512),
        other => panic!("{other}"),
    };
    Transform::new(encryption, integrity).unwrap()
}

struct Vector {
    config: SaConfig,
    keymat: Vec<u8>,
    sequence: u32,
    next_header: NextHeader,
    payload: Vec<u8>,
    iv: Vec<u8>,
    esp: Vec<u8>,
}

impl Vector {
    fn inbound(&self, provider: &dyn Provider) -> InboundSa {
        InboundSa::new(provider, &self.config, &self.keymat).unwrap()
    }

    fn opens_and_seals_again(&self, name: &str) {
        for provider in providers() {
            self.opens_and_seals_again_by(&*provider, name);
        }
    }

    fn opens_and_seals_again_by(&self, provider: &dyn Provider, name: &str) {
        let mut inbound = self.inbound(provider);
        let mut packet = self.esp.clone();
        let end = packet.len();
        let Opened::Payload(payload) = inbound.open(&mut packet, 0..end).unwrap() else {
            panic!("{name} is a dummy");
        };
        assert_eq!(payload.next_header, self.next_header, "{name}");
        assert_eq!(payload.sequence, u64::from(self.sequence), "{name}");
        assert_eq!(payload.deviation, None, "{name}");
        assert_eq!(packet[payload.range], self.payload, "{name}");

        let mut outbound = OutboundSa::new(provider, &self.config, &self.keymat).unwrap();
        while outbound.last_sequence() + 1 < u64::from(self.sequence) {
            outbound.reserve(0).unwrap();
        }
        let sealed = seal_with_iv(&mut outbound, &self.iv, self.next_header, &self.payload);
        assert_eq!(sealed, self.esp, "{name}");
    }
}

fn ours(vector: &Value) -> Vector {
    let transform = transform(text(vector, "encryption"), text(vector, "integrity"));
    let mode = match text(vector, "mode") {
        "transport" => Mode::Transport,
        "tunnel" => Mode::Tunnel,
        other => panic!("{other}"),
    };
    let spi = Spi(u32::from_str_radix(text(vector, "spi"), 16).unwrap());
    let mut keymat = unhex(text(vector, "encryption_key"));
    keymat.extend(unhex(text(vector, "integrity_key")));
    Vector {
        config: SaConfig::new(spi, transform, mode),
        keymat,
        sequence: vector["seq"].as_u64().unwrap().try_into().unwrap(),
        next_header: NextHeader(vector["next_header"].as_u64().unwrap().try_into().unwrap()),
        payload: unhex(text(vector, "payload")),
        iv: unhex(text(vector, "iv")),
        esp: unhex(text(vector, "esp")),
    }
}

fn our_file() -> Value {
    serde_json::from_str(include_str!("data/esp_sealed_and_refused.json")).unwrap()
}

#[test]
fn sealed_by_two_implementations() {
    let file = our_file();
    let vectors = file["vectors"].as_array().unwrap();
    assert_eq!(vectors.len(), 12);
    for vector in vectors {
        ours(vector).opens_and_seals_again(text(vector, "name"));
        if vector["udp_encapsulation"].as_bool().unwrap() {
            let outer = unhex(text(vector, "outer_packet"));
            let payload = &outer[28..];
            assert_eq!(udp::classify(payload), Ok(udp::Datagram::Esp));
            assert_eq!(payload, ours(vector).esp);
        }
    }
}

#[test]
fn refused_by_two_implementations() {
    let file = our_file();
    let refused = file["refused"].as_array().unwrap();
    assert_eq!(refused.len(), 6);
    for vector in refused {
        let base = file["vectors"]
            .as_array()
            .unwrap()
            .iter()
            .find(|base| text(base, "name") == text(vector, "base"))
            .unwrap();
        // An RFC 4303 receiver refuses number 0 before it looks at the ICV; this one is to say
        // what it thinks of the ICV.
        let config = ours(base).config.replay_window(0);
        let spi = Spi(0x0b25_9d71);
        let mut inbound = InboundSa::new(&RustCrypto, &config, &ours(base).keymat).unwrap();
        let mut packet = unhex(text(vector, "esp"));
        let end = packet.len();
        let expected = match text(vector, "name") {
            "icv-flipped" | "seq-changed" => OpenError::IntegrityCheck { spi },
            // Four bytes short: what is left is no multiple of the block.
            "truncated-icv" => OpenError::Alignment { alignment: 8, have: 116 },
            "seven-bytes" => OpenError::TooShort { needed: 36, have: 7 },
            "pad-length-too-big" => OpenError::PadLength { pad_length: 255, have: 16 },
            "not-a-block-multiple" => OpenError::Alignment { alignment: 8, have: 13 },
            other => panic!("{other}"),
        };
        assert_eq!(inbound.open(&mut packet, 0..end), Err(expected), "{}", text(vector, "name"));
        let mut packet = unhex(text(vector, "esp"));
        assert!(ours(base).inbound(&RustCrypto).open(&mut packet, 0..end).is_err());
    }
}

/// Packets of FreeS/WAN and of Android, from the tests of tcpdump and Wireshark.
#[test]
fn captured_from_other_implementations() {
    let Some(file) = shared("esp_packets.json") else { return };
    let file: Value = serde_json::from_str(&file).unwrap();
    let vectors = file.as_array().unwrap();
    assert_eq!(vectors.len(), 14);
    for vector in vectors {
        let transform = transform(text(vector, "enc"), text(vector, "mac"));
        let spi = u32::from_str_radix(text(vector, "spi").trim_start_matches("0x"), 16).unwrap();
        let mut keymat = unhex(text(vector, "enc_key"));
        keymat.extend(unhex(text(vector, "mac_key")));
        let vector = Vector {
            config: SaConfig::new(Spi(spi), transform, Mode::Tunnel),
            keymat,
            sequence: vector["seq"].as_u64().unwrap().try_into().unwrap(),
            next_header: NextHeader(vector["next_header"].as_u64().unwrap().try_into().unwrap()),
            payload: unhex(text(vector, "payload")),
            iv: unhex(text(vector, "iv")),
            esp: unhex(text(vector, "esp")),
        };
        vector.opens_and_seals_again("captured");
    }
}

/// GRE and NHRP of the guide inside ESP.
#[test]
fn gre_and_nhrp_of_the_guide() {
    let Some(file) = shared("esp_3des_sha1_gre_nhrp.json") else { return };
    let file: Value = serde_json::from_str(&file).unwrap();
    let vectors = file.as_array().unwrap();
    assert_eq!(vectors.len(), 2);
    for vector in vectors {
        let esp = unhex(text(vector, "ip_packet"))[20..].to_vec();
        let spi = u32::from_str_radix(text(vector, "spi").trim_start_matches("0x"), 16).unwrap();
        let mut keymat = unhex(text(vector, "enc_key"));
        keymat.extend(unhex(text(vector, "mac_key")));
        let vector = Vector {
            config: SaConfig::new(Spi(spi), Transform::ESP_3DES_SHA, Mode::Transport),
            keymat,
            sequence: vector["seq"].as_u64().unwrap().try_into().unwrap(),
            next_header: NextHeader::GRE,
            payload: unhex(text(vector, "inner_gre")),
            iv: esp[8..16].to_vec(),
            esp,
        };
        vector.opens_and_seals_again("guide");
    }
}
