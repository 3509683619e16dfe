//! The evidence, indexed for queries.
//!
//! All services pass over records whose time is too far from their event's. The index leaves them out, too.

use crate::{
    evidence::{Ask, Evidence, Mail, Record, Reply, Request},
    rules,
};
use contract::{
    account_id::AccountId,
    email_address::EmailAddress,
    event::{Attempt, Event, EventId, Mailing, Registered, Verified},
    registration_id::RegistrationId,
    topic::Topic,
    verification_code::{LinkToken, VerificationCode},
};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, HashMap, HashSet};

/// The last try of a mail is a second before its deadline. An event that is too late for that has expired.
const LAST_TRY: SignedDuration = SignedDuration::from_millis(1_500);
/// Every query for the log-end offset includes records older than this.
pub(super) const VISIBLE_AFTER: SignedDuration = SignedDuration::from_secs(1);

/// The evidence of a round by request, registration, account and mail.
pub(super) struct Index<'a> {
    pub(super) evidence: &'a Evidence,
    requests: HashMap<&'a str, &'a Request>,
    /// Records of the source topics by the request that caused them.
    by_request: HashMap<&'a str, Vec<Written<'a>>>,
    registrations: HashMap<RegistrationId, Registration<'a>>,
    accounts: BTreeMap<AccountId, Account<'a>>,
    /// Every record that asks for a mail.
    pub(super) writings: Vec<&'a Event>,
    /// The events that ask for each mail.
    pub(super) asking: BTreeMap<EventId, Vec<&'a Event>>,
    /// The mails of each id, in the order of arrival.
    pub(super) mails: BTreeMap<EventId, Vec<&'a Mail>>,
    dead_letters: HashSet<EventId>,
    /// Events of records that are passed over.
    pub(super) passed_over: HashSet<EventId>,
}

/// An account's records, each kind in the order of its partition.
#[derive(Default)]
pub(super) struct Account<'a> {
    pub(super) registrations: Vec<Registration<'a>>,
    pub(super) attempts: Vec<(&'a Attempt, &'a Record)>,
    pub(super) milestones: Vec<Milestone<'a>>,
}

/// A record of `user_account_created`.
#[derive(Clone, Copy)]
pub(super) struct Registration<'a> {
    pub(super) mailing: Mailing,
    pub(super) event: &'a Registered,
    pub(super) stamped_at: Timestamp,
}

/// A record of `user_account_verified`. Without an event it is a tombstone.
#[derive(Clone, Copy)]
pub(super) struct Milestone<'a> {
    pub(super) verified: Option<&'a Verified>,
    pub(super) stamped_at: Timestamp,
}

/// A record and its event.
pub(super) type Written<'a> = (&'a Event, &'a Record);

impl<'a> Index<'a> {
    pub(super) fn new(evidence: &'a Evidence) -> Self {
        let requests = evidence.requests.iter().map(|request| (request.request_id.as_str(), request));
        let mut index = Self {
            evidence,
            requests: requests.collect(),
            by_request: HashMap::new(),
            registrations: HashMap::new(),
            accounts: BTreeMap::new(),
            writings: Vec::new(),
            asking: BTreeMap::new(),
            mails: BTreeMap::new(),
            dead_letters: HashSet::new(),
            passed_over: HashSet::new(),
        };
        for record in &evidence.records {
            match (&record.event, record.topic) {
                (None, Topic::Verified) if record.is_null => index.add_tombstone(record),
                (None, _) | (Some(_), Topic::MailRetry) => {}
                (Some(event), Topic::DeadLetter) => {
                    index.dead_letters.insert(event.event_id());
                }
                (Some(event), _) if is_passed_over(event, record) => {
                    index.passed_over.insert(event.event_id());
                }
                (Some(event), _) => index.add_event(event, record),
            }
        }
        for mail in &evidence.mails {
            if let Some(mail_id) = mail.mail_id {
                index.mails.entry(mail_id).or_default().push(mail);
            }
        }
        index
    }

    fn add_tombstone(&mut self, record: &'a Record) {
        let Some(account) = record.account else { return };
        let tombstone = Milestone { verified: None, stamped_at: record.stamped_at };
        self.accounts.entry(account).or_default().milestones.push(tombstone);
    }

    fn add_event(&mut self, event: &'a Event, record: &'a Record) {
        self.by_request.entry(event.request_id().as_str()).or_default().push((event, record));
        if asks_for_mail(event) {
            self.writings.push(event);
            self.asking.entry(event.mail_id()).or_default().push(event);
        }
        let account = self.accounts.entry(event.account_id()).or_default();
        let stamped_at = record.stamped_at;
        match event {
            Event::Registered(mailing, event) => {
                let registration = Registration { mailing: *mailing, event, stamped_at };
                account.registrations.push(registration);
                self.registrations.entry(event.registration).or_insert(registration);
            }
            Event::Attempt(attempt) => account.attempts.push((attempt, record)),
            Event::Verified(verified) => {
                account.milestones.push(Milestone { verified: Some(verified), stamped_at });
            }
        }
    }

    /// The records that a request caused.
    pub(super) fn written(&self, request_id: &str) -> &[Written<'a>] {
        self.by_request.get(request_id).map_or(&[], Vec::as_slice)
    }

