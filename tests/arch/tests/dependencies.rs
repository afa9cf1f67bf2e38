//! Which crate may know which: arrows point from services to libs to core, and nothing but tests knows the testkit.

use std::collections::{BTreeMap, BTreeSet};

/// How a dependency is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Normal,
    Dev,
    Build,
}

/// A package of the workspace.
#[derive(Debug, Clone)]
struct Package {
    name: String,
    /// Folder relative to the root, such as `libs/core`.
    folder: String,
    needs: Vec<(String, Kind)>,
}

impl Package {
    fn is(&self, room: &str) -> bool {
        self.folder.starts_with(room)
    }
}

/// All that `core` may use directly. None of them does I/O; a longer list needs an argument.
const CORE_ALLOWED: [&str; 3] = ["sha2", "thiserror", "uuid"];

/// What `core` may not even reach through others: async, network, database and serialisation formats.
const CORE_DENIED: [&str; 25] = [
    "async-std",
    "async-trait",
    "axum",
    "clap",
    "deadpool-postgres",
    "futures-core",
    "futures-util",
    "h2",
    "hyper",
    "jiff",
    "mio",
    "prost",
    "redis",
    "reqwest",
    "rustls",
    "serde_json",
    "smol",
    "socket2",
    "stateright",
    "tokio",
    "tokio-postgres",
    "tonic",
    "tower",
    "tracing",
    "url",
];

/// Crates that are compiled for the web alone, and what only they bring.
const WEB_ONLY: [&str; 2] = ["js-sys", "wasm-bindgen"];

/// Libraries that must not know the domain, so that they can be read and replaced alone.
const WITHOUT_DOMAIN: [&str; 4] =
    ["gauntlet-bus", "gauntlet-embedded", "gauntlet-pg", "gauntlet-runtime"];

/// Which crates must not know Postgres: the executor and the gateway must not be able to write SQL, and cursors of the feed are
/// stored by those who follow it.
const WITHOUT_STORE: [&str; 3] = ["gauntlet-executor", "gauntlet-feed", "gauntlet-gateway"];

fn violations(packages: &[Package], lock: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let by_name: BTreeMap<&str, &Package> = packages.iter().map(|p| (p.name.as_str(), p)).collect();
    let mut found = Vec::new();
    for package in packages {
        let name = &package.name;
        let short = package.folder.rsplit('/').next().unwrap_or_default();
        let named = format!("gauntlet-{short}");
        if !package.is("tests/") && *name != named && !["gauntlet", "xtask"].contains(&short) {
            found.push(format!("{}: is called {name}, not {named}", package.folder));
        }
        for (need, kind) in &package.needs {
            let Some(other) = by_name.get(need.as_str()) else { continue };
            let edge = format!("{name} depends on {need}");
            if package.is("libs/") && other.is("services/") {
                found.push(format!("{edge}: a lib never knows a service"));
            }
            if package.is("services/") && other.is("services/") && name != "gauntlet" {
                found.push(format!("{edge}: services talk by gRPC only"));
            }
            // The simulator builds on the rows of the model, and a task plays it.
            if other.is("tests/") && !package.is("tests/") && !package.is("xtask") {
                found.push(format!("{edge}: only tests and tasks build on tests"));
            }
            if other.is("xtask") {
                found.push(format!("{edge}: nothing builds on tasks"));
            }
            // Tasks measure with what tests use, tests may be programs, and neither is shipped.
            let unshipped = package.is("xtask") || package.is("tests/");
            if need == "gauntlet-testkit" && *kind != Kind::Dev && !unshipped {
                found.push(format!("{edge}: only as a dev-dependency"));
            }
        }
        let ours = reach(&package.name, |name| {
            by_name
                .get(name)
                .map(|p| normal(p).filter(|n| by_name.contains_key(n.as_str())).cloned().collect())
        });
        if WITHOUT_DOMAIN.contains(&name.as_str()) {
            for domain in ["gauntlet-core", "gauntlet-proto"].iter().filter(|d| ours.contains(**d))
            {
                found.push(format!("{name} reaches {domain}: it must not know the domain"));
            }
        }
        if WITHOUT_STORE.contains(&name.as_str()) && ours.contains("gauntlet-pg") {
            found.push(format!("{name} reaches gauntlet-pg: it owns no table"));
        }
    }
    let core = by_name.get("gauntlet-core").expect("there is a core");
    for need in normal(core) {
        if !CORE_ALLOWED.contains(&need.as_str()) {
            found.push(format!("gauntlet-core depends on {need}: allowed are {CORE_ALLOWED:?}"));
        }
        let needs = |name: &str| lock.get(name).filter(|_| !WEB_ONLY.contains(&name)).cloned();
        for far in reach(need, needs) {
            if CORE_DENIED.contains(&far.as_str()) {
                found.push(format!("gauntlet-core reaches {far} through {need}: core is pure"));
            }
        }
    }
    found
}

