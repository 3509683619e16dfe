//! How far a user service has read the log.

use crate::broker::number_of;
use contract::{account_id::AccountId, topic::Topic};
use notification_service::simulated::Partition;
use std::collections::BTreeMap;

/// The next offset of each partition.
pub(crate) struct Read<'a> {
    pub(crate) next: &'a BTreeMap<Partition, i64>,
    /// Partitions of each topic.
    pub(crate) count: i32,
}

impl Read<'_> {
    fn of(&self, topic: Topic, account: AccountId) -> i64 {
        let number = number_of(Some(account.to_string().as_bytes()), self.count);
        self.next.get(&Partition { topic, number }).copied().unwrap_or_default()
    }

    /// The next record with a registration of this account.
    pub(super) fn created(&self, account: AccountId) -> i64 {
        self.of(Topic::Created, account)
    }

    /// The next one with an attempt.
    pub(super) fn activity(&self, account: AccountId) -> i64 {
        self.of(Topic::Activity, account)
    }

    /// The next one with a verification, or a tombstone.
    pub(super) fn verified(&self, account: AccountId) -> i64 {
        self.of(Topic::Verified, account)
    }
}
