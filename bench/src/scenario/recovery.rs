//! `recovery`: what a start costs with so much in the log: time, CPU time and resident memory.

mod meanwhile;
mod start;

use crate::{
    arguments::Options,
    fill::{self, Person},
    report::{Bound, Cell, Findings, Series, Table},
    spread::Spread,
    stage::Stage,
};
use jiff::{SignedDuration, Timestamp};
use start::Start;

const MIB: f64 = 1024.0 * 1024.0;
/// A million pending registrations: goals for time and memory.
const MILLION: u64 = 1_000_000;
/// How far back the old log goes, and where it ends: before the replay's start, an hour and two minutes ago.
const OLD: [SignedDuration; 2] = [SignedDuration::from_hours(25), SignedDuration::from_mins(65)];
/// Registrations within the window behind the old log.
const RECENT: u64 = 10_000;

/// Measures starts.
///
/// # Errors
/// When something can't be started.
pub(crate) async fn run(options: &Options) -> anyhow::Result<Findings> {
    let mut findings = Findings::of("recovery");
    let mut table = start::table("Starts of one user service");
    pending(&mut findings, &mut table, options).await?;
    verified(&mut table, options).await?;
    old(&mut table, options).await?;
    findings.tables.push(table);
    Ok(findings)
}

/// Ever more pending registrations, and a first replica's latency while a second one replays the most.
async fn pending(findings: &mut Findings, table: &mut Table, options: &Options) -> anyhow::Result<()> {
    let stage = with_topics().await;
    let mut lines = [("ready after, s", Vec::new()), ("resident, 10 MiB", Vec::new())];
    let mut there = 0;
    for count in sizes(options.records.into()) {
        let event = |number| Person::numbered(number, Timestamp::now())?.created();
        fill::write(&stage.brokers(), there..count, "writing pending registrations", event).await?;
        there = count;
        let starts = start::repeated(&stage, options.rounds).await?;
        start::row(table, &format!("{count} pending registrations"), &starts);
        #[expect(clippy::cast_precision_loss, reason = "some millions")]
        for (line, figure) in
            lines.iter_mut().zip([Start::seconds as fn(&Start) -> f64, |start| start.resident / MIB / 10.0])
        {
            line.1.push((count as f64, Spread::of(starts.iter().map(figure)).median));
        }
        if count == MILLION {
            let seconds = Spread::of(starts.iter().map(Start::seconds));
            findings.goal("recovery: 1 M pending, ready after", seconds, Bound::AtMost(15.0), "s");
            let megabytes = Spread::of(starts.iter().map(|start| start.peak / 1e6));
            findings.goal("recovery: 1 M pending, resident at most", megabytes, Bound::AtMost(700.0), "MB");
        }
    }
    let lines = lines.map(|(name, points)| Series { name: name.to_owned(), points });
    findings.chart("Start over pending registrations", "pending", "s, 10 MiB", lines.into());
    meanwhile::measure(findings, &stage).await
}

/// As many verified accounts, and nothing else.
async fn verified(table: &mut Table, options: &Options) -> anyhow::Result<()> {
    let stage = with_topics().await;
    let event = |number| Person::numbered(number, Timestamp::now())?.verified();
    fill::write(&stage.brokers(), 0..options.records.into(), "writing verified accounts", event).await?;
    let starts = start::repeated(&stage, options.rounds).await?;
    start::row(table, &format!("{} verified accounts", options.records), &starts);
    Ok(())
}

/// A day of registrations that are too old to matter, in the order of their time, as they would have been written.
async fn old(table: &mut Table, options: &Options) -> anyhow::Result<()> {
    let stage = with_topics().await;
    let (now, count) = (Timestamp::now(), u64::from(options.records));
    let event = move |number: u64| {
        let span = OLD[0] - OLD[1];
        let age = OLD[0] - span * i32::try_from(number * 1000 / count)? / 1000;
        Person::numbered(number, now - age)?.created()
    };
    fill::write(&stage.brokers(), 0..count, "writing a day of old registrations", event).await?;
    let recent = |number| Person::numbered(number, Timestamp::now())?.created();
    fill::write(&stage.brokers(), count..count + RECENT, "writing recent registrations", recent).await?;
    let starts = start::repeated(&stage, options.rounds).await?;
    start::row(
        table,
        &format!("{count} registrations of the 24 h before the window, {RECENT} in it"),
        &starts,
    );
    Ok(())
}

/// A broker with the topics of the contract, which a user service creates when it starts.
async fn with_topics() -> Stage {
    let stage = Stage::start().await;
    let mut service = stage.user_service("creates-topics");
    service.start_and_wait().await;
    service.stop().await;
    stage
}

/// Powers of ten from 10,000 below the greatest size, and that.
fn sizes(greatest: u64) -> Vec<u64> {
    let powers = std::iter::successors(Some(10_000), |size| Some(size * 10));
    powers.take_while(|size| *size < greatest).chain([greatest]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_grow_tenfold_up_to_the_greatest() {
        assert_eq!(sizes(MILLION), [10_000, 100_000, MILLION]);
        assert_eq!(sizes(250_000), [10_000, 100_000, 250_000]);
        assert_eq!(sizes(1000), [1000]);
    }
}
