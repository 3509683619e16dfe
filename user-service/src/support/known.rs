//! All that the topics say about one account, read once, and the view of it.

use super::{
    mails::{Mails, Written},
    read::{Found, Log, Unread, Withheld},
};
use crate::{
    config::Config,
    identity::IdSecret,
    log_ends::{Inquirer, Offsets, TOPICS},
    metrics::Metrics,
    outside::Outside,
    publisher::Publisher,
    replica::{Record, View},
    rules::Rules,
    signup::Signup,
};
use anyhow::bail;
use contract::{
    account_id::AccountId,
    email_address::EmailAddress,
    event::{Event, Registered},
    registration_id::RegistrationId,
    topic::Topic,
};
use jiff::Timestamp;
use runtime::spans::Spans;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The topics in the order in which they are read: tombstones before registrations, mails before what became of them.
pub(super) const ORDER: [Topic; 5] =
    [Topic::Verified, Topic::Activity, Topic::Created, Topic::MailRetry, Topic::DeadLetter];

/// A topic that could not be read, and why.
pub(super) type NotRead = (Topic, Withheld);

/// What is known of one account.
pub(super) struct Known {
    pub(super) account: AccountId,
    pub(super) signup: Signup,
    pub(super) rules: Rules,
    pub(super) mails: Mails,
    /// The newest registration that is held, and was made after the account was forgotten, if it was.
    pub(super) newest: Option<(RegistrationId, Timestamp)>,
    /// The time of the newest registration, held or expired.
    pub(super) registered_at: Option<Timestamp>,
    /// The address of the newest record that names one.
    pub(super) address: Option<EmailAddress>,
    pub(super) verified_at: Option<Timestamp>,
    pub(super) forgotten_at: Option<Timestamp>,
    pub(super) not_read: Vec<NotRead>,
    id_secret: IdSecret,
    log: Log,
    filter: Filter,
    ends: Offsets,
    max_held: u64,
}

/// Which records are about the account.
#[derive(Debug, Clone)]
struct Filter {
    key: String,
    /// The mailbox whose tagged spellings share places with the account's address.
    mailbox: Option<String>,
}

impl Filter {
    fn is_own(&self, found: &Found<'_>) -> bool {
        found.key == Some(self.key.as_bytes())
    }

    /// Whether it is a registration of another tagged spelling of the account's mailbox.
    fn is_sibling(&self, found: &Found<'_>) -> bool {
        let Some(mailbox) = self.mailbox.as_ref().filter(|_| found.topic == Topic::Created) else {
            return false;
        };
        let headers = found.headers();
        let event = written(found, &headers).event();
        event.is_some_and(|event| {
            event.email().and_then(EmailAddress::tagged_mailbox).as_ref() == Some(mailbox)
        })
    }
}

impl Known {
    /// Reads all topics to their present ends. `address`: that of the account, if it is known. Blocks.
    ///
    /// # Errors
    /// When a topic of events can't be read, or the brokers don't answer. The topics of copies may be withheld.
    pub(super) fn read(
        config: &Config,
        account: AccountId,
        address: Option<&EmailAddress>,
    ) -> anyhow::Result<Self> {
        let inquirer = Arc::new(Inquirer::new(&config.kafka)?);
        let publisher =
            Arc::new(Publisher::new(&config.kafka, config.rules.publish_timeout, Spans::default())?);
        let outside = Outside::Real { publisher, inquirer: Arc::clone(&inquirer) };
        let filter =
            Filter { key: account.to_string(), mailbox: address.and_then(EmailAddress::tagged_mailbox) };
        let mut known = Self {
            account,
            signup: Signup::new(config, Arc::new(Metrics::new()), outside),
            rules: config.rules,
            mails: Mails::default(),
            newest: None,
            registered_at: None,
            address: address.cloned(),
            verified_at: None,
            forgotten_at: None,
            not_read: Vec::new(),
            id_secret: config.id_secret.clone(),
            log: Log::new(&config.kafka, inquirer)?,
            filter,
            ends: Offsets::new(),
            max_held: config.max_pending.saturating_add(config.max_pending / 2),
        };
        known.read_all()?;
        Ok(known)
    }

    /// The account's address, if it has a tag.
    pub(super) fn tagged_address(&self) -> Option<EmailAddress> {
        self.address.clone().filter(|address| address.tagged_mailbox().is_some())
    }

    pub(super) fn view(&self) -> &View {
        self.signup.replica().view()
    }

