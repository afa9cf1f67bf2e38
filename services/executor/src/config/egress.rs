//! Settings of whom pages may reach (G9).

use clap::Args as ClapArgs;
use gauntlet_browser::{Egress, ReservedPorts};
use gauntlet_core::egress::{EgressPolicy, EgressRules, HostPattern};

/// Whom pages may reach, as given.
#[derive(ClapArgs, Clone, Debug, Default)]
pub struct EgressArgs {
    /// Hosts that no page may reach, with commas between them: names, *.name, addresses, networks such as 10.1.0.0/16, each
    /// perhaps with a port. Scheduler, results and Redis are denied without being named.
    #[arg(long = "egress-deny", env = "GAUNTLET_EGRESS_DENY", value_delimiter = ',')]
    pub deny: Vec<String>,
    /// Lets pages reach this machine, but for the ports of the mesh: for an executor beside the sites that it tests, as in an
    /// embedded mesh.
    #[arg(long = "egress-loopback", env = "GAUNTLET_EGRESS_LOOPBACK")]
    pub loopback: bool,
}

/// Whom the pages of all runs may reach.
#[derive(Debug, Clone, Default)]
pub struct EgressConfig {
    /// Whether they may reach this machine.
    pub loopback: bool,
    /// Whom they may not reach.
    pub deny: Vec<HostPattern>,
    /// Ports of this machine that they may not reach, though others.
    pub ports: ReservedPorts,
}

impl EgressArgs {
    /// Returns the settings of an executor that knows the mesh by these URLs and addresses; or every problem.
    pub(super) fn config<'u>(
        &self,
        urls: impl IntoIterator<Item = &'u String>,
        redis: Option<(String, u16)>,
    ) -> Result<EgressConfig, Vec<String>> {
        let mut config = EgressConfig { loopback: self.loopback, ..EgressConfig::default() };
        let mut problems = Vec::new();
        for text in self.deny.iter().map(|text| text.trim()).filter(|text| !text.is_empty()) {
            match text.parse() {
                Ok(pattern) => config.deny.push(pattern),
                Err(error) => problems.push(format!("--egress-deny: {error}")),
            }
        }
        let addresses = urls.into_iter().filter_map(|url| address_in(url));
        addresses.chain(redis).for_each(|(host, port)| config.keep_from(&host, port));
        if problems.is_empty() { Ok(config) } else { Err(problems) }
    }
}

impl EgressConfig {
    /// Keeps pages from a host of the mesh; where they may be on this machine, from its port.
    fn keep_from(&mut self, host: &str, port: u16) {
        let ip = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        if host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback()) {
            self.ports.add(port);
        } else {
            self.deny.extend(HostPattern::host(host));
        }
    }

    /// Returns the way out for a run whose environment has `rules`.
    pub(crate) fn of_run(&self, rules: &EgressRules) -> Egress {
        let policy =
            EgressPolicy { loopback: self.loopback, deny: self.deny.clone(), rules: rules.clone() };
        Egress::new(policy, self.ports.clone())
    }
}

/// Returns the host and the port of a URL; what is wrong with it is told by whoever connects.
fn address_in(url: &str) -> Option<(String, u16)> {
    let uri: tonic::transport::Uri = url.parse().ok()?;
    let usual = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    Some((uri.host()?.to_owned(), uri.port_u16().unwrap_or(usual)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(loopback: bool, deny: &[&str]) -> Result<EgressConfig, Vec<String>> {
        let deny = deny.iter().map(|text| (*text).to_owned()).collect();
        let urls = ["http://scheduler:7001", "http://10.0.0.5:7002", "http://127.0.0.1:7003"];
        EgressArgs { deny, loopback }
            .config(&urls.map(str::to_owned), Some(("redis".to_owned(), 6_379)))
    }

    #[test]
    fn g9_what_the_executor_knows_of_the_mesh_is_denied_without_being_named() {
        let config = config(true, &["postgres", " 10.9.0.0/16 ", ""]).unwrap();
        let shown: Vec<_> = config.deny.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["postgres", "10.9.0.0/16", "scheduler", "10.0.0.5", "redis"]);
        assert!(config.ports.contains(7_003) && !config.ports.contains(7_002));
        let policy = config.of_run(&EgressRules::default()).policy;
        assert!(policy.loopback && policy.vet_name("redis", 80).is_err());
    }

    #[test]
    fn every_entry_that_is_no_pattern_is_told() {
        assert_eq!(config(false, &["*", "a.example", "10.0.0.0/99"]).unwrap_err().len(), 2);
    }
}
