//! The user service as a process, or one of its commands: environment, log, start, wait for a signal, drain.

use actix_web::rt::System;
use clap::{Parser, Subcommand};
use contract::account_id::AccountId;
use runtime::{env::Env, health::Probe, program, shutdown};
use std::process::ExitCode;
use tokio::runtime::Builder;
use user_service::{AccountCommand, Application, Config};

/// Serves the signup API until SIGINT or SIGTERM; configured by the environment and `.env`.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Shows, exports or forgets an account, or asks for another mail, for a person who asks.
    #[command(subcommand)]
    Account(AccountCommand),
    /// Writes the tombstone that forgets an account, and makes sure that it stays forgotten.
    Forget {
        /// The account's id, as the answer to a right code shows it
        id: AccountId,
    },
    /// Asks the service that runs here; ends with 0 when it is.
    Health {
        /// live or ready
        probe: Probe,
    },
}

fn main() -> ExitCode {
    let command = Arguments::parse().command;
    program::run(module_path!(), Env::load(), |env| {
        let runtime = Builder::new_multi_thread().enable_all().build()?;
        // Inside an actix system the HTTP workers wake once for all acks that arrive together, not once for each.
        System::with_tokio_rt(|| runtime).block_on(run(command, env))
    })
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let stop = shutdown::on_signal()?;
    Application::start(config)?.run(stop).await
}

async fn run(command: Option<Command>, env: Env) -> anyhow::Result<()> {
    let config = Config::load(env)?;
    match command {
        None => serve(config).await,
        Some(Command::Account(command)) => user_service::account(command, &config, std::io::stdout()).await,
        Some(Command::Forget { id }) => user_service::forget(&config, id).await,
        Some(Command::Health { probe }) => probe.ask(config.address),
    }
}
