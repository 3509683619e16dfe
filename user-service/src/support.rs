//! The command `account`: what an operator may see and do for a person who asks.
//!
//! ```text
//! log ──► read ──► known ──► status, mails ──► text, json     show, resend, forget
//!           └────► export                                     export
//! ```
//!
//! It is a process of its own. It reads the topics to their present ends, and takes the records of one account into the same
//! view that the service has, so that rules and budgets are those of the service. It keeps nothing of other accounts, except
//! places of tagged spellings of the same mailbox.

mod arguments;
mod read;
mod mails;
mod known;
mod status;
mod text;
mod json;
mod export;

use crate::{application, config::Config, correlation::Correlation, signup::ResentFor};
use anyhow::{Context as _, bail};
pub use arguments::{AccountCommand, Request};
use contract::{account_id::AccountId, request_id::RequestId};
use known::Known;
use log::Level;
use status::Status;
use std::{io::Write, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// How long the check of the topics may take before a request for another mail.
const TOPICS_TIMEOUT: Duration = Duration::from_secs(10);
const LOOK_PAUSE: Duration = Duration::from_millis(20);

/// What became of a request for another mail.
#[derive(Debug)]
enum Resend {
    /// What the operator's request led to. `request_id` leads to the mail's log lines.
    Asked { result: ResentFor, request_id: RequestId },
    /// No registration of the account is held that a mail could be for.
    NoRegistration,
}

/// Carries out a command, and writes its result to `out`. Logs one line with the operator and the reason before.
///
/// # Errors
/// When Kafka can't be read or written in time, or an export is not complete.
pub async fn account(
    command: AccountCommand,
    config: &Config,
    mut out: impl Write + Send + 'static,
) -> anyhow::Result<()> {
    let request = command.request();
    let (account, is_json) = (request.subject.account(&config.id_secret), request.json);
    leave_line(&command, account)?;
    match &command {
        AccountCommand::Show(_) => {
            let known = read(config, request, account).await?;
            let status = Status::of(&known, config);
            let shown = if is_json { json::show(&known, &status) } else { text::show(&known, &status) };
            out.write_all(shown.as_bytes())?;
        }
        AccountCommand::Export(_) => {
            let config = config.clone();
            tokio::task::spawn_blocking(move || export::write(&config, account, &mut out)).await??;
        }
        AccountCommand::Resend(_) => {
            let known = read(config, request, account).await?;
            let (known, result) = resend(known).await?;
            let shown = if is_json { json::resend(account, &result) } else { text::resend(&known, &result) };
            out.write_all(shown.as_bytes())?;
        }
        AccountCommand::Forget(_) => {
            application::forget(config, account).await?;
            let shown = if is_json { json::forgotten(account) } else { text::forgotten(account) };
            out.write_all(shown.as_bytes())?;
        }
    }
    Ok(())
}

/// Logs who does what to which account, and why. The account is named by its id: the log has no addresses.
fn leave_line(command: &AccountCommand, account: AccountId) -> anyhow::Result<()> {
    if !log::log_enabled!(Level::Warn) {
        bail!(
            "RUST_LOG turns off the line that names operator and reason; expected warn or more, such as info"
        );
    }
    let Request { operator, reason, .. } = command.request();
    // A warning is written at once, and a usual `RUST_LOG` lets it through.
    log::warn!(
        "account.command" = command.name(), "account.id" = account.to_string().as_str(),
        "operator" = operator.as_str(), "reason" = reason.as_str();
        "an operator uses the command account"
    );
    Ok(())
}

async fn read(config: &Config, request: &Request, account: AccountId) -> anyhow::Result<Known> {
    let (config, subject) = (config.clone(), request.subject.clone());
    tokio::task::spawn_blocking(move || {
        let known = Known::read(&config, account, subject.address())?;
        match known.tagged_address() {
            // The command was given an id. Only now is it known whose places have to be counted, too.
            Some(address) if subject.address().is_none() => Known::read(&config, account, Some(&address)),
            _ => Ok(known),
        }
    })
    .await?
}

/// Asks for another mail with the account's newest registration, while the log is read on and the topics are watched, as in the
/// service.
async fn resend(known: Known) -> anyhow::Result<(Known, Resend)> {
    let Some((registration, _)) = known.newest else { return Ok((known, Resend::NoRegistration)) };
    let (signup, request_id) = (known.signup.clone(), RequestId::random());
    let stop = CancellationToken::new();
    let following = {
        let stop = stop.clone();
        tokio::task::spawn_blocking(move || known.follow(&stop))
    };
    let replica = Arc::clone(signup.replica());
    let watching = async {
        let clients = Arc::clone(&replica).watch_clients(|_| true, stop.clone());
        tokio::join!(replica.watch_topics(stop.clone()), clients)
    };
    let asking = async {
        let checked = async {
            while !replica.has_checked_topics() {
                tokio::time::sleep(LOOK_PAUSE).await;
            }
        };
        // Without an answer of the brokers the request itself says what is missing.
        let _ = tokio::time::timeout(TOPICS_TIMEOUT, checked).await;
        let result = signup.resend_for(registration, Correlation::begin(request_id.clone())).await;
        stop.cancel();
        result
    };
    let (_, result) = tokio::join!(watching, asking);
    let known = following.await?;
    let result = result.context("no other mail was asked for, or that is not certain; run `account show`")?;
    Ok((known?, Resend::Asked { result, request_id }))
}
