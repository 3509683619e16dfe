//! Bounds the memory for registrations: at the bound the follower stops reading them.
//!
//! Every replica refuses new registrations at `MAX_PENDING`. There can be 1.5 times as many only
//! if others write more than they should. This replica then pauses the topic of registrations.
//! It skips nothing and is not ready. It reads on when enough registrations have expired.

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the topic of registrations is read.
pub(super) struct Intake {
    max_pending: u64,
    is_paused: AtomicBool,
}

impl Intake {
    pub(super) fn new(max_pending: u64) -> Self {
        Self { max_pending, is_paused: AtomicBool::new(false) }
    }

    pub(super) fn is_paused(&self) -> bool {
        self.is_paused.load(Ordering::Relaxed)
    }

    /// Whether this many are too many to read on: 1.5 × `MAX_PENDING`, and 1.25 × once it is paused.
    pub(super) fn is_full(&self, held: u64) -> bool {
        let quarters = if self.is_paused.load(Ordering::Relaxed) { 5 } else { 6 };
        u128::from(held) * 4 >= u128::from(self.max_pending) * quarters
    }

    /// Pauses the consumer of registrations while there are too many of them, and resumes it afterwards.
    pub(super) fn hold_or_go_on<C: ConsumerContext>(&self, consumer: &BaseConsumer<C>, held: u64) {
        let is_full = self.is_full(held);
        if is_full == self.is_paused.load(Ordering::Relaxed) {
            return;
        }
        let all = consumer.assignment();
        let done = all.and_then(|all| if is_full { consumer.pause(&all) } else { consumer.resume(&all) });
        match done {
            Ok(()) => {
                self.is_paused.store(is_full, Ordering::Relaxed);
                if is_full {
                    log::error!("registrations" = held; "more registrations than 1.5 x MAX_PENDING: not ready until enough have expired");
                } else {
                    log::info!("registrations" = held; "registrations are read again");
                }
            }
            Err(error) => {
                log::warn!("error" = error.to_string().as_str(); "the topic of registrations can't be paused or resumed")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_full_at_half_as_many_again_and_goes_on_at_a_quarter_less() {
        let intake = Intake::new(1_000);
        assert!(!intake.is_full(1_499) && intake.is_full(1_500) && intake.is_full(u64::MAX));
        intake.is_paused.store(true, Ordering::Relaxed);
        assert!(intake.is_full(1_250) && !intake.is_full(1_249));
        assert!(!Intake::new(u64::MAX).is_full(u64::MAX / 2));
    }
}
