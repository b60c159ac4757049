//! ISAKMP as the one who answers, against an honest initiator and what lies between.

use crate::isakmp_pair::{Tested, run as play};

pub fn run(input: &[u8]) {
    play(input, Tested::Responder);
}
