//! The newest mails, and the observers of each mail.

use crate::{inbox::parsed_mail::ParsedMail, smtp::ReceivedMail};
use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

/// How many mails an inbox keeps.
pub const CAPACITY: usize = 1_000;

type Observer = Box<dyn Fn(&ParsedMail) + Send + Sync>;

#[derive(Default)]
pub(super) struct Mailbox {
    shelf: Mutex<Shelf>,
    observers: RwLock<Vec<Observer>>,
}

#[derive(Default)]
struct Shelf {
    /// Oldest first.
    mails: VecDeque<Arc<ParsedMail>>,
    /// All mails received so far.
    received: usize,
    /// Grows with each change, so that a page can ask whether there is something new.
    version: u64,
}

impl Mailbox {
    pub(super) fn observe(&self, observer: Observer) {
        self.observers.write().unwrap_or_else(PoisonError::into_inner).push(observer);
    }

    pub(super) fn receive(&self, mail: &ReceivedMail) {
        let parsed = {
            let mut shelf = self.shelf();
            shelf.received += 1;
            shelf.version += 1;
            let parsed = Arc::new(ParsedMail::parse(shelf.received, mail));
            if shelf.mails.len() == CAPACITY {
                shelf.mails.pop_front();
            }
            shelf.mails.push_back(parsed.clone());
            parsed
        };
        for observer in self.observers.read().unwrap_or_else(PoisonError::into_inner).iter() {
            observer(&parsed);
        }
    }

    pub(super) fn newest_first(&self) -> Vec<Arc<ParsedMail>> {
        self.shelf().mails.iter().rev().cloned().collect()
    }

    pub(super) fn find(&self, number: usize) -> Option<Arc<ParsedMail>> {
        self.shelf().mails.iter().find(|mail| mail.number == number).cloned()
    }

    pub(super) fn version(&self) -> u64 {
        self.shelf().version
    }

    pub(super) fn clear(&self) {
        let mut shelf = self.shelf();
        shelf.mails.clear();
        shelf.version += 1;
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").field("version", &self.version()).finish_non_exhaustive()
    }
}
