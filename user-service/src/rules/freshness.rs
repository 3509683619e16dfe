//! How much of the log a decision must rest on: a function of what is decided, never of the address.

use contract::topic::Topic;
use std::time::Duration;

/// What is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    /// Which place of the schedule a request takes.
    NextMail,
    /// That nobody registered under an id.
    IsUnknown,
    /// That a right proof is accepted.
    MayBeVerified,
}

/// The end of these topics, as it was at most that long ago, must have been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Freshness {
    pub(crate) topics: &'static [Topic],
    pub(crate) age: Duration,
}

impl Freshness {
    /// All that is in the log now.
    pub(crate) const END: Self =
        Self { topics: &[Topic::Created, Topic::Activity, Topic::Verified], age: Duration::ZERO };

    /// What a decision of this kind rests on.
    pub(crate) const fn of(question: Question) -> Self {
        match question {
            // A replica that was frozen would otherwise answer a queued request from a stale view, and take a place that another
            // replica has taken.
            Question::NextMail => Self { age: Duration::from_secs(2), ..Self::END },
            Question::IsUnknown => Self { topics: &[Topic::Created], age: Duration::ZERO },
            // Another replica may have verified the account, or forgotten it.
            Question::MayBeVerified => Self { topics: &[Topic::Verified], age: Duration::ZERO },
        }
    }
}
