//! `cargo run`: the whole system, for a first look.

use clap::Parser;
use runtime::{env::Env, program, shutdown};
use standalone::{Ports, System, data_folder, terminal};
use std::{path::Path, process::ExitCode};
use tokio::runtime::Runtime;

/// Relative to the current folder; listed in `.gitignore`.
const DATA_FOLDER: &str = "data";

const PORTS: &str = "Variables of its own: STANDALONE_KAFKA_PORT (9092), STANDALONE_SMTP_PORT (1025) and \
STANDALONE_INBOX_PORT (8025); 0 takes any free port. The services read theirs from the environment and .env, as .env.example lists them.";

/// Two-step signup on this machine: a Kafka broker, a mail inbox and both services in one process, on 127.0.0.1.
///
/// Ctrl-C stops it; the next run goes on where it ended. Records and secrets are in the folder data.
#[derive(Parser)]
#[command(after_help = PORTS)]
struct Arguments {
    /// Begins anew: moves the folder data aside, says where, and deletes nothing
    #[arg(long)]
    fresh: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut env = Env::load();
    // Besides the mails, the terminal shows only warnings and errors.
    env.set_default("RUST_LOG", "warn");
    program::run(module_path!(), env, |env| Runtime::new()?.block_on(run(&arguments, env)))
}

async fn run(arguments: &Arguments, mut env: Env) -> anyhow::Result<()> {
    let stop = shutdown::on_signal()?;
    let folder = Path::new(DATA_FOLDER);
    if arguments.fresh
        && let Some(aside) = data_folder::move_aside(folder)?
    {
        terminal::print_moved(folder, &aside);
    }
    let ports = Ports::from_env(&mut env);
    let system = System::start(folder, ports, env).await?;
    system.inbox().on_mail(terminal::print_mail);
    terminal::print_welcome(&system, folder);
    system.run(stop).await
}
