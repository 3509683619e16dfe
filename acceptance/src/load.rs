//! Open-loop load: requests begin at a rate, whatever happens to the earlier ones.

use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// Begins a piece of work `per_second` times a second, until `more` returns false for its number. Then it waits for all
/// pieces.
///
/// The results are in the order in which the pieces began.
///
/// # Panics
/// When a piece panics.
pub async fn open_loop<F, T>(
    per_second: u32,
    mut more: impl FnMut(usize) -> bool,
    mut begin: impl FnMut(usize) -> F,
) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let mut ticks = interval(Duration::from_secs(1) / per_second);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut begun = Vec::new();
    while more(begun.len()) {
        ticks.tick().await;
        begun.push(tokio::spawn(begin(begun.len())));
    }
    let mut results = Vec::with_capacity(begun.len());
    for work in begun {
        results.push(work.await.expect("no panic in the load"));
    }
    results
}
