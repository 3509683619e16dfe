//! `cargo run`: the whole system, for a first look.

use shared::{env::Env, shutdown, telemetry};
use standalone::{Ports, System, terminal};
use std::{path::Path, process::ExitCode};

/// Below the current folder; `.gitignore` knows it.
const DATA_FOLDER: &str = "data";

#[tokio::main]
async fn main() -> ExitCode {
    let code = match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("{error:#}");
            ExitCode::FAILURE
        }
    };
    log::logger().flush();
    code
}

async fn run() -> anyhow::Result<()> {
    let mut env = Env::load();
    // Between the mails, the terminal shows what goes wrong and nothing else.
    env.set_default("RUST_LOG", "warn");
    telemetry::start_from_env(&mut env);
    let stop = shutdown::on_signal()?;
    let folder = Path::new(DATA_FOLDER);
    let system = System::start(folder, Ports::default(), env).await?;
    system.inbox().on_mail(terminal::print_mail);
    terminal::print_welcome(&system, folder);
    system.run(stop).await
}