fn normal(package: &Package) -> impl Iterator<Item = &String> {
    package.needs.iter().filter(|(_, kind)| *kind != Kind::Dev).map(|(name, _)| name)
}

/// Returns `start` and all that it reaches.
fn reach(start: &str, needs: impl Fn(&str) -> Option<Vec<String>>) -> BTreeSet<String> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![start.to_owned()]);
    while let Some(name) = open.pop() {
        if seen.insert(name.clone()) {
            open.extend(needs(&name).into_iter().flatten());
        }
    }
    seen
}

/// Reads who needs whom from a lock file; versions are merged by name, which can only find more.
fn parse_lock(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut lock: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for block in text.split("[[package]]").skip(1) {
        let mut lines = block.lines();
        let name = lines.find_map(|l| l.strip_prefix("name = \"")?.strip_suffix('"'));
        let needs = lines.filter_map(|l| l.strip_prefix(" \"")?.strip_suffix("\","));
        let needs = needs.map(|need| need.split(' ').next().unwrap_or(need).to_owned());
        lock.entry(name.expect("a package has a name").to_owned()).or_default().extend(needs);
    }
    lock
}

fn workspace() -> Vec<Package> {
    use cargo_metadata::DependencyKind;
    let root = crate::tree::root();
    let metadata = cargo_metadata::MetadataCommand::new()
        .current_dir(&root)
        .no_deps()
        .exec()
        .expect("cargo metadata");
    let package = |package: &cargo_metadata::Package| Package {
        name: package.name.to_string(),
        folder: package
            .manifest_path
            .parent()
            .and_then(|folder| folder.strip_prefix(&root).ok())
            .expect("members are below the root")
            .to_string(),
        needs: package
            .dependencies
            .iter()
            .map(|need| {
                let kind = match need.kind {
                    DependencyKind::Development => Kind::Dev,
                    DependencyKind::Build => Kind::Build,
                    _ => Kind::Normal,
                };
                (need.name.clone(), kind)
            })
            .collect(),
    };
    metadata.packages.iter().map(package).collect()
}

#[test]
fn arrows_point_one_way() {
    let lock = std::fs::read_to_string(crate::tree::root().join("Cargo.lock")).unwrap();
    let packages = workspace();
    assert!(packages.len() > 10, "only {} packages were found", packages.len());
    crate::tree::none(&violations(&packages, &parse_lock(&lock)));
}

#[cfg(test)]
mod seeded {
    use super::*;

    fn package(folder: &str, needs: &[(&str, Kind)]) -> Package {
        let name = match folder.rsplit('/').next() {
            Some("gauntlet") => "gauntlet".to_owned(),
            Some(short) => format!("gauntlet-{short}"),
            None => unreachable!(),
        };
        let needs = needs.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect();
        Package { name, folder: folder.to_owned(), needs }
    }

    fn task(needs: &[(&str, Kind)]) -> Package {
        Package { name: "xtask".to_owned(), ..package("xtask", needs) }
    }

    /// The violations of a house with a core and these rooms.
    fn with(rooms: &[Package], lock: &str) -> Vec<String> {
        let mut packages = rooms.to_vec();
        if !rooms.iter().any(|room| room.name == "gauntlet-core") {
            packages.push(package("libs/core", &[("uuid", Kind::Normal)]));
        }
        violations(&packages, &parse_lock(lock))
    }

