//! Was what clients were told true?

use super::{
    CODE_TTL, Count,
    index::{Index, account, line},
};
use crate::evidence::{Ask, Reply, Request};
use jiff::Timestamp;
use std::collections::HashMap;

/// A 202 means that the request's own record is in the log.
pub(super) fn accepted_without_record(index: &Index<'_>) -> Count {
    let missing = index.answered().filter(|(request, reply)| {
        reply.status == 202 && !index.by_request.contains_key(request.request_id.as_str())
    });
    Count::none("requests answered 202 without a record in the log", missing.map(describe))
}

/// A 200 means that the account's verification is in the log.
pub(super) fn verified_without_event(index: &Index<'_>) -> Count {
    let missing = index.answered().filter(|(request, reply)| {
        reply.status == 200 && account(&request.ask).is_none_or(|id| !index.verified.contains(&id))
    });
    Count::none("verified answers without a user_account_verified event", missing.map(describe))
}

/// For as long as its code lives, an accepted registration is known at every replica.
pub(super) fn accepted_called_unknown(index: &Index<'_>) -> Count {
    let mut accepted: HashMap<&str, Vec<Timestamp>> = HashMap::new();
    for (_, reply) in index.accepted_registrations() {
        accepted.entry(reply.id.as_deref().unwrap_or_default()).or_default().push(reply.at);
    }
    let forgotten = index.answered().filter(|(request, reply)| {
        let id = account(&request.ask).map(|id| id.to_string()).unwrap_or_default();
        let lives = |accepted_at: &Timestamp| {
            request.sent_at > *accepted_at && reply.at < *accepted_at + CODE_TTL / 2
        };
        reply.status == 404 && accepted.get(id.as_str()).is_some_and(|times| times.iter().any(lives))
    });
    Count::none("accepted registrations called unknown", forgotten.map(describe))
}

/// Every answer is one that the contract has for what was asked.
pub(super) fn outside_the_contract(index: &Index<'_>) -> Count {
    let strange = index.answered().filter(|(request, reply)| {
        let expected: &[u16] = match request.ask {
            Ask::Register { .. } => &[202, 408, 503],
            Ask::Resend { .. } => &[202, 404, 408, 410, 429, 503],
            Ask::VerifyCode { .. } | Ask::VerifyLink { .. } => &[200, 404, 408, 410, 422, 503],
        };
        !expected.contains(&reply.status)
    });
    Count::none("answers outside the contract", strange.map(describe))
}

fn describe((request, reply): (&Request, &Reply)) -> String {
    format!("{} with {} {}", line(request, reply.at), reply.status, reply.problem)
}