    /// The records of each request, whoever sent it.
    pub(super) fn by_request(&self) -> impl Iterator<Item = (&'a str, &[Written<'a>])> {
        self.by_request.iter().map(|(request_id, written)| (*request_id, written.as_slice()))
    }

    pub(super) fn request(&self, request_id: &str) -> Option<&'a Request> {
        self.requests.get(request_id).copied()
    }

    /// The registration with this id, given as text.
    pub(super) fn registration(&self, id: &str) -> Option<Registration<'a>> {
        self.registrations.get(&id.parse().ok()?).copied()
    }

    /// All accounts.
    pub(super) fn accounts(&self) -> impl Iterator<Item = (AccountId, &Account<'a>)> {
        self.accounts.iter().map(|(id, account)| (*id, account))
    }

    pub(super) fn account(&self, id: AccountId) -> Option<&Account<'a>> {
        self.accounts.get(&id)
    }

    /// The registration that a request names, if it exists.
    pub(super) fn named(&self, ask: &Ask) -> Option<Registration<'a>> {
        match ask {
            Ask::Register(_) => None,
            Ask::Resend { id } | Ask::VerifyCode { id, .. } | Ask::VerifyLink { id, .. } => {
                self.registration(id)
            }
        }
    }

    /// The account of a request to register or for another mail.
    pub(super) fn asked_for(&self, ask: &Ask) -> Option<AccountId> {
        match ask {
            Ask::Register(person) => {
                let email = EmailAddress::parse(&person.email).ok()?;
                Some(AccountId::of(&self.evidence.id_secret, &email))
            }
            Ask::Resend { .. } => Some(self.named(ask)?.event.id),
            Ask::VerifyCode { .. } | Ask::VerifyLink { .. } => None,
        }
    }

    /// Whether an event's mail was sent or refused for good, or the event has expired.
    pub(super) fn has_ended(&self, event: &Event) -> bool {
        self.mails.contains_key(&event.mail_id())
            || self.dead_letters.contains(&event.event_id())
            || self.has_expired(event)
    }

    fn has_expired(&self, event: &Event) -> bool {
        let writing = (event.event_id(), event.request_id().as_str().to_owned());
        let noted = self.evidence.expired.get(&writing);
        noted.zip(mail_deadline(event)).is_some_and(|(noted, deadline)| *noted + LAST_TRY >= deadline)
    }

    /// The code of this window for the address of a registration.
    pub(super) fn code(&self, registration: &Registered, window: u64) -> String {
        let (key, id, email) = (self.evidence.secrets.current(), registration.id, &registration.email);
        VerificationCode::derive(key, id, email, window).digits().to_owned()
    }

    /// The token of this window for the address of a registration.
    pub(super) fn token(&self, registration: &Registered, window: u64) -> String {
        let (key, id, email) = (self.evidence.secrets.current(), registration.id, &registration.email);
        LinkToken::derive(key, id, email, window).to_text()
    }

    /// All requests with an answer.
    pub(super) fn answered(&self) -> impl Iterator<Item = (&'a Request, &'a Reply)> {
        self.evidence.requests.iter().filter_map(|request| Some((request, request.reply.as_ref()?)))
    }

    /// All accepted requests, with their record if there is one.
    pub(super) fn accepted(
        &self,
    ) -> impl Iterator<Item = (&'a Request, &'a Reply, Option<Registration<'a>>)> {
        self.answered().filter(|(_, reply)| reply.status == 202).map(|(request, reply)| {
            let own = |it: &Registration<'_>| it.event.request_id.as_str() == request.request_id;
            (request, reply, reply.id.as_deref().and_then(|id| self.registration(id)).filter(own))
        })
    }
}

impl<'a> Account<'a> {
    /// Verifications in the order of the log.
    pub(super) fn verifications(&self) -> impl Iterator<Item = (&'a Verified, Timestamp)> {
        self.milestones.iter().filter_map(|milestone| Some((milestone.verified?, milestone.stamped_at)))
    }

    /// Times of the tombstones.
    pub(super) fn tombstones(&self) -> impl Iterator<Item = Timestamp> {
        self.milestones.iter().filter(|it| it.verified.is_none()).map(|milestone| milestone.stamped_at)
    }
}

/// Whether all services pass over the record: the clocks of its writer and the broker differ, or it came too late.
fn is_passed_over(event: &Event, record: &Record) -> bool {
    let late = record.stamped_at.duration_since(event.occurred_at());
    let may_be_late = record.topic == Topic::Verified && late.is_positive();
    late.abs() > rules::CLOCK_TOLERANCE && !may_be_late
}

/// Whether the event asks for a mail.
fn asks_for_mail(event: &Event) -> bool {
    match event {
        Event::Registered(mailing, _) => *mailing != Mailing::Nothing,
        Event::Verified(_) => true,
        Event::Attempt(_) => false,
    }
}

/// The last moment for an event's mail; `None` if it comes after the end of the round.
pub(super) fn mail_deadline(event: &Event) -> Option<Timestamp> {
    match event {
        Event::Registered(Mailing::FirstCode | Mailing::FurtherCode, event) => {
            Some(event.expires_at - rules::LEAST_CODE_LIFE)
        }
        Event::Registered(..) | Event::Attempt(_) | Event::Verified(_) => None,
    }
}

/// A request and its answer in one line.
pub(super) fn line(request: &Request, reply: &Reply) -> String {
    let Reply { status, problem, at, .. } = reply;
    format!("request {} {:?}, answered {status} {problem} at {at:.3}", request.request_id, request.ask)
}

/// An event in one line.
pub(super) fn event_line(event: &Event) -> String {
    let (name, id) = (event.kind().name(), event.event_id());
    format!("{name} {id} of {}, at {:.3}", event.account_id(), event.occurred_at())
}

impl Registration<'_> {
    /// The registration in one line.
    pub(super) fn line(&self) -> String {
        let Registered { registration, id, window, send, occurred_at, .. } = self.event;
        let name = self.mailing.kind().name();
        format!("{name} {registration} of {id}, place {send} of window {window}, at {occurred_at:.3}")
    }
}
