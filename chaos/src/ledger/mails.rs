//! The outcome of each event that asks for a mail, and the content of the mails.

use super::{
    Count,
    index::{Index, Registration, event_line, line, mail_deadline},
    places::uncertain,
};
use crate::{evidence::Mail, garbage, rules};
use contract::event::{Event, Mailing, Registered};

/// A client that was told that a mail may be on its way gets one, unless an earlier mail's code is still right, the mail was
/// refused for good, or it expired.
pub(super) fn signups_without_mail(index: &Index<'_>) -> Count {
    let uncertain = uncertain(index);
    let without = index.accepted().filter(|(_, _, registration)| {
        // A registration without a record breaks this promise, and another one as well.
        let Some(registration) = registration else { return true };
        let Registered { id, occurred_at, .. } = registration.event;
        // A request without a clear outcome may hold a place.
        let is_excused = registration.mailing == Mailing::Nothing
            && (uncertain.get(id).is_some_and(|since| *since <= *occurred_at)
                || registration.event.email.tagged_mailbox().is_some());
        !is_excused && !was_mailed(index, registration)
    });
    Count::none("accepted signups without a mail", without.map(|(request, reply, _)| line(request, reply)))
}

/// Whether the mail that this registration promises has ended. A registration that asks for no mail counts on the mail of a
/// place whose code is right.
fn was_mailed(index: &Index<'_>, registration: &Registration<'_>) -> bool {
    let has_ended = |it: &Registration<'_>| index.has_ended(&Event::Registered(it.mailing, it.event.clone()));
    if registration.mailing != Mailing::Nothing {
        return has_ended(registration);
    }
    let Some(account) = index.account(registration.event.id) else { return false };
    let is_right = |it: &&Registration<'_>| {
        it.mailing != Mailing::Nothing
            && rules::code_ends_at(it.event.window) > registration.event.occurred_at
    };
    !account.milestones.is_empty() || account.registrations.iter().filter(is_right).any(has_ended)
}

/// Every event that asks for a mail ends in a mail, a dead letter, or an expiry.
pub(super) fn events_without_end(index: &Index<'_>) -> Count {
    let open = index.writings.iter().filter(|event| !index.has_ended(event));
    Count::none("events without a mail, a dead letter or an expiry", open.map(|event| event_line(event)))
}

/// No transaction begins with less than a minute of the code's life left. The Date header has whole seconds, rounded down.
pub(super) fn begun_too_late(index: &Index<'_>) -> Count {
    let late = index.evidence.mails.iter().filter_map(|mail| {
        let deadlines = index.asking.get(&mail.mail_id?)?.iter().filter_map(|event| mail_deadline(event));
        let deadline = deadlines.max()?;
        (mail.begun_at > deadline).then_some((mail, deadline))
    });
    let lines = late.map(|(mail, deadline)| format!("{mail:?}, its time was over at {deadline:.3}"));
    Count::none("mails begun with less than a minute of their code left", lines)
}

/// A mail belongs to an event, names its request, goes to its address, and has its code and link. A forged record can cause
/// one more mail of a place, with another registration of the same address, and nothing else.
pub(super) fn wrong_content(index: &Index<'_>) -> Count {
    let wrong = index.evidence.mails.iter().filter(|mail| {
        let is_forged = mail.request_id == garbage::REQUEST;
        let asking =
            asking(index, mail).filter(|event| is_forged || event.request_id().as_str() == mail.request_id);
        !asking.into_iter().any(|event| match event {
            Event::Registered(Mailing::FirstCode | Mailing::FurtherCode, event) => {
                mail.recipient == event.email.as_str()
                    && mail.code == Some(index.code(event, event.window))
                    && mail.token == Some(index.token(event, event.window))
                    && (is_forged || mail.registration == Some(event.registration.to_string()))
            }
            event => {
                let is_recipient = event.email().is_some_and(|email| email.as_str() == mail.recipient);
                is_recipient && mail.code.is_none() && mail.token.is_none()
            }
        })
    });
    Count::none(
        "mails of no event, or with another code, link or address",
        wrong.map(|mail| format!("{mail:?}")),
    )
}

/// Of the names that anybody typed, a mail shows at most a first name of one word, and a notice shows none.
pub(super) fn names_shown(index: &Index<'_>) -> Count {
    let shown =
        index.evidence.mails.iter().filter(|mail| {
            !mail.names.iter().all(|name| asking(index, mail).any(|event| may_show(event, name)))
        });
    Count::none("mails with more of the names than one word", shown.map(|mail| format!("{mail:?}")))
}

fn may_show(event: &Event, name: &str) -> bool {
    let first_name = match event {
        Event::Registered(Mailing::FirstCode | Mailing::FurtherCode, event) => event.first_name.as_str(),
        Event::Verified(event) => event.first_name.as_str(),
        Event::Registered(..) | Event::Attempt(_) => return false,
    };
    first_name == name
}

fn asking<'a>(index: &'a Index<'_>, mail: &Mail) -> impl Iterator<Item = &'a Event> {
    let events = mail.mail_id.and_then(|mail_id| index.asking.get(&mail_id));
    events.into_iter().flatten().copied()
}

/// A dead letter needs a server that refused for good (this recipient, or the content until the mail's deadline), or a
/// record whose time is too far from the broker's.
pub(super) fn needless_dead_letters(index: &Index<'_>) -> Count {
    let needless = index.evidence.records.iter().filter(|record| {
        let Some(event) = &record.event else { return record.reason.is_some() };
        match record.reason.as_deref() {
            None => false,
            Some("recipient_refused") => {
                !event.email().is_some_and(|email| crate::sink::is_refused(email.as_str()))
            }
            Some("content_refused") => mail_deadline(event).is_none(),
            Some("wrong_clock") => !index.passed_over.contains(&event.event_id()),
            Some(_) => true,
        }
    });
    Count::none("dead letters that nothing asked for", needless.map(|record| format!("{record:?}")))
}
