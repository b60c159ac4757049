//! The network device of a tunnel, as the kernel sees it.

use core::net::Ipv4Addr;
use std::io;
use std::os::fd::{AsRawFd, RawFd};

use tappers::{AddAddressV4, DeviceState, Interface};

use super::carrier::Carrier;
use super::ethernet::Mac;
use crate::ios::InterfaceAddress;

/// A TAP device with the tunnel's name, address and MTU. It goes when this is dropped.
pub struct Tap {
    device: tappers::linux::Tap,
    index: u32,
    /// The device's own hardware address.
    pub mac: Mac,
}

impl core::fmt::Debug for Tap {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Tap").field("mac", &self.mac).finish_non_exhaustive()
    }
}

impl Tap {
    /// Creates the device and enables it, without carrier.
    ///
    /// # Errors
    ///
    /// What the system fails with: most likely that the name is taken, or that privileges lack.
    pub fn create(
        name: &str,
        address: InterfaceAddress,
        mtu: u16,
        carrier: &Carrier,
    ) -> io::Result<Self> {
        let interface = Interface::new(name)?;
        let device = tappers::linux::Tap::create_named(interface)?;
        device.set_nonblocking(true)?;
        // The kernel would give the device a link-local IPv6 address that leads nowhere. A kernel
        // without IPv6, or a user who may not write there, is no reason not to go on: frames that
        // are not IPv4 are dropped.
        let _optional = std::fs::write(format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6"), "1");
        device.set_mtu(usize::from(mtu))?;
        let mut add = AddAddressV4::new(address.address);
        add.set_netmask(address.prefix_length);
        if address.prefix_length < 31 {
            add.set_broadcast(broadcast(address));
        }
        device.add_addr(add)?;
        device.set_state(DeviceState::Up)?;
        let index = interface.index()?;
        carrier.switch(index, false)?;
        Ok(Self { device, index, mac: hardware_address(name)? })
    }

    /// The device's number in the kernel.
    #[must_use]
    pub const fn index(&self) -> u32 {
        self.index
    }

    /// Reads a frame that the kernel sent; `None` if there is none.
    ///
    /// # Errors
    ///
    /// What the system fails with.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match self.device.recv(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            // EIO: the device is down.
            Err(error) if error.raw_os_error() == Some(nix::libc::EIO) => Ok(None),
            received => received.map(Some),
        }
    }

    /// Hands the kernel a frame; whether it took it. A device that is down or full does not.
    #[must_use]
    pub fn send(&self, frame: &[u8]) -> bool {
        self.device.send(frame).is_ok()
    }
}

impl AsRawFd for Tap {
    fn as_raw_fd(&self) -> RawFd {
        self.device.as_raw_fd()
    }
}

/// The address of all hosts of a network.
fn broadcast(network: InterfaceAddress) -> Ipv4Addr {
    let hosts = u32::MAX.checked_shr(network.prefix_length.into()).unwrap_or(0);
    Ipv4Addr::from_bits(network.address.to_bits() | hosts)
}

fn hardware_address(name: &str) -> io::Result<Mac> {
    let addresses = nix::ifaddrs::getifaddrs()?.filter(|entry| entry.interface_name == name);
    let mut links = addresses.filter_map(|entry| entry.address?.as_link_addr()?.addr());
    let address = links.next().ok_or_else(|| io::Error::other("no hardware address"))?;
    Ok(Mac(address))
}
