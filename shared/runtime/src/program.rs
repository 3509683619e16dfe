//! How a program of this project begins and ends: environment, log, work, exit code.
//!
//! One way for all, so that supervisors and operators have to know only one. The exit code is 0 when the work is done, 1 when
//! it failed, and 2 when the program was called wrongly: with arguments that clap refuses, or a configuration that can't be
//! used. The reason is on standard error, unless `RUST_LOG` turns the program's errors off.

use crate::{
    env::{Env, EnvError, Problem},
    telemetry,
};
use std::process::ExitCode;

/// The exit code of a wrong call; clap has the same one for wrong arguments.
const WRONG_CALL: u8 = 2;

/// Starts the log as `env` says, does the work, and logs the error with which it failed, as a line of the program: its
/// `module_path!()`, by which `RUST_LOG` selects.
pub fn run(program: &str, mut env: Env, work: impl FnOnce(Env) -> anyhow::Result<()>) -> ExitCode {
    telemetry::start_from_env(&mut env);
    let code = work(env).map_or_else(|error| failed(program, &error), |()| ExitCode::SUCCESS);
    log::logger().flush();
    code
}

fn failed(program: &str, error: &anyhow::Error) -> ExitCode {
    let Some(wrong) = error.downcast_ref::<EnvError>() else {
        log::error!(target: program, "{error:#}");
        return ExitCode::FAILURE;
    };
    // A line each: the log escapes a line feed.
    for Problem { name, detail } in wrong.problems() {
        log::error!(target: program, "the configuration can't be used: {name}: {detail}");
    }
    ExitCode::from(WRONG_CALL)
}
