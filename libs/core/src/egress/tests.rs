//! Patterns, and whom the policy lets pages reach.

use super::*;

fn pattern(text: &str) -> HostPattern {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn patterns(texts: &[&str]) -> Vec<HostPattern> {
    texts.iter().map(|text| pattern(text)).collect()
}

fn candidate(ip: &str) -> Candidate<'static> {
    let ip: IpAddr = ip.parse().unwrap();
    Candidate { ip, own: false, mesh_port: false, denied_as: None }
}

/// Vets a host by its name and then by the one address it has.
fn vet(policy: &EgressPolicy, host: &str, ip: &str, port: u16) -> Result<(), Denial> {
    policy.vet_name(host, port)?;
    policy.vet_addresses(host, port, &[candidate(ip)]).map(drop)
}

#[test]
fn a_pattern_is_told_as_it_was_written_and_nonsense_is_none() {
    for text in [
        "shop.example",
        "*.shop.example",
        "shop.example:443",
        "*.shop.example:8080",
        "postgres",
        "10.0.0.0/8",
        "10.1.2.3",
        "10.1.2.3:5432",
        "10.0.0.0/8:80",
        "fd00::/8",
        "fd00::1",
        "[fd00::1]:443",
        "[fd00::/8]:443",
        "0.0.0.0/0:7001",
        "[::/0]:7001",
    ] {
        assert_eq!(pattern(text).to_string(), text);
    }
    assert_eq!(pattern("Shop.Example.").to_string(), "shop.example");
    for text in [
        "",
        "*",
        "*.",
        "a b",
        "http://shop.example",
        "shop.example/path",
        "10.0.0.0/33",
        "fd00::/129",
        "10.0.0.256",
        "1.2.3",
        "*.*.example",
        "shop.*",
        "shop.example:",
        "shop.example:0",
        "shop.example:65536",
        "[fd00::1",
        "::ffff:10.0.0.0/104",
        "-/8",
    ] {
        assert!(text.parse::<HostPattern>().is_err(), "{text}");
    }
    assert_eq!("x".repeat(300).parse::<HostPattern>(), Err(PatternError::Long));
}

#[test]
fn the_entry_of_an_environment_that_is_no_pattern_is_named() {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let rules = EgressRules::parse(&texts(&["a.example"]), &texts(&["10.0.0.0/8"])).unwrap();
    assert_eq!(
        rules,
        EgressRules { allow: patterns(&["a.example"]), deny: patterns(&["10.0.0.0/8"]) }
    );
    let error =
        EgressRules::parse(&texts(&["a.example"]), &texts(&["b.example", "*"])).unwrap_err();
    assert_eq!((error.list, error.index), ("deny", 1));
    assert!(EgressRules::default().is_empty() && !rules.is_empty());
}

#[test]
fn g9_metadata_is_denied_in_every_spelling() {
    let policy = EgressPolicy { loopback: true, ..Default::default() };
    for ip in [
        "169.254.169.254",
        "169.254.170.2",
        "::ffff:169.254.169.254",
        "::ffff:a9fe:a9fe",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "fe80::a9fe:a9fe",
        "fd00:ec2::254",
        "168.63.129.16",
        "100.100.100.200",
    ] {
        assert_eq!(vet(&policy, "innocent.example", ip, 80), Err(Denial::Metadata), "{ip}");
    }
    for name in ["metadata.google.internal", "Metadata.Google.Internal."] {
        assert_eq!(policy.vet_name(name, 80), Err(Denial::Metadata), "{name}");
    }
    for ip in ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "240.0.0.1"] {
        assert!(matches!(vet(&policy, "a.example", ip, 80), Err(Denial::Kind(_))), "{ip}");
    }
    for ip in ["8.8.8.8", "10.1.2.3", "192.168.1.1", "100.64.1.1", "fd12::1", "::ffff:10.1.2.3"] {
        assert_eq!(vet(&policy, "a.example", ip, 80), Ok(()), "{ip}");
    }
}

