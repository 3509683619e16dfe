//! What an event changes in the view. Merging is a join: an event may come any number of times, and
//! those of several topics in any order.

use super::{STRIPE_BITS, View, locked};
use crate::{
    replica::{registration::Registration, tags::Mailbox},
    rules::{Place, Window, later},
};
use contract::{
    account_id::AccountId,
    event::{Attempt, Event, Registered},
};
use jiff::Timestamp;
use std::sync::atomic::Ordering;

impl View {
    /// Takes in an event from the log. The events of a partition must come in its order.
    pub(crate) fn apply(&self, event: &Event, now: Timestamp) {
        match event {
            Event::Registered(_, event) => {
                self.hold(event, now);
                self.take_place(event, now);
            }
            Event::Attempt(event) => self.count(event, now),
            Event::Verified(event) => {
                self.verify(event.id, event.occurred_at, now);
                self.wake(event.event_id);
            }
        }
    }

    /// Takes in that an account is verified. Of several verifications the last one that was read holds.
    pub(crate) fn verify(&self, id: AccountId, at: Timestamp, now: Timestamp) {
        let mut stripe = self.stripe(id);
        stripe.verified.insert(id);
        if self.is_recent(at, now) || stripe.accounts.contains_key(&id) {
            stripe.accounts.entry(id).or_default().verify(at);
        }
    }

    /// Takes in a tombstone: the account's windows begin anew.
    pub(crate) fn forget(&self, id: AccountId, at: Timestamp, now: Timestamp) {
        let mut stripe = self.stripe(id);
        stripe.verified.remove(&id);
        // The compacted topic may keep an old tombstone for a long time.
        if self.is_recent(at, now) {
            stripe.accounts.entry(id).or_default().forget(at);
        }
    }

    fn hold(&self, event: &Registered, now: Timestamp) {
        let registration = Registration::from(event);
        if registration.ends_at(&self.rules) <= now {
            return;
        }
        let stripe = &self.stripes[usize::from(event.registration.as_bytes()[0] & STRIPE_BITS)];
        let _one_after_the_other = locked(stripe);
        match self.registrations.get(&event.registration) {
            // The record was written twice. If the two differ, which
            // no service writes, every replica holds the same one.
            Some(known) if known <= registration => {}
            Some(_) => self.registrations.insert(event.registration, registration),
            None => {
                self.held.fetch_add(1, Ordering::Relaxed);
                self.registrations.insert(event.registration, registration);
            }
        }
    }

    fn take_place(&self, event: &Registered, now: Timestamp) {
        let Some(window) = self.held_window(event.window, now).filter(|_| event.send > 0) else { return };
        let Ok(send) = u8::try_from(event.send) else { return };
        let place = Place { window, send, is_in_log: true, taken_at: event.occurred_at.as_millisecond() };
        let mut stripe = self.stripe(event.id);
        if stripe.accounts.entry(event.id).or_default().take(place)
            && let Some(mailbox) = Mailbox::of(&event.email)
        {
            locked(&self.tags).take(mailbox, window);
        }
    }

    fn count(&self, event: &Attempt, now: Timestamp) {
        let windows: Vec<_> =
            event.windows.iter().filter_map(|window| self.held_window(*window, now)).collect();
        let mut stripe = self.stripe(event.id);
        let account = stripe.accounts.entry(event.id).or_default();
        account.count(event.event_id, event.registration, &windows, event.occurred_at, &self.rules);
        drop(stripe);
        self.wake(event.event_id);
    }

    fn held_window(&self, number: u64, now: Timestamp) -> Option<Window> {
        Window::new(number).filter(|window| self.rules.held(now).contains(window))
    }

    fn is_recent(&self, at: Timestamp, now: Timestamp) -> bool {
        now < later(at, self.rules.milestone_life())
    }
}
