//! What became of an account's mails, as far as the topics say. Pure.
//!
//! A mail that was accepted leaves no trace. So the best that can be said of one is that no failure is known.

use contract::{
    dead_letter_headers::{LAST_FAILURE, REASON, RESOLUTION, RESOLVED, SMTP_ENHANCED_STATUS, SMTP_STATUS},
    event::{Event, EventId, EventKind, Mailing},
    retry_headers::NOT_BEFORE,
    topic::Topic,
};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// The most mails that are kept, the newest. The schedule allows about a thousand in the seven days of a topic.
const MAX_MAILS: usize = 200;
/// The most characters of a header that is shown.
const MAX_TEXT: usize = 40;

/// The newest mails of one account.
#[derive(Debug, Default)]
pub(super) struct Mails(BTreeMap<EventId, Mail>);

/// One mail that was asked for.
#[derive(Debug)]
pub(super) struct Mail {
    pub(super) kind: EventKind,
    pub(super) asked_at: Timestamp,
    /// The number of its window; a confirmation has none.
    pub(super) window: Option<u64>,
    retry: Option<Retry>,
    letter: Option<Letter>,
}

#[derive(Debug)]
struct Retry {
    written_at: Timestamp,
    next_try_at: Timestamp,
}

/// A dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Letter {
    /// Partition and offset.
    place: (i32, i64),
    written_at: Timestamp,
    pub(super) failed_at: Timestamp,
    /// Such as `recipient_refused`.
    pub(super) reason: String,
    /// The code of the mail server's reply.
    pub(super) smtp_status: Option<u16>,
    /// Such as `5.1.1`.
    pub(super) enhanced_status: Option<String>,
    /// `replayed` or `discarded`.
    pub(super) resolution: Option<String>,
}

/// What is known of a mail.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate<'a> {
    /// It was accepted, is about to be sent, or has expired. `retried_at`: it was put off until then.
    NoFailureKnown { retried_at: Option<Timestamp> },
    /// The mail server put it off.
    WaitingForRetry { next_try_at: Timestamp },
    /// It could not be mailed.
    DeadLettered(&'a Letter),
}

/// A record of the account.
#[derive(Debug, Clone, Copy)]
pub(super) struct Written<'a> {
    pub(super) topic: Topic,
    /// Partition and offset.
    pub(super) place: (i32, i64),
    pub(super) at: Timestamp,
    pub(super) payload: Option<&'a [u8]>,
    pub(super) headers: &'a [(&'a str, Option<&'a [u8]>)],
}

impl Written<'_> {
    fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(known, _)| *known == name)?;
        std::str::from_utf8((*value)?).ok()
    }

    /// The event, if it is one.
    pub(super) fn event(&self) -> Option<Event> {
        Event::decode(self.header("ce_type").map(str::as_bytes), self.payload?).ok()
    }
}

impl Mails {
    /// Notes a record: what asks for a mail before its retries and dead letters, and these in the order of their partitions.
    pub(super) fn note(&mut self, written: &Written<'_>) {
        if let Some(offset) = written.header(RESOLVED).filter(|_| written.topic == Topic::DeadLetter) {
            self.resolve((written.place.0, offset.parse().unwrap_or(-1)), written.header(RESOLUTION));
        } else if let Some(mail) = written.event().and_then(|event| self.mail(&event)) {
            match written.topic {
                Topic::MailRetry => {
                    let next_try_at = written.header(NOT_BEFORE).and_then(time).unwrap_or(written.at);
                    if mail.retry.as_ref().is_none_or(|known| known.written_at <= written.at) {
                        mail.retry = Some(Retry { written_at: written.at, next_try_at });
                    }
                }
                Topic::DeadLetter => mail.letter = Some(Letter::of(written)),
                Topic::Created | Topic::Activity | Topic::Verified => {}
            }
        }
    }

    /// All mails, the newest first.
    pub(super) fn newest_first(&self) -> Vec<&Mail> {
        let mut mails: Vec<_> = self.0.values().collect();
        mails.sort_by_key(|mail| std::cmp::Reverse(mail.asked_at));
        mails
    }

    /// How many were asked for in a window.
    pub(super) fn in_window(&self, window: u64) -> usize {
        self.0.values().filter(|mail| mail.window == Some(window)).count()
    }

    /// The mail that an event asks for, if it asks for one that is new enough.
    fn mail(&mut self, event: &Event) -> Option<&mut Mail> {
        let window = match event {
            Event::Attempt(_) | Event::Registered(Mailing::Nothing, _) => return None,
            Event::Registered(_, event) => Some(event.window),
            Event::Verified(_) => None,
        };
        let (id, kind, asked_at) = (event.mail_id(), event.kind(), event.occurred_at());
        self.0.entry(id).or_insert(Mail { kind, asked_at, window, retry: None, letter: None });
        if self.0.len() > MAX_MAILS {
            let oldest = self.0.iter().min_by_key(|(_, mail)| mail.asked_at).map(|(id, _)| *id)?;
            self.0.remove(&oldest);
        }
        self.0.get_mut(&id)
    }

    fn resolve(&mut self, place: (i32, i64), resolution: Option<&str>) {
        let letters = self.0.values_mut().filter_map(|mail| mail.letter.as_mut());
        for letter in letters.filter(|letter| letter.place == place) {
            letter.resolution = Some(short(resolution.unwrap_or("resolved")));
        }
    }
}

impl Mail {
    /// What is known of it.
    pub(super) fn fate(&self, now: Timestamp) -> Fate<'_> {
        match (&self.letter, &self.retry) {
            // A dead letter that was replayed has a later retry.
            (Some(letter), retry) if retry.as_ref().is_none_or(|it| it.written_at <= letter.written_at) => {
                Fate::DeadLettered(letter)
            }
            (_, Some(retry)) if retry.next_try_at > now => {
                Fate::WaitingForRetry { next_try_at: retry.next_try_at }
            }
            (_, retry) => Fate::NoFailureKnown { retried_at: retry.as_ref().map(|retry| retry.next_try_at) },
        }
    }
}

impl Letter {
    fn of(written: &Written<'_>) -> Self {
        let is_enhanced = |text: &&str| {
            let parts: Vec<_> = text.split('.').collect();
            parts.len() == 3 && parts.iter().all(|part| part.len() <= 3 && part.parse::<u16>().is_ok())
        };
        Self {
            place: written.place,
            written_at: written.at,
            failed_at: written.header(LAST_FAILURE).and_then(time).unwrap_or(written.at),
            reason: short(written.header(REASON).unwrap_or("unknown")),
            smtp_status: written.header(SMTP_STATUS).and_then(|text| text.parse().ok()),
            enhanced_status: written.header(SMTP_ENHANCED_STATUS).filter(is_enhanced).map(str::to_owned),
            resolution: None,
        }
    }
}

fn time(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

fn short(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}
