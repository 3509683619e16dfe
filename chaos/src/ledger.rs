//! The exact ledger of a round: each promise is a count of its breaches, and each count has a bound.
//!
//! ```text
//!   index      the evidence, indexed for queries
//!   answers    were the answers true?
//!   guesses    which codes were compared, and which were right
//!   verified   who was verified, and with which data
//!   places     the schedule of mails
//!   mails      the outcome of each event, and the content of the mails
//!   duplicates mails that came again, and their causes
//! ```
//!
//! Pure: it reads only the evidence, so its tests can make evidence up.

mod index;
mod answers;
mod guesses;
mod verified;
mod places;
mod mails;
mod duplicates;

use crate::evidence::Evidence;
use guesses::Guesses;
use index::Index;

const EXAMPLES: usize = 5;

/// The number of breaches of a promise, or of events that may happen a limited number of times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) name: &'static str,
    pub(crate) bound: usize,
    pub(crate) found: usize,
    /// Some of them.
    pub(crate) examples: Vec<String>,
}

impl Count {
    /// Something that must not happen.
    fn none(name: &'static str, found: impl IntoIterator<Item = String>) -> Self {
        Self::bounded(name, 0, found)
    }

    /// Something that may happen `bound` times.
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

/// Judges a round. Returns all counts in the order of the report.
pub(crate) fn judge(evidence: &Evidence) -> Vec<Count> {
    let index = Index::new(evidence);
    let guesses = Guesses::of(&index);
    let recovery = &evidence.recovery;
    vec![
        answers::accepted_without_record(&index),
        answers::more_than_one_event(&index),
        answers::other_data(&index),
        answers::verified_without_event(&index),
        answers::accepted_called_unknown(&index),
        answers::accepted_after_its_end(&index),
        answers::outside_the_contract(&index),
        guesses.beyond_the_registration(),
        guesses.refused_too_early(),
        guesses.wrong_remainders(),
        guesses.beyond_the_window(),
        guesses.wrong_accepted(),
        guesses.right_called_wrong(),
        verified::other_data(&index),
        verified::twice(&index),
        verified::at_once(&index),
        verified::without_right(&index),
        places::mailed_twice(&index),
        places::taken_again(&index),
        places::too_early(&index),
        places::not_mailed_when_due(&index),
        places::wrong_kind(&index),
        places::wrong_window(&index),
        places::tagged(&index),
        mails::signups_without_mail(&index),
        mails::events_without_end(&index),
        mails::begun_too_late(&index),
        mails::wrong_content(&index),
        mails::names_shown(&index),
        mails::needless_dead_letters(&index),
        duplicates::duplicates(&index),
        duplicates::without_cause(&index),
        duplicates::beyond_their_cause(&index),
        Count::none("processes that ended by themselves, or not well", recovery.crashes.clone()),
        Count::none("services not ready in time after the last fault", recovery.not_ready.clone()),
        Count::none("partitions with a backlog after that", recovery.unsettled.clone()),
        Count::none("services with more memory than their configuration says", recovery.too_large.clone()),
    ]
}

#[cfg(test)]
mod tests;
