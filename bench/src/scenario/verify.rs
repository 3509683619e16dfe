//! `verify`: the right code, once for each account, beside a route that publishes the same two records.
//!
//! A verification writes an attempt, reads it back, compares, and writes the verified account. The bare route writes two
//! records of these sizes, the second after the first's ack, and reads nothing.

use super::{
    accounts,
    comparison::{self, Load, Side},
};
use crate::{
    arguments::Options,
    fill::Person,
    load::{Bodies, Schedule, Target},
    report::Findings,
    stage::{self, Stage},
};
use bytes::Bytes;
use std::sync::Arc;

const PATH: &str = "/api/verify";
const RATE: u32 = 500;
/// The turns may be faster than the warm-up: there are accounts for at least this many verifications per second.
const LEAST_RATE: f64 = 10_000.0;
/// Accounts of the warm-up.
const FIRST: u64 = 4000;

/// Measures verifications.
///
/// # Errors
/// When something can't be started, or a verification is refused.
pub(crate) async fn run(options: &Options) -> anyhow::Result<Findings> {
    let stage = Stage::start().await;
    let mut service = stage.user_service("user-service");
    service.start_and_wait().await;
    let bare = stage.bare_route().await?;
    let side = |name, address, process, bodies| Side {
        name,
        target: Target::new(address, PATH),
        process,
        bodies,
        status: 200,
    };
    let reference = side("bare route", bare.address(), bare.id()?, same_again());
    let service = |bodies| side("user-service", service.address(), service.id(), bodies);
    let address = service(same_again()).target.addresses[0];

    let first = accounts::register(address, 0..FIRST).await?;
    let warm_up = [service(accounts::verifications(first)), reference];
    let load = Load::Closed { connections: options.connections, length: stage::WARM_UP };
    let reached = comparison::compare(&stage, &warm_up, load, 1, "verify: warming up").await?;
    let [_, reference] = warm_up;

    // Each account can be verified once, so all accounts that the loops may need are registered first.
    let turns = options.seconds.as_secs_f64() * f64::from(options.rounds);
    let fastest = reached.turns[0].iter().map(|turn| turn.measured.rate()).fold(0.0, f64::max);
    let wanted = count(turns * ((fastest * 2.0).max(LEAST_RATE) + f64::from(RATE)));
    let sides = [
        service(accounts::verifications(accounts::register(address, FIRST..FIRST + wanted).await?)),
        reference,
    ];

    let mut findings = Findings::of("verify");
    let open = Load::Open(Schedule { per_second: RATE, length: options.seconds });
    let open = comparison::compare(&stage, &sides, open, options.rounds, "verify: 500/s").await?;
    let closed = Load::Closed { connections: options.connections, length: options.seconds };
    let closed = comparison::compare(&stage, &sides, closed, options.rounds, "verify: closed loop").await?;
    findings.tables.push(closed.table(&format!("Closed loop, {} connections", options.connections)));
    findings.tables.push(open.table("Open loop, 500 per second"));
    findings.tables.push(closed.threads("CPU time in the closed loop by threads"));
    findings.plot_tails("Latency of a verification at 500/s, last turn", &open);
    Ok(findings)
}

/// The same body each time: the bare route reads no account.
fn same_again() -> Bodies {
    let body = Bytes::from(format!(r#"{{"id":"{}","code":"000000"}}"#, Person::PLACEHOLDER_ID));
    Arc::new(move |_| Some(body.clone()))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some hundred thousand accounts")]
fn count(accounts: f64) -> u64 {
    accounts.ceil() as u64
}
