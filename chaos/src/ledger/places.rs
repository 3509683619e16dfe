//! The schedule of mails: when an address gets one, and how many.
//!
//! A replica decides by the records that it has read and by its own decisions. It has read up to the log-end offset of at
//! most two seconds ago. So a decision that ignores an older record is a breach.

use super::{
    Count,
    index::{Account, Index, Registration, VISIBLE_AFTER},
};
use crate::{rules, schedule::REPLICAS};
use contract::{
    account_id::AccountId,
    event::{EventId, Mailing},
};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// How old a replica's log-end offset may be when it decides (`NextMail` in the user service's rules).
const FRESHNESS: SignedDuration = SignedDuration::from_secs(2);

impl Registration<'_> {
    /// Whether every replica that decides at `moment` knows this registration.
    fn is_known_at(&self, moment: Timestamp) -> bool {
        self.stamped_at + FRESHNESS + VISIBLE_AFTER < moment
    }

    fn place(&self) -> (u64, u32) {
        (self.event.window, self.event.send)
    }
}

/// A place of a window is one mail, whoever takes it. The only exception: while an address is being verified, one replica
/// may send the code and another one the notice.
pub(super) fn mailed_twice(index: &Index<'_>) -> Count {
    let twice = index.accounts().flat_map(|(id, account)| {
        let mut mailed: BTreeMap<(u64, u32), BTreeSet<EventId>> = BTreeMap::new();
        for registration in account.registrations.iter().filter(|it| it.mailing != Mailing::Nothing) {
            let mail_id = mail_id(registration);
            if index.mails.contains_key(&mail_id) {
                mailed.entry(registration.place()).or_default().insert(mail_id);
            }
        }
        let most = if account.milestones.is_empty() { 1 } else { REPLICAS };
        let over = mailed.into_iter().filter(move |(_, mails)| mails.len() > most);
        over.map(move |(place, mails)| format!("{id}, window and place {place:?}: {mails:?}"))
            .collect::<Vec<_>>()
    });
    Count::none("places of a window with more than one mail", twice)
}

/// No request takes a place that another record had visibly taken.
pub(super) fn taken_again(index: &Index<'_>) -> Count {
    let again = asking(index).filter(|(account, it)| {
        let same = |other: &&Registration<'_>| {
            other.event.registration != it.event.registration && other.place() == it.place()
        };
        let mut others = account.registrations.iter().filter(same);
        others.any(|other| other.mailing != Mailing::Nothing && other.is_known_at(it.event.occurred_at))
    });
    Count::none("places of a window taken again", again.map(|(_, it)| it.line()))
}

/// No mail is sent before its place of the schedule.
pub(super) fn too_early(index: &Index<'_>) -> Count {
    let windows_are_the_first = |account: &Account<'_>| account.tombstones().next().is_none();
    let early = asking(index).filter(|(account, it)| {
        let known = account.registrations.iter().filter(|other| other.is_known_at(it.event.occurred_at));
        windows_are_the_first(account)
            && free_at(known, it).is_some_and(|free_at| it.event.occurred_at < free_at)
    });
    Count::none("mails before their place of the schedule", early.map(|(_, it)| it.line()))
}

/// A person who asks when the next place is due gets a mail, whatever strangers did before.
///
/// Not judged: verified and tagged addresses, whose places may not be mailed; and addresses with a request without a clear
/// outcome, which may hold a place.
pub(super) fn not_mailed_when_due(index: &Index<'_>) -> Count {
    let uncertain = uncertain(index);
    let missed = index.accounts().flat_map(|(id, account)| {
        let is_judged = account.milestones.is_empty() && !uncertain.contains_key(&id);
        account.registrations.iter().filter(move |it| {
            let until = it.event.occurred_at + VISIBLE_AFTER;
            let others = account.registrations.iter().filter(|other| {
                other.event.registration != it.event.registration && other.event.occurred_at <= until
            });
            let is_due = free_at(others, it).is_none_or(|free_at| it.event.occurred_at >= free_at);
            is_judged && it.mailing == Mailing::Nothing && it.event.email.tagged_mailbox().is_none() && is_due
        })
    });
    Count::none(
        "requests at a free place of the schedule that nothing was mailed for",
        missed.map(Registration::line),
    )
}

