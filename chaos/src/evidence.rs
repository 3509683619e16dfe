//! The evidence of a round: the clients' log, all records of all topics, every mail, and the times of all faults.
//!
//! The ledger judges this and nothing else.

use contract::{
    account_id::AccountId,
    code_secrets::CodeSecrets,
    event::{Event, EventId},
    topic::Topic,
};
use jiff::Timestamp;
use std::collections::HashMap;

/// All that is known of a round when it has ended.
#[derive(Debug)]
pub(crate) struct Evidence {
    pub(crate) secrets: CodeSecrets,
    /// The secret from which the ids of accounts are derived.
    pub(crate) id_secret: [u8; 32],
    pub(crate) requests: Vec<Request>,
    /// In the order of each partition.
    pub(crate) records: Vec<Record>,
    /// In the order of arrival.
    pub(crate) mails: Vec<Mail>,
    /// Events that a notification service logged as expired, with the time of the last such line.
    pub(crate) expired: HashMap<Writing, Timestamp>,
    pub(crate) incidents: Vec<Incident>,
    pub(crate) recovery: Recovery,
}

/// An event, and the request that caused it.
pub(crate) type Writing = (EventId, String);

/// One HTTP request of a client. It has an id of its own, which is also in the records that it causes.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) request_id: String,
    pub(crate) ask: Ask,
    pub(crate) sent_at: Timestamp,
    /// `None`: the client disconnected, or the answer did not come in time.
    pub(crate) reply: Option<Reply>,
}

/// The request of a client. Its ids are those of registrations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ask {
    Register(Person),
    Resend { id: String },
    VerifyCode { id: String, code: String },
    VerifyLink { id: String, token: String },
}

/// The data of a registration, as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) first_name: &'static str,
    pub(crate) last_name: &'static str,
    pub(crate) email: String,
    pub(crate) locale: &'static str,
}

/// The answer to a client.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// The last part of the problem's type; empty without one.
    pub(crate) problem: String,
    /// The registration's id in an accepted registration, the account's id in a verification.
    pub(crate) id: Option<String>,
    pub(crate) attempts_left: Option<u32>,
    pub(crate) at: Timestamp,
}

/// One record of one topic.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) topic: Topic,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// The broker's time in topics with `LogAppendTime`, otherwise the producer's.
    pub(crate) stamped_at: Timestamp,
    /// The account in the key.
    pub(crate) account: Option<AccountId>,
    /// Whether the value is null.
    pub(crate) is_null: bool,
    /// `None`: the value is no event.
    pub(crate) event: Option<Event>,
    /// Source and attempt of a retry record.
    pub(crate) retry: Option<(String, String)>,
    /// Reason of a dead letter.
    pub(crate) reason: Option<String>,
}

/// One mail that the server accepted.
#[derive(Debug, Clone)]
pub(crate) struct Mail {
    /// From its Message-ID.
    pub(crate) mail_id: Option<EventId>,
    /// From its X-Request-Id.
    pub(crate) request_id: String,
    pub(crate) recipient: String,
    /// The line of six digits.
    pub(crate) code: Option<String>,
    /// The registration in its link.
    pub(crate) registration: Option<String>,
    /// The token in its link.
    pub(crate) token: Option<String>,
    /// The names in its subject or bodies, of all names that a round uses.
    pub(crate) names: Vec<&'static str>,
    /// When its transaction began, from the Date header, in whole seconds.
    pub(crate) begun_at: Timestamp,
    pub(crate) received_at: Timestamp,
}

/// A fault that may cause duplicates of mails, and how many.
#[derive(Debug, Clone)]
pub(crate) struct Incident {
    pub(crate) what: String,
    pub(crate) from: Timestamp,
    /// The end of the fault.
    pub(crate) until: Timestamp,
    pub(crate) duplicates: usize,
}

/// How the system came back after the last fault.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recovery {
    /// Processes that ended by themselves, or that did not stop gracefully.
    pub(crate) crashes: Vec<String>,
    /// Services that were not ready within the bound.
    pub(crate) not_ready: Vec<String>,
    /// Partitions with records that were not finished and committed within the bound.
    pub(crate) unsettled: Vec<String>,
    /// Services with more resident memory than their configuration explains.
    pub(crate) too_large: Vec<String>,
}
