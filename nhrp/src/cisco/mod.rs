//! Packets, records and views as Cisco's IOS prints them. Nothing here decides anything, and every
//! rendering is total: whatever a peer sends can be printed.

mod packet;

pub use packet::PacketFields;
