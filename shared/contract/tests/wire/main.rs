//! The wire contract: what the codec writes and reads, and that the documents for subscribers (`docs/`) say the same.

#![expect(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod asyncapi;
mod events;
mod schema;
mod schemas;
mod tables;

use contract::event::EventKind;
use serde_json::Value;
use std::{fs, path::Path};

/// The golden event of this kind in this version (`v1`, `v2`).
fn golden(version: &str, kind: EventKind) -> Vec<u8> {
    read(&format!("shared/contract/tests/wire/golden/{version}/{}.json", kind.name())).into_bytes()
}

/// A JSON document of `docs/`.
fn document(name: &str) -> Value {
    serde_json::from_str(&read(&format!("docs/{name}")))
        .unwrap_or_else(|error| panic!("docs/{name}: {error}"))
}

/// The names of an object's fields, sorted.
fn names(object: &Value) -> Vec<&str> {
    let mut names: Vec<_> = object.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

/// The texts of an array, sorted.
fn texts(array: &Value) -> Vec<&str> {
    let mut texts: Vec<_> = array.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    texts.sort_unstable();
    texts
}

/// The text of a file of the repository.
fn read(path: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{path}: {error}"))
}
