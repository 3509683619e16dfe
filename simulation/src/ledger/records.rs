//! What each record asks for.

use super::{Ledger, Work};
use crate::{broker::Stored, people::asks_for_a_mail, setup::GROUP};
use contract::{
    event::{Event, EventId},
    topic::Topic,
};
use jiff::{SignedDuration, Timestamp};
use notification_service::simulated::{Header, Partition, Retry, deadline};
use std::time::Duration;

/// No retry waits longer after it was written.
const LONGEST_DELAY: SignedDuration = SignedDuration::from_secs(120);

/// A mail is given up a second before its time is over.
pub(super) const EARLIEST_EXPIRY: SignedDuration = SignedDuration::from_secs(1);

/// Names a record.
pub(super) type Offset = (Partition, i64);

/// What a record asks for.
#[derive(Debug, Clone)]
pub(super) enum Content {
    /// Nothing.
    Nothing,
    /// A dead letter: it is no event.
    Broken,
    /// This mail, up to this moment; if it is a retry, not before its time.
    Mail { mail: EventId, deadline: Timestamp, retry: Option<Retry>, written_at: Timestamp },
}

impl Content {
    /// When a service may begin with it that read it `now`: no record was written after that.
    pub(super) fn due(&self, now: Timestamp) -> Timestamp {
        match self {
            Self::Mail { retry: Some(retry), written_at, .. } => {
                retry.not_before.min(now.min(*written_at) + LONGEST_DELAY)
            }
            _ => Timestamp::MIN,
        }
    }
}

impl Ledger {
    /// A record was written, if by a service then as this work.
    pub(crate) fn appended(
        &mut self,
        partition: Partition,
        offset: i64,
        stored: &Stored,
        by: Option<Work>,
        now: Duration,
    ) {
        if partition.topic == Topic::Activity {
            return;
        }
        if partition.topic == Topic::Verified
            && stored.payload.is_none()
            && let Some(account) =
                stored.key.as_deref().and_then(|key| std::str::from_utf8(key).ok()?.parse().ok())
        {
            let stamped_at = Timestamp::from_millisecond(stored.timestamp).unwrap_or_default();
            self.accounts.forgotten(account, offset, stamped_at);
        }
        let content = self.content(partition.topic, stored, now);
        if let (Content::Mail { mail, .. }, Some(work)) = (&content, by) {
            self.copied(*mail, partition.topic, work);
        } else if let Content::Mail { mail, deadline, .. } = &content {
            self.promised(*mail, *deadline, now);
        }
        if partition.topic != Topic::DeadLetter {
            self.records.insert((partition, offset), content);
        }
    }

    fn content(&mut self, topic: Topic, stored: &Stored, now: Duration) -> Content {
        let header = |name: &str| value(&stored.headers, name);
        let Some(payload) = &stored.payload else { return Content::Nothing };
        if header("retry_group").is_some_and(|group| group != GROUP.as_bytes()) {
            return Content::Nothing;
        }
        let Ok(event) = Event::decode(header("ce_type"), payload) else { return Content::Broken };
        if !self.was_published(&event) {
            self.breaks("copies of a record say what it said", now, format!("{event:?}"));
        }
        let written_at = Timestamp::from_millisecond(stored.timestamp).unwrap_or_default();
        if !topic.takes_copies() && !self.is_in_time(&event, written_at) {
            return Content::Broken;
        }
        if !asks_for_a_mail(&event) {
            return Content::Nothing;
        }
        Content::Mail {
            mail: event.mail_id(),
            deadline: deadline(&event).unwrap_or(Timestamp::MIN),
            retry: Retry::from_headers(&stored.headers, Timestamp::MAX),
            written_at,
        }
    }
}

fn value<'a>(headers: &'a [Header], name: &str) -> Option<&'a [u8]> {
    headers.iter().find(|header| header.name == name)?.value.as_deref()
}
