//! The scenarios. Each starts its own stage and returns findings.

mod accounts;
mod comparison;
mod delivery;
mod drain;
mod idle;
mod latency;
mod outage;
mod recovery;
mod register;
mod scale;
mod verify;

use crate::{
    arguments::{Arguments, Command, Options},
    report,
};

/// Runs the scenarios of the command line and shows the findings.
///
/// # Errors
/// When something can't be started, is refused, or ends by itself: the figures would be wrong.
pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let options: &Options = &arguments.options;
    let findings = match &arguments.command {
        Command::Register => vec![register::run(options).await?],
        Command::Verify => vec![verify::run(options).await?],
        Command::Latency => vec![latency::run(options).await?],
        Command::Drain => vec![drain::run(options).await?],
        Command::Recovery => vec![recovery::run(options).await?],
        Command::Outage => vec![outage::run(options).await?],
        Command::Scale => vec![scale::run(options).await?],
        Command::All => vec![
            register::run(options).await?,
            verify::run(options).await?,
            latency::run(options).await?,
            drain::run(options).await?,
            recovery::run(options).await?,
            outage::run(options).await?,
            scale::run(options).await?,
        ],
        Command::Sink | Command::Bare { .. } => Vec::new(),
    };
    report::show(&findings, options)
}
