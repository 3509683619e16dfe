//! How fresh the view must be for a decision. This depends on the kind of decision, never on the address.

use contract::topic::Topic;
use std::time::Duration;

/// The kinds of decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    /// Which place of the schedule a request takes.
    NextMail,
    /// Whether nobody registered under an id.
    IsUnknown,
    /// Whether a right proof is accepted.
    MayBeVerified,
}

/// The view must have read these topics to their log-end offsets of at most this long ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Freshness {
    pub(crate) topics: &'static [Topic],
    pub(crate) age: Duration,
}

impl Freshness {
    /// Everything that is in the log now.
    pub(crate) const END: Self =
        Self { topics: &[Topic::Created, Topic::Activity, Topic::Verified], age: Duration::ZERO };

    /// The freshness that a decision of this kind needs.
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
