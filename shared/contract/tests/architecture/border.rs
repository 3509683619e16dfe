//! Which package may depend on which one, also through others.

use crate::repository;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

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

/// Fails if a package depends on one of these.
#[track_caller]
fn assert_independent(package: &str, of: &[&str]) {
    let lock = fs::read_to_string(repository().join("Cargo.lock")).unwrap();
    let packages = packages(&lock);
    let (mut found, mut next) = (BTreeSet::new(), vec![package]);
    while let Some(name) = next.pop() {
        if found.insert(name) {
            next.extend(packages.get(name).into_iter().flatten());
        }
    }
    for name in of {
        assert!(packages.contains_key(name), "nothing is called {name} any more");
        assert!(!found.contains(name), "{name} is among the dependencies of {package}: {found:?}");
    }
}

#[test]
fn the_contract_depends_on_no_client_and_no_runtime() {
    assert_independent("contract", &["rdkafka", "tokio", "actix-web", "lettre"]);
}

#[test]
fn the_services_depend_on_nothing_of_each_other() {
    let others = ["standalone", "acceptance", "bench", "chaos", "simulation"];
    assert_independent("user-service", &[&others[..], &["notification-service"]].concat());
    assert_independent("notification-service", &[&others[..], &["user-service"]].concat());
    assert_independent(
        "runtime",
        &[&others[..], &["user-service", "notification-service", "sandbox"]].concat(),
    );
}
