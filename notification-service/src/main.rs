//! The notification service as a process, or one of its commands: environment, log, start, wait for a signal, drain.

use clap::{Parser, Subcommand};
use notification_service::{Application, Config, DeadLetters, run_dead_letters};
use runtime::{
    env::Env,
    health::Probe,
    kafka::KafkaConfig,
    shutdown,
    telemetry::{self, LogFormat},
};
use std::{io::Write, process::ExitCode};
use tokio::runtime::{Builder, Runtime};

/// Mails verification codes and confirmations until SIGINT or SIGTERM; configured by the environment and `.env`.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Shows, replays or discards what could not be mailed.
    #[command(subcommand)]
    DeadLetters(DeadLetters),
    /// Asks the service that runs here; ends with 0 when it is.
    Health {
        /// live or ready
        probe: Probe,
    },
}

fn main() -> ExitCode {
    let command = Arguments::parse().command;
    let ended = runtime().map_err(anyhow::Error::from).and_then(|runtime| {
        let ended = runtime.block_on(run(command));
        // A commit blocks its thread while the broker is away. The drain is over, so nothing waits for that thread.
        runtime.shutdown_background();
        ended
    });
    // Without a runtime the log has not started yet.
    telemetry::start(LogFormat::Text, "info");
    let code = match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("{error:#}");
            ExitCode::FAILURE
        }
    };
    log::logger().flush();
    code
}

/// One thread. A delivery mostly waits, and waking another thread costs more than the work until the next wait. Kafka's
/// clients, commits and health have threads of their own.
fn runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let stop = shutdown::on_signal()?;
    Application::start(config)?.run(stop).await
}

async fn run(command: Option<Command>) -> anyhow::Result<()> {
    let mut env = Env::load();
    telemetry::start_from_env(&mut env);
    match command {
        None => serve(Config::load(env)?).await,
        Some(Command::Health { probe }) => probe.ask(Config::load(env)?.address),
        Some(Command::DeadLetters(command)) => {
            let kafka = KafkaConfig::from_env(&mut env);
            let kafka = env.finish(|| Some(kafka))?;
            let text = run_dead_letters(command, &kafka).await?;
            Ok(std::io::stdout().write_all(text.as_bytes())?)
        }
    }
}
