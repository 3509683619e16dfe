//! The command `dead-letters`: lists, replays or discards records that could not be mailed.
//!
//! The dead-letter topic is the only state. A letter is unresolved until a `resolved` marker names its offset. The marker is
//! written after the action, so an interrupted run can be repeated.

use crate::{
    dead_letter::{self, RESOLUTION, RESOLVED},
    header::Header,
    retry::Retry,
    writer::{Outgoing, Writer},
};
use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use contract::{characters::printable, topic::Topic};
use jiff::Timestamp;
use letter::Letter;
use runtime::kafka::KafkaConfig;
use std::{fmt::Write as _, time::Duration};

mod letter;
mod read;

/// Time limit for each write.
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub enum DeadLetters {
    /// Shows the unresolved ones.
    List {
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
        /// Shows addresses in full instead of masked.
        #[arg(long)]
        show_addresses: bool,
    },
    /// Writes them to the retry topic, to be mailed again, and marks them as resolved.
    Replay {
        /// Which ones.
        #[command(flatten)]
        selection: Selection,
        /// Also those whose time is over; the service will count them as expired and not mail them.
        #[arg(long)]
        include_expired: bool,
    },
    /// Marks them as resolved without mailing them.
    Discard {
        /// Which ones.
        #[command(flatten)]
        selection: Selection,
    },
}

/// Which ones.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Selection {
    /// The one of this id, as `list` shows it; can be given several times.
    #[arg(long, required_unless_present_any = ["reason", "all"], conflicts_with_all = ["reason", "all"])]
    id: Vec<String>,
    /// All with this reason, such as recipient_refused.
    #[arg(long, conflicts_with = "all")]
    reason: Option<String>,
    /// All of them.
    #[arg(long)]
    all: bool,
    /// Only letters whose last failure was at this time or later, such as 2026-11-27T12:31:05Z.
    #[arg(long, conflicts_with = "id")]
    since: Option<Timestamp>,
    /// Only says what would be done.
    #[arg(long)]
    dry_run: bool,
}

/// Carries out a command and returns the text to print.
///
/// # Errors
/// When Kafka can't be read or written in time. What was done before that stays done.
pub async fn run(command: DeadLetters, kafka: &KafkaConfig) -> anyhow::Result<String> {
    let letters = read::unresolved(kafka).await?;
    match command {
        DeadLetters::List { json, show_addresses } => Ok(if json {
            letter::json(&letters, show_addresses)
        } else {
            letter::table(&letters, show_addresses)
        }),
        DeadLetters::Replay { selection, include_expired } => {
            let now = Timestamp::now();
            let chosen = selection.choose(letters)?;
            let (chosen, bare): (Vec<_>, Vec<_>) =
                chosen.into_iter().partition(|letter| letter.payload.is_some());
            let (chosen, expired): (Vec<_>, Vec<_>) =
                chosen.into_iter().partition(|letter| include_expired || !letter.is_expired(now));
            let mut report = resolve(kafka, chosen, "replayed", selection.dry_run).await?;
            if !bare.is_empty() {
                let _ = writeln!(
                    report,
                    "left out: {} whose value was too large to keep; it stands where their ids say",
                    bare.len()
                );
            }
            if !expired.is_empty() {
                let _ =
                    writeln!(report, "left out: {} whose time is over (--include-expired)", expired.len());
            }
            Ok(report)
        }
        DeadLetters::Discard { selection } => {
            let chosen = selection.choose(letters)?;
            resolve(kafka, chosen, "discarded", selection.dry_run).await
        }
    }
}

impl Selection {
    fn choose(&self, letters: Vec<Letter>) -> anyhow::Result<Vec<Letter>> {
        if let Some(unknown) = self.id.iter().find(|id| !letters.iter().any(|letter| letter.id == **id)) {
            bail!("no unresolved dead letter has the id {unknown}");
        }
        let fits = |letter: &Letter| {
            let named =
                self.all || self.id.contains(&letter.id) || self.reason.as_ref() == Some(&letter.reason);
            // A letter without the time of its failure may be recent, so it is included.
            let in_time = |since: Timestamp| letter.last_failure().is_none_or(|time| time >= since);
            named && self.since.is_none_or(in_time)
        };
        Ok(letters.into_iter().filter(fits).collect())
    }
}

async fn resolve(
    kafka: &KafkaConfig,
    letters: Vec<Letter>,
    resolution: &str,
    dry_run: bool,
) -> anyhow::Result<String> {
    let mut report = String::new();
    let writer = Writer::new(kafka)?;
    for letter in &letters {
        if !dry_run {
            if resolution == "replayed" {
                write(&writer, &retry_record(letter)).await?;
            }
            write(&writer, &marker(letter, resolution)).await?;
        }
        let would_be = if dry_run { "would be " } else { "" };
        let _ = writeln!(report, "{would_be}{resolution} {}", printable(&letter.id));
    }
    let _ = writeln!(report, "{} in all", letters.len());
    Ok(report)
}

async fn write(writer: &Writer, record: &Outgoing<'_>) -> anyhow::Result<()> {
    tokio::time::timeout(WRITE_TIMEOUT, writer.write(record))
        .await
        .context("Kafka did not acknowledge in time")??;
    Ok(())
}

/// The record of a replay. It goes to the retry topic, never to the source topics, which other subscribers read. The group
/// that could not mail it tries it again.
fn retry_record(letter: &Letter) -> Outgoing<'_> {
    let now = Timestamp::now();
    let retry = Retry { not_before: now, attempts: 0, source: letter.id.clone(), first_failure: now };
    Outgoing {
        topic: Topic::MailRetry,
        partition: None,
        key: letter.key.as_deref(),
        payload: letter.payload.as_deref(),
        headers: dead_letter::original(&letter.headers).chain(retry.to_headers(letter.group())).collect(),
    }
}

/// The marker stands in the letter's own partition, so that it is read after the letter.
fn marker<'a>(letter: &'a Letter, resolution: &str) -> Outgoing<'a> {
    Outgoing {
        topic: Topic::DeadLetter,
        partition: Some(letter.partition),
        key: letter.key.as_deref(),
        payload: None,
        headers: vec![
            Header::text((RESOLVED, letter.offset.to_string())),
            Header::text((RESOLUTION, resolution.to_owned())),
            Header::text((dead_letter::SOURCE, letter.id.clone())),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dead_letter::replay_command, outcome::Reason};
    use clap::Parser;

    #[test]
    fn the_command_that_the_log_names_can_be_typed() {
        #[derive(Parser)]
        struct Line {
            #[command(subcommand)]
            command: DeadLetters,
        }
        let since: Timestamp = "2026-11-27T12:31:05.25Z".parse().unwrap();
        let text = replay_command(Reason::RecipientRefused, since);
        let words = text.strip_prefix("notification-service ").unwrap().split(' ');
        let Line { command: DeadLetters::Replay { selection, .. } } = Line::parse_from(words) else {
            panic!("{text}");
        };
        assert_eq!(selection.reason.as_deref(), Some("recipient_refused"));
        assert_eq!(selection.since, Some(since));
    }
}
