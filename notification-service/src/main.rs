//! The notification service as a process: environment, log, start, wait for a signal, drain.

use notification_service::{Application, Config};
use shared::{
    env::Env,
    shutdown,
    telemetry::{self, LogFormat},
};
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let config = Env::load().and_then(|mut env| {
        telemetry::start_from_env(&mut env);
        Config::load(env)
    });
    // Where .env itself can't be read the log has not started yet.
    telemetry::start(LogFormat::Text, "info");
    let ended = async { Application::start(config?)?.run(shutdown::on_signal()?).await };
    match ended.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
