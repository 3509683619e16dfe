//! What became of each mail: that none is lost, none is sent to the wrong one, and none comes twice without a reason.

use super::{Breach, Ledger, Work};
use crate::{mail_server::Treatment, schedule::Planned};
use contract::{
    event::{Event, EventId},
    topic::Topic,
};
use jiff::{SignedDuration, Timestamp};
use notification_service::simulated::{
    DeliveryId, End, Outcome, Partition, Phase, Position, Reason, Record, Refusal, RefusalKind, Target, Try,
};
use std::{collections::BTreeMap, time::Duration};

/// Where a record stands, and under which assignment it was taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) assignment: usize,
    pub(super) record: (Partition, i64),
}

/// Work that a service has begun.
#[derive(Debug)]
pub(super) struct Begun {
    mail: Option<EventId>,
    place: Option<Place>,
}

/// Something that can't be taken back: the server has the mail, or a retry is written.
#[derive(Debug)]
struct Effect {
    work: Work,
    /// How often; more than once only for copies.
    times: usize,
    /// Its process knows.
    told: bool,
}

/// A mail that one or more records ask for.
#[derive(Debug, Default)]
pub(super) struct Mail {
    deadline: Timestamp,
    since: Duration,
    /// Records that ask for it, written by user services.
    records: usize,
    accepted: usize,
    effects: Vec<Effect>,
    /// The server refused the recipient, or the content, for good.
    refused: (bool, bool),
    dead_letters: usize,
    treatment: Option<Treatment>,
}

impl Ledger {
    /// A record asks for a mail.
    pub(super) fn promised(&mut self, mail: EventId, deadline: Timestamp, now: Duration) {
        let mail = self.mails.entry(mail).or_insert_with(|| Mail { since: now, ..Mail::default() });
        mail.records += 1;
        mail.deadline = mail.deadline.max(deadline);
    }

    /// A service begins to mail.
    pub(crate) fn started(
        &mut self,
        service: usize,
        delivery: DeliveryId,
        position: Position,
        event: &Event,
        now: Duration,
    ) {
        if !self.was_published(event) {
            self.breaks("no mail of a wrong event", now, format!("{event:?}"));
        }
        let mail = event.mail_id();
        if self.known[service].delivered.contains(&mail) {
            let detail = format!("service {service}: {}", event.request_id().as_str());
            self.breaks("a process mails once what was accepted", now, detail);
        }
        let place = self.place(service, mail, (position.partition, position.offset), now);
        let work = (service, self.known[service].process, delivery);
        self.known[service].running.extend(place.map(|place| (delivery, place.record)));
        self.begins(service, place, now);
        self.works.insert(work, Begun { mail: Some(mail), place });
    }

    /// A service begins to write a copy.
    pub(crate) fn writes(
        &mut self,
        service: usize,
        delivery: DeliveryId,
        record: &Record,
        target: &Target,
        wall: Timestamp,
        now: Duration,
    ) {
        let place = self.place_of(service, (record.position.partition, record.position.offset));
        let content = place.and_then(|place| self.records.get(&place.record));
        let mail = match content {
            Some(super::records::Content::Mail { mail, .. }) => Some(*mail),
            _ => None,
        };
        let work = (service, self.known[service].process, delivery);
        self.known[service].running.extend(place.map(|place| (delivery, place.record)));
        self.begins(service, place, now);
        self.works.insert(work, Begun { mail, place });
        let Target::DeadLetter { reason, .. } = target else { return };
        let entry = mail.and_then(|mail| self.mails.get(&mail));
        let is_explained = match (reason, entry) {
            (Reason::Undecodable | Reason::WrongClock, None) => true,
            (Reason::RecipientRefused, Some(mail)) => mail.refused.0,
            (Reason::ContentRefused, Some(mail)) => {
                mail.refused.1 && wall + SignedDuration::from_secs(1) >= mail.deadline
            }
            _ => false,
        };
        if !is_explained {
            let detail = format!("service {service}: {reason}, {:?}", record.position);
            self.breaks("no dead letter without a reply that explains it", now, detail);
        }
    }

    /// The mail server has a mail.
    pub(crate) fn accepted(
        &mut self,
        service: usize,
        process: u64,
        delivery: DeliveryId,
        event: &Event,
        now: Duration,
    ) {
        let Some(mail) = self.mails.get_mut(&event.mail_id()) else {
            return self.breaks("no mail of a wrong event", now, format!("{event:?}"));
        };
        mail.accepted += 1;
        mail.effects.push(Effect { work: (service, process, delivery), times: 1, told: false });
    }

