//! SOCKS5 (RFC 1928) as far as browsers need it: no login, and `CONNECT`.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

const VERSION: u8 = 5;
const NO_LOGIN: u8 = 0;
const NO_METHOD: u8 = 0xff;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// What a request is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    Connected = 0,
    Denied = 2,
    HostUnreachable = 4,
    Refused = 5,
    TooSlow = 6,
    NoSuchCommand = 7,
    NoSuchAddress = 8,
}

/// Whom a browser wants to be connected to, as the page names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) host: String,
    pub(super) port: u16,
}

/// Reads what a browser asks for. An error was answered as far as the protocol has an answer.
pub(super) async fn accept(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<Wish> {
    let [version, methods] = read::<2>(stream).await?;
    let mut offered = vec![0; methods.into()];
    // Another protocol, perhaps a page's request, is not answered.
    check(version == VERSION, "not SOCKS5")?;
    stream.read_exact(&mut offered).await?;
    if !offered.contains(&NO_LOGIN) {
        stream.write_all(&[VERSION, NO_METHOD]).await?;
        return Err(malformed("it wants to log in"));
    }
    stream.write_all(&[VERSION, NO_LOGIN]).await?;
    let [version, command, _, kind] = read::<4>(stream).await?;
    check(version == VERSION, "not SOCKS5")?;
    if command != CONNECT {
        answer(stream, Reply::NoSuchCommand).await?;
        return Err(malformed("not CONNECT"));
    }
    let host = match kind {
        IPV4 => Ipv4Addr::from(read::<4>(stream).await?).to_string(),
        IPV6 => Ipv6Addr::from(read::<16>(stream).await?).to_string(),
        NAME => {
            let [length] = read::<1>(stream).await?;
            let mut name = vec![0; length.into()];
            stream.read_exact(&mut name).await?;
            String::from_utf8(name).map_err(|_| malformed("the name is no text"))?
        }
        _ => {
            answer(stream, Reply::NoSuchAddress).await?;
            return Err(malformed("no such kind of address"));
        }
    };
    let port = u16::from_be_bytes(read::<2>(stream).await?);
    Ok(Wish { host, port })
}

/// Answers a request. The address that we connect from is nobody's business.
pub(super) async fn answer(stream: &mut (impl AsyncWrite + Unpin), reply: Reply) -> io::Result<()> {
    stream.write_all(&[VERSION, reply as u8, 0, IPV4, 0, 0, 0, 0, 0, 0]).await
}

async fn read<const N: usize>(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

fn check(holds: bool, otherwise: &'static str) -> io::Result<()> {
    if holds { Ok(()) } else { Err(malformed(otherwise)) }
}

fn malformed(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl Wish {
    /// Returns the address, if it is named by one.
    pub(super) fn literal(&self) -> Option<IpAddr> {
        let bare = self.host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        bare.unwrap_or(&self.host).parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends `sent` and returns what came of it and what was answered.
    async fn talk(sent: &[u8]) -> (Result<Wish, String>, Vec<u8>) {
        let (mut browser, mut proxy) = tokio::io::duplex(1_024);
        browser.write_all(sent).await.unwrap();
        browser.shutdown().await.unwrap();
        let wish = accept(&mut proxy).await.map_err(|error| error.to_string());
        drop(proxy);
        let mut answered = Vec::new();
        browser.read_to_end(&mut answered).await.unwrap();
        (wish, answered)
    }

    #[tokio::test]
    async fn each_kind_of_address_is_read() {
        let name = [&[5, 1, 0, 5, 1, 0, 3, 4][..], b"a.bc", &[1, 187]].concat();
        let v4 = [5, 2, 2, 0, 5, 1, 0, 1, 127, 0, 0, 1, 0, 80];
        let v6 = [&[5, 1, 0, 5, 1, 0, 4][..], &Ipv6Addr::LOCALHOST.octets(), &[0, 80]].concat();
        for (sent, host, port) in
            [(&name[..], "a.bc", 443), (&v4, "127.0.0.1", 80), (&v6, "::1", 80)]
        {
            let (wish, answered) = talk(sent).await;
            let wish = wish.unwrap();
            assert_eq!((wish.host.as_str(), wish.port, answered), (host, port, vec![5, 0]));
            assert_eq!(wish.literal().is_some(), host != "a.bc");
        }
    }

    #[tokio::test]
    async fn nonsense_is_refused_with_the_answer_the_protocol_has_for_it() {
        for (sent, answered) in [
            (&b"GET / HTTP/1.1\r\n\r\n"[..], &[][..]),
            (&[5, 1, 2], &[5, 0xff]),
            (&[5, 1, 0, 5, 2, 0, 1, 1, 2, 3, 4, 0, 80], &[5, 0, 5, 7, 0, 1, 0, 0, 0, 0, 0, 0]),
            (&[5, 1, 0, 5, 1, 0, 9, 1, 2, 3, 4, 0, 80], &[5, 0, 5, 8, 0, 1, 0, 0, 0, 0, 0, 0]),
            (&[5, 1, 0, 5, 1, 0, 3, 1, 0xff, 0, 80], &[5, 0]),
            (&[5, 1, 0, 5, 1, 0, 1, 127], &[5, 0]),
            (&[], &[]),
        ] {
            let (wish, said) = talk(sent).await;
            assert!(wish.is_err(), "{sent:?}");
            assert_eq!(said, answered, "{sent:?}");
        }
    }
}
