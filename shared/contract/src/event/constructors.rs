//! Events from what happened: their ids and their version follow from it.

use super::{Attempt, EventId, Mailing, Registered, VERSION, Verified};
use crate::{
    account_id::AccountId, code_secrets::KeyId, person::Person, registration_id::RegistrationId,
    request_id::RequestId,
};
use jiff::Timestamp;

/// What a registration has of the account's present window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Number of the window.
    pub window: u64,
    /// The place in its schedule of mails: [`Registered::send`].
    pub send: u32,
    /// When its code stops being accepted and being mailed.
    pub expires_at: Timestamp,
    /// The key that its code and its link's token are derived with.
    pub key: KeyId,
}

impl Registered {
    /// A first registration: no request for another mail lies before it.
    #[must_use]
    pub fn new(
        mailing: Mailing,
        account: AccountId,
        registration: RegistrationId,
        person: Person,
        place: Place,
        request_id: RequestId,
        occurred_at: Timestamp,
    ) -> Self {
        let Person { first_name, last_name, email, locale } = person;
        let Place { window, send, expires_at, key } = place;
        Self {
            event_id: EventId::of_registration(mailing.kind(), registration),
            occurred_at,
            version: VERSION,
            id: account,
            registration,
            resends: 0,
            first_name,
            last_name,
            email,
            locale,
            window,
            send,
            expires_at,
            key,
            request_id,
        }
    }

    /// Who registered.
    #[must_use]
    pub fn person(&self) -> Person {
        Person {
            first_name: self.first_name.clone(),
            last_name: self.last_name.clone(),
            email: self.email.clone(),
            locale: self.locale.clone(),
        }
    }
}

impl Attempt {
    /// A code was tried in these windows. Its id is the user service's to compute.
    #[must_use]
    pub const fn new(
        event_id: EventId,
        account: AccountId,
        registration: RegistrationId,
        windows: Vec<u64>,
        request_id: RequestId,
        occurred_at: Timestamp,
    ) -> Self {
        Self { event_id, occurred_at, version: VERSION, id: account, registration, windows, request_id }
    }
}

impl Verified {
    /// An account is verified with a registration, and with the data of that.
    #[must_use]
    pub fn new(
        account: AccountId,
        registration: RegistrationId,
        person: Person,
        request_id: RequestId,
        occurred_at: Timestamp,
    ) -> Self {
        let Person { first_name, last_name, email, locale } = person;
        Self {
            event_id: EventId::of_verification(account, registration),
            occurred_at,
            version: VERSION,
            id: account,
            registration,
            first_name,
            last_name,
            email,
            locale,
            request_id,
        }
    }
}
