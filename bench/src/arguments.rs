//! The command line.

use clap::{Args, Parser, Subcommand};
use std::{path::PathBuf, time::Duration};

/// Measures the two services beside bare counterparts on a real Apache Kafka.
///
/// Needs the release binaries of both services, JDK 17+, and Maven for the first run; scripts/bench.sh builds all.
/// What is compared runs in turns; figures are median (min–max) over the rounds.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) options: Options,
}

/// What holds for every scenario.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// Turns of each side of a comparison.
    #[arg(long, global = true, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) rounds: u32,
    /// Length of one turn.
    #[arg(long, global = true, default_value = "8", value_parser = seconds, value_name = "SECONDS")]
    pub(crate) seconds: Duration,
    /// Connections of the closed loop.
    #[arg(long, global = true, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) connections: u16,
    /// Mails of a backlog.
    #[arg(long, global = true, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(100..=10_000_000))]
    pub(crate) mails: u32,
    /// Records of the largest log that a service is started with.
    #[arg(long, global = true, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1000..=50_000_000))]
    pub(crate) records: u32,
    /// Postfix's smtp-source, which `drain` compares with.
    #[arg(long, global = true, default_value = "/usr/sbin/smtp-source", value_name = "FILE")]
    pub(crate) smtp_source: PathBuf,
    /// Prints JSON instead of tables.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Replaces the tables of a Markdown document, each between its scenario's two markers.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
}

/// The scenarios, and what a scenario starts in processes of its own.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Command {
    /// Registrations: closed loop, 500/s, a sweep of rates; new, pending and verified addresses side by side.
    Register,
    /// Verifications with the right code: closed loop, 500/s.
    Verify,
    /// From a registration to its mail, 50/s, beside the bare broker round trip and the bare SMTP dialogue.
    Latency,
    /// A backlog of mails, beside smtp-source; and with a server that takes 50 ms for each mail.
    Drain,
    /// Starts with pending registrations, verified accounts and old records in the log: time and memory.
    Recovery,
    /// The mail server, then the broker, away for one turn's length under load: backlog, losses, duplicates.
    Outage,
    /// One, two and four replicas of each service.
    Scale,
    /// All of these, one after the other.
    All,
    #[command(hide = true, name = "process-sink")]
    Sink,
    #[command(hide = true, name = "process-bare")]
    Bare { brokers: String },
}

/// Seconds, with decimals if need be; from a tenth to an hour.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "expected a number of seconds".to_owned())?;
    if (0.1..=3600.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err("expected 0.1 to 3600 seconds".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn options_may_stand_behind_the_scenario() {
        let words = ["bench", "register", "--seconds", "0.5", "--rounds", "3"];
        let arguments = Arguments::try_parse_from(words).expect("valid");
        assert_eq!((arguments.options.rounds, arguments.options.seconds), (3, Duration::from_millis(500)));
    }

    #[test]
    fn a_turn_without_length_is_refused() {
        for seconds in ["0", "-1", "nan", "inf", "1e9", ""] {
            assert!(
                Arguments::try_parse_from(["bench", "register", "--seconds", seconds]).is_err(),
                "{seconds}"
            );
        }
    }
}
