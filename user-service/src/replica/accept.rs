//! Decides which records the view takes in. A record must be an event of its topic, from a process whose
//! clock is right, with numbers that a user service writes, about the account of the address that it names.

use crate::{
    identity::IdSecret,
    rules::{Rules, earlier, later},
};
use contract::{
    account_id::AccountId,
    event::{DecodeError, Event, EventKind, Origin, VERSION},
};
use jiff::Timestamp;
use serde::Deserialize;

/// The rules and the secret that records are checked against.
#[derive(Debug, Clone)]
pub(crate) struct Acceptance {
    pub(crate) rules: Rules,
    pub(crate) id_secret: IdSecret,
}

/// A record that the view takes in.
#[expect(clippy::large_enum_variant, reason = "there is one at a time, for a moment")]
#[derive(Debug)]
pub(crate) enum Accepted {
    Event(Event),
    /// An account that was verified long ago. Only the fact counts.
    VerifiedLongAgo(AccountId),
}

impl Acceptance {
    /// The topic of a record, and the times against which its event is checked.
    pub(crate) fn origin(
        &self,
        topic: contract::topic::Topic,
        timestamp: Option<i64>,
        now: Timestamp,
    ) -> Origin {
        Origin::new(topic, timestamp, now, self.rules.clock_tolerance())
    }

    /// Reads a record.
    ///
    /// # Errors
    /// [`DecodeError`]: the record is to be passed over.
    pub(crate) fn read(
        &self,
        origin: Origin,
        ce_type: Option<&[u8]>,
        key: Option<&[u8]>,
        payload: &[u8],
        now: Timestamp,
    ) -> Result<Accepted, DecodeError> {
        if ce_type == Some(EventKind::Verified.name().as_bytes())
            && origin.topic == EventKind::Verified.topic()
            && later(origin.written_at, self.rules.milestone_life()) <= now
        {
            return self.verified_long_ago(origin, key, payload).map(Accepted::VerifiedLongAgo);
        }
        let mut event = self.check(Event::read(origin, ce_type, payload)?)?;
        if let Event::Verified(verified) = &mut event {
            // A verification may be older than its record: it comes from a backup, or its writer's clock is slow.
            // Other replicas learnt of it when its record was written, so it counts from then, less the tolerance. That time
            // is the broker's: by its reader's clock it would differ from replica to replica.
            let latest = earlier(origin.stamped_at(now), self.rules.clock_tolerance());
            verified.occurred_at = verified.occurred_at.max(latest);
        }
        Ok(Accepted::Event(event))
    }

    /// Checks that an event's windows are near its time, and that its account is the one of its address.
    fn check(&self, event: Event) -> Result<Event, DecodeError> {
        let occurred_at = event.occurred_at();
        let windows_fit = match &event {
            Event::Registered(_, event) => self.fits(event.window, occurred_at),
            Event::Attempt(event) => event.windows.iter().all(|window| self.fits(*window, occurred_at)),
            Event::Verified(_) => true,
        };
        if !windows_fit {
            return Err(DecodeError::OutOfRange);
        }
        if event.email().is_some_and(|email| self.id_secret.account_id(email) != event.account_id()) {
            return Err(DecodeError::WrongAccount);
        }
        Ok(event)
    }

    /// A replay reads millions of these, so only the fields that decide on the record are parsed.
    fn verified_long_ago(
        &self,
        origin: Origin,
        key: Option<&[u8]>,
        payload: &[u8],
    ) -> Result<AccountId, DecodeError> {
        #[derive(Deserialize)]
        struct VersionAlone {
            version: u32,
        }
        #[derive(Deserialize)]
        struct Head {
            version: u32,
            id: AccountId,
            occurred_at: Timestamp,
        }
        let malformed = |error: serde_json::Error| match serde_json::from_slice::<VersionAlone>(payload) {
            Ok(VersionAlone { version }) if version != VERSION => DecodeError::UnknownVersion(version),
            _ => DecodeError::Malformed { line: error.line(), column: error.column() },
        };
        let head: Head = serde_json::from_slice(payload).map_err(malformed)?;
        if head.version != VERSION {
            return Err(DecodeError::UnknownVersion(head.version));
        }
        if account(key) != Some(head.id) {
            return Err(DecodeError::WrongAccount);
        }
        if head.occurred_at > later(origin.written_at, self.rules.clock_tolerance()) {
            return Err(DecodeError::WrongClock);
        }
        Ok(head.id)
    }

    /// Whether an event of this moment may name the window. The range allows for clocks
    /// that differ, and for accounts whose windows begin later because of a tombstone.
    fn fits(&self, window: u64, moment: Timestamp) -> bool {
        let clock = self.rules.window_at(moment).number();
        (clock.saturating_sub(1)..=clock.saturating_add(2)).contains(&window)
    }
}

/// The account that a record's key names.
pub(super) fn account(key: Option<&[u8]>) -> Option<AccountId> {
    std::str::from_utf8(key?).ok()?.parse().ok()
}
