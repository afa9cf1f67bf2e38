//! The guard on outgoing URLs (E5): what the URL says is vetted first, and every address its host resolves to after that.
//!
//! A callback URL comes from whoever may trigger a run. It must not reach what only this machine or network can: every
//! range that is not global unicast is refused, in every spelling, mapped and embedded ones too. The guard is the HTTP
//! client's only resolver, so a name is resolved once a connection and what was vetted is what is connected to.

use gauntlet_core::address::{AddressKind, kind_of};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use url::{Host, Url};

/// Ports below 1,024 that may be called.
const LOW_PORTS_ALLOWED: [u16; 2] = [80, 443];

/// Why a URL is not called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
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
    pub(crate) fn may_pass_later(self) -> bool {
        matches!(self, Self::Unresolved)
    }

    /// Returns the refusal behind an error of the HTTP client, if that is what stopped it.
    pub(crate) fn behind(error: &(dyn Error + 'static)) -> Option<Self> {
        let source = || error.source().and_then(Self::behind);
        error.downcast_ref().copied().or_else(source)
    }
}

/// Decides where to connect to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Guard {
    /// Lets loopback pass, and nothing else that is not global unicast.
    pub(crate) allow_loopback: bool,
}

impl Guard {
    /// Vets a URL without resolving its host; names are vetted when the client asks for their addresses.
    pub(crate) fn vet(self, text: &str) -> Result<Url, Refused> {
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
        // The client does not ask its resolver for these.
        let literal = match url.host().ok_or(Refused::Malformed)? {
            Host::Ipv4(ip) => Some(IpAddr::V4(ip)),
            Host::Ipv6(ip) => Some(IpAddr::V6(ip)),
            Host::Domain(_) => None,
        };
        if literal.is_some_and(|ip| !self.is_allowed(ip)) {
            return Err(Refused::Address);
        }
        Ok(url)
    }

    /// Returns the addresses of a name, unless one of them may not be called: nobody mixes the two in good faith.
    async fn look_up(self, name: &str) -> Result<Vec<SocketAddr>, Refused> {
        // The client puts in the port of the URL.
        let found = tokio::net::lookup_host((name, 0)).await.map_err(|_| Refused::Unresolved)?;
        let found: Vec<SocketAddr> = found.collect();
        if found.is_empty() {
            return Err(Refused::Unresolved);
        }
        if found.iter().any(|addr| !self.is_allowed(addr.ip())) {
            return Err(Refused::Address);
        }
        Ok(found)
    }

    /// Returns whether an address may be called.
    fn is_allowed(self, ip: IpAddr) -> bool {
        // That leaves out IPv6 forms of IPv4 addresses: a receiver has no need of them.
        let kind = kind_of(ip);
        kind == AddressKind::Global || (self.allow_loopback && kind == AddressKind::Loopback)
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = *self;
        Box::pin(async move {
            let vetted = guard.look_up(name.as_str()).await?;
            Ok(Box::new(vetted.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: Guard = Guard { allow_loopback: false };
    const LOCAL: Guard = Guard { allow_loopback: true };

    #[test]
    fn e5_addresses_inside_are_refused_in_every_spelling() {
        let inside = [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0177.0.0.1/",
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
            assert_eq!(STRICT.vet(url), Err(Refused::Address), "{url}");
        }
    }

    #[test]
    fn e5_schemes_ports_and_credentials_are_allow_listed() {
        for (url, refused) in [
            ("ftp://8.8.8.8/", Refused::Scheme),
            ("file:///etc/passwd", Refused::Scheme),
            ("http://8.8.8.8:22/", Refused::Port(22)),
            ("https://8.8.8.8:1023/", Refused::Port(1_023)),
            ("http://u:p@8.8.8.8/", Refused::Credentials),
            ("http://u@8.8.8.8/", Refused::Credentials),
            ("nonsense", Refused::Malformed),
            ("http://256.1.1.1/", Refused::Malformed),
        ] {
            assert_eq!(STRICT.vet(url), Err(refused), "{url}");
        }
    }

    #[test]
    fn global_addresses_pass_and_loopback_only_when_allowed() {
        for url in
            ["https://8.8.8.8/hook", "https://[2606:4700::1111]:8443/hook", "http://a.example/"]
        {
            assert!(STRICT.vet(url).is_ok(), "{url}");
        }
        assert!(LOCAL.vet("http://127.0.0.1:8080/hook").is_ok());
        assert_eq!(LOCAL.vet("http://10.0.0.1/"), Err(Refused::Address));
    }

    #[tokio::test]
    async fn e5_a_name_is_vetted_by_every_address_it_has() {
        assert_eq!(STRICT.look_up("localhost").await, Err(Refused::Address));
        assert!(LOCAL.look_up("localhost").await.is_ok_and(|found| !found.is_empty()));
        assert_eq!(STRICT.look_up("name.invalid").await, Err(Refused::Unresolved));
    }
}
