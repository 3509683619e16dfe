//! What a service was given, has finished and has committed. Checked at each step: nothing unfinished is committed, no more is
//! finished and uncommitted than may be, nothing begins that may not, and ends come in time.

use super::{
    Ledger,
    mails::Place,
    progress::Progress,
    records::{Content, EARLIEST_EXPIRY, Offset},
    servers::Server,
};
use contract::{event::EventId, topic::Topic};
use jiff::Timestamp;
use notification_service::{
    ServerNumber,
    simulated::{DeliveryId, Input, Partition, Position},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    time::Duration,
};

/// DRAIN and LAST_WRITES of the service.
const ENDS_WITHIN: Duration = Duration::from_secs(20);
/// A tick may be late by a second, and everything else by a moment.
const TOLERANCE: Duration = Duration::from_secs(2);
/// Steps of a state machine in a second; each record, try, commit and deadline takes one.
const MOST_STEPS: u32 = 50_000;

/// Partitions of a service, until it gives them up.
#[derive(Debug)]
pub(super) struct Assignment {
    /// Of each partition the first offset that was not looked at when it was to be committed.
    checked: BTreeMap<Partition, i64>,
    /// Where a mail is asked for, and from when on.
    taken: HashMap<EventId, Vec<(Offset, Timestamp)>>,
    /// Records for which something was done, and whose commit the service does not know of.
    pub(super) finished: BTreeSet<Offset>,
    /// Records that ask for a mail, are no retries, and wait for their turn.
    pub(super) waiting: BTreeSet<Offset>,
    /// Records that a mail server was asked about.
    pub(super) tried: BTreeSet<Offset>,
    /// The next offsets, as the coordinator has them from this service under this assignment.
    pub(super) committed: BTreeMap<Partition, i64>,
    pub(super) over: bool,
}

/// What the present process of a service knows and does.
#[derive(Debug, Default)]
pub(super) struct Knowledge {
    pub(super) process: u64,
    pub(super) assignment: Option<usize>,
    /// Mails that it was told to be accepted.
    pub(super) delivered: HashSet<EventId>,
    /// Records of which it was told that a copy is written.
    pub(super) copied: HashSet<Offset>,
    /// The latest time that its clock has shown.
    pub(super) latest: Timestamp,
    /// Its partitions are being taken back since then.
    revoked_since: Option<Duration>,
    stopping: bool,
    /// When it was frozen last.
    frozen_at: Option<Duration>,
    /// The group went on without it.
    expelled: bool,
    /// The records that something is being done for.
    pub(super) running: BTreeMap<DeliveryId, Offset>,
    pub(super) committing: Option<(usize, Vec<Position>)>,
    /// The mail servers.
    pub(super) servers: [Server; ServerNumber::MOST],
    pub(super) progress: Progress,
    second: u64,
    steps: u32,
}

impl Assignment {
    pub(super) fn has_committed(&self, (partition, offset): Offset) -> bool {
        self.committed.get(&partition).is_some_and(|next| *next > offset)
    }
}

impl Ledger {
    pub(crate) fn process_began(&mut self, service: usize) {
        self.process_ended(service);
        let process = self.known[service].process + 1;
        self.known[service] = Knowledge { process, ..Knowledge::default() };
    }

    pub(crate) fn process_ended(&mut self, service: usize) {
        self.end_assignment(service);
    }

    pub(crate) fn frozen(&mut self, service: usize, now: Duration) {
        self.known[service].frozen_at = Some(now);
    }

    pub(crate) fn stopping(&mut self, service: usize) {
        self.known[service].stopping = true;
    }

    pub(crate) fn rebalance(&mut self, service: usize, input: &Input<'_>, now: Duration) {
        let known = &mut self.known[service];
        match input {
            Input::Revoked { lost } => {
                known.revoked_since = Some(now);
                known.expelled = *lost;
            }
            _ => known.revoked_since = None,
        }
    }

    /// The service takes partitions over; all that it had before are gone.
    pub(crate) fn assigned(&mut self, service: usize) {
        self.end_assignment(service);
        self.known[service].assignment = Some(self.assignments.len());
        self.known[service].expelled = false;
        self.assignments.push(Assignment {
            checked: BTreeMap::new(),
            taken: HashMap::new(),
            finished: BTreeSet::new(),
            waiting: BTreeSet::new(),
            tried: BTreeSet::new(),
            committed: BTreeMap::new(),
            over: false,
        });
    }

