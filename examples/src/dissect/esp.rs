//! The ESP layer.

use dmvpn_esp::{
    Encryption, Header, InboundSa, Integrity, Mode, OpenError, Opened, ParseError, SaConfig, Spi,
    Transform,
};
use etherparse::IpNumber;
use serde_json::json;

use super::ip::Inside;
use super::{Dissector, Report, UnusableKey};
use crate::keys::{self, EspKey, Keys, hex};

const NAME: &str = "esp";

/// The SAs of the key table.
#[derive(Debug)]
pub(super) struct Sas {
    keys: Keys,
    /// One for each record of `keys.esp`.
    sas: Vec<InboundSa>,
}

impl Sas {
    pub(super) fn new(keys: Keys) -> Result<Self, UnusableKey> {
        let sas = keys
            .esp
            .iter()
            .map(|key| sa(key).map_err(|reason| UnusableKey { spi: key.spi, reason }));
        Ok(Self { sas: sas.collect::<Result<_, _>>()?, keys })
    }
}

fn sa(key: &EspKey) -> Result<InboundSa, String> {
    let encryption = match (key.encryption, key.encryption_key.len()) {
        (keys::Encryption::Null, _) => Encryption::Null,
        (keys::Encryption::TripleDesCbc, _) => Encryption::TripleDesCbc,
        (keys::Encryption::AesCbc, 16) => Encryption::AesCbc128,
        (keys::Encryption::AesCbc, 24) => Encryption::AesCbc192,
        (keys::Encryption::AesCbc, _) => Encryption::AesCbc256,
        (keys::Encryption::AesGcm16, 20) => Encryption::AesGcm128,
        (keys::Encryption::AesGcm16, 28) => Encryption::AesGcm192,
        (keys::Encryption::AesGcm16, _) => Encryption::AesGcm256,
    };
    let integrity = match key.authentication {
        keys::Authentication::Null => None,
        keys::Authentication::HmacMd5 => Some(Integrity::HmacMd5),
        keys::Authentication::HmacSha1 => Some(Integrity::HmacSha1),
        keys::Authentication::HmacSha256 => Some(Integrity::HmacSha256),
        keys::Authentication::HmacSha384 => Some(Integrity::HmacSha384),
        keys::Authentication::HmacSha512 => Some(Integrity::HmacSha512),
    };
    let transform = Transform::new(encryption, integrity).map_err(|error| error.to_string())?;
    let needed = encryption.key_len() + encryption.salt_len();
    let have = key.encryption_key.len();
    if have != needed {
        return Err(format!("encryption key of {have} octets where {needed} are needed"));
    }
    // Transport mode says of a tunnel's packet what it says of any other: its number. A capture
    // may hold a packet twice and in any order, so that no window applies.
    let config = SaConfig::new(Spi(key.spi), transform, Mode::Transport)
        .replay_window(0)
        .tolerate_odd_padding(true);
    let keymat = [&key.encryption_key[..], &key.authentication_key].concat();
    InboundSa::new(&dmvpn_esp::crypto::RustCrypto, &config, &keymat)
        .map_err(|error| error.to_string())
}

impl Dissector {
    pub(super) fn esp(&mut self, inside: Inside, octets: &[u8], report: &mut Report) {
        let (header, body) = match Header::parse(octets) {
            Ok(parsed) => parsed,
            Err(error) => {
                report.layer(NAME, json!({}));
                let ParseError::Truncated { offset, .. } = error else { return };
                return report.fault(NAME, error.to_string(), offset);
            }
        };
        report.reencoded(octets.strip_suffix(body) == Some(&header.encode()));
        let mut object = json!({
            "spi": header.spi.0,
            "sequence": header.sequence,
            "icv_ok": null,
            "iv": null,
            "icv": null,
            "pad_length": null,
            "next_header": null,
        });
        let key = self.esp.keys.esp_key(inside.source, inside.destination, header.spi.0);
        let sa = key.and_then(|key| self.esp.sas.get_mut(key)).filter(|_| inside.whole);
        let Some(sa) = sa else { return report.layer(NAME, object) };

        let transform = sa.key().transform();
        let icv = octets.len().saturating_sub(transform.icv_len());
        object["iv"] = octets.get(Header::LEN..transform.headroom()).map(hex).into();
        object["icv"] = octets.get(icv..).map(hex).into();
        let mut buffer = octets.to_vec();
        match sa.open(&mut buffer, 0..octets.len()) {
            Ok(opened) => {
                let payload =
                    if let Opened::Payload(payload) = opened { Some(payload) } else { None };
                // A dummy (RFC 4303 §2.6) carries nothing.
                let next_header = payload.as_ref().map_or(59, |payload| payload.next_header.0);
                object["icv_ok"] = true.into();
                object["next_header"] = next_header.into();
                // RFC 4303 §2: pad length and next header are the last before the ICV.
                object["pad_length"] =
                    icv.checked_sub(2).and_then(|at| buffer.get(at)).copied().into();
                report.layer(NAME, object);
                if let Some(payload) = &payload {
                    // The ICV was computed again and the cipher is a bijection: what is left to
                    // come out otherwise is the padding, its octets and how many there are.
                    let length = transform.sealed_len(payload.range.len());
                    report.reencoded(payload.deviation.is_none() && length == octets.len());
                }
                let payload = payload.and_then(|payload| buffer.get(payload.range));
                let inside = Inside { protocol: IpNumber(next_header), ..inside };
                self.transport(inside, payload.unwrap_or_default(), report);
            }
            Err(error) => {
                // What fails behind the ICV fails although it holds.
                let behind = matches!(error, OpenError::PadLength { .. } | OpenError::Padding);
                let mut icv_ok = behind.then_some(true);
                let mut offset = Header::LEN;
                if let OpenError::IntegrityCheck { .. } = error {
                    icv_ok = Some(false);
                    offset = icv;
                }
                object["icv_ok"] = json!(icv_ok);
                report.layer(NAME, object);
                report.fault(NAME, error.to_string(), offset);
            }
        }
    }
}
