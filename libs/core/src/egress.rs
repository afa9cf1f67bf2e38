//! The egress policy: whom the pages under test may reach (G9).
//!
//! Pages are untrusted. What is denied to all of them comes first: metadata of clouds, the machine itself, what the executor
//! was told of the mesh. An environment can deny more, or say who alone may be reached; it can never allow what is denied to
//! all. Names are resolved elsewhere: [`EgressPolicy::vet_name`] is asked before, [`EgressPolicy::vet_addresses`] after.

mod pattern;

pub use pattern::{HostPattern, PatternError};

use crate::address::{AddressKind, canonical, kind_of};
use std::{fmt, net::IpAddr};

/// Patterns of one list of an environment.
pub const EGRESS_PATTERNS_MAX: usize = 256;

/// Names under which clouds tell their metadata; mostly they resolve to link-local addresses, but not everywhere.
const METADATA_NAMES: [&str; 4] = [
    "metadata.google.internal",
    "metadata.goog",
    "instance-data.ec2.internal",
    "metadata.tencentyun.com",
];

/// What an environment says about egress.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct EgressRules {
    /// Who alone may be reached; empty means whoever is not denied.
    pub allow: Vec<HostPattern>,
    /// Who may not be reached.
    pub deny: Vec<HostPattern>,
}

/// Which entry of which list is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{list}[{index}] is no pattern")]
pub struct RulesError {
    /// `allow` or `deny`.
    pub list: &'static str,
    /// 0-based.
    pub index: usize,
    /// Why.
    #[source]
    pub source: PatternError,
}

impl EgressRules {
    /// Reads the lists of an environment.
    ///
    /// # Errors
    /// [`RulesError`] names the first entry that is no pattern.
    pub fn parse(allow: &[String], deny: &[String]) -> Result<Self, RulesError> {
        let read = |list, texts: &[String]| -> Result<Vec<HostPattern>, RulesError> {
            let parsed = texts.iter().enumerate().map(|(index, text)| {
                text.parse().map_err(|source| RulesError { list, index, source })
            });
            parsed.collect()
        };
        Ok(Self { allow: read("allow", allow)?, deny: read("deny", deny)? })
    }

    /// Tells whether they say anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.allow.is_empty() && self.deny.is_empty()
    }
}

/// Whom the pages of one run may reach.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EgressPolicy {
    /// Whether pages may be on this machine: in embedded mode they are.
    pub loopback: bool,
    /// Hosts and networks that no page may reach.
    pub deny: Vec<HostPattern>,
    /// What the environment says.
    pub rules: EgressRules,
}

/// An address that a host has, and what is known of it here.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'p> {
    /// The address.
    pub ip: IpAddr,
    /// Whether it is one of this machine's.
    pub own: bool,
    /// Whether the port is one that the mesh has on this machine.
    pub mesh_port: bool,
    /// The pattern of a denied name that has this address, too.
    pub denied_as: Option<&'p HostPattern>,
}

/// Why a host may not be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    /// It tells a cloud's metadata, or may.
    Metadata,
    /// It is this machine, and the executor is not an embedded one.
    Loopback,
    /// It is a port of the mesh on this machine.
    MeshPort,
    /// Pages have no business with such addresses.
    Kind(AddressKind),
    /// The executor's configuration says so.
    Executor(HostPattern),
    /// The environment says so.
    Environment(HostPattern),
    /// The environment says who may be reached, and does not name it.
    NotAllowed,
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Metadata => f.write_str("it may tell a cloud's metadata"),
            Self::Loopback => f.write_str("it is the executor's own machine"),
            Self::MeshPort => f.write_str("it is a port of the mesh"),
            Self::Kind(kind) => write!(f, "its address is {}", described(*kind)),
            Self::Executor(pattern) => write!(f, "the executor denies {pattern}"),
            Self::Environment(pattern) => write!(f, "the environment denies {pattern}"),
            Self::NotAllowed => f.write_str("the environment does not allow it"),
        }
    }
}

