//! Which accounts were verified, with which data, and by which proof.

use super::{
    Count,
    answers::verified_line,
    index::{Account, Index, Registration, VISIBLE_AFTER, line},
};
use crate::{
    evidence::{Reply, Request},
    rules,
};
use contract::event::{EventId, Verified};
use jiff::{SignedDuration, Timestamp};

/// A replica may read a tombstone this late, after a fault of its process or connection.
const LATE_READER: SignedDuration = SignedDuration::from_secs(20);

/// A verified account has exactly the data of the proved registration.
pub(super) fn other_data(index: &Index<'_>) -> Count {
    let verified = index.accounts().flat_map(|(_, account)| account.verifications());
    let other = verified.filter(|(event, _)| {
        !index.registration(&event.registration.to_string()).is_some_and(|it| has_the_data(event, it))
    });
    let lines = other.map(|(event, _)| verified_line(event));
    Count::none("verified accounts with other data than their registration", lines)
}

fn has_the_data(verified: &Verified, Registration { event, .. }: Registration<'_>) -> bool {
    verified.event_id == EventId::of_verification(event.id, event.registration)
        && verified.id == event.id
        && (&verified.first_name, &verified.last_name) == (&event.first_name, &event.last_name)
        && (verified.email.as_str(), &verified.locale) == (event.email.as_str(), &event.locale)
}

/// An account is verified once, except by requests that were in flight at the same time.
pub(super) fn twice(index: &Index<'_>) -> Count {
    let again = index.accounts().flat_map(|(_, account)| again(index, account));
    Count::none("accounts verified again by a request of later", again.map(verified_line))
}

fn again<'a>(index: &Index<'_>, account: &Account<'a>) -> Vec<&'a Verified> {
    let (mut holds, mut again) = (Vec::<(&Verified, Timestamp)>::new(), Vec::new());
    for milestone in &account.milestones {
        let Some(verified) = milestone.verified else {
            holds.clear();
            continue;
        };
        let sent_at = index.request(verified.request_id.as_str()).map(|request| request.sent_at);
        let is_later = |(earlier, stamped_at): &(&Verified, Timestamp)| {
            // A producer may write a record twice.
            let is_another = earlier.request_id != verified.request_id;
            is_another && sent_at.is_some_and(|sent| *stamped_at + VISIBLE_AFTER < sent)
        };
        if holds.iter().any(is_later) {
            again.push(verified);
        }
        holds.push((verified, milestone.stamped_at));
    }
    again
}

/// Requests in flight at once verify an account at most once for each replica, before it has read the other's record.
pub(super) fn at_once(index: &Index<'_>) -> Count {
    let most = index.accounts().filter_map(|(id, account)| {
        let (mut events, mut most) = (Vec::new(), 0);
        for milestone in &account.milestones {
            match milestone.verified {
                Some(verified) if !events.contains(&verified.event_id) => events.push(verified.event_id),
                Some(_) => {}
                None => events.clear(),
            }
            most = events.len().max(most);
        }
        (most > crate::schedule::REPLICAS).then(|| format!("{id}: {most} at once"))
    });
    Count::none("accounts verified more than twice at once", most)
}

/// A proof is void if its registration was made before the account was forgotten, or after it was verified.
pub(super) fn without_right(index: &Index<'_>) -> Count {
    let accepted = index.answered().filter(|(request, reply)| {
        let proves_nothing = |registration: Registration<'_>| {
            index.account(registration.event.id).is_some_and(|account| {
                is_forgotten(account, registration.event.occurred_at, request.sent_at)
                    || came_after(account, registration.event.occurred_at, request, reply)
            })
        };
        reply.status == 200 && index.named(&request.ask).is_some_and(proves_nothing)
    });
    let lines = accepted.map(|(request, reply)| line(request, reply));
    Count::none(
        "proofs accepted of a forgotten account, or with a registration of after the verification",
        lines,
    )
}

/// Whether a proof of that time is void because the account was forgotten after the registration.
fn is_forgotten(account: &Account<'_>, registered_at: Timestamp, sent_at: Timestamp) -> bool {
    account.tombstones().any(|at| registered_at < at && at + VISIBLE_AFTER < sent_at)
}

/// Whether every replica knew of the account's verification, and this registration was made after it.
fn came_after(account: &Account<'_>, registered_at: Timestamp, request: &Request, reply: &Reply) -> bool {
    let mut known = account.milestones.iter().filter(|it| it.stamped_at + VISIBLE_AFTER < request.sent_at);
    let Some(verified) = known.next_back().and_then(|last| last.verified) else { return false };
    let forgotten_since = account
        .tombstones()
        .any(|at| at <= reply.at + VISIBLE_AFTER && at + VISIBLE_AFTER >= request.sent_at);
    let others = account.verifications().map(|(event, _)| event.occurred_at);
    let latest = others.filter(|at| *at <= reply.at).max().unwrap_or(verified.occurred_at);
    registered_at > latest + rules::MAX_CLOCK_SKEW && !forgotten_since
}

/// Whether the log leaves no doubt, from the request to its answer, that a right proof with this registration is accepted.
pub(super) fn can_be_proved(
    account: &Account<'_>,
    registered_at: Timestamp,
    request: &Request,
    reply: &Reply,
) -> bool {
    let over = account.tombstones().any(|at| registered_at < at && at <= reply.at + VISIBLE_AFTER);
    let verified = account.verifications().any(|(event, stamped_at)| {
        stamped_at <= reply.at + VISIBLE_AFTER && registered_at > event.occurred_at + rules::MAX_CLOCK_SKEW
    });
    // A replica that has not read a tombstone yet compares with the earlier codes.
    let in_doubt =
        account.tombstones().any(|at| at <= reply.at + VISIBLE_AFTER && at + LATE_READER >= request.sent_at);
    !over && !verified && !in_doubt
}
