//! How many places the tagged spellings of one mailbox have taken in a window, all together.
//!
//! `ada+1@example.com`, `ada+2@example.com` … are accounts of their own and, with most
//! providers, one mailbox. The spelling without a tag is neither counted nor limited.

use crate::rules::Window;
use contract::email_address::EmailAddress;
use foldhash::fast::RandomState;
use std::{collections::HashMap, hash::BuildHasher, sync::LazyLock};

/// A mailbox with tagged spellings, as a hash with a random key: nobody can choose one that collides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Mailbox(u64);

impl Mailbox {
    /// The mailbox of an address that has a tag.
    pub(crate) fn of(email: &EmailAddress) -> Option<Self> {
        static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::default);
        email.tagged_mailbox().map(|mailbox| Self(HASHER.hash_one(mailbox)))
    }
}

/// The number of places taken, by mailbox and window.
#[derive(Debug, Default)]
pub(super) struct Tags(HashMap<(Mailbox, Window), u32, RandomState>);

impl Tags {
    pub(super) fn taken(&self, mailbox: Mailbox, window: Window) -> u32 {
        self.0.get(&(mailbox, window)).copied().unwrap_or(0)
    }

    pub(super) fn take(&mut self, mailbox: Mailbox, window: Window) {
        let taken = self.0.entry((mailbox, window)).or_default();
        *taken = taken.saturating_add(1);
    }

    pub(super) fn give_back(&mut self, mailbox: Mailbox, window: Window) {
        if let Some(taken) = self.0.get_mut(&(mailbox, window)) {
            *taken = taken.saturating_sub(1);
        }
    }

    /// Forgets the windows before this one.
    pub(super) fn tidy(&mut self, oldest: Window) {
        self.0.retain(|(_, window), _| *window >= oldest);
    }
}
