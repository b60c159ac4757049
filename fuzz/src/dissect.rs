//! The dissector on a capture file.

use dmvpn_examples::capture::Frames;
use dmvpn_examples::dissect::Dissector;
use dmvpn_examples::keys::Keys;

pub fn run(input: &[u8]) {
    let Ok(frames) = Frames::new(input) else { return };
    let mut dissector = Dissector::new(Keys::default()).expect("no keys");
    for frame in frames {
        let Ok(frame) = frame else { break };
        if let Some(object) = dissector.frame(&frame) {
            assert_eq!(object["frame"], frame.number);
            // Where nothing is at fault it says whether building it again gave the same octets.
            assert!(object["reencoded_equal"].is_boolean());
            if object["reencoded_equal"] == true {
                assert!(object.get("error").is_none(), "{object}");
            }
        }
    }
}
