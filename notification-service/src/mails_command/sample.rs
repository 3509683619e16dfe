//! Events that nobody caused.

use crate::email::Kind;
use contract::{
    account_id::AccountId,
    code_secrets::KeyId,
    email_address::EmailAddress,
    event::{Event, Mailing, Place, Registered, Verified},
    locale::Locale,
    person,
    person_name::PersonName,
    registration_id::RegistrationId,
    request_id::RequestId,
    trace_context::{TraceContext, TraceId},
};
use jiff::{SignedDuration, Timestamp};

/// Who gets a sample.
pub(super) struct Person(Option<EmailAddress>);

impl Person {
    /// Nobody: the sample is only looked at.
    pub(super) fn example() -> Self {
        Self(None)
    }

    /// The owner of this address.
    pub(super) fn at(address: EmailAddress) -> Self {
        Self(Some(address))
    }
}

/// A trace that has no other step.
pub(super) fn trace() -> TraceId {
    TraceContext::random().trace_id()
}

/// An event that asks for this mail, as if it had just happened.
pub(super) fn event(kind: Kind, person: &Person, locale: &Locale, now: Timestamp) -> anyhow::Result<Event> {
    let email = person.0.clone().map_or_else(|| EmailAddress::parse("ada@example.com"), Ok)?;
    let [first_name, last_name] = ["Ada", "Lovelace"].map(PersonName::parse);
    let person =
        person::Person { first_name: first_name?, last_name: last_name?, email, locale: locale.clone() };
    let (account, registration) = (AccountId::from_derived([0; 16]), RegistrationId::random());
    let request_id = RequestId::random();
    if kind == Kind::AccountVerified {
        return Ok(Event::Verified(Verified::new(account, registration, person, request_id, now)));
    }
    let mailing = if kind == Kind::VerifyAccount { Mailing::FirstCode } else { Mailing::Notice };
    // A little more than the minutes that the mail says.
    let expires_at = now.checked_add(SignedDuration::from_secs(15 * 60 + 30))?;
    let place = Place { window: 0, send: 1, expires_at, key: KeyId::parse("sample")? };
    let registered = Registered::new(mailing, account, registration, person, place, request_id, now);
    Ok(Event::Registered(mailing, registered))
}