    /// The mail server has said this of a mail.
    pub(crate) fn answered(&mut self, event: &Event, treatment: Treatment, says: &Result<Try, Phase>) {
        let Some(mail) = self.mails.get_mut(&event.mail_id()) else { return };
        mail.treatment = Some(treatment);
        if let Ok(Try::Refused(Refusal { kind, .. })) = says {
            mail.refused.0 |= matches!(kind, RefusalKind::Recipient | RefusalKind::RecipientUnclear);
            mail.refused.1 |= *kind == RefusalKind::Content;
        }
    }

    /// A copy of a mail's record was written.
    pub(super) fn copied(&mut self, mail: EventId, topic: Topic, work: Work) {
        let Some(mail) = self.mails.get_mut(&mail) else { return };
        if topic == Topic::DeadLetter {
            mail.dead_letters += 1;
        } else if let Some(effect) = mail.effects.iter_mut().find(|effect| effect.work == work) {
            effect.times += 1;
        } else {
            mail.effects.push(Effect { work, times: 1, told: false });
        }
    }

    /// A service learns how its work ended.
    pub(crate) fn told(&mut self, service: usize, delivery: DeliveryId, end: &End, now: Duration) {
        let work = (service, self.known[service].process, delivery);
        self.known[service].running.remove(&delivery);
        self.ended_with_server(service, delivery, end, now);
        let Some(&Begun { mail, place }) = self.works.get(&work) else { return };
        if let (End::Tried(tried), Some(place)) = (end, place) {
            self.tried(service, place, tried, now);
        }
        match end {
            End::Tried(Try::Accepted) => self.known[service].delivered.extend(mail),
            End::Written(Outcome::HandedOn | Outcome::DeadLettered(_)) => {
                self.known[service].copied.extend(place.map(|place| place.record));
            }
            _ => return,
        }
        if let Some(place) = place {
            self.finished(service, place);
        }
        let effects = mail.and_then(|mail| self.mails.get_mut(&mail)).map(|mail| &mut mail.effects);
        effects
            .into_iter()
            .flatten()
            .filter(|effect| effect.work == work)
            .for_each(|effect| effect.told = true);
    }

    /// Judges the whole run at its end; `wall`: the true time.
    pub(crate) fn judge(&mut self, faults: &[Planned], wall: Timestamp, now: Duration) {
        let mut broken = None;
        for (id, mail) in &self.mails {
            let most = mail.records + mail.effects.iter().map(|effect| self.repeats(effect)).sum::<usize>();
            if mail.accepted > most.max(1) {
                let detail = format!("{} instead of {most}: {mail:?}", mail.accepted);
                broken = broken.or(Some(("no duplicate without a fault that explains it", *id, detail)));
            }
            let ended =
                mail.accepted > 0 || mail.dead_letters > 0 || self.may_have_expired(mail, faults, wall, now);
            if !ended {
                broken = broken.or(Some(("no mail is lost", *id, format!("{mail:?}"))));
            }
        }
        if let Some((promise, mail, detail)) = broken {
            let sign_up = Some(self.sign_up_of(&mail).to_owned());
            self.breach.get_or_insert(Breach { promise, at: now, detail, sign_up });
        }
    }

    /// How often what was done may be done again: once if its process did not learn of it, or could not commit it.
    fn repeats(&self, effect: &Effect) -> usize {
        let begun = self.works.get(&effect.work);
        let is_left = |Begun { place, .. }: &Begun| {
            let Some(place) = place else { return true };
            let assignment = &self.assignments[place.assignment];
            assignment.over && !assignment.has_committed(place.record)
        };
        let is_open = !effect.told || begun.is_none_or(is_left);
        usize::from(is_open) + effect.times - 1
    }

    /// Whether there was no time at which it could have been mailed.
    fn may_have_expired(&self, mail: &Mail, faults: &[Planned], wall: Timestamp, now: Duration) -> bool {
        if mail.deadline > wall + SignedDuration::from_mins(1) {
            return false;
        }
        if matches!(mail.treatment, Some(Treatment::Full | Treatment::Greylisted(_) | Treatment::Disliked)) {
            return true;
        }
        let left = Duration::try_from(wall.duration_since(mail.deadline)).unwrap_or_default();
        let until = now.saturating_sub(left);
        // Between two faults there was none for long enough.
        let mut calm_since = mail.since;
        for fault in faults.iter().filter(|fault| fault.at < until) {
            if fault.at > calm_since + self.settles_within {
                return false;
            }
            calm_since = calm_since.max(fault.at + fault.lasts);
        }
        until <= calm_since + self.settles_within
    }

    /// Mails, and those of them that came again.
    pub(crate) fn figures(&self) -> (usize, usize) {
        let accepted: BTreeMap<_, _> = self.mails.iter().map(|(id, mail)| (id, mail.accepted)).collect();
        (accepted.values().sum(), accepted.values().map(|times| times.saturating_sub(1)).sum())
    }
}