    #[track_caller]
    fn one(rooms: &[Package], lock: &str, says: &str) {
        let found = with(rooms, lock);
        assert!(found.len() == 1 && found[0].contains(says), "{found:?}");
    }

    #[test]
    fn a_clean_house_passes() {
        let rooms = [
            package("libs/testkit", &[]),
            package(
                "services/scheduler",
                &[("gauntlet-core", Kind::Normal), ("gauntlet-testkit", Kind::Dev)],
            ),
            package("services/gauntlet", &[("gauntlet-scheduler", Kind::Normal)]),
            package("tests/mesh", &[("gauntlet-testkit", Kind::Dev)]),
            task(&[("gauntlet-testkit", Kind::Normal)]),
        ];
        assert_eq!(with(&rooms, ""), Vec::<String>::new());
    }

    #[test]
    fn a_service_that_knows_a_service_is_found() {
        let rooms = [
            package("services/results", &[]),
            package("services/scheduler", &[("gauntlet-results", Kind::Normal)]),
        ];
        one(&rooms, "", "gauntlet-scheduler depends on gauntlet-results");
    }

    #[test]
    fn a_lib_that_knows_a_service_is_found() {
        let rooms = [
            package("services/results", &[]),
            package("libs/rpc", &[("gauntlet-results", Kind::Dev)]),
        ];
        one(&rooms, "", "a lib never knows a service");
    }

    #[test]
    fn the_testkit_in_a_product_is_found() {
        let rooms = [
            package("libs/testkit", &[]),
            package("services/results", &[("gauntlet-testkit", Kind::Normal)]),
        ];
        one(&rooms, "", "only as a dev-dependency");
    }

    #[test]
    fn a_product_that_builds_on_tests_is_found() {
        let rooms = [
            package("tests/model", &[]),
            package("tests/sim", &[("gauntlet-model", Kind::Dev)]),
            task(&[("gauntlet-model", Kind::Normal)]),
            package("services/results", &[("gauntlet-model", Kind::Dev)]),
        ];
        one(
            &rooms,
            "",
            "gauntlet-results depends on gauntlet-model: only tests and tasks build on tests",
        );
    }

    #[test]
    fn a_product_that_builds_on_tasks_is_found() {
        let rooms = [task(&[]), package("services/scheduler", &[("xtask", Kind::Normal)])];
        one(&rooms, "", "nothing builds on tasks");
    }

    #[test]
    fn a_plain_library_that_reaches_the_domain_is_found() {
        let rooms = [
            package("libs/runtime", &[("gauntlet-core", Kind::Normal)]),
            package("libs/rpc", &[("gauntlet-core", Kind::Normal)]),
        ];
        one(&rooms, "", "gauntlet-runtime reaches gauntlet-core");
    }

    #[test]
    fn a_database_in_the_executor_is_found_behind_another_crate() {
        let rooms = [
            package("libs/pg", &[]),
            package("libs/rpc", &[("gauntlet-pg", Kind::Normal)]),
            package("services/executor", &[("gauntlet-rpc", Kind::Normal)]),
        ];
        one(&rooms, "", "gauntlet-executor reaches gauntlet-pg");
    }

    #[test]
    fn impurity_in_core_is_found_near_and_far() {
        let core = [package("libs/core", &[("serde_yaml", Kind::Normal)])];
        one(&core, "", "gauntlet-core depends on serde_yaml");
        let lock = "[[package]]\nname = \"uuid\"\ndependencies = [\n \"a 1.0.0\",\n]\n[[package]]\nname = \"a\"\ndependencies = [\n \"tokio\",\n]\n";
        one(&[], lock, "gauntlet-core reaches tokio through uuid");
    }

    #[test]
    fn a_crate_under_another_name_is_found() {
        let rooms = [Package { name: "mailer".to_owned(), ..package("services/notifier", &[]) }];
        one(&rooms, "", "is called mailer");
    }
}