    fn end_assignment(&mut self, service: usize) {
        if let Some(assignment) = self.known[service].assignment.take() {
            self.assignments[assignment].over = true;
        }
    }

    pub(crate) fn assignment_of(&self, service: usize) -> Option<usize> {
        self.known[service].assignment
    }

    fn current(&mut self, service: usize) -> Option<&mut Assignment> {
        self.assignments.get_mut(self.known[service].assignment?)
    }

    /// The service gives its partitions up.
    pub(crate) fn unassigned(&mut self, service: usize, now: Duration) {
        let since = self.known[service].revoked_since.take();
        self.gives_up(service, since, now);
        self.end_assignment(service);
    }

    /// The process has come to its end.
    pub(crate) fn left(&mut self, service: usize, since: Option<Duration>, now: Duration) {
        let Some(since) = since else {
            return self.breaks("a process ends when it is asked to", now, format!("service {service}"));
        };
        let known = &self.known[service];
        let began = known.revoked_since.map_or(since, |revoked| revoked.min(since));
        if now > since + ENDS_WITHIN + TOLERANCE && known.frozen_at < Some(since) {
            self.breaks(
                "a graceful stop ends in time",
                now,
                format!("service {service}, asked at {since:?}"),
            );
        }
        self.gives_up(service, Some(began), now);
    }

    /// What was finished is committed, unless there was no time for that.
    fn gives_up(&mut self, service: usize, since: Option<Duration>, now: Duration) {
        let known = &self.known[service];
        let is_excused = |since| now >= since + ENDS_WITHIN || known.frozen_at >= Some(since);
        if known.expelled || since.is_none_or(is_excused) {
            return;
        }
        let Some(assignment) = known.assignment.and_then(|number| self.assignments.get(number)) else {
            return;
        };
        let open = assignment.finished.iter().find(|record| !assignment.has_committed(**record));
        if let Some((partition, offset)) = open {
            let detail =
                format!("service {service}: {}/{}/{offset}", partition.topic.name(), partition.number);
            self.breaks("what is finished is committed before partitions are given up", now, detail);
        }
    }

    /// The service gets a record.
    pub(crate) fn taken(&mut self, service: usize, partition: Partition, offset: i64, wall: Timestamp) {
        let asks = match self.records.get(&(partition, offset)) {
            Some(content @ Content::Mail { mail, .. }) => Some((*mail, content.due(wall))),
            _ => None,
        };
        let Some(assignment) = self.current(service) else { return };
        assignment.checked.entry(partition).or_insert(offset);
        if let Some((mail, due)) = asks {
            assignment.taken.entry(mail).or_default().push(((partition, offset), due));
            if partition.topic != Topic::MailRetry {
                assignment.waiting.insert((partition, offset));
            }
        }
    }

    /// A service's clock shows this.
    pub(crate) fn shown(&mut self, service: usize, wall: Timestamp) {
        let latest = &mut self.known[service].latest;
        *latest = wall.max(*latest);
    }

    /// The place of a record whose mail begins, if that may begin.
    pub(super) fn place(
        &mut self,
        service: usize,
        mail: EventId,
        record: Offset,
        now: Duration,
    ) -> Option<Place> {
        if self.is_ending(service) {
            self.breaks("nothing begins while partitions are given up", now, format!("service {service}"));
        }
        let known = &self.known[service];
        let (number, latest) = (known.assignment?, known.latest);
        let assignment = &self.assignments[number];
        let taken = assignment.taken.get(&mail).into_iter().flatten().find(|(taken, _)| *taken == record);
        let is_done = assignment.finished.contains(&record) || assignment.has_committed(record);
        let is_running = known.running.values().any(|running| *running == record);
        let promise = match taken {
            Some((_, due)) if !is_done && !is_running && *due <= latest => {
                return Some(Place { assignment: number, record });
            }
            Some(_) if !is_done && !is_running => "no retry begins before its time",
            _ => "only what was taken and is not finished is mailed",
        };
        let detail = format!("service {service} at {latest}: {record:?}, {taken:?}");
        self.breaks(promise, now, detail);
        None
    }

    /// Whether a service gives its partitions up.
    pub(super) fn is_ending(&self, service: usize) -> bool {
        self.known[service].stopping || self.known[service].revoked_since.is_some()
    }

