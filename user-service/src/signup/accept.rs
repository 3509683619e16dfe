//! Which records the view takes in: events of their topics, with times and numbers that a user service writes, of windows
//! that exist, about the account of the address that they name.

use super::{IdSecret, later};
use crate::config::REPLAY_SLACK;
use jiff::Timestamp;
use shared::event::{DecodeError, Event, Origin};
use std::{ops::RangeInclusive, time::Duration};

/// What an event has to agree with.
#[derive(Debug, Clone)]
pub(crate) struct Acceptance {
    /// `WINDOW`, the same in all replicas.
    pub(super) window: Duration,
    /// What ids are derived from.
    pub(super) id_secret: IdSecret,
}

impl Acceptance {
    /// Reads the event of a record.
    ///
    /// # Errors
    /// [`DecodeError`]: the record is to be passed over.
    pub(super) fn event(
        &self,
        origin: Origin,
        ce_type: Option<&[u8]>,
        payload: &[u8],
    ) -> Result<Event, DecodeError> {
        let event = Event::read(origin, ce_type, payload)?;
        let (window, email) = match &event {
            Event::Created(event) | Event::CodeResent(event) => (event.window, Some(&event.email)),
            Event::AccountExists(event) => (event.window, Some(&event.email)),
            Event::Attempt(event) => (event.window, None),
            // These change nothing but whether an id is verified.
            Event::RegistrationRepeated(_) | Event::Verified(_) => return Ok(event),
        };
        if !self.windows_at(event.occurred_at()).contains(&window) {
            return Err(DecodeError::OutOfRange);
        }
        if email.is_some_and(|email| self.id_secret.account_id(email) != event.account_id()) {
            return Err(DecodeError::WrongAccount);
        }
        Ok(event)
    }

    /// From when on the log has to be read: the last window, with some slack for clocks that differ.
    pub(super) fn replay_from(&self, now: Timestamp) -> Timestamp {
        let back = self.window.saturating_add(REPLAY_SLACK);
        now.checked_sub(back).unwrap_or(Timestamp::MIN)
    }

    /// The windows that an event of this moment may name: one lasts into the number after its own, and clocks differ.
    fn windows_at(&self, moment: Timestamp) -> RangeInclusive<u64> {
        let number = |moment: Timestamp| super::pending::window_number(moment, self.window);
        let started = moment.checked_sub(self.window).unwrap_or(Timestamp::MIN);
        number(started)..=number(later(moment, self.window)).saturating_add(1)
    }
}
