//! `.env.example` is what the services read: no more, no less, and with their defaults.

use shared::{
    env::Env,
    telemetry::{self, LogFormat},
};
use std::collections::BTreeSet;

fn example() -> Vec<(String, String)> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../.env.example");
    // As the services read it: what is not NAME=value for dotenvy would stop their start.
    let lines = dotenvy::from_path_iter(file).expect("the file is there");
    lines.map(|line| line.expect("every line is NAME=value")).collect()
}

/// What both services make of these variables, and which ones they asked for.
fn read(pairs: Vec<(String, String)>) -> (String, BTreeSet<&'static str>) {
    let mut env = Env::from_pairs(pairs);
    // The first start of a process wins: this keeps the log of the other tests quiet.
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
    let (configuration, names) = read(example());
    let in_example: BTreeSet<_> = example().into_iter().map(|(name, _)| name).collect();
    assert_eq!(in_example, names.into_iter().map(str::to_owned).collect());
    let required = ["CODE_SECRETS", "ID_SECRET"];
    let secrets = example().into_iter().filter(|(name, _)| required.contains(&name.as_str())).collect();
    assert_eq!(configuration, read(secrets).0);
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
