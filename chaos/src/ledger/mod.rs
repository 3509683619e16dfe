//! The exact ledger of a round: every promise is a count of its breaches, and each count has a bound.
//!
//! ```text
//!   index      the evidence, so that it can be asked
//!   answers    was what clients were told true?
//!   mails      what became of each event
//!   attempts   which codes were compared, and which were right
//!   copies     which mails came twice, and why
//! ```
//!
//! Pure: it reads the evidence alone, so its tests make evidence up.

mod index;
mod answers;
mod mails;
mod attempts;
mod copies;

use crate::evidence::Evidence;
use index::Index;
use jiff::{SignedDuration, Timestamp};

/// Comparisons that a code stands.
pub(crate) const CODE_ATTEMPTS: u32 = 5;
/// Life of a code after its mail was asked for; long enough for a calm stretch, short enough to end in an outage.
pub(crate) const CODE_TTL: SignedDuration = SignedDuration::from_secs(30);

const EXAMPLES: usize = 5;

/// How often a promise was broken, or what may happen so often happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) name: &'static str,
    pub(crate) bound: usize,
    pub(crate) found: usize,
    /// Some of what was found.
    pub(crate) examples: Vec<String>,
}

impl Count {
    /// What must not happen.
    fn none(name: &'static str, found: impl IntoIterator<Item = String>) -> Self {
        Self::bounded(name, 0, found)
    }

    /// What may happen so often.
    fn bounded(name: &'static str, bound: usize, found: impl IntoIterator<Item = String>) -> Self {
        let mut count = Self { name, bound, found: 0, examples: Vec::new() };
        for example in found {
            count.found += 1;
            if count.examples.len() < EXAMPLES {
                count.examples.push(example);
            }
        }
        count
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.found > self.bound
    }
}

/// Judges a round: all counts, in the order of the report.
pub(crate) fn judge(evidence: &Evidence) -> Vec<Count> {
    let index = Index::new(evidence);
    let recovery = &evidence.recovery;
    vec![
        answers::accepted_without_record(&index),
        answers::verified_without_event(&index),
        answers::accepted_called_unknown(&index),
        answers::outside_the_contract(&index),
        mails::signups_without_mail(&index),
        mails::events_without_end(&index),
        mails::begun_after_expiry(&index),
        mails::wrong_content(&index),
        mails::needless_dead_letters(&index),
        attempts::sixth_comparisons(&index),
        attempts::wrong_verdicts(&index),
        attempts::two_valid_codes(&index),
        copies::copies(&index),
        copies::without_cause(&index),
        copies::beyond_their_cause(&index),
        Count::none("processes that ended by themselves, or not well", recovery.crashes.clone()),
        Count::none("services not ready in time after the last fault", recovery.not_ready.clone()),
        Count::none("partitions with a backlog after that", recovery.unsettled.clone()),
        Count::none("services with more memory than their configuration says", recovery.too_large.clone()),
    ]
}

/// The time from which an event's mail is no longer due; `None` when nothing here ends it.
fn expires_at(event: &shared::event::Event) -> Option<Timestamp> {
    match event {
        shared::event::Event::Created(issued) | shared::event::Event::CodeResent(issued) => {
            Some(issued.expires_at)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