fn described(kind: AddressKind) -> &'static str {
    match kind {
        AddressKind::Global => "global",
        AddressKind::Private => "private",
        AddressKind::Shared => "a provider's",
        AddressKind::Loopback => "loopback",
        AddressKind::LinkLocal => "link-local",
        AddressKind::Metadata => "a cloud's metadata",
        AddressKind::Unspecified => "unspecified",
        AddressKind::Multicast => "multicast",
        AddressKind::Documentation => "for documents",
        AddressKind::Benchmark => "for measuring",
        AddressKind::Translated => "another one in disguise",
        AddressKind::Reserved => "reserved",
    }
}

impl EgressPolicy {
    /// Vets a host as a page names it: a name, or an address as text.
    ///
    /// # Errors
    /// [`Denial`]: it is not to be resolved.
    pub fn vet_name(&self, host: &str, port: u16) -> Result<(), Denial> {
        let host = folded(host);
        if METADATA_NAMES.contains(&host.as_str()) {
            return Err(Denial::Metadata);
        }
        let by_name = |patterns: &[HostPattern]| {
            patterns.iter().find(|pattern| pattern.matches_name(&host, port)).cloned()
        };
        if let Some(pattern) = by_name(&self.deny) {
            return Err(Denial::Executor(pattern));
        }
        match by_name(&self.rules.deny) {
            Some(pattern) => Err(Denial::Environment(pattern)),
            None => Ok(()),
        }
    }

    /// Vets the addresses that `host` has, and returns those that may be connected to. One that is denied denies them all:
    /// nobody mixes the two in good faith.
    ///
    /// # Errors
    /// [`Denial`]: there is nothing to connect to.
    pub fn vet_addresses(
        &self,
        host: &str,
        port: u16,
        candidates: &[Candidate<'_>],
    ) -> Result<Vec<IpAddr>, Denial> {
        candidates.iter().try_for_each(|candidate| self.vet_address(candidate, port))?;
        let host = folded(host);
        let allow = &self.rules.allow;
        let whole = allow.is_empty() || allow.iter().any(|p| p.matches_name(&host, port));
        let allows = |ip: &IpAddr| whole || allow.iter().any(|p| p.matches_address(*ip, port));
        let allowed: Vec<_> = candidates.iter().map(|c| c.ip).filter(allows).collect();
        match allowed.is_empty() && !candidates.is_empty() {
            true => Err(Denial::NotAllowed),
            false => Ok(allowed),
        }
    }

    fn vet_address(&self, candidate: &Candidate<'_>, port: u16) -> Result<(), Denial> {
        let ip = canonical(candidate.ip);
        match kind_of(ip) {
            AddressKind::LinkLocal | AddressKind::Metadata => return Err(Denial::Metadata),
            kind @ (AddressKind::Unspecified
            | AddressKind::Multicast
            | AddressKind::Reserved
            | AddressKind::Translated) => return Err(Denial::Kind(kind)),
            AddressKind::Loopback => self.vet_own(candidate)?,
            AddressKind::Global
            | AddressKind::Private
            | AddressKind::Shared
            | AddressKind::Documentation
            | AddressKind::Benchmark => {}
        }
        if candidate.own {
            self.vet_own(candidate)?;
        }
        let by_address = |patterns: &[HostPattern]| {
            patterns.iter().find(|pattern| pattern.matches_address(ip, port)).cloned()
        };
        if let Some(pattern) = candidate.denied_as.cloned().or_else(|| by_address(&self.deny)) {
            return Err(Denial::Executor(pattern));
        }
        match by_address(&self.rules.deny) {
            Some(pattern) => Err(Denial::Environment(pattern)),
            None => Ok(()),
        }
    }

    fn vet_own(&self, candidate: &Candidate<'_>) -> Result<(), Denial> {
        match (self.loopback, candidate.mesh_port) {
            (false, _) => Err(Denial::Loopback),
            (true, true) => Err(Denial::MeshPort),
            (true, false) => Ok(()),
        }
    }
}

/// Returns a name as it is compared: in lower case, without the dot of the root.
fn folded(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

#[cfg(test)]
mod tests;
