//! The contract holds for any client and any runtime: it depends on none, not even through another crate.

use crate::read;
use std::collections::{BTreeMap, BTreeSet};

/// Each package of the lock file, with the names of those that it depends on: for tests and on other systems, too.
fn packages(lock: &str) -> BTreeMap<&str, Vec<&str>> {
    let packages = lock.split("[[package]]\n").skip(1).map(|text| {
        let name = text.split('"').nth(1).unwrap();
        // A line each. A name that has several versions is followed by one of them.
        let dependencies = text.lines().filter_map(|line| line.strip_prefix(" \"")?.split([' ', '"']).next());
        (name, dependencies.collect())
    });
    packages.collect()
}

#[test]
fn the_contract_depends_on_no_client_and_no_runtime() {
    let lock = read("Cargo.lock");
    let packages = packages(&lock);
    let (mut found, mut next) = (BTreeSet::new(), vec!["contract"]);
    while let Some(name) = next.pop() {
        if found.insert(name) {
            next.extend(packages.get(name).into_iter().flatten());
        }
    }
    for name in ["rdkafka", "tokio", "actix-web", "lettre"] {
        assert!(packages.contains_key(name), "nothing is called {name} any more");
        assert!(!found.contains(name), "{name} is among the dependencies of `contract`: {found:?}");
    }
}