    /// Reads on, so that the view stays at the log-end offset, until `stop` is cancelled. Blocks.
    pub(super) fn follow(self, stop: &CancellationToken) -> anyhow::Result<Self> {
        let reading = Arc::clone(self.signup.replica().reading());
        let take = |found: &Found<'_>| {
            if self.filter.is_own(found) || self.filter.is_sibling(found) {
                take(&self.signup, found);
            }
        };
        let passed = |partition, offset| reading.pass(std::iter::once((partition, offset)));
        self.log.follow(&self.ends, stop, take, passed)?;
        Ok(self)
    }

    fn read_all(&mut self) -> anyhow::Result<()> {
        let (mut start, mut spans) = (Offsets::new(), Vec::new());
        for topic in ORDER {
            match self.log.span(topic) {
                Ok((from, to)) => {
                    if TOPICS.contains(&topic) {
                        start.extend(&from);
                        self.ends.extend(&to);
                    }
                    spans.push((topic, from, to));
                }
                Err(error) => self.leave_out(topic, error)?,
            }
        }
        let reading = Arc::clone(self.signup.replica().reading());
        reading.begin(start, self.ends.clone());
        for (topic, from, to) in spans {
            let filter = self.filter.clone();
            let log = Log::clone(&self.log);
            let read = log.read(topic, (&from, &to), |found| {
                if filter.is_own(found) {
                    return self.note(found);
                }
                if filter.is_sibling(found) {
                    take(&self.signup, found);
                }
                self.check_room()
            });
            match read {
                Ok(()) => reading.pass(to.into_iter().filter(|((topic, _), _)| TOPICS.contains(topic))),
                Err(error) => self.leave_out(topic, error)?,
            }
        }
        Ok(())
    }

    /// Notes that a topic is withheld. Without a topic of events there is nothing to say.
    fn leave_out(&mut self, topic: Topic, error: Unread) -> anyhow::Result<()> {
        match error {
            Unread::Withheld(why) if topic.takes_copies() => self.not_read.push((topic, why)),
            Unread::Withheld(why) => bail!("{} can't be read: {why}", topic.name()),
            Unread::Failed(error) => return Err(error),
        }
        Ok(())
    }

    fn note(&mut self, found: &Found<'_>) -> anyhow::Result<()> {
        let headers = found.headers();
        let written = written(found, &headers);
        if TOPICS.contains(&found.topic) {
            take(&self.signup, found);
        }
        self.mails.note(&written);
        match written.event().filter(|event| self.is_of_account(event)) {
            Some(Event::Registered(_, event)) if found.topic == Topic::Created => {
                self.note_registration(&event)
            }
            Some(Event::Verified(event)) if found.topic == Topic::Verified => {
                self.verified_at = Some(event.occurred_at);
                self.address = Some(event.email);
            }
            None if found.topic == Topic::Verified && found.payload.is_none() => {
                (self.verified_at, self.forgotten_at) = (None, Some(written.at));
            }
            _ => {}
        }
        self.check_room()
    }

    /// Whether the event is about this account, and names its address. Whoever may write can write any other.
    fn is_of_account(&self, event: &Event) -> bool {
        let of_address = event.email().map(|email| self.id_secret.account_id(email));
        event.account_id() == self.account && of_address.is_none_or(|of_address| of_address == self.account)
    }

    fn note_registration(&mut self, event: &Registered) {
        let now = Timestamp::now();
        self.registered_at = self.registered_at.max(Some(event.occurred_at));
        self.address = Some(event.email.clone());
        let held = self.view().registration(event.registration, now).filter(|it| it.account == self.account);
        let Some(made_at) = held.map(|registration| registration.made_at) else { return };
        let counts = self
            .view()
            .look_at(self.account, |account, _| account.can_be_proved(made_at, false, &self.rules));
        if counts && self.newest.is_none_or(|(_, newest)| newest <= made_at) {
            self.newest = Some((event.registration, made_at));
        }
    }

    /// As in the service, memory for registrations has a bound.
    fn check_room(&self) -> anyhow::Result<()> {
        if self.view().held() > self.max_held {
            bail!("the account has more registrations than 1.5 x MAX_PENDING; wait until some have expired");
        }
        Ok(())
    }
}

/// The record, as `mails` reads it.
pub(super) fn written<'a>(found: &Found<'a>, headers: &'a [(&'a str, Option<&'a [u8]>)]) -> Written<'a> {
    let at = found
        .timestamp
        .and_then(|time| Timestamp::from_millisecond(time).ok())
        .unwrap_or(Timestamp::UNIX_EPOCH);
    Written {
        topic: found.topic,
        place: (found.partition, found.offset),
        at,
        payload: found.payload,
        headers,
    }
}

fn take(signup: &Signup, found: &Found<'_>) {
    let headers = found.headers();
    signup.replica().reading().take(&Record {
        topic: found.topic,
        partition: found.partition,
        offset: found.offset,
        timestamp: found.timestamp,
        key: found.key,
        payload: found.payload,
        header: &|name| headers.iter().find(|(known, _)| *known == name)?.1,
    });
}
