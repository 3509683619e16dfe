//! One request to register, as the log has it.

use crate::rules::{Rules, later};
use contract::{account_id::AccountId, event::Registered, person::Person};
use jiff::Timestamp;

/// A registration. The holder of its id can be verified with exactly these data.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Registration {
    /// When it was made.
    pub(crate) made_at: Timestamp,
    /// The account of its address.
    pub(crate) account: AccountId,
    /// How many resends it descends from.
    pub(crate) resends: u32,
    /// Who registered.
    pub(crate) person: Person,
}

impl Registration {
    /// When it expires.
    pub(crate) fn ends_at(&self, rules: &Rules) -> Timestamp {
        later(self.made_at, rules.link_ttl)
    }
}

impl From<&Registered> for Registration {
    fn from(event: &Registered) -> Self {
        Self { made_at: event.occurred_at, account: event.id, resends: event.resends, person: event.person() }
    }
}
