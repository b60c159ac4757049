//! ISAKMP as the one who starts, against an honest responder and what lies between.

use crate::isakmp_pair::{Tested, run as play};

pub fn run(input: &[u8]) {
    play(input, Tested::Initiator);
}
