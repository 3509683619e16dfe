//! `recovery`: the cost of a start with a large log: time, CPU time and resident memory.

mod meanwhile;
mod start;

use crate::{
    arguments::Options,
    fill::{self, Person},
    report::{Bound, Cell, Findings, Series, Table},
    spread::Spread,
    stage::Stage,
};
use contract::{event::Event, topic::Topic};
use jiff::{SignedDuration, Timestamp};
use start::Start;
use std::ops::Range;

const MIB: f64 = 1024.0 * 1024.0;
/// The number of records for which there are goals for time and memory.
const MILLION: u64 = 1_000_000;
/// The age of the old log's first and last record. The last one is older than the replay's start, which is at most three
/// hours and four minutes ago.
const OLD: [SignedDuration; 2] = [SignedDuration::from_hours(27), SignedDuration::from_mins(190)];
/// The age of verifications of which only the fact counts.
const LONG_AGO: SignedDuration = SignedDuration::from_hours(30 * 24);
/// The goal for a start with a million registrations, in seconds since the process began.
const READY_WITH_REGISTRATIONS: f64 = 15.0;
/// The goal for a million accounts that were verified long ago. Only the key of each is read.
const READY_WITH_VERIFIED: f64 = 1.5;
/// Present registrations behind the old log.
const RECENT: u64 = 10_000;

/// Measures starts.
///
/// # Errors
/// When something can't be started.
pub(crate) async fn run(options: &Options) -> anyhow::Result<Findings> {
    let mut findings = Findings::of("recovery");
    let mut table = start::table("Starts of one user service");
    pending(&mut findings, &mut table, options).await?;
    verified(&mut findings, &mut table, options).await?;
    old(&mut table, options).await?;
    findings.tables.push(table);
    Ok(findings)
}

/// More and more pending registrations. Then a replica's latency while a second one replays the largest log.
async fn pending(findings: &mut Findings, table: &mut Table, options: &Options) -> anyhow::Result<()> {
    let stage = with_topics().await;
    start::row(table, "nothing", &start::repeated(&stage, options.rounds).await?);
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
            findings.goal(
                "recovery: 1 M pending, ready after",
                seconds,
                Bound::AtMost(READY_WITH_REGISTRATIONS),
                "s",
            );
            let megabytes = Spread::of(starts.iter().map(|start| start.peak / 1e6));
            findings.goal("recovery: 1 M pending, resident at most", megabytes, Bound::AtMost(700.0), "MB");
        }
    }
    let lines = lines.map(|(name, points)| Series { name: name.to_owned(), points });
    findings.chart("Start over pending registrations", "pending", "s, 10 MiB", lines.into());
    meanwhile::measure(findings, &stage).await
}

/// Only accounts that were verified long ago, and then only accounts that were verified just now.
async fn verified(findings: &mut Findings, table: &mut Table, options: &Options) -> anyhow::Result<()> {
    let count = u64::from(options.records);
    let stage = with_topics().await;
    let idle = start::repeated(&stage, options.rounds).await?;
    let then = Timestamp::now() - LONG_AGO;
    let event = move |number| Ok(Person::numbered(number, then)?.verified());
    write_old(&stage, Topic::Verified, 0..count, "writing accounts verified long ago", event).await?;
    let starts = start::repeated(&stage, options.rounds).await?;
    start::row(table, &format!("{count} accounts verified 30 days ago"), &starts);
    if count == MILLION {
        let seconds = Spread::of(starts.iter().map(Start::seconds));
        findings.goal(
            "recovery: 1 M verified, ready after",
            seconds,
            Bound::AtMost(READY_WITH_VERIFIED),
            "s",
        );
        let above = starts.iter().zip(&idle).map(|(start, idle)| (start.resident - idle.resident) / 1e6);
        findings.goal("recovery: 1 M verified, above idle", Spread::of(above), Bound::AtMost(60.0), "MB");
    }

    let stage = with_topics().await;
    let event = |number| Ok(Person::numbered(number, Timestamp::now())?.verified());
    fill::write(&stage.brokers(), 0..count, "writing accounts verified now", event).await?;
    let starts = start::repeated(&stage, options.rounds).await?;
    start::row(table, &format!("{count} accounts verified within the hour"), &starts);
    Ok(())
}

/// Writes records with old times. The topic takes the writer's time only meanwhile. A record keeps the time with which it
/// was written.
async fn write_old(
    stage: &Stage,
    topic: Topic,
    people: Range<u64>,
    label: &str,
    event: impl Fn(u64) -> anyhow::Result<Event> + Send + 'static,
) -> anyhow::Result<()> {
    let set = async |kind| {
        let name =
            ["--alter", "--entity-type", "topics", "--entity-name", topic.name(), "--add-config", kind];
        stage.world.kafka.configs(&name).await;
    };
    set("message.timestamp.type=CreateTime").await;
    fill::write(&stage.brokers(), people, label, event).await?;
    set("message.timestamp.type=LogAppendTime").await;
    Ok(())
}

/// A day of registrations that are too old to matter, in the order of their times, as services would have written them.
async fn old(table: &mut Table, options: &Options) -> anyhow::Result<()> {
    let stage = with_topics().await;
    let (now, count) = (Timestamp::now(), u64::from(options.records));
    let event = move |number: u64| {
        let span = OLD[0] - OLD[1];
        let age = OLD[0] - span * i32::try_from(number * 1000 / count)? / 1000;
        Person::numbered(number, now - age)?.created()
    };
    write_old(&stage, Topic::Created, 0..count, "writing a day of old registrations", event).await?;
    let recent = |number| Person::numbered(number, Timestamp::now())?.created();
    fill::write(&stage.brokers(), count..count + RECENT, "writing recent registrations", recent).await?;
    let starts = start::repeated(&stage, options.rounds).await?;
    start::row(
        table,
        &format!("{count} registrations of the 24 h before the replay's start, {RECENT} after it"),
        &starts,
    );
    Ok(())
}

/// A broker with the topics of the contract. A user service creates them at its start.
async fn with_topics() -> Stage {
    let stage = Stage::start().await;
    let mut service = stage.user_service("creates-topics");
    service.start_and_wait().await;
    service.stop().await;
    stage
}

/// The powers of ten from 10,000 that are below the largest size, and the largest size.
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
