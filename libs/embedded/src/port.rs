//! Free ports on loopback. A port is free when asked, not reserved: whoever binds it must retry.

use std::io;
use std::net::{Ipv4Addr, TcpListener};

/// Returns a TCP port on 127.0.0.1 that nobody listens on at this moment.
///
/// # Errors
/// When the machine has no ephemeral port left.
pub fn free_port() -> io::Result<u16> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr().map(|addr| addr.port())
}
