//! One signal, one token: every task of a service ends when its token is cancelled.

use tokio_util::sync::CancellationToken;

/// Returns a token that SIGINT or SIGTERM cancels. Needs a tokio runtime.
///
/// A second signal ends the process at once, for the operator who does not want to wait for the drain.
///
/// # Errors
/// When the signal handlers can't be installed.
pub fn on_signal() -> std::io::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        for round in 0..2 {
            let name = tokio::select! {
                _ = interrupt.recv() => "SIGINT",
                _ = terminate.recv() => "SIGTERM",
            };
            if round == 0 {
                log::info!("signal" = name; "stopping: finishing the work in flight; a second signal ends the process at once");
                cancelled.cancel();
            }
        }
        log::warn!("second signal: ending without the drain");
        std::process::exit(130);
    });
    Ok(token)
}
