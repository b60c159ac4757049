//! Dissection of captures: each GRE, NHRP, ISAKMP or ESP packet as a JSON object.
//!
//! The object has `frame`, its number from 1; `layers`, those four names outermost first; under
//! each name an object, or an array of them where the layer occurs more than once; `ip` and `udp`,
//! the headers around, between and inside of those, in the same form;
//! `reencoded_equal`, whether everything parsed and, built again, gave the same octets; and, for
//! what does not parse, `error` with the `layer` at fault, `what` is wrong and the `offset` of it
//! in octets from the front of that layer. Numbers are numbers, addresses text, octets hexadecimal.
//!
//! With keys, ISAKMP and ESP are opened, and what is inside is dissected likewise.

mod esp;
mod gre;
mod ip;
mod isakmp;
mod nhrp;
mod phase1;

use serde_json::{Map, Value, json};
use thiserror::Error;

use crate::capture::{EtherType, Frame};
use crate::keys::Keys;

/// Dissects the frames of one capture, in order: opening ISAKMP needs the messages before.
#[derive(Debug)]
pub struct Dissector {
    isakmp: phase1::Sessions,
    fragments: isakmp::Fragments,
    esp: esp::Sas,
}

/// An ESP key that makes no SA.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("esp_sa: spi {spi:#010x}: {reason}")]
pub struct UnusableKey {
    /// The SPI of the record.
    pub spi: u32,
    /// Why not.
    pub reason: String,
}

impl Dissector {
    /// A dissector that opens what these keys open; [`Keys::default`] has none.
    ///
    /// # Errors
    ///
    /// [`UnusableKey`]: a record of the ESP table whose keys do not fit its algorithms.
    pub fn new(keys: Keys) -> Result<Self, UnusableKey> {
        Ok(Self {
            isakmp: phase1::Sessions::new(&keys.isakmp),
            fragments: isakmp::Fragments::default(),
            esp: esp::Sas::new(keys)?,
        })
    }

    /// The object of a frame; `None` for a frame with none of the four protocols.
    pub fn frame(&mut self, frame: &Frame<'_>) -> Option<Value> {
        let mut report = Report::default();
        match frame.network()? {
            (EtherType::IPV4 | EtherType::IPV6, packet) => self.ip(packet, &mut report),
            (EtherType::NHRP, packet) => nhrp::dissect(packet, &mut report),
            _ => {}
        }
        report.into_json(frame.number)
    }
}

/// One frame's object while it is put together.
#[derive(Debug, Default)]
struct Report {
    depth: usize,
    layers: Vec<(&'static str, Value)>,
    /// The headers of other people's protocols, by name.
    carriers: Vec<(&'static str, Value)>,
    rebuilt_otherwise: bool,
    error: Option<Value>,
}

impl Report {
    fn layer(&mut self, name: &'static str, object: Value) {
        self.layers.push((name, object));
    }

    fn carrier(&mut self, name: &'static str, object: Value) {
        self.carriers.push((name, object));
    }

    /// What was parsed, built again, gave the same octets, or not.
    fn reencoded(&mut self, equal: bool) {
        self.rebuilt_otherwise |= !equal;
    }

    /// What does not parse. The first fault stands: the others follow from it.
    fn fault(&mut self, layer: &'static str, what: String, offset: usize) {
        self.error.get_or_insert_with(|| json!({ "layer": layer, "what": what, "offset": offset }));
    }

    fn into_json(self, frame: u64) -> Option<Value> {
        if self.layers.is_empty() && self.error.is_none() {
            return None;
        }
        let names: Vec<&str> = self.layers.iter().map(|(name, _)| *name).collect();
        let equal = self.error.is_none() && !self.rebuilt_otherwise;
        let mut object = Map::new();
        object.insert("frame".into(), frame.into());
        object.insert("layers".into(), json!(names));
        object.insert("reencoded_equal".into(), equal.into());
        for (name, layer) in self.layers.into_iter().chain(self.carriers) {
            match object.get_mut(name) {
                None => {
                    object.insert(name.into(), layer);
                }
                Some(Value::Array(layers)) => layers.push(layer),
                Some(one) => *one = Value::Array(vec![one.take(), layer]),
            }
        }
        if let Some(error) = self.error {
            object.insert("error".into(), error);
        }
        Some(Value::Object(object))
    }
}
