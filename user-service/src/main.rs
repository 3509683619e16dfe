//! Starts one user service, or runs a command: environment, log, start, wait.

use actix_web::rt::System;
use contract::account_id::AccountId;
use runtime::{env::Env, health::Probe, shutdown, telemetry};
use std::process::ExitCode;
use user_service::{Application, Config};

const USAGE: &str = "usage: user-service                      serves HTTP until SIGINT or SIGTERM
       user-service forget ID            writes the tombstone that forgets this account
       user-service health live|ready    asks the service that runs here; ends with 0 when it is
Configuration comes from the environment and from .env; docs/configuration.md lists the variables.";

enum Command {
    Serve,
    Forget(AccountId),
    Health(Probe),
}

fn main() -> std::io::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    // Inside an actix system the HTTP workers wake once for all acks that arrive together, not once for each.
    let ended = System::with_tokio_rt(|| runtime).block_on(begin());
    log::logger().flush();
    Ok(ended)
}

async fn begin() -> ExitCode {
    let mut env = Env::load();
    telemetry::start_from_env(&mut env);
    let Some(command) = command() else {
        log::error!("{USAGE}");
        return ExitCode::from(2);
    };
    let config = match Config::load(env) {
        Ok(config) => config,
        Err(error) => {
            log::error!("{error}");
            return ExitCode::from(2);
        }
    };
    match run(command, config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn command() -> Option<Command> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Some(Command::Serve),
        ["forget", id] => id.parse().ok().map(Command::Forget),
        ["health", probe] => probe.parse().ok().map(Command::Health),
        _ => None,
    }
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let stop = shutdown::on_signal()?;
    Application::start(config)?.run(stop).await
}

async fn run(command: Command, config: Config) -> anyhow::Result<()> {
    match command {
        Command::Serve => serve(config).await,
        Command::Forget(id) => user_service::forget(&config, id).await,
        Command::Health(probe) => probe.ask(config.address),
    }
}
