//! `.env.example` has exactly the variables that the services read, with their defaults.

use runtime::{
    env::Env,
    telemetry::{self, LogFormat},
};
use std::collections::BTreeSet;

const EXAMPLE: &str = include_str!("../../../.env.example");

/// The lines that set the wanted variables.
fn lines(wanted: impl Fn(&str) -> bool) -> String {
    let lines = EXAMPLE.lines().filter(|line| line.split_once('=').is_some_and(|(name, _)| wanted(name)));
    lines.map(|line| format!("{line}\n")).collect()
}

/// Both services' configurations from this file, and the variables that they read.
fn read(file: &str) -> (String, BTreeSet<&'static str>) {
    let mut env = Env::from_file(file.as_bytes());
    // The first start in a process wins. This keeps the log of the other tests quiet.
    telemetry::start(LogFormat::Text, "warn");
    telemetry::start_from_env(&mut env);
    let user_service = user_service::Config::from_env(&mut env).expect("the secrets are there");
    let notification_service =
        notification_service::Config::from_env(&mut env).expect("the secrets are there");
    let names = env.names().clone();
    env.finish(|| Some(())).expect("every value is valid");
    (format!("{user_service:?}\n{notification_service:?}"), names)
}

#[test]
fn the_example_has_every_variable_with_its_default() {
    let (configuration, names) = read(EXAMPLE);
    for name in &names {
        assert_eq!(lines(|line| line == *name).lines().count(), 1, "{name}");
    }
    assert_eq!(lines(|name| !name.starts_with('#')).lines().count(), names.len());
    let secrets = lines(|name| ["CODE_SECRETS", "ID_SECRET"].contains(&name));
    assert_eq!(configuration, read(&secrets).0);
}

#[test]
fn a_process_refuses_wrong_values_all_at_once_and_repeats_no_secret() {
    let mut env = Env::from_pairs([
        ("CODE_TTL", "soon"),
        ("KAFKA_PARTITIONS", "-1"),
        ("CODE_SECRETS", "k1:hunter2"),
        ("USER_SERVICE_ADDR", "3006"),
    ]);
    user_service::Config::from_env(&mut env);
    let error = user_service::Config::load(env).unwrap_err().to_string();
    for name in ["CODE_TTL", "KAFKA_PARTITIONS", "CODE_SECRETS", "USER_SERVICE_ADDR", "ID_SECRET"] {
        assert!(error.contains(&format!("{name}: ")), "{error}");
    }
    assert!(!error.contains("hunter2"), "{error}");
}