/// A verified address gets notices, and codes only of the window in which it was verified. No other address gets a notice.
pub(super) fn wrong_kind(index: &Index<'_>) -> Count {
    let wrong = asking(index).filter(|(account, it)| {
        let occurred_at = it.event.occurred_at;
        let mut known =
            account.milestones.iter().filter(|m| m.stamped_at + FRESHNESS + VISIBLE_AFTER < occurred_at);
        let possible = account.milestones.iter().filter(|m| m.stamped_at <= it.stamped_at + VISIBLE_AFTER);
        let was_verified = known.next_back().is_some_and(|last| last.verified.is_some());
        let was_forgotten = account.tombstones().any(|at| at <= it.stamped_at + VISIBLE_AFTER);
        match it.mailing {
            Mailing::FirstCode | Mailing::FurtherCode => was_verified && !was_forgotten,
            Mailing::Notice => possible.into_iter().all(|m| m.verified.is_none()),
            Mailing::Nothing => false,
        }
    });
    Count::none("codes for a verified address, or notices for another", wrong.map(|(_, it)| it.line()))
}

/// A registration's window is the clock's, or the first one after a tombstone. The end of its code follows from the window.
pub(super) fn wrong_window(index: &Index<'_>) -> Count {
    let wrong = index.accounts().flat_map(|(_, account)| {
        account.registrations.iter().filter(move |it| {
            let clock = rules::window_at(it.event.occurred_at);
            let is_ahead = |at| rules::first_after(at) == it.event.window && clock < it.event.window;
            let is_right = it.event.window == clock || account.tombstones().any(is_ahead);
            !is_right || it.event.expires_at != rules::code_ends_at(it.event.window)
        })
    });
    Count::none("registrations with a window that is not the clock's", wrong.map(Registration::line))
}

/// All tagged spellings of a mailbox share a limited number of places in a window.
pub(super) fn tagged(index: &Index<'_>) -> Count {
    let mut mailboxes: BTreeMap<(String, u64), Vec<&Registration<'_>>> = BTreeMap::new();
    for (_, it) in asking(index) {
        if let Some(mailbox) = it.event.email.tagged_mailbox() {
            mailboxes.entry((mailbox, it.event.window)).or_default().push(it);
        }
    }
    let most = usize::try_from(rules::MAX_TAGGED_MAILS).unwrap_or(0);
    let over = mailboxes.into_iter().filter_map(|((mailbox, window), taken)| {
        let beyond = taken.iter().filter(|it| {
            taken.iter().filter(|other| other.is_known_at(it.event.occurred_at)).count() >= most
        });
        let beyond = beyond.count();
        (beyond > 0 || taken.len() > most * REPLICAS).then(|| {
            format!(
                "{mailbox}, window {window}: {} mails, {beyond} of them when all places were taken",
                taken.len()
            )
        })
    });
    Count::none("mailboxes with more mails to tagged spellings than their limit", over)
}

/// Every record that asks for a mail to a registered address.
fn asking<'a, 'b>(index: &'b Index<'a>) -> impl Iterator<Item = (&'b Account<'a>, &'b Registration<'a>)> {
    let all =
        index.accounts().flat_map(|(_, account)| account.registrations.iter().map(move |it| (account, it)));
    all.filter(|(_, it)| it.mailing != Mailing::Nothing)
}

/// When the next place of a registration's window is due after these others; `None` for at once.
fn free_at<'a>(
    others: impl Iterator<Item = &'a Registration<'a>>,
    it: &Registration<'_>,
) -> Option<Timestamp> {
    // A place has the earliest time of its records.
    let mut places: BTreeMap<(u64, u32), Timestamp> = BTreeMap::new();
    for other in others.filter(|other| other.event.send > 0) {
        let taken_at = places.entry(other.place()).or_insert(other.event.occurred_at);
        *taken_at = other.event.occurred_at.min(*taken_at);
    }
    let last = places.keys().filter(|(window, _)| *window == it.event.window).map(|(_, send)| *send).max();
    Some(*places.values().max()? + rules::pause_after(last.unwrap_or(0)))
}

/// Each account with a request that was not accepted, and the time of the first one. Its place may count although there is
/// no record.
pub(super) fn uncertain(index: &Index<'_>) -> BTreeMap<AccountId, Timestamp> {
    let mut uncertain = BTreeMap::new();
    for request in &index.evidence.requests {
        let accepted = request.reply.as_ref().is_some_and(|reply| matches!(reply.status, 202 | 429));
        if let Some(id) = index.asked_for(&request.ask).filter(|_| !accepted) {
            uncertain.entry(id).or_insert(request.sent_at);
        }
    }
    uncertain
}

fn mail_id(Registration { mailing, event, .. }: &Registration<'_>) -> EventId {
    EventId::of_mail(mailing.kind(), event.id, event.window, event.send)
}
