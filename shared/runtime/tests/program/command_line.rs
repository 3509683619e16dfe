//! How a service's program is called, and how it ends. The tests of both services include this file, with their own `PROGRAM`.

use crate::PROGRAM;
use std::{
    net::TcpListener,
    process::{Command, Stdio},
};

/// The secrets of both services.
const SECRETS: [(&str, &str); 2] = [
    ("CODE_SECRETS", "k1:MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXY="),
    ("ID_SECRET", "dnV0c3JxcG9ubWxramloZ2ZlZGNiYTk4NzY1NDMyMTA="),
];

/// Runs the program to its end. Returns its exit code and what it wrote to standard output and to standard error.
fn run(arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).env_clear().envs(variables.iter().copied()).stdin(Stdio::null());
    // No `.env` is there or above.
    let output = command.current_dir("/").output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn help_and_version_are_on_standard_output_and_end_with_0() {
    let (code, out, error) = run(&["--help"], &[]);
    assert_eq!((code, &*error), (Some(0), ""));
    assert!(out.contains("Usage: ") && out.contains("health") && out.contains("--version"), "{out}");
    let (code, out, error) = run(&["--version"], &[]);
    assert_eq!((code, &*error), (Some(0), ""));
    assert!(out.ends_with(concat!(" ", env!("CARGO_PKG_VERSION"), "\n")), "{out}");
}

#[test]
fn wrong_arguments_end_with_2_and_say_what_is_expected() {
    for arguments in
        [&["serve"][..], &["--port=3006"], &["health"], &["health", "fine"], &["health", "live", "now"]]
    {
        let (code, out, error) = run(arguments, &SECRETS);
        assert_eq!((code, &*out), (Some(2), ""), "{arguments:?}: {error}");
        assert!(error.starts_with("error: ") && error.contains("--help"), "{arguments:?}: {error}");
    }
    assert!(run(&["health", "fine"], &SECRETS).2.contains("expected live or ready"));
}

#[test]
fn a_configuration_that_cannot_be_used_ends_with_2_and_names_every_variable() {
    for arguments in [&[][..], &["health", "live"]] {
        let (code, out, error) = run(arguments, &[("KAFKA_PARTITIONS", "none"), ("LOG_FORMAT", "xml")]);
        assert_eq!((code, &*out), (Some(2), ""), "{error}");
        for variable in ["KAFKA_PARTITIONS", "LOG_FORMAT", "CODE_SECRETS"] {
            let line = format!(" the configuration can't be used: {variable}: ");
            assert!(error.lines().any(|it| it.contains(&line)), "{variable} is not in {error}");
        }
    }
}

#[test]
fn what_fails_ends_with_1_and_the_reason() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let at = [("USER_SERVICE_ADDR", &*address), ("NOTIFICATION_SERVICE_ADDR", &*address)];
    // Whoever wants to see this program's lines alone sees why it ended.
    let own = [("RUST_LOG", "user_service=info,notification_service=info")];
    let variables = [&SECRETS[..], &at, &own].concat();
    let (code, out, error) = run(&[], &variables);
    assert_eq!((code, &*out), (Some(1), ""), "{error}");
    assert!(error.contains(&format!("_SERVICE_ADDR: can't listen on {address}: ")), "{error}");
    drop(taken);
    let (code, out, error) = run(&["health", "live"], &variables);
    assert_eq!((code, &*out), (Some(1), ""), "{error}");
    assert!(error.contains(&format!("{address} does not answer: ")), "{error}");
}
