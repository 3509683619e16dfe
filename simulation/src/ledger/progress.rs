//! Whether mail moves while a mail server is fair.

use super::{
    Ledger,
    mails::Place,
    records::{Content, EARLIEST_EXPIRY, Offset},
};
use contract::topic::Topic;
use notification_service::{ServerNumber, simulated::Try};
use std::{collections::BTreeSet, time::Duration};

/// After this time of a fair server something is mailed if anything waits: each server before it may be silent for 30 s, a probe of the
/// next one follows within 30 s, and may be of somebody whom no server serves.
const MOVES_WITHIN: Duration = Duration::from_secs(150);
/// At the limit on uncommitted records, a mail that hangs at a closed server is dropped there after a second, and a tick.
const FREED_WITHIN: Duration = Duration::from_secs(10);
/// Between two looks. A step follows within a second.
const PAUSE: Duration = Duration::from_secs(1);

/// Mails that wait in the present process of a service.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Since when nothing moves that could.
    stands_since: Duration,
    looked_at: Duration,
    /// Since when each mail server is fair and has no mail from before.
    free_since: [Option<Duration>; ServerNumber::MOST],
}

impl Ledger {
    /// A record's turn has come.
    pub(super) fn begins(&mut self, service: usize, place: Option<Place>, now: Duration) {
        if let Some(Place { assignment, record }) = place {
            self.assignments[assignment].waiting.remove(&record);
        }
        self.moves(service, now);
    }

    /// Something was done, or nothing has to be.
    pub(super) fn moves(&mut self, service: usize, now: Duration) {
        self.known[service].progress.stands_since = now;
    }

    /// A try has ended. What was not mailed waits again, if no copy is written.
    pub(super) fn tried(&mut self, service: usize, place: Place, tried: &Try, now: Duration) {
        let assignment = &mut self.assignments[place.assignment];
        assignment.tried.insert(place.record);
        if matches!(tried, Try::Accepted | Try::Refused(_)) {
            self.moves(service, now);
        } else if place.record.0.topic != Topic::MailRetry {
            assignment.waiting.insert(place.record);
        }
    }

    /// Whether a service, as far as it knows, is the first one that tries to mail what a record asks for.
    pub(super) fn is_untried(&self, service: usize, record: Offset) -> bool {
        let was_tried = |number: usize| self.assignments[number].tried.contains(&record);
        record.0.topic != Topic::MailRetry && !self.known[service].assignment.is_some_and(was_tried)
    }

    /// A step of a service is over. `fair_since`: of each mail server, towards this service.
    pub(crate) fn look_at_progress(
        &mut self,
        service: usize,
        fair_since: impl Iterator<Item = Option<Duration>>,
        now: Duration,
    ) {
        let looked_at = self.known[service].progress.looked_at;
        if now < looked_at + PAUSE {
            return;
        }
        self.known[service].progress.looked_at = now;
        // It was frozen, or has begun.
        let is_late = now > looked_at + 3 * PAUSE;
        let known = &mut self.known[service];
        let (servers, progress) = (&known.servers, &mut known.progress);
        for (number, fair_since) in fair_since.enumerate() {
            let fair_since = fair_since.filter(|since| !servers[number].has_one_from_before(*since));
            let free_since = progress.free_since[number].unwrap_or(now);
            progress.free_since[number] = fair_since.map(|since| since.max(free_since));
        }
        let is_at_limit = self.is_at_limit(service);
        // At the limit all wait for mails that hang at a server that takes mail, but not for those at another one.
        let may_stand = is_at_limit
            && (!self.has_mails_at_closed(service)
                || self.is_writing(service)
                || self.known[service].committing.is_some());
        let waiting = self.waiting(service).filter(|_| !is_late && !may_stand);
        let Some((partition, offset)) = waiting else { return self.moves(service, now) };
        let known = &self.known[service];
        let (servers, progress) = (&known.servers, &known.progress);
        let is_free = |number: usize, least| {
            let since = progress.free_since[number];
            since.is_some_and(|since| now >= since.max(progress.stands_since) + least)
        };
        let mut numbers = 0..ServerNumber::MOST;
        let promise = if is_at_limit {
            let frees = |number: usize| servers[number].answers() && is_free(number, FREED_WITHIN);
            numbers.any(frees).then_some("no mail that hangs at a closed server holds up the others")
        } else {
            let serves = |number: usize| is_free(number, MOVES_WITHIN);
            numbers.any(serves).then_some("mail moves while a server is fair")
        };
        if let Some(promise) = promise {
            let detail = format!(
                "service {service}: {}/{}/{offset} waits; nothing since {:?}",
                partition.topic.name(),
                partition.number,
                progress.stands_since
            );
            self.breaks(promise, now, detail);
        }
    }

    /// Whether as many records are finished and not committed, or in flight, as may be.
    fn is_at_limit(&self, service: usize) -> bool {
        let known = &self.known[service];
        let finished = known.assignment.map_or(0, |number| self.assignments[number].finished.len());
        finished + known.running.len() >= self.max_uncommitted
    }

    /// A record that asks for a mail, was taken, and waits for nothing but a server.
    fn waiting(&mut self, service: usize) -> Option<Offset> {
        let known = &self.known[service];
        let number = known.assignment.filter(|_| !self.is_ending(service))?;
        let assignment = &self.assignments[number];
        let mail_of = |record: &Offset| match self.records.get(record) {
            Some(Content::Mail { mail, .. }) => Some(*mail),
            _ => None,
        };
        let running: Vec<_> = known.running.values().filter_map(mail_of).collect();
        let is_open = |record: &Offset| {
            let Some(Content::Mail { mail, deadline, .. }) = self.records.get(record) else { return false };
            !known.delivered.contains(mail)
                && !known.copied.contains(record)
                && !running.contains(mail)
                && !assignment.has_committed(*record)
                && known.latest + EARLIEST_EXPIRY < *deadline
        };
        let found = assignment.waiting.iter().copied().find(is_open);
        let waiting = &mut self.assignments[number].waiting;
        *waiting = found.map_or_else(BTreeSet::new, |found| waiting.split_off(&found));
        found
    }
}
