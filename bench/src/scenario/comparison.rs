//! Two sides under the same load, in turns (A B, B A, ...), so that other load on the machine affects both.

use crate::{
    latency::Latencies,
    load::{self, Bodies, Measured, Schedule, Target},
    progress,
    report::{Cell, Findings, Series, Table},
    spread::Spread,
    stage::Stage,
    usage,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// The most connections of an open loop.
const OPEN_CONNECTIONS: u16 = 256;

/// An endpoint and its process.
pub(crate) struct Side {
    pub(crate) name: &'static str,
    pub(crate) target: Target,
    pub(crate) process: u32,
    pub(crate) bodies: Bodies,
    /// The expected status of every answer.
    pub(crate) status: u16,
}

/// The load on a side.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Load {
    Closed { connections: u16, length: Duration },
    Open(Schedule),
}

/// The result of one turn of one side.
pub(crate) struct Turn {
    pub(crate) measured: Measured,
    pub(crate) latencies: Latencies,
    /// CPU seconds per 1,000 requests: of the side's process, of the broker, of the load itself.
    pub(crate) cpu: [f64; 3],
    /// The same for each kind of thread in the side's process.
    threads: BTreeMap<String, f64>,
}

/// The turns of each side, in the order of the rounds.
pub(crate) struct Comparison {
    names: [&'static str; 2],
    pub(crate) turns: [Vec<Turn>; 2],
}

/// Puts a load on two sides in turns.
///
/// # Errors
/// When an answer has another status than expected, or a process has ended.
pub(crate) async fn compare(
    stage: &Stage,
    sides: &[Side; 2],
    load: Load,
    rounds: u32,
    label: &str,
) -> anyhow::Result<Comparison> {
    let mut turns = [Vec::new(), Vec::new()];
    let bar = progress::bar(label, u64::from(rounds) * 2);
    for round in 0..rounds {
        // The first side alternates, so that neither always follows the other.
        let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        for side in order {
            turns[side].push(turn(stage, &sides[side], load).await?);
            bar.inc(1);
        }
    }
    Ok(Comparison { names: [sides[0].name, sides[1].name], turns })
}

/// Puts a load on one side once.
///
/// # Errors
/// As [`compare`].
pub(crate) async fn turn(stage: &Stage, side: &Side, load: Load) -> anyhow::Result<Turn> {
    let used = || -> anyhow::Result<[Duration; 3]> {
        Ok([usage::cpu_time(side.process)?, stage.broker_cpu_time()?, usage::own_cpu_time()?])
    };
    let (threads_before, before) = (usage::cpu_time_by_thread(side.process)?, used()?);
    let measured = match load {
        Load::Closed { connections, length } => {
            load::closed_loop(&side.target, connections, length, &side.bodies).await?
        }
        Load::Open(schedule) => {
            load::open_loop(&side.target, OPEN_CONNECTIONS, schedule, &side.bodies).await?
        }
    };
    let (threads_after, after) = (usage::cpu_time_by_thread(side.process)?, used()?);
    let measured = measured.all_answered(side.status)?;
    let latencies = Latencies::of(measured.latencies())?;
    let thousands = measured.rate() * measured.elapsed.as_secs_f64() / 1000.0;
    let cpu = [0, 1, 2].map(|of| (after[of] - before[of]).as_secs_f64() / thousands);
    let since = |name: &str| threads_before.get(name).copied().unwrap_or_default();
    let threads = threads_after.into_iter().map(|(name, time)| {
        let used = time.saturating_sub(since(&name)).as_secs_f64() / thousands;
        (name, used)
    });
    Ok(Turn { threads: threads.collect(), measured, latencies, cpu })
}

impl Comparison {
    fn last_turns(&self) -> impl Iterator<Item = (&'static str, &Turn)> {
        self.names.into_iter().zip(&self.turns).filter_map(|(name, turns)| Some((name, turns.last()?)))
    }

    /// A figure of the first side, divided by that of the second in the same round.
    pub(crate) fn ratio(&self, figure: impl Fn(&Turn) -> f64) -> Spread {
        let [first, second] = &self.turns;
        Spread::of_ratios(first.iter().zip(second).map(|(first, second)| (figure(first), figure(second))))
    }

    /// Rates, latencies and CPU time of both sides, and the quotients of the first side by the second.
    pub(crate) fn table(&self, title: &str) -> Table {
        const FIGURES: [fn(&Turn) -> f64; 7] = [
            |turn| turn.measured.rate(),
            |turn| turn.latencies.percentile_ms(50.0),
            |turn| turn.latencies.percentile_ms(99.0),
            |turn| turn.latencies.max_ms(),
            |turn| turn.cpu[0],
            |turn| turn.cpu[1],
            |turn| turn.cpu[2],
        ];
        let columns = [
            "per second",
            "p50 ms",
            "p99 ms",
            "max ms",
            "its CPU s per 1,000",
            "broker CPU s per 1,000",
            "load CPU s per 1,000",
        ];
        let mut table = Table::new(title, &columns);
        for (name, turns) in self.names.iter().zip(&self.turns) {
            table.row(name, FIGURES.map(|figure| Cell::from(Spread::of(turns.iter().map(figure)))));
        }
        table.row("quotient, round by round", FIGURES.map(|figure| Cell::from(self.ratio(figure))));
        table
    }
}

impl Comparison {
    /// CPU time of each side by thread, for threads with more than a hundredth of it.
    pub(crate) fn threads(&self, title: &str) -> Table {
        let mut table = Table::new(title, &["CPU s per 1,000"]);
        for (side, turns) in self.names.iter().zip(&self.turns) {
            let names: BTreeSet<_> = turns.iter().flat_map(|turn| turn.threads.keys()).collect();
            let whole = Spread::of(turns.iter().map(|turn| turn.cpu[0])).median;
            for name in names {
                let used =
                    Spread::of(turns.iter().map(|turn| turn.threads.get(name).copied().unwrap_or(0.0)));
                if used.median > whole / 100.0 {
                    table.row(&format!("{side}: {name}"), [Cell::from(used)]);
                }
            }
        }
        table
    }
}

impl Findings {
    /// Plots the percentiles of both sides' last turns.
    pub(crate) fn plot_tails(&mut self, title: &str, comparison: &Comparison) {
        let lines = comparison
            .last_turns()
            .map(|(name, turn)| Series { name: name.to_owned(), points: turn.latencies.curve() });
        self.chart(title, "percentile", "ms", lines.collect());
    }

    /// Plots p50 and p99 of each second of both sides' last turns.
    pub(crate) fn plot_seconds(&mut self, title: &str, comparison: &Comparison) {
        let lines = comparison.last_turns().flat_map(|(name, turn)| {
            [50.0, 99.0].map(|percent| Series {
                name: format!("{name}, p{percent}"),
                points: turn.measured.by_second(percent),
            })
        });
        self.chart(title, "seconds", "ms", lines.collect());
    }
}
