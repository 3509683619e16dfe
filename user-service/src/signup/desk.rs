//! The decisions of the verbs, step by step: nothing here waits, and `now` is an argument.
//!
//! Between two steps the verbs wait for the log-end offset, for an ack, or until their
//! own record is read back. Tests drive the steps with any clock and in any order.

use crate::{
    identity::IdSecret,
    replica::{Mailbox, Registration, Room, View},
    rules::{Account, Decision, Rules, Window, later, resend_wait},
};
use contract::{
    account_id::AccountId,
    code_secrets::CodeKey,
    email_address::EmailAddress,
    event::{self, Event, Place},
    person::Person,
    registration_id::RegistrationId,
    request_id::RequestId,
    verification_code::{LinkToken, VerificationCode},
};
use jiff::Timestamp;
use runtime::secret_check::KeyRing;
use std::{sync::Arc, time::Duration};

/// The view of one replica, and the rules and secrets that decisions need.
pub(super) struct Desk {
    pub(super) view: Arc<View>,
    pub(super) rules: Rules,
    pub(super) max_pending: u64,
    pub(super) code_secrets: KeyRing,
    pub(super) id_secret: IdSecret,
}

/// A request after its decision: its place counts, and its event is to be published.
pub(super) struct Drafted {
    pub(super) event: Event,
    pub(super) decision: Decision,
    mailbox: Option<Mailbox>,
}

/// A guess whose record was read back.
pub(super) struct Guessed {
    compared_with: Vec<Window>,
    pub(super) attempts_left: u32,
}

/// A proof that is right with a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Right {
    /// The account is verified already: nothing is to be published.
    pub(super) is_verified: bool,
}

impl Desk {
    /// Takes room for one more registration of any address; `None` at `MAX_PENDING`.
    pub(super) fn room(&self) -> Option<Room<'_>> {
        self.view.take_room(self.max_pending)
    }

    /// Decides what a registration leads to. `resends`: how many resends it descends from.
    pub(super) fn register(
        &self,
        registration: RegistrationId,
        person: Person,
        resends: u32,
        request_id: RequestId,
        now: Timestamp,
    ) -> Drafted {
        let (id, mailbox) = (self.id_secret.account_id(&person.email), Mailbox::of(&person.email));
        let decision = self.view.decide(id, mailbox, now);
        let Decision { mailing, window, send, .. } = decision;
        let place = Place {
            window: window.number(),
            send: send.into(),
            expires_at: self.rules.code_expires_at(window),
            key: self.code_secrets.get().current().id().clone(),
        };
        let new = event::Registered::new(mailing, id, registration, person, place, request_id, now);
        let event = Event::Registered(mailing, event::Registered { resends, ..new });
        Drafted { event, decision, mailbox }
    }

    /// Gives back the place of a decision whose event has no ack, so that a repeated request gets the
    /// mail. If the event is in the log after all, both ask for the same mail, which goes out once.
    pub(super) fn take_back(&self, drafted: &Drafted) {
        if let Some(place) = drafted.decision.taken {
            self.view.give_back(drafted.event.account_id(), drafted.mailbox, place);
        }
    }

    /// When the code of the clock's window expires. This does not depend on the address.
    pub(super) fn expires_at(&self, now: Timestamp) -> Timestamp {
        self.rules.code_expires_at(self.rules.window_at(now))
    }

    /// How long until another mail can be asked for with a registration.
    pub(super) fn wait_for_resend(&self, registration: &Registration, now: Timestamp) -> Duration {
        let free_at = later(registration.made_at, resend_wait(registration.resends, &self.rules));
        Duration::try_from(free_at.duration_since(now)).unwrap_or(Duration::ZERO)
    }

    /// The attempt to publish for a guess; `None` if the guesses of its registration are used up and this is a new one.
    pub(super) fn guess(
        &self,
        id: RegistrationId,
        registration: &Registration,
        code: &VerificationCode,
        request_id: RequestId,
        now: Timestamp,
    ) -> Option<event::Attempt> {
        let event_id = self.id_secret.attempt_id(id, code);
        let (is_known, made, windows) = self.view.look_at(registration.account, |account, _| {
            let windows = account.windows_of_codes(now, &self.rules).map(Window::number).collect();
            (account.guess(event_id, id).is_some(), account.guesses_with(id), windows)
        });
        (is_known || made < self.rules.code_attempts)
            .then(|| event::Attempt::new(event_id, registration.account, id, windows, request_id, now))
    }

    /// The result of a guess, once its record was read back; `None` when it does not count.
    pub(super) fn guessed(&self, attempt: &event::Attempt) -> Option<Guessed> {
        let guess = self
            .view
            .look_at(attempt.id, |account, _| account.guess(attempt.event_id, attempt.registration))?;
        let attempts_left = self.rules.code_attempts.saturating_sub(guess.made);
        Some(Guessed { compared_with: guess.compared_with, attempts_left })
    }

    /// Whether a code is right with a registration, in the windows that its guess is compared with.
    pub(super) fn is_code_right(
        &self,
        registration: &Registration,
        code: &VerificationCode,
        guessed: &Guessed,
        now: Timestamp,
    ) -> Option<Right> {
        let windows = |account: &Account| {
            let codes = account.codes(now, &self.rules);
            codes
                .map(|(window, is_right)| (window, is_right && guessed.compared_with.contains(&window)))
                .collect()
        };
        self.is_right(registration, windows, |key, id, email, window| {
            code.matches(&VerificationCode::derive(key, id, email, window))
        })
    }

    /// Whether a token is right with a registration.
    pub(super) fn is_token_right(
        &self,
        registration: &Registration,
        token: &LinkToken,
        now: Timestamp,
    ) -> Option<Right> {
        let windows = |account: &Account| account.tokens(now, &self.rules).collect();
        self.is_right(registration, windows, |key, id, email, window| {
            token.matches(&LinkToken::derive(key, id, email, window))
        })
    }

    /// The event that verifies an account with a registration, and when the first mail of its window was asked for.
    pub(super) fn verification(
        &self,
        id: RegistrationId,
        registration: Registration,
        request_id: RequestId,
        now: Timestamp,
    ) -> (Event, Option<Timestamp>) {
        let Registration { account, person, .. } = registration;
        let first_mail = self.view.look_at(account, |account, _| account.first_mail_at(now, &self.rules));
        (Event::Verified(event::Verified::new(account, id, person, request_id, now)), first_mail)
    }

    /// Compares with every window and every accepted key in constant time, even
    /// if nothing can be right. So it takes equally long for every address.
    fn is_right(
        &self,
        registration: &Registration,
        windows: impl FnOnce(&Account) -> Vec<(Window, bool)>,
        matches: impl Fn(&CodeKey, AccountId, &EmailAddress, u64) -> bool,
    ) -> Option<Right> {
        let Registration { account: id, made_at, ref person, .. } = *registration;
        let (windows, is_possible, is_verified) = self.view.look_at(id, |account, is_verified| {
            (windows(account), account.can_be_proved(made_at, is_verified, &self.rules), is_verified)
        });
        let (keys, mut is_right) = (self.code_secrets.get(), false);
        for (window, counts) in windows {
            for key in keys.iter() {
                is_right |= matches(key, id, &person.email, window.number()) & counts;
            }
        }
        (is_right && is_possible).then_some(Right { is_verified })
    }
}