#[test]
fn g9_this_machine_is_denied_unless_embedded_and_then_only_the_ports_of_the_mesh() {
    let strict = EgressPolicy::default();
    let embedded = EgressPolicy { loopback: true, ..Default::default() };
    for ip in ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"] {
        assert_eq!(vet(&strict, "a.example", ip, 80), Err(Denial::Loopback), "{ip}");
        assert_eq!(vet(&embedded, "a.example", ip, 80), Ok(()), "{ip}");
        let of_mesh = Candidate { mesh_port: true, ..candidate(ip) };
        assert_eq!(embedded.vet_addresses("a", 80, &[of_mesh]), Err(Denial::MeshPort), "{ip}");
    }
    let own = Candidate { own: true, ..candidate("192.168.1.7") };
    assert_eq!(strict.vet_addresses("a", 80, &[own]), Err(Denial::Loopback));
    assert_eq!(embedded.vet_addresses("a", 80, &[own]), Ok(vec![own.ip]));
    let of_mesh = Candidate { mesh_port: true, ..own };
    assert_eq!(embedded.vet_addresses("a", 80, &[of_mesh]), Err(Denial::MeshPort));
    // Elsewhere the number means nothing.
    let elsewhere = Candidate { mesh_port: true, ..candidate("192.168.1.8") };
    assert_eq!(embedded.vet_addresses("a", 80, &[elsewhere]), Ok(vec![elsewhere.ip]));
}

#[test]
fn g9_an_environment_denies_and_allows_by_name_network_and_port() {
    let rules = EgressRules {
        allow: patterns(&["*.shop.example", "shop.example:443", "10.0.0.0/8"]),
        deny: patterns(&["admin.shop.example", "10.9.0.0/16"]),
    };
    let policy = EgressPolicy { rules, deny: patterns(&["secret.shop.example"]), loopback: true };
    let denied = |text: &str| Err(Denial::Environment(pattern(text)));
    for (host, ip, port, expected) in [
        ("www.shop.example", "8.8.8.8", 80, Ok(())),
        ("WWW.Shop.Example.", "8.8.8.8", 80, Ok(())),
        ("shop.example", "8.8.8.8", 443, Ok(())),
        ("shop.example", "8.8.8.8", 80, Err(Denial::NotAllowed)),
        ("evilshop.example", "8.8.8.8", 80, Err(Denial::NotAllowed)),
        (".shop.example", "8.8.8.8", 80, Err(Denial::NotAllowed)),
        ("other.example", "10.1.1.1", 80, Ok(())),
        ("10.1.1.1", "10.1.1.1", 80, Ok(())),
        ("other.example", "8.8.8.8", 80, Err(Denial::NotAllowed)),
        ("admin.shop.example", "8.8.8.8", 80, denied("admin.shop.example")),
        ("www.shop.example", "10.9.1.1", 80, denied("10.9.0.0/16")),
        ("www.shop.example", "169.254.169.254", 80, Err(Denial::Metadata)),
        (
            "secret.shop.example",
            "8.8.8.8",
            80,
            Err(Denial::Executor(pattern("secret.shop.example"))),
        ),
    ] {
        assert_eq!(vet(&policy, host, ip, port), expected, "{host} at {ip}:{port}");
    }
    let mixed = [candidate("8.8.8.8"), candidate("10.1.1.1")];
    let allowed = policy.vet_addresses("other.example", 80, &mixed);
    assert_eq!(allowed, Ok(vec![mixed[1].ip]), "only what the list allows");
    let mixed = [candidate("10.1.1.1"), candidate("169.254.169.254")];
    assert_eq!(policy.vet_addresses("other.example", 80, &mixed), Err(Denial::Metadata));
}

#[test]
fn g9_a_denied_host_is_denied_by_its_address_too() {
    let policy = EgressPolicy { deny: patterns(&["postgres:5432"]), ..Default::default() };
    let denied = Denial::Executor(pattern("postgres:5432"));
    assert_eq!(policy.vet_name("postgres", 5432), Err(denied.clone()));
    assert_eq!(policy.vet_name("postgres", 80), Ok(()));
    let alias = Candidate { denied_as: policy.deny.first(), ..candidate("10.0.0.5") };
    assert_eq!(policy.vet_addresses("10.0.0.5", 5432, &[alias]), Err(denied));
}
