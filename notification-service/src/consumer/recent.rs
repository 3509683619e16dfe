//! The mails that were sent lately, so that one whose event was written or replayed twice is mailed once.

use sha2::{Digest, Sha256};
use shared::event::Event;
use std::collections::{HashSet, VecDeque};

/// So many are remembered, 40 octets each: about a minute's work at full speed.
const CAPACITY: usize = 50_000;

/// Which mail an event asks for: its id, the person, and what decides whether the code in the mail is right.
///
/// The event's id alone is not enough. Anybody who may write to a topic can write one that was seen or guessed into an event with
/// another address; that mail would then stand for the right one, which nobody would get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct MailId([u8; 16]);

impl MailId {
    pub(super) fn of(event: &Event) -> Self {
        let (email, code) = match event {
            Event::Created(event) | Event::CodeResent(event) => {
                (&event.email, Some((event.window, event.generation, &event.key)))
            }
            Event::RegistrationRepeated(event) => (&event.email, None),
            Event::AccountExists(event) => (&event.email, None),
            Event::Verified(event) => (&event.email, None),
            Event::Attempt(_) => return Self::hashed(event, "", ""),
        };
        let code = code.map(|(window, generation, key)| format!("{window}/{generation}/{key}"));
        Self::hashed(event, &email.normalised(), &code.unwrap_or_default())
    }

    fn hashed(event: &Event, email: &str, code: &str) -> Self {
        let (event_id, account_id) = (event.event_id().to_string(), event.account_id().to_string());
        let mut hash = Sha256::new();
        for part in [event.kind().name(), &event_id, &account_id, email, code] {
            hash.update(part);
            // No part has it, so no two lists of parts are the same octets.
            hash.update([0]);
        }
        let mut id = [0; 16];
        id.copy_from_slice(&hash.finalize()[..16]);
        Self(id)
    }
}

/// A set that forgets its oldest members.
#[derive(Debug, Default)]
pub(super) struct Recent {
    known: HashSet<MailId>,
    order: VecDeque<MailId>,
}

impl Recent {
    pub(super) fn contains(&self, id: MailId) -> bool {
        self.known.contains(&id)
    }

    pub(super) fn insert(&mut self, id: MailId) {
        if self.known.insert(id) {
            self.order.push_back(id);
        }
        if self.order.len() > CAPACITY
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn event(changes: &[(&str, Value)]) -> Event {
        let mut value = json!({
            "event_id": "f3f86a8c-169f-854e-93ab-e49c60232279", "occurred_at": "2026-11-21T11:02:29.052Z", "version": 1,
            "id": "c19a848c-0495-87ae-9e10-8be694335a56", "first_name": "Ada", "last_name": "Lovelace",
            "email": "ada@example.com", "locale": "en", "window": 493_882,
            "window_started_at": "2026-11-21T11:02:29.052Z", "generation": 0, "send": 1,
            "expires_at": "2026-11-21T11:17:29.052Z", "key": "k1", "request_id": "r-1",
        });
        changes.iter().for_each(|(name, changed)| value[*name] = changed.clone());
        Event::decode(Some(b"code_resent"), value.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn an_event_that_was_written_again_is_the_same_mail() {
        let again = [("request_id", json!("r-2")), ("occurred_at", json!("2026-11-21T11:02:30.000Z"))];
        assert_eq!(MailId::of(&event(&[])), MailId::of(&event(&again)));
        assert_eq!(MailId::of(&event(&[])), MailId::of(&event(&[("email", json!("Ada@Example.COM"))])));
    }

    #[test]
    fn an_event_with_the_id_of_another_is_not_its_mail() {
        for forged in [
            ("email", json!("eve@example.com")),
            ("id", json!("c19a848c-0495-87ae-9e10-8be694335a57")),
            ("window", json!(493_883)),
            ("generation", json!(1)),
            ("key", json!("k2")),
        ] {
            let mut recent = Recent::default();
            recent.insert(MailId::of(&event(std::slice::from_ref(&forged))));
            assert!(!recent.contains(MailId::of(&event(&[]))), "{forged:?}");
        }
    }

    #[test]
    fn it_remembers_the_newest_and_no_more_than_its_capacity() {
        let ids: Vec<_> =
            (0..=CAPACITY).map(|number| MailId(u128::try_from(number).unwrap().to_be_bytes())).collect();
        let mut recent = Recent::default();
        ids.iter().for_each(|id| recent.insert(*id));
        assert!(!recent.contains(ids[0]) && recent.contains(ids[1]) && recent.contains(ids[CAPACITY]));
        assert_eq!(recent.known.len(), CAPACITY);
    }
}
