//! A whole node as a spoke, against an honest other end and what lies between.

use crate::node_pair::{Tested, run as play};

pub fn run(input: &[u8]) {
    play(input, Tested::Spoke);
}
