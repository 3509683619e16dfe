//! Register: one request, one record, whatever is known of the address.

use super::{
    Signup, Unavailable, later, now,
    pending::{Pending, Person},
    registration::Next,
};
use jiff::Timestamp;
use shared::{
    account_id::AccountId,
    event::{self, Event, EventId, EventKind},
    request_id::RequestId,
};
use std::time::Duration;

/// The answer to an accepted registration: the same for a new, a pending and a verified address.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Registered {
    /// Whose registration.
    pub(crate) id: AccountId,
    /// Now and the life of a code.
    pub(crate) expires_at: Timestamp,
    /// The cool-down.
    pub(crate) resend_after: Duration,
}

impl Signup {
    /// Registers a person; when this answers `Ok`, the event is in the log.
    ///
    /// Once it has begun, callers see to it that it is polled to its end, also when nobody waits for it any more.
    ///
    /// # Errors
    /// [`Unavailable`]; the same request may then be repeated, here or at another replica.
    pub(crate) async fn register(
        self,
        person: Person,
        request_id: RequestId,
    ) -> Result<Registered, Unavailable> {
        self.may_answer()?;
        let deadline = self.deadline();
        let inner = &*self.0;
        inner.follower.be_fresh(deadline).await?;
        let id = inner.id_secret.account_id(&person.email);
        let known = self.at_end_if_used_up(id, inner.view.standing(id), deadline).await?;
        if known.registration.is_none() && inner.view.registrations() >= inner.max_pending {
            return Err(Unavailable::Full);
        }
        let now = now();
        let registration = known.registration.unwrap_or_default();
        let current = inner.code_secrets.current().id();
        let next = registration.register(known.verified, person, current, now, &inner.rules);
        let event = next.into_event(id, now, request_id);
        self.publish(event, deadline).await?;
        Ok(Registered {
            id,
            expires_at: later(now, inner.rules.code_ttl),
            resend_after: inner.rules.resend_cooldown,
        })
    }
}

impl Next {
    /// The one record that this leads to.
    pub(super) fn into_event(self, id: AccountId, now: Timestamp, request_id: RequestId) -> Event {
        match self {
            Self::Create(pending) => Event::Created(issued(EventKind::Created, id, pending, now, request_id)),
            Self::Resend(pending) => {
                Event::CodeResent(issued(EventKind::CodeResent, id, pending, now, request_id))
            }
            Self::Repeat(pending) => Event::RegistrationRepeated(repeated(id, pending, now, request_id)),
            Self::Exists { window, window_started_at, person } => {
                Event::AccountExists(event::AccountExists {
                    event_id: EventId::derive(EventKind::AccountExists, id, window, 0, 0),
                    occurred_at: now,
                    version: event::VERSION,
                    id,
                    first_name: person.first_name,
                    last_name: person.last_name,
                    email: person.email,
                    locale: person.locale,
                    window,
                    window_started_at,
                    request_id,
                })
            }
        }
    }
}

fn issued(
    kind: EventKind,
    id: AccountId,
    it: Pending,
    now: Timestamp,
    request_id: RequestId,
) -> event::CodeIssued {
    event::CodeIssued {
        event_id: EventId::derive(kind, id, it.window, it.generation, it.send),
        occurred_at: now,
        version: event::VERSION,
        id,
        first_name: it.person.first_name,
        last_name: it.person.last_name,
        email: it.person.email,
        locale: it.person.locale,
        window: it.window,
        window_started_at: it.window_started_at,
        generation: it.generation,
        send: it.send,
        expires_at: it.expires_at,
        key: it.key,
        request_id,
    }
}

fn repeated(
    id: AccountId,
    it: Pending,
    now: Timestamp,
    request_id: RequestId,
) -> event::RegistrationRepeated {
    event::RegistrationRepeated {
        event_id: EventId::derive(EventKind::RegistrationRepeated, id, it.window, it.generation, it.send),
        occurred_at: now,
        version: event::VERSION,
        id,
        first_name: it.person.first_name,
        last_name: it.person.last_name,
        email: it.person.email,
        locale: it.person.locale,
        window: it.window,
        window_started_at: it.window_started_at,
        generation: it.generation,
        send: it.send,
        expires_at: it.expires_at,
        request_id,
    }
}
