//! What IP addresses are for: one classification, for outgoing calls (E5) and for pages under test (G9).
//!
//! It says what an address is, not whether anybody may connect to it: that is for each caller to decide.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressKind {
    /// Anybody's, on the internet.
    Global,
    /// A private network's: RFC 1918, unique local.
    Private,
    /// Between a provider and its customers (RFC 6598).
    Shared,
    /// This machine.
    Loopback,
    /// One network segment; most clouds answer for their metadata here.
    LinkLocal,
    /// A cloud's metadata outside of the link-local range.
    Metadata,
    /// No address: `0.0.0.0/8` and `::`, which connect to this machine all the same.
    Unspecified,
    /// Groups, broadcast included.
    Multicast,
    /// Only for documents.
    Documentation,
    /// Only for measuring.
    Benchmark,
    /// An IPv6 form of an IPv4 address, which counts as well ([`carried`]).
    Translated,
    /// For nobody yet, or for protocols.
    Reserved,
}

/// Metadata of clouds that is not link-local: Azure's, Alibaba's; Amazon's, Google's and Scaleway's on IPv6.
const METADATA: [IpAddr; 5] = [
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0042, 0, 0, 0, 0, 0, 0x0042)),
];

/// Returns what an address is for.
#[must_use]
pub fn kind_of(ip: IpAddr) -> AddressKind {
    if METADATA.contains(&ip) {
        return AddressKind::Metadata;
    }
    match ip {
        IpAddr::V4(ip) => kind_of_v4(ip),
        IpAddr::V6(ip) => kind_of_v6(ip),
    }
}

fn kind_of_v4(ip: Ipv4Addr) -> AddressKind {
    match ip.octets() {
        [0, ..] => AddressKind::Unspecified,
        [127, ..] => AddressKind::Loopback,
        [169, 254, ..] => AddressKind::LinkLocal,
        _ if ip.is_private() => AddressKind::Private,
        [100, 64..=127, ..] => AddressKind::Shared,
        [224..=239, ..] | [255, 255, 255, 255] => AddressKind::Multicast,
        _ if ip.is_documentation() => AddressKind::Documentation,
        [198, 18..=19, ..] => AddressKind::Benchmark,
        // Protocol assignments, relays of 6to4, and what was never given to anybody.
        [192, 0, 0, _] | [192, 88, 99, _] | [240..=255, ..] => AddressKind::Reserved,
        _ => AddressKind::Global,
    }
}

/// Only 2000::/3 is global unicast, less what is cut out of it.
fn kind_of_v6(ip: Ipv6Addr) -> AddressKind {
    if ip.is_unspecified() {
        return AddressKind::Unspecified;
    }
    if ip.is_loopback() {
        return AddressKind::Loopback;
    }
    if carried(ip).is_some() {
        return AddressKind::Translated;
    }
    match ip.segments() {
        [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => AddressKind::Documentation,
        // Benchmarks, ORCHID and other protocols.
        [0x2001, 0..=0x01ff, ..] => AddressKind::Reserved,
        [0x2000..=0x3fff, ..] => AddressKind::Global,
        [0xfc00..=0xfdff, ..] => AddressKind::Private,
        [0xfe80..=0xfebf, ..] => AddressKind::LinkLocal,
        [0xff00..=0xffff, ..] => AddressKind::Multicast,
        _ => AddressKind::Reserved,
    }
}

/// Returns the IPv4 address that an IPv6 address stands for: mapped, compatible, NAT64, 6to4, Teredo.
///
/// The NAT64 prefix of local use (64:ff9b:1::/48) carries it at a place that only its network knows; it is
/// [`AddressKind::Reserved`].
#[must_use]
pub fn carried(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0..=1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x0064, 0xff9b, 0, 0, 0, 0, high, low] => {
            Some(v4(high, low))
        }
        // Translated as in SIIT.
        [0, 0, 0, 0, 0xffff, 0, high, low] => Some(v4(high, low)),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        [0x2001, 0, .., high, low] => Some(v4(!high, !low)),
        _ => None,
    }
}

/// Returns the IPv4 address that stands behind an address, or the address itself.
#[must_use]
pub fn canonical(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V6(v6) => carried(v6).map_or(ip, IpAddr::V4),
        IpAddr::V4(_) => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_range_is_what_its_registry_says() {
        for (text, kind) in [
            ("8.8.8.8", AddressKind::Global),
            ("2606:4700::1111", AddressKind::Global),
            ("10.1.2.3", AddressKind::Private),
            ("172.31.0.1", AddressKind::Private),
            ("192.168.1.1", AddressKind::Private),
            ("fd12::1", AddressKind::Private),
            ("100.64.0.1", AddressKind::Shared),
            ("127.8.9.10", AddressKind::Loopback),
            ("::1", AddressKind::Loopback),
            ("169.254.169.254", AddressKind::LinkLocal),
            ("169.254.170.2", AddressKind::LinkLocal),
            ("fe80::1", AddressKind::LinkLocal),
            ("168.63.129.16", AddressKind::Metadata),
            ("100.100.100.200", AddressKind::Metadata),
            ("fd00:ec2::254", AddressKind::Metadata),
            ("0.0.0.0", AddressKind::Unspecified),
            ("0.1.2.3", AddressKind::Unspecified),
            ("::", AddressKind::Unspecified),
            ("224.0.0.1", AddressKind::Multicast),
            ("255.255.255.255", AddressKind::Multicast),
            ("ff02::1", AddressKind::Multicast),
            ("192.0.2.1", AddressKind::Documentation),
            ("2001:db8::1", AddressKind::Documentation),
            ("3fff::1", AddressKind::Documentation),
            ("198.18.0.1", AddressKind::Benchmark),
            ("::ffff:8.8.8.8", AddressKind::Translated),
            ("::127.0.0.1", AddressKind::Translated),
            ("64:ff9b::7f00:1", AddressKind::Translated),
            ("2002:7f00:1::", AddressKind::Translated),
            ("2001:0:1::1", AddressKind::Translated),
            ("64:ff9b:1:a00:0:100:808:808", AddressKind::Reserved),
            ("2001:20::1", AddressKind::Reserved),
            ("fec0::1", AddressKind::Reserved),
            ("240.0.0.1", AddressKind::Reserved),
            ("192.0.0.1", AddressKind::Reserved),
            ("192.88.99.1", AddressKind::Reserved),
        ] {
            assert_eq!(kind_of(text.parse().unwrap()), kind, "{text}");
        }
    }

    #[test]
    fn an_ipv4_address_is_seen_through_every_ipv6_form() {
        for text in [
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "::ffff:0:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "2001::5601:5601",
        ] {
            let ip: IpAddr = text.parse().unwrap();
            assert_eq!(canonical(ip), IpAddr::from([169, 254, 169, 254]), "{text}");
        }
        for text in ["::1", "::", "2606:4700::1111", "fd00::1", "10.0.0.1"] {
            let ip: IpAddr = text.parse().unwrap();
            assert_eq!(canonical(ip), ip);
        }
    }
}
