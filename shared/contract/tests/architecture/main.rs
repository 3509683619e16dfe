//! The invariants of ARCHITECTURE.md that can be read from the lock file and the sources.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod border;
mod circles;
mod imports;
mod knowledge;

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The folders of all packages.
const PACKAGES: [&str; 11] = [
    "shared/contract",
    "shared/runtime",
    "shared/texts",
    "user-service",
    "notification-service",
    "sandbox",
    "standalone",
    "acceptance",
    "bench",
    "chaos",
    "simulation",
];

/// A module of a package.
struct Module {
    /// Its names below the package: `["mailing", "dispatch"]`. That of `lib.rs` is empty.
    path: Vec<String>,
    /// Its source without comments and tests.
    code: String,
}

/// The modules of a package, without those of its tests.
fn modules(package: &str) -> Vec<Module> {
    let root = repository().join(package).join("src");
    let modules = sources(&root).into_iter().map(|file| {
        let names = file.strip_prefix(&root).unwrap().with_extension("");
        let mut path: Vec<_> = names.iter().map(|name| name.to_str().unwrap().to_owned()).collect();
        path.retain(|name| name != "lib");
        let source = fs::read_to_string(&file).unwrap();
        let code = source.split("#[cfg(test)]\nmod tests").next().unwrap();
        let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        Module { path, code: code.map(|line| format!("{line}\n")).collect() }
    });
    let modules: Vec<_> = modules.filter(|module| module.path.iter().all(|name| name != "tests")).collect();
    assert!(!modules.is_empty(), "no package is in {package} any more");
    modules
}

/// All Rust files below this folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            files.push(path);
        }
    }
    files
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
