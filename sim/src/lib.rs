#![doc = include_str!("../README.md")]

extern crate alloc;

mod broken;
pub use broken::{Broken, Invariant};

mod clock;
pub use clock::Clock;

mod cloud;
pub use cloud::{Cloud, Counts, Factory, Inner, MARKER};

mod dice;
pub use dice::Dice;

mod node;
pub use node::{NodeRouter, Nodes};

mod operation;
pub use operation::Operation;

mod router;
pub use router::{BindingRow, Command, Notice, PeerRow, Router, Sizes, Tables};

mod run;
pub use run::{Report, run, run_traced};

mod scenario;
pub use scenario::{Crypto, Driver, Scenario, Settings, Site, Wishes};

mod shrink;
pub use shrink::{Replay, shrink};

pub mod null;
pub mod underlay;
