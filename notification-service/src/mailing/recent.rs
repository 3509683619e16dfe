//! The mails that were sent lately, so that an event that was written or replayed twice is mailed once.

use contract::{
    email_address::EmailAddress,
    event::{Event, Mailing},
};
use sha2::{Digest, Sha256};
use std::collections::{HashSet, VecDeque};

/// The number of remembered mails, 40 octets each: about a minute's work at full speed.
const CAPACITY: usize = 50_000;

/// Identifies the mail that an event asks for: the mail's id, the person, and the data that the code depends on.
///
/// Replicas that take the same place of a schedule at once write two records for one mail. The mail id alone would not be
/// enough: anybody who may write to a topic can write a record for the same place with another address or key. Its mail
/// would then count as the real one, which nobody would get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct MailId([u8; 16]);

impl MailId {
    pub(super) fn of(event: &Event) -> Self {
        let (mail_id, account_id) = (event.mail_id().to_string(), event.account_id().to_string());
        let email = event.email().map(EmailAddress::normalised).unwrap_or_default();
        let key = match event {
            Event::Registered(Mailing::FirstCode | Mailing::FurtherCode, event) => event.key.to_string(),
            Event::Registered(Mailing::Notice | Mailing::Nothing, _)
            | Event::Verified(_)
            | Event::Attempt(_) => String::new(),
        };
        let mut hash = Sha256::new();
        for part in [event.kind().name(), &mail_id, &account_id, &email, &key] {
            hash.update(part);
            // No part contains a zero octet, so different lists of parts give different input.
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

    fn event_of(kind: &[u8], changes: &[(&str, Value)]) -> Event {
        let mut value = json!({
            "event_id": "f3f86a8c-169f-854e-93ab-e49c60232279", "occurred_at": "2026-11-21T11:02:29.052Z", "version": 2,
            "id": "c19a848c-0495-87ae-9e10-8be694335a56", "registration": "8f14e45f-ceea-467f-9c7e-1a2b3c4d5e6f",
            "resends": 0, "first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.com", "locale": "en",
            "window": 493_882, "send": 1, "expires_at": "2026-11-21T12:15:00.000Z", "key": "k1", "request_id": "r-1",
        });
        changes.iter().for_each(|(name, changed)| value[*name] = changed.clone());
        Event::decode(Some(kind), value.to_string().as_bytes()).unwrap()
    }

    fn event(changes: &[(&str, Value)]) -> Event {
        event_of(b"code_resent", changes)
    }

    #[test]
    fn records_of_one_place_by_two_replicas_are_one_mail() {
        let beside = [
            ("event_id", json!("a3f86a8c-169f-854e-93ab-e49c60232279")),
            ("registration", json!("11111111-1111-4111-9111-111111111111")),
            ("occurred_at", json!("2026-11-21T11:02:29.060Z")),
            ("first_name", json!("Eve")),
        ];
        for kind in [&b"user_account_created"[..], b"code_resent", b"account_exists"] {
            assert_eq!(MailId::of(&event_of(kind, &[])), MailId::of(&event_of(kind, &beside)));
        }
        let of_another_key = [("key", json!("k2"))];
        let notices = [&[][..], &of_another_key].map(|changes| event_of(b"account_exists", changes));
        assert_eq!(MailId::of(&notices[0]), MailId::of(&notices[1]), "a notice has no code");
        let verified = |changes: &[_]| MailId::of(&event_of(b"user_account_verified", changes));
        assert_ne!(verified(&[]), verified(&beside), "each verification is confirmed");
    }

    #[test]
    fn an_event_that_was_written_again_is_the_same_mail() {
        let again = [("request_id", json!("r-2")), ("occurred_at", json!("2026-11-21T11:02:30.000Z"))];
        assert_eq!(MailId::of(&event(&[])), MailId::of(&event(&again)));
        assert_eq!(MailId::of(&event(&[])), MailId::of(&event(&[("email", json!("Ada@Example.COM"))])));
    }

    #[test]
    fn a_record_with_the_place_of_another_is_not_its_mail() {
        for forged in [
            ("email", json!("eve@example.com")),
            ("id", json!("c19a848c-0495-87ae-9e10-8be694335a57")),
            ("window", json!(493_883)),
            ("send", json!(2)),
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