    /// Where a record stands whose copy is written.
    pub(super) fn place_of(&self, service: usize, record: Offset) -> Option<Place> {
        Some(Place { assignment: self.known[service].assignment?, record })
    }

    /// Something was done for a record, and its process knows.
    pub(super) fn finished(&mut self, service: usize, place: Place) {
        if self.known[service].assignment == Some(place.assignment) {
            self.assignments[place.assignment].finished.insert(place.record);
        }
    }

    /// The state machine has taken an input in.
    pub(crate) fn stepped(&mut self, service: usize, now: Duration) {
        let known = &mut self.known[service];
        if known.second != now.as_secs() {
            (known.second, known.steps) = (now.as_secs(), 0);
        }
        known.steps += 1;
        if known.steps > MOST_STEPS {
            let detail = format!("service {service}: {} steps in a second", known.steps);
            self.breaks("no busy loop", now, detail);
        }
        let is_ending = self.is_ending(service);
        // At the limit each partition may have one more, which lets the others be committed; all of these are in flight.
        let most =
            self.max_uncommitted + self.servers.iter().map(|server| 2 * server.sessions).sum::<usize>();
        if let Some(assignment) = self.current(service)
            && let finished = assignment.finished.len()
            && finished > most
            && !is_ending
        {
            let detail = format!("service {service}: {finished} of {most}");
            self.breaks("no more is finished and not committed than MAX_UNCOMMITTED", now, detail);
        }
    }

    /// The service commits up to these records.
    pub(crate) fn commits(&mut self, service: usize, positions: &[Position], now: Duration) {
        self.moves(service, now);
        let Some(number) = self.known[service].assignment else { return };
        self.known[service].committing = Some((number, positions.to_vec()));
        for Position { partition, offset, .. } in positions {
            let checked = self.assignments[number].checked.get(partition).copied().unwrap_or_default();
            for place in (checked..=*offset).map(|offset| (*partition, offset)) {
                if !self.needs_nothing(service, number, place) {
                    let content = self.records.get(&place);
                    let detail = format!(
                        "service {service}: {}/{}/{}: {content:?}",
                        partition.topic.name(),
                        partition.number,
                        place.1
                    );
                    return self.breaks("no commit passes an unfinished record", now, detail);
                }
            }
            self.assignments[number].checked.insert(*partition, offset + 1);
        }
    }

    /// Whether nothing is left to do for a record, as far as its service can know.
    fn needs_nothing(&self, service: usize, assignment: usize, record: Offset) -> bool {
        let known = &self.known[service];
        if known.copied.contains(&record) {
            return true;
        }
        match self.records.get(&record) {
            Some(Content::Nothing) => true,
            Some(Content::Broken) | None => false,
            Some(Content::Mail { mail, deadline, retry, .. }) => {
                known.delivered.contains(mail)
                    || known.latest + EARLIEST_EXPIRY >= *deadline
                    || retry.as_ref().is_some_and(|retry| {
                        let mut taken = self.assignments[assignment].taken.get(mail).into_iter().flatten();
                        taken.any(|(other, _)| *other != record && self.goes_on(other, retry))
                    })
            }
        }
    }

    /// Whether another record continues a retry's chain, so that the retry is outdated.
    fn goes_on(&self, other: &Offset, retry: &notification_service::simulated::Retry) -> bool {
        matches!(
            self.records.get(other),
            Some(Content::Mail { retry: Some(other), .. })
                if other.source == retry.source
                    && (other.attempts > retry.attempts
                        || (other.attempts == retry.attempts && other.not_before != retry.not_before))
        )
    }

    /// The coordinator has offsets from a service.
    pub(crate) fn committed(&mut self, assignment: Option<usize>, offsets: &[Offset]) {
        if let Some(assignment) = assignment.and_then(|number| self.assignments.get_mut(number)) {
            assignment.committed.extend(offsets.iter().copied());
        }
    }

    /// A service learns how its commit ended.
    pub(crate) fn commit_told(&mut self, service: usize, result: Result<(), bool>) {
        self.known[service].expelled |= result == Err(true);
        let Some((number, positions)) = self.known[service].committing.take().filter(|_| result.is_ok())
        else {
            return;
        };
        for Position { partition, offset, .. } in positions {
            let finished = &mut self.assignments[number].finished;
            finished.retain(|(of, at)| *of != partition || *at > offset);
        }
    }
}
