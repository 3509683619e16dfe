//! The evidence, arranged so that it can be asked.

use super::expires_at;
use crate::evidence::{Ask, Evidence, Mail, Record, Reply, Request};
use jiff::{SignedDuration, Timestamp};
use shared::{
    account_id::AccountId,
    email_address::EmailAddress,
    event::{CodeIssued, Event, EventId},
    topic::Topic,
    verification_code::{LinkToken, VerificationCode},
};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The last try of a mail is a second before its end; what is out of time then has expired.
const LAST_TRY: SignedDuration = SignedDuration::from_millis(1_500);

/// See the module's text.
pub(super) struct Index<'a> {
    pub(super) evidence: &'a Evidence,
    /// The events of the source topics, by the request that led to them.
    pub(super) by_request: HashMap<&'a str, &'a Event>,
    /// The distinct events of the source topics.
    pub(super) events: BTreeMap<EventId, &'a Event>,
    /// Every writing of an event that asks for a mail.
    pub(super) writings: Vec<&'a Event>,
    /// Codes that were issued, by account; a code once for each of its mails.
    pub(super) issued: HashMap<AccountId, Vec<&'a CodeIssued>>,
    /// Mails of each event, in the order of their arrival.
    pub(super) mails: BTreeMap<EventId, Vec<&'a Mail>>,
    /// Dead letters of each event.
    pub(super) dead_letters: BTreeMap<EventId, Vec<&'a Record>>,
    pub(super) verified: BTreeSet<AccountId>,
}

impl<'a> Index<'a> {
    pub(super) fn new(evidence: &'a Evidence) -> Self {
        let mut index = Self {
            evidence,
            by_request: HashMap::new(),
            events: BTreeMap::new(),
            writings: Vec::new(),
            issued: HashMap::new(),
            mails: BTreeMap::new(),
            dead_letters: BTreeMap::new(),
            verified: BTreeSet::new(),
        };
        for record in &evidence.records {
            let Some(event) = &record.event else { continue };
            match record.topic {
                Topic::Created | Topic::Activity | Topic::Verified => index.add_event(event),
                Topic::DeadLetter => index.dead_letters.entry(event.event_id()).or_default().push(record),
                Topic::MailRetry => {}
            }
        }
        for mail in &evidence.mails {
            if let Some(event_id) = mail.event_id {
                index.mails.entry(event_id).or_default().push(mail);
            }
        }
        index
    }

    fn add_event(&mut self, event: &'a Event) {
        self.by_request.insert(event.request_id().as_str(), event);
        self.events.insert(event.event_id(), event);
        if asks_for_mail(event) {
            self.writings.push(event);
        }
        match event {
            Event::Created(issued) | Event::CodeResent(issued) => {
                self.issued.entry(issued.id).or_default().push(issued);
            }
            Event::Verified(verified) => {
                self.verified.insert(verified.id);
            }
            Event::RegistrationRepeated(_) | Event::AccountExists(_) | Event::Attempt(_) => {}
        }
    }

    /// Whether an event's mail was sent or refused for good, or this writing of it was out of time.
    pub(super) fn has_ended(&self, event: &Event) -> bool {
        let id = event.event_id();
        self.mails.contains_key(&id) || self.dead_letters.contains_key(&id) || self.has_expired(event)
    }

    fn has_expired(&self, event: &Event) -> bool {
        let writing = (event.event_id(), event.request_id().as_str().to_owned());
        let noted = self.evidence.expired.get(&writing);
        noted.zip(expires_at(event)).is_some_and(|(noted, expiry)| *noted + LAST_TRY >= expiry)
    }

    /// The code of this window and generation, if any code of this id was mailed.
    pub(super) fn code(&self, id: AccountId, window: u64, generation: u32) -> Option<String> {
        let key = self.evidence.secrets.current();
        let code = VerificationCode::derive(key, id, self.address(id)?, window, generation);
        Some(code.digits().to_owned())
    }

    /// The token of this window's link, if any was mailed to this id.
    pub(super) fn token(&self, id: AccountId, window: u64) -> Option<String> {
        let key = self.evidence.secrets.current();
        Some(LinkToken::derive(key, id, self.address(id)?, window).to_text())
    }

    /// In one of its spellings, which all make the same codes.
    fn address(&self, id: AccountId) -> Option<&EmailAddress> {
        self.issued.get(&id)?.first().map(|issued| &issued.email)
    }

    /// What was asked and how it was answered, for everything that was.
    pub(super) fn answered(&self) -> impl Iterator<Item = (&'a Request, &'a Reply)> {
        self.evidence.requests.iter().filter_map(|request| Some((request, request.reply.as_ref()?)))
    }

    /// Registrations that were accepted.
    pub(super) fn accepted_registrations(&self) -> impl Iterator<Item = (&'a Request, &'a Reply)> {
        self.answered()
            .filter(|(request, reply)| matches!(request.ask, Ask::Register { .. }) && reply.status == 202)
    }
}

/// Whether the event asks for a mail.
pub(super) fn asks_for_mail(event: &Event) -> bool {
    match event {
        Event::Created(_) | Event::CodeResent(_) | Event::Verified(_) => true,
        // The first of a window, which began it.
        Event::AccountExists(exists) => exists.occurred_at == exists.window_started_at,
        Event::RegistrationRepeated(_) | Event::Attempt(_) => false,
    }
}

/// The account that a request is about, when it names one.
pub(super) fn account(ask: &Ask) -> Option<AccountId> {
    match ask {
        Ask::Register { .. } => None,
        Ask::Resend { id } | Ask::VerifyCode { id, .. } | Ask::VerifyLink { id, .. } => id.parse().ok(),
    }
}

/// What a request was, in one line.
pub(super) fn line(request: &Request, at: Timestamp) -> String {
    format!("request {} {:?}, answered at {at:.3}", request.request_id, request.ask)
}

/// What an event is, in one line.
pub(super) fn event_line(event: &Event) -> String {
    let (name, id) = (event.kind().name(), event.event_id());
    format!("{name} {id} of {}, at {:.3}", event.account_id(), event.occurred_at())
}
