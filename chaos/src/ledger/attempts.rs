//! Which codes were compared, and which were right.
//!
//! The log hands out attempts: the rank of one is its place among the attempts at its code, in the order of its
//! partition. Each carries the id of its request, so the ledger knows which answers were comparisons.

use super::{
    CODE_ATTEMPTS, Count,
    index::{Index, account, line},
};
use crate::evidence::{Ask, Reply, Request};
use shared::{
    account_id::AccountId,
    event::{Attempt, Event},
};
use std::collections::{BTreeSet, HashMap, HashSet};

/// A window and a generation: what makes one code.
type Code = (u64, u32);

/// No code is compared a sixth time, and none without an attempt that the log handed out.
pub(super) fn sixth_comparisons(index: &Index<'_>) -> Count {
    let ranks = ranks(index);
    let beyond = index.answered().filter(|(request, reply)| {
        let rank = ranks.get(request.request_id.as_str()).map(|(_, rank)| *rank);
        match (&request.ask, reply.status, reply.problem.as_str()) {
            (Ask::VerifyCode { .. }, 422, "wrong-code") => rank.is_none_or(|rank| rank > CODE_ATTEMPTS),
            // The right code again, after success, needs no attempt.
            (Ask::VerifyCode { .. }, 200, _) => rank.is_some_and(|rank| rank > CODE_ATTEMPTS),
            _ => false,
        }
    });
    Count::none("sixth comparisons of a code", beyond.map(|(request, reply)| line(request, reply.at)))
}

/// The right code or link is never called wrong, and no wrong one is accepted.
pub(super) fn wrong_verdicts(index: &Index<'_>) -> Count {
    let ranks = ranks(index);
    let wrong = index.answered().filter(|(request, reply)| is_wrong(index, &ranks, request, reply));
    Count::none(
        "right codes called wrong, or wrong ones accepted",
        wrong.map(|(request, reply)| format!("{} with {}", line(request, reply.at), reply.status)),
    )
}

fn is_wrong(
    index: &Index<'_>,
    ranks: &HashMap<&str, (&Attempt, u32)>,
    request: &Request,
    reply: &Reply,
) -> bool {
    let Some(id) = account(&request.ask) else { return false };
    let issued = issued_codes(index, id);
    match (&request.ask, reply.status, reply.problem.as_str()) {
        (Ask::VerifyCode { code, .. }, 422, "wrong-code") => {
            let tried = ranks.get(request.request_id.as_str()).map(|(it, _)| (it.window, it.generation));
            tried.is_some_and(|(window, generation)| {
                issued.contains(&(window, generation))
                    && index.code(id, window, generation).as_ref() == Some(code)
            })
        }
        (Ask::VerifyCode { code, .. }, 200, _) => !issued
            .iter()
            .any(|(window, generation)| index.code(id, *window, *generation).as_ref() == Some(code)),
        (Ask::VerifyLink { token, .. }, 200, _) => {
            !issued.iter().any(|(window, _)| index.token(id, *window).as_ref() == Some(token))
        }
        _ => false,
    }
}

/// An id has one valid code at a time: no two were accepted, and a new one of the same window exists only because the
/// attempts of the old one were used up.
pub(super) fn two_valid_codes(index: &Index<'_>) -> Count {
    let mut accepted: HashMap<AccountId, BTreeSet<&str>> = HashMap::new();
    for (request, _) in index.answered().filter(|(_, reply)| reply.status == 200) {
        if let (Ask::VerifyCode { code, .. }, Some(id)) = (&request.ask, account(&request.ask)) {
            accepted.entry(id).or_default().insert(code);
        }
    }
    let mut attempts: HashMap<(AccountId, Code), u32> = HashMap::new();
    for attempt in attempts_once(index) {
        *attempts.entry((attempt.id, (attempt.window, attempt.generation))).or_default() += 1;
    }
    let both = accepted.iter().filter(|(_, codes)| codes.len() > 1);
    let both = both.map(|(id, codes)| format!("{id}: {codes:?} were accepted"));
    let early = index.issued.keys().flat_map(|id| {
        let codes = issued_codes(index, *id);
        let left = |(window, generation): &Code| {
            let newer = codes.contains(&(*window, generation + 1));
            newer && attempts.get(&(*id, (*window, *generation))).is_none_or(|used| *used < CODE_ATTEMPTS)
        };
        codes.iter().copied().filter(left).map(|code| (*id, code)).collect::<Vec<_>>()
    });
    let early = early.map(|(id, code)| format!("{id}: a newer code, although {code:?} had attempts left"));
    Count::none("ids with two valid codes", both.chain(early).collect::<Vec<_>>())
}

/// Each attempt and its rank, by the request that it belongs to.
fn ranks<'a>(index: &Index<'a>) -> HashMap<&'a str, (&'a Attempt, u32)> {
    let mut newest: HashMap<AccountId, (Code, u32)> = HashMap::new();
    let mut ranks = HashMap::new();
    for attempt in attempts_once(index) {
        let code = (attempt.window, attempt.generation);
        let (known, count) = newest.entry(attempt.id).or_insert((code, 0));
        // An attempt at an older code than the newest one tried is beyond every budget.
        let rank = if code < *known {
            u32::MAX
        } else {
            *count = if code == *known { *count + 1 } else { 1 };
            *known = code;
            *count
        };
        ranks.insert(attempt.request_id.as_str(), (attempt, rank));
    }
    ranks
}

/// The attempts in the order of their partition. A producer whose broker froze or restarted may have written one twice: it
/// counts once, where it stands first.
fn attempts_once<'a>(index: &Index<'a>) -> impl Iterator<Item = &'a Attempt> {
    let mut known = HashSet::new();
    let attempts = index.evidence.records.iter().filter_map(|record| match &record.event {
        Some(Event::Attempt(attempt)) => Some(attempt),
        _ => None,
    });
    attempts.filter(move |attempt| known.insert(attempt.event_id))
}

fn issued_codes(index: &Index<'_>, id: AccountId) -> BTreeSet<Code> {
    let issued = index.issued.get(&id).into_iter().flatten();
    issued.map(|issued| (issued.window, issued.generation)).collect()
}
