//! Starts one user service, or runs its one command: environment, log, start, wait.

use shared::{
    account_id::AccountId,
    env::Env,
    kafka::StuckClient,
    shutdown,
    telemetry::{self, LogFormat},
};
use std::process::ExitCode;
use tokio_util::sync::CancellationToken;
use user_service::{Application, Config};

const USAGE: &str = "usage: user-service              serves HTTP until SIGINT or SIGTERM
       user-service forget ID    writes the tombstone that forgets this account
Configuration comes from the environment and from .env; the README lists the variables.";

enum Command {
    Serve,
    Forget(AccountId),
}

#[tokio::main]
async fn main() -> ExitCode {
    let config = Env::load().and_then(|mut env| {
        telemetry::start_from_env(&mut env);
        Config::load(env)
    });
    // Where .env itself can't be read the log has not started yet.
    telemetry::start(LogFormat::Text, "info");
    let (Some(command), config) = (command(), config) else {
        log::error!("{USAGE}");
        return ExitCode::from(2);
    };
    let config = match config {
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
        _ => None,
    }
}

/// Serves until `stop` is cancelled; anew, when only new Kafka clients help.
async fn serve(config: Config, stop: CancellationToken) -> anyhow::Result<()> {
    loop {
        match Application::start(config.clone())?.run(stop.child_token()).await {
            Err(error) if error.is::<StuckClient>() && !stop.is_cancelled() => {
                log::error!("{error:#}; starting anew");
            }
            ended => return ended,
        }
    }
}

async fn run(command: Command, config: Config) -> anyhow::Result<()> {
    match command {
        Command::Serve => serve(config, shutdown::on_signal()?).await,
        Command::Forget(id) => user_service::forget(&config, id).await,
    }
}
