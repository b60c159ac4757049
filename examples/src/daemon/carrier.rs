//! The carrier of a device: on while the tunnel's line protocol is up, so that routing protocols
//! and the kernel's routes see a tunnel that is down.
//!
//! Rtnetlink says it: `RTM_SETLINK` with `IFLA_CARRIER`, numbers in the host's byte order.

use std::io::{self, Read};

use socket2::{Domain, Protocol, Socket, Type};

/// A conversation with rtnetlink.
#[derive(Debug)]
pub struct Carrier {
    socket: Socket,
}

impl Carrier {
    /// Opens the socket.
    ///
    /// # Errors
    ///
    /// What the system fails with.
    pub fn open() -> io::Result<Self> {
        const NETLINK: i32 = 16;
        const ROUTE: i32 = 0;
        let socket = Socket::new(Domain::from(NETLINK), Type::RAW, Some(Protocol::from(ROUTE)))?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket })
    }

    /// Switches the carrier of the device with this index, which must be enabled. The kernel has
    /// done it when this returns.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn switch(&self, index: u32, on: bool) -> io::Result<()> {
        self.socket.send(&message(index, on))?;
        let mut answer = [0; 256];
        let length = (&self.socket).read(&mut answer)?;
        // struct nlmsghdr, then struct nlmsgerr, which starts with 0 or a negative error number.
        let error = answer.get(16..length).and_then(<[u8]>::first_chunk);
        match error.map(|octets| i32::from_ne_bytes(*octets)) {
            Some(0) => Ok(()),
            Some(error) => Err(io::Error::from_raw_os_error(error.saturating_neg())),
            None => Err(io::Error::other("rtnetlink gave no answer")),
        }
    }
}

fn message(index: u32, on: bool) -> Vec<u8> {
    const LENGTH: u32 = 16 + 16 + 8;
    const RTM_SETLINK: u16 = 19;
    const REQUEST_AND_ACKNOWLEDGE: u16 = 1 | 4;
    const IFLA_CARRIER: u16 = 33;
    let mut message = Vec::new();
    // struct nlmsghdr; sequence and port are not needed in a conversation of one at a time.
    message.extend(LENGTH.to_ne_bytes());
    message.extend(RTM_SETLINK.to_ne_bytes());
    message.extend(REQUEST_AND_ACKNOWLEDGE.to_ne_bytes());
    message.extend([0; 8]);
    // struct ifinfomsg: family and type, the index, flags and which of them change.
    message.extend([0; 4]);
    message.extend(index.to_ne_bytes());
    message.extend([0; 8]);
    // struct rtattr: a header of 4 octets and one of value, padded.
    message.extend(5_u16.to_ne_bytes());
    message.extend(IFLA_CARRIER.to_ne_bytes());
    message.extend([u8::from(on), 0, 0, 0]);
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_is_as_long_as_it_says() {
        let message = message(7, true);
        assert_eq!(message[..4], u32::try_from(message.len()).unwrap().to_ne_bytes());
        assert_eq!(message[20..24], 7_u32.to_ne_bytes());
        assert_eq!(message[36], 1);
    }

    #[test]
    fn a_device_that_is_not_there_is_an_error_of_the_kernel() {
        let error = Carrier::open().unwrap().switch(i32::MAX as u32, true).unwrap_err();
        assert!(error.raw_os_error().is_some(), "{error}");
    }
}
