//! Whose connection it is: those of one client share room.

use std::net::{IpAddr, Ipv6Addr};

/// A client, as the gate tells one from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::server) enum Client {
    /// At the port: an address, or for IPv6 the network of 64 bits, of which a host may take any address.
    Address(IpAddr),
    /// At the socket: a process of this machine.
    Process(i32),
}

impl Client {
    pub(in crate::server) fn at(ip: IpAddr) -> Self {
        Self::Address(match ip.to_canonical() {
            IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
            ip @ IpAddr::V4(_) => ip,
        })
    }
}
