//! Bounds the memory for registrations: at the bound the follower stops reading them.
//!
//! Every replica refuses new registrations at `MAX_PENDING`. There can be 1.5 times as many only
//! if others write more than they should. This replica then pauses the topic of registrations.
//! It skips nothing and is not ready. It reads on when enough registrations have expired.

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

    /// Whether to pause (`true`) or to resume (`false`) the topic of registrations; `None` leaves it as it is.
    pub(super) fn change(&self, held: u64) -> Option<bool> {
        let is_full = self.is_full(held);
        (is_full != self.is_paused()).then_some(is_full)
    }

    /// Notes that the topic of registrations was paused or resumed.
    pub(super) fn changed(&self, is_paused: bool, held: u64) {
        self.is_paused.store(is_paused, Ordering::Relaxed);
        if is_paused {
            log::error!("registrations" = held; "more registrations than 1.5 x MAX_PENDING: not ready until enough have expired");
        } else {
            log::info!("registrations" = held; "registrations are read again");
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
        assert_eq!((intake.change(1_499), intake.change(1_500)), (None, Some(true)));
        intake.changed(true, 1_500);
        assert!(intake.is_full(1_250) && !intake.is_full(1_249));
        assert_eq!((intake.change(1_250), intake.change(1_249)), (None, Some(false)));
        assert!(!Intake::new(u64::MAX).is_full(u64::MAX / 2));
    }
}
