//! Were the answers true?

use super::{
    Count,
    index::{Index, Registration, VISIBLE_AFTER, line},
};
use crate::{
    evidence::{Ask, Reply, Request},
    rules,
};
use contract::{
    event::{Event, EventId},
    topic::Topic,
};
use jiff::Timestamp;
use std::collections::{BTreeSet, HashMap};

/// A 202 means that the request's own record is in the log, with the id in the answer.
pub(super) fn accepted_without_record(index: &Index<'_>) -> Count {
    let missing = index.accepted().filter(|(_, _, registration)| registration.is_none());
    let lines = missing.map(|(request, reply, _)| line(request, reply));
    Count::none("requests answered 202 without their record in the log", lines)
}

/// A request to register or for another mail causes one event in one topic.
pub(super) fn more_than_one_event(index: &Index<'_>) -> Count {
    let several = index.by_request().filter_map(|(request_id, written)| {
        let registered = written.iter().filter(|(_, record)| record.topic == Topic::Created);
        let events: BTreeSet<EventId> = registered.map(|(event, _)| event.event_id()).collect();
        (events.len() > 1).then(|| format!("request {request_id}: {events:?}"))
    });
    Count::none("requests with more than one registration", several)
}

/// A registration has the data that was sent, byte for byte. A request for another mail repeats the same data.
pub(super) fn other_data(index: &Index<'_>) -> Count {
    let other = index.accepted().filter(|(request, _, registration)| {
        registration.is_some_and(|registration| !has_the_data(index, request, registration))
    });
    let lines = other.map(|(request, reply, _)| line(request, reply));
    Count::none("registrations with other data than were sent", lines)
}

fn has_the_data(index: &Index<'_>, request: &Request, Registration { event, .. }: Registration<'_>) -> bool {
    let data = |first, last, email, locale| {
        let registered = (event.first_name.as_str(), event.last_name.as_str());
        registered == (first, last) && event.email.as_str() == email && event.locale.as_str() == locale
    };
    match &request.ask {
        Ask::Register(it) => data(it.first_name, it.last_name, it.email.as_str(), it.locale),
        ask => index.named(ask).is_some_and(|Registration { event: it, .. }| {
            let same =
                data(it.first_name.as_str(), it.last_name.as_str(), it.email.as_str(), it.locale.as_str());
            same && event.resends == it.resends + 1
        }),
    }
}

/// A 200 means that the account's verification is in the log, and names that account.
pub(super) fn verified_without_event(index: &Index<'_>) -> Count {
    let missing = index.answered().filter(|(request, reply)| {
        reply.status == 200
            && !index
                .named(&request.ask)
                .is_some_and(|registration| is_verified(index, registration, request, reply))
    });
    let lines = missing.map(|(request, reply)| line(request, reply));
    Count::none("verified answers without a user_account_verified event of their account", lines)
}

fn is_verified(index: &Index<'_>, registration: Registration<'_>, request: &Request, reply: &Reply) -> bool {
    let id = registration.event.id;
    let Some(account) = index.account(id).filter(|_| reply.id == Some(id.to_string())) else { return false };
    let mut holds = false;
    for milestone in &account.milestones {
        if milestone.verified.is_some() {
            holds |= milestone.stamped_at <= reply.at + VISIBLE_AFTER;
        } else if milestone.stamped_at + VISIBLE_AFTER < request.sent_at {
            holds = false;
        }
    }
    holds
}

/// An accepted registration is known at every replica during its lifetime.
pub(super) fn accepted_called_unknown(index: &Index<'_>) -> Count {
    let mut accepted: HashMap<&str, (Timestamp, Timestamp)> = HashMap::new();
    for (request, reply, _) in index.accepted() {
        accepted.insert(reply.id.as_deref().unwrap_or_default(), (request.sent_at, reply.at));
    }
    let forgotten = index.answered().filter(|(request, reply)| {
        let (Ask::Resend { id } | Ask::VerifyCode { id, .. } | Ask::VerifyLink { id, .. }) = &request.ask
        else {
            return false;
        };
        let lives = |(made_at, accepted_at): &(Timestamp, Timestamp)| {
            request.sent_at > *accepted_at && reply.at < *made_at + rules::LINK_TTL
        };
        reply.status == 404 && accepted.get(id.as_str()).is_some_and(lives)
    });
    let lines = forgotten.map(|(request, reply)| line(request, reply));
    Count::none("accepted registrations called unknown", lines)
}

/// Every answer is one that the contract allows for its request.
pub(super) fn outside_the_contract(index: &Index<'_>) -> Count {
    let strange = index.answered().filter(|(request, reply)| {
        let expected: &[u16] = match request.ask {
            Ask::Register(_) => &[202, 408, 503],
            Ask::Resend { .. } => &[202, 404, 408, 429, 503],
            Ask::VerifyCode { .. } => &[200, 404, 408, 410, 422, 503],
            Ask::VerifyLink { .. } => &[200, 404, 408, 422, 503],
        };
        !expected.contains(&reply.status)
    });
    Count::none("answers outside the contract", strange.map(|(request, reply)| line(request, reply)))
}

/// No request is accepted with a registration that is older than `LINK_TTL`.
pub(super) fn accepted_after_its_end(index: &Index<'_>) -> Count {
    let over = index.answered().filter(|(request, reply)| {
        let is_over = |it: Registration<'_>| request.sent_at > it.event.occurred_at + rules::LINK_TTL;
        matches!(reply.status, 200 | 202) && index.named(&request.ask).is_some_and(is_over)
    });
    Count::none("registrations known after their end", over.map(|(request, reply)| line(request, reply)))
}

/// The line about an account's verification.
pub(super) fn verified_line(event: &contract::event::Verified) -> String {
    super::index::event_line(&Event::Verified(event.clone()))
}
