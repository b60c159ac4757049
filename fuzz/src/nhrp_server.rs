//! NHRP's server against an honest client and what lies between.

use crate::nhrp_pair::{Tested, run as play};

pub fn run(input: &[u8]) {
    play(input, Tested::Server);
}
