//! Which methods are unary, read from the contract itself.
//!
//! Owns that list, because the deadline of a call depends on it and HTTP does not tell. Unknown methods count as streams.

use prost::Message as _;
use prost_types::FileDescriptorSet;
use std::{collections::HashSet, sync::LazyLock};

static UNARY: LazyLock<HashSet<String>> = LazyLock::new(|| {
    [gauntlet_proto::FILE_DESCRIPTOR_SET, tonic_health::pb::FILE_DESCRIPTOR_SET]
        .into_iter()
        .filter_map(|bytes| FileDescriptorSet::decode(bytes).ok())
        .flat_map(|set| set.file)
        .flat_map(|file| {
            let package = file.package().to_owned();
            file.service.into_iter().map(move |service| (package.clone(), service))
        })
        .flat_map(|(package, service)| {
            let name = format!("/{package}.{}/", service.name());
            service.method.into_iter().map(move |method| (name.clone(), method))
        })
        .filter(|(_, method)| !method.client_streaming() && !method.server_streaming())
        .map(|(service, method)| format!("{service}{}", method.name()))
        .collect()
});

/// Returns whether the method at `path` (`/package.Service/Method`) is unary; an unknown one counts as a stream.
#[must_use]
pub fn is_unary(path: &str) -> bool {
    UNARY.contains(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_says_which_methods_are_unary() {
        assert!(is_unary("/grpc.health.v1.Health/Check"));
        assert!(!is_unary("/grpc.health.v1.Health/Watch"));
        assert!(UNARY.iter().any(|path| path.starts_with("/gauntlet.v1.")));
    }
}
