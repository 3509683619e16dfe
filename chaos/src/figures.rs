//! How much happened in a round. The counts mean little without it.

use crate::evidence::Evidence;
use contract::topic::Topic;
use std::time::Duration;

/// The amounts of one round.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) faults: usize,
    pub(crate) requests: usize,
    pub(crate) unanswered: usize,
    pub(crate) refused: usize,
    pub(crate) accepted: usize,
    pub(crate) verified: usize,
    pub(crate) compared: usize,
    pub(crate) forgotten: usize,
    pub(crate) records: usize,
    pub(crate) mails: usize,
    pub(crate) expired: usize,
    pub(crate) dead_letters: usize,
    pub(crate) ready: Duration,
    pub(crate) settled: Duration,
    /// The peak memory of a user service and of a notification service, in octets.
    pub(crate) memory: [u64; 2],
}

impl Figures {
    /// Counts the evidence.
    pub(crate) fn count(&mut self, evidence: &Evidence) {
        let replies = || evidence.requests.iter().filter_map(|request| request.reply.as_ref());
        let status = |status: u16| replies().filter(|reply| reply.status == status).count();
        self.requests = evidence.requests.len();
        self.unanswered = self.requests - replies().count();
        self.refused = status(503);
        self.accepted = status(202);
        self.verified = status(200);
        self.compared = replies().filter(|reply| reply.problem == "wrong-code").count();
        self.forgotten =
            evidence.records.iter().filter(|it| it.topic == Topic::Verified && it.is_null).count();
        self.records = evidence.records.len();
        self.mails = evidence.mails.len();
        self.expired = evidence.expired.len();
        self.dead_letters = evidence.records.iter().filter(|record| record.reason.is_some()).count();
    }
}
