//! What a round leaves behind: the clients' log, all records of all topics, every mail, and what went wrong when.
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

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Evidence {
    pub(crate) secrets: CodeSecrets,
    /// What the ids of accounts are derived from.
    pub(crate) id_secret: [u8; 32],
    pub(crate) requests: Vec<Request>,
    /// In the order of each partition.
    pub(crate) records: Vec<Record>,
    /// In the order of their arrival.
    pub(crate) mails: Vec<Mail>,
    /// What a notification service's log calls expired, and when it last did.
    pub(crate) expired: HashMap<Writing, Timestamp>,
    pub(crate) incidents: Vec<Incident>,
    pub(crate) recovery: Recovery,
}

/// An event, and the request that led to it.
pub(crate) type Writing = (EventId, String);

/// One HTTP request of a client. Each has an id of its own, which the records that it leads to carry.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) request_id: String,
    pub(crate) ask: Ask,
    pub(crate) sent_at: Timestamp,
    /// `None`: the client went away, or there was no answer in time.
    pub(crate) reply: Option<Reply>,
}

/// What a client asks for; ids are those of registrations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ask {
    Register(Person),
    Resend { id: String },
    VerifyCode { id: String, code: String },
    VerifyLink { id: String, token: String },
}

/// Who registers, as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) first_name: &'static str,
    pub(crate) last_name: &'static str,
    pub(crate) email: String,
    pub(crate) locale: &'static str,
}

/// What the client was told.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// The last part of the problem's type; empty without one.
    pub(crate) problem: String,
    /// Of an accepted registration its own id, of a verification the account's.
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
    /// By the broker's clock, where the topic has it so.
    pub(crate) stamped_at: Timestamp,
    /// The account that the key names.
    pub(crate) account: Option<AccountId>,
    /// Whether there is no value.
    pub(crate) is_null: bool,
    /// `None`: not an event that can be read.
    pub(crate) event: Option<Event>,
    /// Source and attempt of a retry record.
    pub(crate) retry: Option<(String, String)>,
    /// Reason of a dead letter.
    pub(crate) reason: Option<String>,
}

/// One mail that the server took.
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
    /// The names, of all that are used in a round, that stand in its subject or its bodies.
    pub(crate) names: Vec<&'static str>,
    /// When its transaction began, by the Date header: in whole seconds.
    pub(crate) begun_at: Timestamp,
    pub(crate) received_at: Timestamp,
}

/// A fault that may lead to copies of mails, and to how many.
#[derive(Debug, Clone)]
pub(crate) struct Incident {
    pub(crate) what: String,
    pub(crate) from: Timestamp,
    /// The end of the fault.
    pub(crate) until: Timestamp,
    pub(crate) copies: usize,
}

/// How the system came back after the last fault.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recovery {
    /// Processes that ended without being asked, or not well when they were.
    pub(crate) crashes: Vec<String>,
    /// Services that were not ready within the bound.
    pub(crate) not_ready: Vec<String>,
    /// Partitions whose records were not finished and committed within the bound.
    pub(crate) unsettled: Vec<String>,
    /// Services that had more memory resident than their configuration explains.
    pub(crate) too_large: Vec<String>,
}
