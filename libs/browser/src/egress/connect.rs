//! Connects to the first of several addresses that answers.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};

use super::failures::Why;

/// How long all of it may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(30);
/// How long an address is tried before the next one is, beside it (RFC 8305).
const HEAD_START: Duration = Duration::from_millis(250);

/// Connects to one of `ips`, which were vetted.
///
/// # Cancel safety
/// Dropping the future closes what it has opened.
pub(super) async fn connect(ips: &[IpAddr], port: u16) -> Result<TcpStream, Why> {
    let connected = timeout(CONNECT_LIMIT, first_of(ips, port)).await;
    let stream = connected.map_err(|_| Why::TooSlow)?;
    let stream = stream.map_err(|error| match error.kind() {
        io::ErrorKind::TimedOut => Why::TooSlow,
        kind => Why::Unreachable(kind.to_string()),
    })?;
    // What it costs to send small packets at once is less than what waiting costs a page.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

async fn first_of(ips: &[IpAddr], port: u16) -> io::Result<TcpStream> {
    let mut untried = ips.iter().map(|ip| TcpStream::connect(SocketAddr::new(*ip, port)));
    let mut trying = FuturesUnordered::new();
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        match untried.next() {
            Some(next) => trying.push(next),
            None if trying.is_empty() => return Err(last),
            None => {}
        }
        tokio::select! {
            Some(tried) = trying.next() => match tried {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            },
            () = sleep(HEAD_START), if untried.len() > 0 => {}
        }
    }
}
