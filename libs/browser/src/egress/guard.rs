//! From a host to the addresses that may be connected to: names are resolved here, and the policy is asked before and after.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use gauntlet_core::{
    address::canonical,
    egress::{Candidate, EgressPolicy, HostPattern},
};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use super::{Egress, failures::Why, socks::Wish};

/// How long resolving a name may take.
const RESOLVE_LIMIT: Duration = Duration::from_secs(10);
/// Addresses of one name that are looked at.
const ADDRESSES_MAX: usize = 32;
/// How long the addresses of denied names are believed.
const ALIASES_FOR: Duration = Duration::from_secs(30);
/// How long finding them may take: connections wait for it.
const ALIASES_LIMIT: Duration = Duration::from_secs(2);

/// Keeps one browser's policy.
#[derive(Debug)]
pub(super) struct Guard {
    egress: Egress,
    aliases: Mutex<Option<(Instant, Aliases)>>,
}

/// The addresses that denied names have: pages can call them by these as well.
type Aliases = Arc<Vec<(HostPattern, Vec<IpAddr>)>>;

impl Guard {
    pub(super) fn new(egress: Egress) -> Self {
        Self { egress, aliases: Mutex::default() }
    }

    pub(super) fn policy(&self) -> &EgressPolicy {
        &self.egress.policy
    }

    /// Returns the addresses of whom the page wants, unless the policy denies them.
    pub(super) async fn vet(&self, wish: &Wish) -> Result<Vec<IpAddr>, Why> {
        let policy = &self.egress.policy;
        policy.vet_name(&wish.host, wish.port).map_err(Why::Denied)?;
        let found = match wish.literal() {
            Some(ip) => vec![ip],
            None => self.look_up(&wish.host).await?,
        };
        let aliases = self.aliases().await;
        let mesh_port = self.egress.ports.contains(wish.port);
        let candidates = found.into_iter().map(|ip| {
            let same = |(pattern, ips): &&(HostPattern, Vec<IpAddr>)| {
                pattern.has_port(wish.port) && ips.contains(&canonical(ip))
            };
            let denied_as = aliases.iter().find(same).map(|(pattern, _)| pattern);
            Candidate { ip, own: is_own(ip), mesh_port, denied_as }
        });
        let candidates: Vec<_> = candidates.collect();
        policy.vet_addresses(&wish.host, wish.port, &candidates).map_err(Why::Denied)
    }

    async fn look_up(&self, name: &str) -> Result<Vec<IpAddr>, Why> {
        let bare = name.strip_suffix('.').unwrap_or(name);
        let last_label = bare.rsplit('.').next().unwrap_or(bare);
        if last_label.eq_ignore_ascii_case("localhost") {
            // Browsers say so themselves (RFC 6761); name servers know no `shop.localhost`.
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        let resolved = timeout(RESOLVE_LIMIT, self.egress.resolver.resolve(name)).await;
        let mut found = resolved.map_err(|_| Why::TooSlow)?.map_err(|_| Why::Unresolved)?;
        found.truncate(ADDRESSES_MAX);
        if found.is_empty() { Err(Why::Unresolved) } else { Ok(found) }
    }

    /// Looks up the names that the executor denies, unless that was done a moment ago. Where that fails, what was found
    /// before is believed on. Those of an environment are not looked up: on the internet many names share an address.
    async fn aliases(&self) -> Aliases {
        let mut known = self.aliases.lock().await;
        if let Some((at, aliases)) = known.as_ref()
            && at.elapsed() < ALIASES_FOR
        {
            return Arc::clone(aliases);
        }
        let before = known.as_ref().map(|(_, aliases)| Arc::clone(aliases)).unwrap_or_default();
        let named = self.egress.policy.deny.iter().filter_map(|p| Some((p, p.name()?.0)));
        let found = futures_util::future::join_all(named.map(|(pattern, name)| async move {
            let found = timeout(ALIASES_LIMIT, self.look_up(name)).await;
            (pattern, found.ok().and_then(Result::ok))
        }));
        let aliases = found.await.into_iter().map(|(pattern, found)| {
            let same = |(known, _): &&(HostPattern, Vec<IpAddr>)| known == pattern;
            let old = || before.iter().find(same).map(|(_, ips)| ips.clone());
            let found = found.map(|ips| ips.into_iter().map(canonical).collect());
            (pattern.clone(), found.or_else(old).unwrap_or_default())
        });
        let aliases = Arc::new(aliases.collect());
        *known = Some((Instant::now(), Arc::clone(&aliases)));
        aliases
    }
}

/// Tells whether an address is one of this machine's: only those can be bound to.
fn is_own(ip: IpAddr) -> bool {
    UdpSocket::bind((canonical(ip), 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_of_this_machine_are_known_and_no_others() {
        // The address that it would send from.
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        if socket.connect("192.0.2.1:9").is_ok() {
            assert!(is_own(socket.local_addr().unwrap().ip()));
        }
        assert!(is_own(Ipv4Addr::LOCALHOST.into()));
        assert!(is_own("::ffff:127.0.0.1".parse().unwrap()));
        for other in ["192.0.2.1", "8.8.8.8", "2001:db8::1"] {
            assert!(!is_own(other.parse().unwrap()), "{other}");
        }
    }
}
