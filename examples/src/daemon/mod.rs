//! The daemon: a router around one [`Node`](dmvpn_core::Node) on Linux, one thread, one event loop.
//!
//! | room | what |
//! |---|---|
//! | [`options`], [`help`] | the command line, and what it says of itself |
//! | [`start`] | from a configuration to a daemon that runs: sockets, devices, privileges |
//! | [`event_loop`] | what happens when: signals, sockets, deadlines, commands |
//! | [`forward`] | packets between the tunnels' devices and the underlay |
//! | [`underlay`], [`outer`] | the sockets outside, packets in batches, and the headers of the packets |
//! | [`tap`], [`ethernet`], [`carrier`] | the devices inside, and how the kernel's next hop gets here |
//! | [`icmp`], [`fragment`] | what a router does with a packet that is too big |
//! | [`control`], [`commands`] | `show`, `debug`, `clear` over a local socket, both halves |
//! | [`backlog`] | what waits for readers of debug lines who are slow |
//! | [`privileges`] | what is kept of them |

pub mod backlog;
pub mod carrier;
pub mod commands;
pub mod control;
pub mod ethernet;
pub mod event_loop;
pub mod forward;
pub mod fragment;
pub mod help;
pub mod icmp;
pub mod options;
pub mod outer;
pub mod privileges;
pub mod start;
pub mod tap;
pub mod underlay;

/// What ends the daemon, in one line.
pub type Error = Box<dyn core::error::Error>;
