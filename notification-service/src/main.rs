//! The notification service as a process, or one of its commands: environment, log, start, wait for a signal, drain.

use clap::{Parser, Subcommand};
use notification_service::{Application, Config, DeadLetters, MailsCommand, run_dead_letters, run_mails};
use runtime::{env::Env, health::Probe, kafka::KafkaConfig, program, shutdown};
use std::{io::Write, process::ExitCode};
use tokio::runtime::Builder;

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
    /// Checks, shows or sends the mails before anybody else sees them.
    #[command(subcommand)]
    Mails(MailsCommand),
    /// Asks the service that runs here; ends with 0 when it is.
    Health {
        /// live or ready
        probe: Probe,
    },
}

fn main() -> ExitCode {
    let command = Arguments::parse().command;
    program::run(module_path!(), Env::load(), |env| {
        // One thread. A delivery mostly waits, and waking another thread costs more than the work until the next wait.
        // Kafka's clients, commits and health have threads of their own.
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let ended = runtime.block_on(run(command, env));
        // A commit blocks its thread while the broker is away. The drain is over, so nothing waits for that thread.
        runtime.shutdown_background();
        ended
    })
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let stop = shutdown::on_signal()?;
    Application::start(config)?.run(stop).await
}

async fn run(command: Option<Command>, mut env: Env) -> anyhow::Result<()> {
    match command {
        None => serve(Config::load(env)?).await,
        Some(Command::Health { probe }) => probe.ask(Config::load(env)?.address),
        Some(Command::Mails(command)) => run_mails(command, env, &mut std::io::stdout()).await,
        Some(Command::DeadLetters(command)) => {
            let kafka = KafkaConfig::from_env(&mut env);
            let kafka = env.finish(|| Some(kafka))?;
            let text = run_dead_letters(command, &kafka).await?;
            Ok(std::io::stdout().write_all(text.as_bytes())?)
        }
    }
}
