//! The dissector on a capture file.

use dmvpn_examples::capture::Frames;
use dmvpn_examples::dissect::Dissector;
use dmvpn_examples::keys::Keys;

use crate::memory::bounded;

/// Octets of memory for an octet of the frame, and beside: a field of one octet is a name and a
/// value of JSON.
const FACTOR: u64 = 1024;
const FIXED: u64 = 64 * 1024;

pub fn run(input: &[u8]) {
    let Ok(frames) = bounded(input.len(), 64, 2048, || Frames::new(input)) else { return };
    let mut dissector = Dissector::new(Keys::default()).expect("no keys");
    for frame in frames {
        let Ok(frame) = frame else { break };
        let object = bounded(frame.data.len(), FACTOR, FIXED, || dissector.frame(&frame));
        if let Some(object) = object {
            assert_eq!(object["frame"], frame.number);
            // Where nothing is at fault it says whether building it again gave the same octets.
            assert!(object["reencoded_equal"].is_boolean());
            if object["reencoded_equal"] == true {
                assert!(object.get("error").is_none(), "{object}");
            }
        }
    }
}
