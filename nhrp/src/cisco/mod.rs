//! Packets, records and views as Cisco's IOS prints them. Nothing here decides anything, and every
//! rendering is total: whatever a peer sends can be printed.

mod debug;
mod packet;
mod show;

pub use debug::Debug;
pub use packet::PacketFields;
pub use show::{Attributes, ShowCache, ShowServer, Target};
