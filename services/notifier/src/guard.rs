//! The guard on outgoing URLs (E5): resolve once, vet the address, connect to that very address.
//!
//! A callback URL comes from whoever may trigger a run. It must not reach what only this machine or network can: every
//! range that is not global unicast is refused, in every spelling, mapped and embedded ones too.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use url::{Host, Url};

/// Ports below 1,024 that may be called.
const LOW_PORTS_ALLOWED: [u16; 2] = [80, 443];

/// Why a URL is not called.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("the url is malformed")]
    Malformed,
    #[error("only http and https may be called")]
    Scheme,
    #[error("urls with user names or passwords are not called")]
    Credentials,
    #[error("port {0} may not be called")]
    Port(u16),
    #[error("the host does not resolve")]
    Unresolved,
    #[error("the host resolves to an address that may not be called")]
    Address,
}

impl Refused {
    /// Returns whether trying later may help: only name servers recover.
    pub(crate) fn may_pass_later(&self) -> bool {
        matches!(self, Self::Unresolved)
    }
}

/// A URL with the address to connect to.
#[derive(Debug, Clone)]
pub(crate) struct Vetted {
    pub(crate) url: Url,
    pub(crate) host: String,
    pub(crate) addr: SocketAddr,
}

/// Vets a URL: all addresses of its host must be allowed, and the first is the one to connect to.
pub(crate) async fn vet(text: &str, allow_loopback: bool) -> Result<Vetted, Refused> {
    let url = Url::parse(text).map_err(|_| Refused::Malformed)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Refused::Scheme);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Refused::Credentials);
    }
    let port = url.port_or_known_default().ok_or(Refused::Malformed)?;
    if port < 1_024 && !LOW_PORTS_ALLOWED.contains(&port) {
        return Err(Refused::Port(port));
    }
    let (host, addrs) = match url.host().ok_or(Refused::Malformed)? {
        Host::Ipv4(ip) => (ip.to_string(), vec![SocketAddr::from((ip, port))]),
        Host::Ipv6(ip) => (ip.to_string(), vec![SocketAddr::from((ip, port))]),
        Host::Domain(name) => (name.to_owned(), resolve(name, port).await?),
    };
    if addrs.iter().any(|addr| !is_allowed(addr.ip(), allow_loopback)) {
        return Err(Refused::Address);
    }
    let addr = addrs.first().copied().ok_or(Refused::Unresolved)?;
    Ok(Vetted { host, addr, url })
}

async fn resolve(name: &str, port: u16) -> Result<Vec<SocketAddr>, Refused> {
    let found = tokio::net::lookup_host((name, port)).await.map_err(|_| Refused::Unresolved)?;
    Ok(found.collect())
}

/// Returns whether an address may be called.
pub(crate) fn is_allowed(ip: IpAddr, allow_loopback: bool) -> bool {
    match ip {
        IpAddr::V4(ip) => (allow_loopback && ip.is_loopback()) || is_global_v4(ip),
        IpAddr::V6(ip) => (allow_loopback && ip.is_loopback()) || is_global_v6(ip),
    }
}

fn is_global_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let special = ip.is_unspecified()
        || ip.is_loopback()
        || ip.is_private()
        || ip.is_link_local() // metadata services live here
        || ip.is_multicast()
        || ip.is_broadcast()
        || ip.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b)) // carrier-grade NAT
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99) // 6to4 relays
        || ip == Ipv4Addr::new(168, 63, 129, 16) // Azure's metadata
        || (a == 198 && (18..20).contains(&b)); // benchmarks
    !special
}

/// Only 2000::/3 is global unicast, less documentation and what tunnels elsewhere. That leaves out every form that embeds an
/// IPv4 address (mapped, compatible, NAT64, 6to4): a receiver has no need of them.
fn is_global_v6(ip: Ipv6Addr) -> bool {
    let [a, b, ..] = ip.segments();
    let documentation = (a == 0x2001 && b == 0x0db8) || (a == 0x3fff && b < 0x1000);
    let teredo_and_orchid = a == 0x2001 && b < 0x0200;
    let six_to_four = a == 0x2002;
    (a & 0xe000) == 0x2000 && !documentation && !teredo_and_orchid && !six_to_four
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn e5_addresses_inside_are_refused_in_every_spelling() {
        let inside = [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0177.0.0.1/",
            "http://localhost/",
            "http://localhost./",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:7f00:1]/",
            "http://[::127.0.0.1]/",
            "http://[64:ff9b::7f00:1]/",
            "http://[2002:7f00:1::]/",
            "http://0.0.0.0/",
            "http://[::]/",
            "http://10.1.2.3/",
            "http://172.16.0.1/",
            "http://192.168.1.1/",
            "http://169.254.169.254/latest/meta-data",
            "http://[fe80::1]/",
            "http://[fd00::1]/",
            "http://224.0.0.1/",
            "http://[ff02::1]/",
            "http://100.64.0.1/",
            "http://255.255.255.255/",
            "http://198.18.0.1/",
            "http://168.63.129.16/",
            "http://[::ffff:8.8.8.8]/",
            "http://[64:ff9b:1:a00:0:100:808:808]/",
            "http://[3fff::1]/",
        ];
        for url in inside {
            let refused = vet(url, false).await.expect_err(url);
            assert!(
                matches!(refused, Refused::Address | Refused::Unresolved),
                "{url}: {refused:?}"
            );
        }
    }

    #[tokio::test]
    async fn e5_schemes_ports_and_credentials_are_allow_listed() {
        assert_eq!(vet("ftp://8.8.8.8/", false).await.unwrap_err(), Refused::Scheme);
        assert_eq!(vet("http://8.8.8.8:22/", false).await.unwrap_err(), Refused::Port(22));
        assert_eq!(vet("http://u:p@8.8.8.8/", false).await.unwrap_err(), Refused::Credentials);
        assert_eq!(vet("nonsense", false).await.unwrap_err(), Refused::Malformed);
    }

    #[tokio::test]
    async fn global_addresses_pass_and_loopback_only_when_allowed() {
        assert!(vet("https://8.8.8.8/hook", false).await.is_ok());
        assert!(vet("https://[2606:4700::1111]:8443/hook", false).await.is_ok());
        assert!(vet("http://127.0.0.1:8080/hook", true).await.is_ok());
        assert_eq!(vet("http://10.0.0.1/", true).await.unwrap_err(), Refused::Address);
    }
}
