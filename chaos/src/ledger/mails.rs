//! What became of each event that asks for a mail.

use super::{
    Count, expires_at,
    index::{Index, event_line, line},
};
use shared::event::Event;

/// Whoever was told that a mail is on its way has one, or it was refused for good, or its code expired first.
pub(super) fn signups_without_mail(index: &Index<'_>) -> Count {
    let without = index.accepted_registrations().filter(|(request, _)| {
        // Without any record it is a broken promise of another name as well, and this one too.
        let event = index.by_request.get(request.request_id.as_str());
        !event.is_some_and(|event| was_mailed(index, event))
    });
    let lines = without.map(|(request, reply)| line(request, reply.at));
    Count::none("accepted signups without a mail", lines)
}

/// Whether the mail that this record of a registration promises has ended; of a window one is enough, since a
/// repeated registration asks for none of its own.
fn was_mailed(index: &Index<'_>, event: &Event) -> bool {
    match event {
        Event::Created(_) | Event::CodeResent(_) => index.has_ended(event),
        Event::RegistrationRepeated(repeated) => {
            let issued = index.issued.get(&repeated.id).into_iter().flatten();
            issued
                .filter(|issued| issued.window == repeated.window)
                .filter_map(|issued| index.by_request.get(issued.request_id.as_str()))
                .any(|event| index.has_ended(event))
        }
        // All notices of a window are one event.
        Event::AccountExists(_) => index.has_ended(event),
        Event::Attempt(_) | Event::Verified(_) => false,
    }
}

/// Every event that asks for a mail ends in one, in a dead letter, or with its time.
pub(super) fn events_without_end(index: &Index<'_>) -> Count {
    let open = index.writings.iter().filter(|event| !index.has_ended(event));
    Count::none("events without a mail, a dead letter or an expiry", open.map(|event| event_line(event)))
}

/// No transaction begins after the code's end. Dates have whole seconds, so the last second is not judged.
pub(super) fn begun_after_expiry(index: &Index<'_>) -> Count {
    let late = index.evidence.mails.iter().filter_map(|mail| {
        let expiry = expires_at(index.by_request.get(mail.request_id.as_str())?)?;
        (mail.begun_at >= expiry).then_some((mail, expiry))
    });
    let lines = late.map(|(mail, expiry)| format!("{mail:?}, expired at {expiry:.3}"));
    Count::none("mails begun after their code's expiry", lines)
}

/// A mail belongs to an event, goes to its address, and has its code and its link.
pub(super) fn wrong_content(index: &Index<'_>) -> Count {
    let wrong = index.evidence.mails.iter().filter(|mail| {
        let event = mail.event_id.and_then(|id| index.events.get(&id));
        let Some(event) = event else { return true };
        match event {
            Event::Created(issued) | Event::CodeResent(issued) => {
                let code = index.code(issued.id, issued.window, issued.generation);
                let token = index.token(issued.id, issued.window);
                mail.recipient != issued.email.as_str() || mail.code != code || mail.token != token
            }
            Event::Verified(verified) => mail.recipient != verified.email.as_str() || mail.code.is_some(),
            Event::AccountExists(exists) => mail.recipient != exists.email.as_str() || mail.code.is_some(),
            Event::RegistrationRepeated(_) | Event::Attempt(_) => true,
        }
    });
    Count::none(
        "mails of no event, or with another code, link or address",
        wrong.map(|mail| format!("{mail:?}")),
    )
}

/// A dead letter needs a server that refuses for good: this recipient, or the content until the time was over.
pub(super) fn needless_dead_letters(index: &Index<'_>) -> Count {
    let needless = index.evidence.records.iter().filter(|record| {
        let address = match &record.event {
            Some(Event::Created(issued) | Event::CodeResent(issued)) => issued.email.as_str(),
            _ => "",
        };
        match record.reason.as_deref() {
            None => false,
            Some("recipient_refused") => !crate::sink::is_refused(address),
            Some("content_refused") => record.event.as_ref().and_then(expires_at).is_none(),
            Some(_) => true,
        }
    });
    Count::none("dead letters that nothing asked for", needless.map(|record| format!("{record:?}")))
}
