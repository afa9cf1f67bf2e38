//! One entry of a list of hosts: `shop.example`, `*.shop.example`, `10.1.0.0/16`, each perhaps with a port.

use crate::address::canonical;
use std::{fmt, net::IpAddr, str::FromStr};

/// Longest pattern, in bytes: the longest name, and a port.
const PATTERN_BYTES_MAX: usize = 260;

/// Hosts, perhaps at one port only.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostPattern {
    hosts: Hosts,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Hosts {
    /// The host of this name.
    Named(String),
    /// Every host below this name, and not that itself.
    Below(String),
    /// Addresses whose first bits are these.
    Network(IpAddr, u8),
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// The part before the port.
    #[error("{0:?} is no host name, no *.name, no address and no network such as 10.0.0.0/8")]
    Host(String),
    /// The part after the colon.
    #[error("{0:?} is no port")]
    Port(String),
    /// Too long.
    #[error("it has more than {PATTERN_BYTES_MAX} bytes")]
    Long,
}

impl FromStr for HostPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        if text.len() > PATTERN_BYTES_MAX {
            return Err(PatternError::Long);
        }
        let (host, port) = split_port(text);
        let port = port.map(|port| match port.parse() {
            Ok(port) if port > 0 => Ok(port),
            _ => Err(PatternError::Port(port.to_owned())),
        });
        let hosts = hosts(host).ok_or_else(|| PatternError::Host(host.to_owned()))?;
        Ok(Self { hosts, port: port.transpose()? })
    }
}

/// An IPv6 address has colons itself, so that with a port it stands in brackets.
fn split_port(text: &str) -> (&str, Option<&str>) {
    if let Some(rest) = text.strip_prefix('[') {
        return match rest.split_once(']') {
            Some((host, "")) => (host, None),
            Some((host, port)) => (host, Some(port.strip_prefix(':').unwrap_or(port))),
            None => (text, None),
        };
    }
    match text.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host, Some(port)),
        _ => (text, None),
    }
}

fn hosts(text: &str) -> Option<Hosts> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse::<u8>().ok()?)),
        None => (text, None),
    };
    if let Ok(ip) = address.parse::<IpAddr>() {
        let width = width_of(ip);
        let bits = bits.unwrap_or(width);
        // An IPv4 address in IPv6 clothes would never be compared as such.
        return (bits <= width && canonical(ip) == ip).then_some(Hosts::Network(ip, bits));
    }
    if bits.is_some() {
        return None;
    }
    match text.strip_prefix("*.") {
        Some(name) => Some(Hosts::Below(name_of(name)?)),
        None => Some(Hosts::Named(name_of(text)?)),
    }
}

fn name_of(text: &str) -> Option<String> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    // What ends in digits is an address that is not spelt like one.
    let ends_in_digits =
        text.rsplit('.').next().is_some_and(|l| l.bytes().all(|b| b.is_ascii_digit()));
    (text.len() <= 253 && text.split('.').all(label) && !ends_in_digits)
        .then(|| text.to_ascii_lowercase())
}

fn width_of(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

/// Returns the bits of an address, at the high end.
fn bits_of(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(ip.to_bits()) << 96,
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

impl HostPattern {
    /// Returns the pattern of a host at every port; none if it is no name and no address.
    #[must_use]
    pub fn host(host: &str) -> Option<Self> {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        hosts(bare).map(|hosts| Self { hosts, port: None })
    }

    /// Returns the one name that it is about, and the port.
    #[must_use]
    pub fn name(&self) -> Option<(&str, Option<u16>)> {
        match &self.hosts {
            Hosts::Named(name) => Some((name, self.port)),
            Hosts::Below(_) | Hosts::Network(..) => None,
        }
    }

    /// Tells whether it means the host of this name, in lower case, at this port.
    pub(super) fn matches_name(&self, name: &str, port: u16) -> bool {
        let named = match &self.hosts {
            Hosts::Named(own) => own == name,
            Hosts::Below(own) => name
                .strip_suffix(own.as_str())
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
            Hosts::Network(..) => false,
        };
        named && self.has_port(port)
    }

    /// Tells whether it means this address at this port.
    pub(super) fn matches_address(&self, ip: IpAddr, port: u16) -> bool {
        let Hosts::Network(own, bits) = self.hosts else { return false };
        let ip = canonical(ip);
        let differing = bits_of(own) ^ bits_of(ip);
        own.is_ipv4() == ip.is_ipv4()
            && differing.leading_zeros() >= u32::from(bits)
            && self.has_port(port)
    }

    /// Tells whether it means this port.
    #[must_use]
    pub fn has_port(&self, port: u16) -> bool {
        self.port.is_none_or(|own| own == port)
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.hosts, self.port) {
            (Hosts::Named(name), _) => f.write_str(name)?,
            (Hosts::Below(name), _) => write!(f, "*.{name}")?,
            (Hosts::Network(ip, bits), port) => {
                let prefix =
                    if *bits == width_of(*ip) { String::new() } else { format!("/{bits}") };
                match (ip, port) {
                    (IpAddr::V6(_), Some(_)) => write!(f, "[{ip}{prefix}]")?,
                    _ => write!(f, "{ip}{prefix}")?,
                }
            }
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}
