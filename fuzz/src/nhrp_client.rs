//! NHRP's client against an honest server and what lies between.

use crate::nhrp_pair::{Tested, run as play};

pub fn run(input: &[u8]) {
    play(input, Tested::Client);
}
