//! Ports of the host's loopback address for the time of a run.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    os::fd::OwnedFd,
};

use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket, sockopt::set_socket_reuseaddr};

use super::device::Device;
use crate::failure::{Failure, Result};

/// Ports that are nobody else's as long as this exists.
#[derive(Debug, Default)]
pub struct Reserved(Vec<OwnedFd>);

impl Reserved {
    /// Gives each port of the guest that is to be reached one of the host's, where none is named.
    pub fn choose(devices: &mut [Device]) -> Result<Reserved> {
        let mut reserved = Reserved::default();
        let networks = devices.iter_mut().filter_map(|device| device.network.as_mut());
        for forward in networks.flat_map(|network| &mut network.forward).filter(|forward| forward.host == 0) {
            let (socket, port) = reserve().map_err(|error| {
                Failure::new(
                    "choose a port of the loopback address",
                    error,
                    "see that there is a loopback device",
                )
            })?;
            reserved.0.push(socket);
            forward.host = port;
        }
        Ok(reserved)
    }
}

/// A port that the emulator can listen on, as it lets others have its address too, and nobody is given otherwise.
fn reserve() -> io::Result<(OwnedFd, u16)> {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
    match SocketAddr::try_from(getsockname(&socket)?) {
        Ok(address) => Ok((socket, address.port())),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_reserved_port_can_be_listened_on() {
        let mut devices =
            [Device::parse("virtio-net-pci,forward=0:80").unwrap(), Device::parse("virtio-rng-pci").unwrap()];
        let reserved = Reserved::choose(&mut devices).unwrap();
        let port = devices[0].network.as_ref().unwrap().forward[0].host;
        assert!(port != 0 && TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
        // The standard library's listeners share addresses, as the emulator's do.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
        drop((listener, reserved));
    }
}
