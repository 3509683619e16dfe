//! The topics of the contract: their names, their settings, and how long each keeps its records.

use std::time::Duration;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// How long the compacted topic keeps all records, including outdated ones and tombstones. This is
/// longer than a user service remembers a tombstone: at most 24 h (`LINK_TTL`) and three windows of 6 h.
const COMPACTION_LAG: Duration = Duration::from_secs(48 * 60 * 60);

/// Room in bytes for a record that is written again with its provenance: the largest record that
/// a broker takes by default (`max.message.bytes`, 1,048,588), and as much again for the headers.
pub const MAX_COPIED_RECORD: u32 = 2 * 1024 * 1024;

/// The settings that a topic is made with and checked against: Kafka's names, and values.
pub type Settings = Vec<(&'static str, String)>;

/// One of the five topics. All are keyed by the account's id, in text form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    /// The events of `register` and `resend`, one record for each.
    Created,
    /// Codes that were tried.
    Activity,
    /// Verified accounts, the newest record of each; a null value forgets the account.
    Verified,
    /// Records to mail again.
    MailRetry,
    /// Records that could not be mailed.
    DeadLetter,
}

impl Topic {
    /// All topics, in the order in which they are created.
    pub const ALL: [Self; 5] =
        [Self::Created, Self::Activity, Self::Verified, Self::MailRetry, Self::DeadLetter];

    /// The topic's name in Kafka.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Created => "user_account_created",
            Self::Activity => "user_account_activity",
            Self::Verified => "user_account_verified",
            Self::MailRetry => "user_account_mail_retry",
            Self::DeadLetter => "user_account_dead_letter",
        }
    }

    /// The topic with this name, if it is one of the five.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.name() == name)
    }

    /// Whether its records are copies of records of the other topics.
    #[must_use]
    pub const fn takes_copies(self) -> bool {
        matches!(self, Self::MailRetry | Self::DeadLetter)
    }

    /// The settings of this topic with this many replicas. All other settings are the broker's.
    #[must_use]
    pub fn settings(self, replicas: i32) -> Settings {
        let mut settings = vec![
            // With one replica away writes continue, and an ack still means two of three.
            ("min.insync.replicas", (replicas - 1).max(1).to_string()),
            // Only closed segments are deleted or compacted.
            ("segment.ms", HOUR.as_millis().to_string()),
            // The broker decompresses a producer's batch, and refuses it if it is then too
            // large. Otherwise a batch of a megabyte could be a gigabyte for each reader.
            ("compression.type", "uncompressed".to_owned()),
        ];
        if !self.takes_copies() {
            // The broker's time shows whether a writer's clock is right.
            settings.push(("message.timestamp.type", "LogAppendTime".to_owned()));
        }
        match self.retention() {
            Some(kept) => settings.extend([
                ("cleanup.policy", "delete".to_owned()),
                ("retention.ms", kept.as_millis().to_string()),
            ]),
            None => settings.extend([
                ("cleanup.policy", "compact".to_owned()),
                // A replica that starts must find what a running one still remembers:
                // that an account was forgotten, even if it was verified again since.
                ("min.compaction.lag.ms", COMPACTION_LAG.as_millis().to_string()),
                ("delete.retention.ms", COMPACTION_LAG.as_millis().to_string()),
                // Otherwise a forgotten account stays in a quiet topic until half of the topic is outdated.
                ("max.compaction.lag.ms", COMPACTION_LAG.saturating_add(HOUR * 24).as_millis().to_string()),
            ]),
        }
        if self.takes_copies() {
            settings.push(("max.message.bytes", MAX_COPIED_RECORD.to_string()));
        }
        settings
    }

    /// How long a record is kept; `None` for the compacted topic, which keeps the newest of each key.
    #[must_use]
    pub const fn retention(self) -> Option<Duration> {
        match self {
            Self::Created => Some(HOUR.saturating_mul(7 * 24)),
            Self::Activity => Some(HOUR.saturating_mul(24)),
            Self::Verified => None,
            Self::MailRetry => Some(HOUR.saturating_mul(2 * 24)),
            Self::DeadLetter => Some(HOUR.saturating_mul(14 * 24)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_topics() {
        for topic in Topic::ALL {
            assert_eq!(Topic::from_name(topic.name()), Some(topic));
        }
        assert_eq!(Topic::from_name("somebody_elses"), None);
    }
}
