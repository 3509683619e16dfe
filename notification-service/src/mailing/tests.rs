//! Drives the state machine step by step, with a shell that has no Kafka, mail server, tasks or clock.

use super::*;
use crate::{
    mailer::{Cause, Phase, Refusal, RefusalKind, ServerFailure},
    offsets::Position,
    outcome::{End, Reason, Target, Try},
    retry::Retry,
    server_number::ServerNumber,
};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

mod servers;

const CODES: Partition = Partition { topic: Topic::Created, number: 0 };
const RETRIES: Partition = Partition { topic: Topic::MailRetry, number: 0 };
const SECOND: Duration = Duration::from_secs(1);
const LONGEST_SILENCE: Duration = Duration::from_secs(10);
const LOST: Input<'_> = Input::Revoked { lost: true };
const CLEAN: Input<'_> = Input::Revoked { lost: false };

/// The work of a delivery.
#[derive(Debug)]
enum Job {
    /// It mails to this person, through this server.
    Mail(String, ServerNumber),
    Write(Position, Target),
}

/// Keeps each delivery until the test ends it.
struct Shell {
    mailing: Mailing,
    now: Now,
    started: BTreeMap<DeliveryId, Job>,
    /// Deliveries that were dropped and whose ends are not reported yet.
    dropped: Vec<DeliveryId>,
    committing: Option<Vec<Position>>,
    /// The next offset of each partition.
    committed: BTreeMap<Partition, i64>,
    /// What was taken back, from which server.
    withdrawn: Vec<(ServerNumber, Withdrawal)>,
    /// The mails that this concerned, and that have not ended.
    recalled: BTreeSet<DeliveryId>,
    /// All other commands.
    told: Vec<&'static str>,
}

impl Shell {
    /// A member that owns both partitions, with 8 sessions.
    fn new(max_uncommitted: usize) -> Self {
        Self::with_servers(1, max_uncommitted)
    }

    /// The same with this number of mail servers.
    fn with_servers(servers: usize, max_uncommitted: usize) -> Self {
        let settings = Settings {
            group: "g".to_owned(),
            commit: CommitConfig { max_records: 5, max_wait: Duration::from_millis(250), max_uncommitted },
            servers: vec![ServerSettings { sessions: 8, longest_silence: LONGEST_SILENCE }; servers],
            max_backlog_octets: 64 << 10,
            clock_tolerance: Duration::from_secs(125),
        };
        let now = Now { instant: Instant::now(), wall: Timestamp::now(), jitter: 0.5 };
        let mut shell = Self {
            mailing: Mailing::new(settings, now),
            now,
            started: BTreeMap::new(),
            dropped: Vec::new(),
            committing: None,
            committed: BTreeMap::new(),
            withdrawn: Vec::new(),
            recalled: BTreeSet::new(),
            told: Vec::new(),
        };
        shell.assign();
        shell.told.clear();
        shell
    }

    fn on(&mut self, input: Input<'_>) {
        for command in self.mailing.on(input, self.now) {
            match command {
                Command::Start { delivery, server, event, .. } => {
                    let person = event.email().unwrap().normalised();
                    self.started.insert(delivery, Job::Mail(person, server));
                }
                Command::Write { delivery, record, target } => {
                    self.started.insert(delivery, Job::Write(record.position, target));
                }
                Command::Discard => {
                    self.dropped.extend(std::mem::take(&mut self.started).into_keys());
                    self.told.push("discard");
                }
                Command::Commit(positions) => assert!(self.committing.replace(positions).is_none()),
                Command::Withdraw { server, withdrawal } => {
                    self.withdrawn.push((server, withdrawal));
                    let with_it = |job: &Job| matches!(job, Job::Mail(_, at) if *at == server);
                    self.recalled.extend(
                        self.started.iter().filter(|(_, job)| with_it(job)).map(|(delivery, _)| *delivery),
                    );
                }
                Command::CallBack => self.told.push("call back"),
                Command::Abandon => self.told.push("abandon"),
                Command::Pause(partitions) => self.told.push(match partitions[..] {
                    [CODES] => "pause codes",
                    [RETRIES] => "pause retries",
                    _ => "pause all",
                }),
                Command::Resume(partitions) => self.told.push(match partitions[..] {
                    [CODES] => "resume codes",
                    [RETRIES] => "resume retries",
                    _ => "resume all",
                }),
                Command::Assign(_) => self.told.push("assign"),
                Command::Unassign => self.told.push("unassign"),
                Command::Leave => self.told.push("leave"),
            }
        }
    }

    fn assign(&mut self) {
        self.on(Input::Assigned(vec![CODES, RETRIES]));
    }

    fn pass(&mut self, time: Duration) {
        self.now.instant += time;
        self.now.wall += time;
        self.on(Input::Tick);
    }

    /// Takes a record of this kind about this person.
    fn take(&mut self, partition: Partition, offset: i64, kind: &str, person: i64, retry: Option<&Retry>) {
        let wall = self.now.wall;
        let id = format!("c19a848c-0495-87ae-9e10-{person:012x}");
        let payload = json!({
            "event_id": format!("f3f86a8c-169f-854e-93ab-{offset:012x}"), "occurred_at": format!("{wall:.3}"), "version": 2,
            "id": id, "registration": format!("8f14e45f-ceea-467f-9c7e-{offset:012x}"), "resends": 0,
            "first_name": "Ada", "last_name": "Lovelace", "email": format!("{person}@example.com"), "locale": "en",
            "window": 493_882, "send": 1, "expires_at": format!("{:.3}", wall + SignedDuration::from_hours(2)),
            "key": "k1", "request_id": "r-1",
        });
        let payload = payload.to_string();
        let headers: Vec<_> = retry.iter().flat_map(|retry| retry.to_headers(Some("g"))).collect();
        let headers = headers.iter().map(|header| (header.name.as_str(), header.value.as_deref()));
        let lent = Lent {
            key: Some(id.as_bytes()),
            payload: Some(payload.as_bytes()),
            timestamp: Some(wall.as_millisecond()),
            headers: headers.chain([("ce_type", Some(kind.as_bytes()))]).collect(),
        };
        self.on(Input::Taken { partition, offset, lent });
    }

    /// Takes registrations of these people, each at the offset of its number.
    fn take_codes(&mut self, people: std::ops::Range<i64>) {
        people.for_each(|person| self.take(CODES, person, "user_account_created", person, None));
    }

    /// Takes a retry that is due after `wait`.
    fn take_retry(&mut self, offset: i64, person: i64, wait: Duration) {
        let (not_before, source) = (self.now.wall + wait, format!("t/0/{person}"));
        let retry = Retry { not_before, attempts: 1, source, first_failure: self.now.wall };
        self.take(RETRIES, offset, "user_account_created", person, Some(&retry));
    }

    fn end(&mut self, delivery: DeliveryId, end: End) {
        self.started.remove(&delivery);
        self.recalled.remove(&delivery);
        self.on(Input::Ended { delivery, end });
    }

    /// The deliveries that mail, each with its person's number.
    fn mails(&self) -> Vec<(DeliveryId, i64)> {
        let person = |job: &Job| match job {
            Job::Mail(person, _) => person.strip_suffix("@example.com").unwrap().parse().ok(),
            Job::Write(..) => None,
        };
        self.started.iter().filter_map(|(id, job)| Some((*id, person(job)?))).collect()
    }

    fn people(&self) -> Vec<i64> {
        self.mails().into_iter().map(|(_, person)| person).collect()
    }

    /// Ends all mails in flight.
    fn end_mails(&mut self, ended: impl Fn() -> Try) -> usize {
        let mails = self.mails();
        mails.iter().for_each(|(id, _)| self.end(*id, End::Tried(ended())));
        mails.len()
    }

    /// The broker acknowledges all writes.
    fn write_all(&mut self) -> usize {
        let written = |job: &Job| match job {
            Job::Mail(..) => None,
            Job::Write(_, Target::Retry(_)) => Some(Outcome::HandedOn),
            Job::Write(_, Target::DeadLetter { reason, .. }) => Some(Outcome::DeadLettered(*reason)),
        };
        let writes: Vec<_> = self.started.iter().filter_map(|(id, job)| Some((*id, written(job)?))).collect();
        writes.iter().for_each(|(id, outcome)| self.end(*id, End::Written(*outcome)));
        writes.len()
    }

    fn end_dropped(&mut self) {
        std::mem::take(&mut self.dropped).into_iter().for_each(|id| self.end(id, End::Gone));
    }

    fn commit(&mut self) {
        if let Some(positions) = self.committing.take() {
            self.committed.extend(positions.iter().map(|at| (at.partition, at.offset + 1)));
            self.on(Input::Committed);
        }
    }

    fn commit_all(&mut self) {
        while self.committing.is_some() {
            self.commit();
        }
    }

    fn fail_commit(&mut self, expelled: bool) {
        if self.committing.take().is_some() {
            self.on(Input::CommitFailed { expelled });
        }
    }

    fn told(&mut self) -> Vec<&'static str> {
        std::mem::take(&mut self.told)
    }

    fn gate_is_open(&self) -> bool {
        self.mailing.work().gates.all_closed_by().is_none()
    }
}

fn refused_for_now() -> Try {
    Try::Refused(Refusal { kind: RefusalKind::ForNow, status: None })
}

fn failed() -> Try {
    Try::Failed(ServerFailure { phase: Phase::Connect, cause: Cause::Broken })
}

fn unanswered() -> Try {
    Try::Failed(ServerFailure { phase: Phase::Content, cause: Cause::Timeout })
}

#[test]
fn nothing_is_committed_before_its_mail_was_accepted_nor_behind_one_that_was_not() {
    let mut shell = Shell::new(40);
    shell.take_codes(0..3);
    shell.pass(SECOND);
    assert_eq!((shell.people(), &shell.committing), (vec![0, 1, 2], &None));
    for (id, _) in &shell.mails()[1..] {
        shell.end(*id, End::Tried(Try::Accepted));
    }
    shell.pass(SECOND);
    assert_eq!(shell.committing, None);
    shell.end_mails(|| Try::Accepted);
    shell.pass(SECOND);
    shell.commit();
    assert_eq!(shell.committed[&CODES], 3);
}

#[test]
fn retries_that_come_in_a_bunch_and_are_refused_again_do_not_close_the_gate_for_others() {
    let mut shell = Shell::new(40);
    (0..12).for_each(|offset| shell.take_retry(offset, offset, Duration::ZERO));
    shell.pass(SECOND);
    assert_eq!(shell.end_mails(refused_for_now), 12);
    assert_eq!(shell.write_all(), 12);
    shell.take_codes(99..100);
    assert_eq!((shell.people(), shell.gate_is_open()), (vec![99], true));
}

#[test]
fn retries_do_not_keep_a_closed_gate_closed() {
    let mut shell = Shell::new(40);
    shell.take_codes(0..10);
    assert_eq!(shell.end_mails(refused_for_now), 10);
    shell.write_all();
    assert!(!shell.gate_is_open());
    (0..12).for_each(|offset| shell.take_retry(offset, offset, Duration::ZERO));
    shell.take_codes(99..100);
    // One probe at a time. The second one is the mail that was never tried.
    let mut probed = Vec::new();
    for accepted in [false, true] {
        shell.pass(5 * SECOND);
        probed.extend(shell.people());
        shell.end_mails(|| if accepted { Try::Accepted } else { refused_for_now() });
        shell.write_all();
    }
    assert_eq!((probed.len(), probed[1]), (2, 99));
    assert!(shell.gate_is_open() && shell.people().len() == 11);
}

#[test]
fn the_limit_on_uncommitted_records_holds_while_nothing_can_be_committed() {
    let mut shell = Shell::new(10);
    shell.take_codes(0..30);
    (0..30).for_each(|offset| shell.take_retry(offset, 100 + offset, Duration::ZERO));
    let (mut accepted, mut written) = (0, 0);
    for _ in 0..50 {
        accepted += shell.end_mails(|| Try::Accepted);
        written += shell.write_all();
        shell.fail_commit(false);
        shell.pass(SECOND);
    }
    assert_eq!((accepted, written), (10, 0));
    for _ in 0..50 {
        shell.commit();
        accepted += shell.end_mails(|| Try::Accepted);
        shell.pass(SECOND);
    }
    assert_eq!((accepted, shell.committed.values().sum::<i64>()), (60, 60));
}

#[test]
fn at_the_limit_a_record_that_waits_makes_way_for_the_commit_of_finished_ones() {
    let mut shell = Shell::new(10);
    shell.take_retry(0, 0, 60 * SECOND);
    (1..30).for_each(|offset| shell.take_retry(offset, offset, Duration::ZERO));
    shell.pass(SECOND);
    shell.end_mails(|| Try::Accepted);
    let Some(Job::Write(at, Target::Retry(retry))) = shell.started.values().next() else { panic!("no copy") };
    assert_eq!((at.offset, retry.attempts), (0, 1), "as it is");
    let mut written = 0;
    for _ in 0..50 {
        written += shell.write_all();
        shell.end_mails(|| Try::Accepted);
        shell.commit();
        shell.pass(SECOND);
    }
    assert_eq!((written, shell.committed[&RETRIES]), (1, 30));
}

#[test]
fn records_that_make_way_do_not_exceed_the_limit_while_nothing_can_be_committed() {
    let mut shell = Shell::new(10);
    // Each second one waits for its time, in front of one that is mailed.
    let wait = |offset| if offset % 2 == 0 { 100 * SECOND } else { Duration::ZERO };
    (0..60).for_each(|offset| shell.take_retry(offset, offset, wait(offset)));
    shell.pass(SECOND);
    let mut finished = 0;
    for _ in 0..50 {
        finished += shell.end_mails(|| Try::Accepted) + shell.write_all();
        shell.fail_commit(false);
        shell.pass(SECOND);
    }
    assert_eq!(finished, 11, "ten, and the one that lets them be committed");
    for _ in 0..100 {
        finished += shell.end_mails(|| Try::Accepted) + shell.write_all();
        shell.commit_all();
        shell.pass(SECOND);
    }
    assert_eq!((finished, shell.committed[&RETRIES]), (60, 60));
}

#[test]
fn at_the_limit_records_that_ask_for_no_mail_keep_no_record_from_making_way() {
    let mut shell = Shell::new(10);
    shell.take_retry(0, 0, 60 * SECOND);
    (1..30).for_each(|offset| shell.take_retry(offset, offset, Duration::ZERO));
    // While each commit is in flight, one more arrives for the next commit.
    let mut ignored = 0;
    let mut ignore = |shell: &mut Shell| {
        shell.take(CODES, ignored, "registration_repeated", 100 + ignored, None);
        ignored += 1;
    };
    ignore(&mut shell);
    shell.pass(SECOND);
    shell.end_mails(|| Try::Accepted);
    for _ in 0..10 {
        ignore(&mut shell);
        shell.commit();
        shell.pass(SECOND);
    }
    assert!(
        shell.started.values().any(|job| matches!(job, Job::Write(at, _) if at.offset == 0)),
        "it makes way"
    );
}

#[test]
fn records_that_ask_for_no_mail_do_not_count_towards_the_limit() {
    let mut shell = Shell::new(10);
    shell.take_codes(0..1);
    (1..=20).for_each(|offset| shell.take(CODES, offset, "registration_repeated", offset, None));
    assert_eq!(shell.mailing.work().ledger.ignored, 20);
    // This is the only mail to probe with, so the server's failures don't count against it.
    for _ in 0..6 {
        assert_eq!(shell.end_mails(failed), 1);
        shell.pass(5 * SECOND);
    }
    assert_eq!(shell.people(), [0]);
}

#[test]
fn a_mail_without_an_answer_is_put_off_and_holds_up_nothing() {
    let mut shell = Shell::new(40);
    shell.take_codes(0..3);
    let mails = shell.mails();
    mails[1..].iter().for_each(|(id, _)| shell.end(*id, End::Tried(Try::Accepted)));
    shell.end(mails[0].0, End::Tried(unanswered()));
    shell.pass(5 * SECOND);
    assert!(shell.people().is_empty(), "not tried again before others");
    assert_eq!(shell.write_all(), 1);
    shell.pass(SECOND);
    shell.commit();
    assert_eq!(shell.committed[&CODES], 3);
}

#[test]
fn the_next_probe_is_of_another_record_than_the_one_that_failed() {
    let mut shell = Shell::new(40);
    shell.take_codes(0..2);
    shell.end_mails(failed);
    assert_eq!(shell.told(), ["call back"], "deliveries that wait for a session of the closed gate");
    let mut probed = Vec::new();
    for _ in 0..2 {
        shell.pass(5 * SECOND);
        probed.extend(shell.people());
        shell.end_mails(failed);
    }
    probed.sort_unstable();
    assert_eq!(probed, [0, 1]);
}

#[test]
fn a_deadline_that_passes_while_commands_are_carried_out_is_not_overslept() {
    let mut shell = Shell::new(40);
    shell.take_codes(0..1);
    shell.end_mails(failed);
    let probe = shell.mailing.wake_at();
    shell.now.instant = probe - Duration::from_nanos(1);
    shell.on(Input::Tick);
    assert_eq!((shell.people(), shell.mailing.wake_at()), (vec![], probe));
    shell.now.instant = probe;
    shell.on(Input::Tick);
    assert_eq!(shell.people(), [0]);
}

#[test]
fn a_copy_of_a_probe_from_before_keeps_no_probe_of_a_later_closing_waiting() {
    let mut shell = Shell::new(40);
    shell.take_codes(0..3);
    let mails = shell.mails();
    shell.end(mails[0].0, End::Tried(failed()));
    shell.pass(5 * SECOND);
    let (probe, _) =
        shell.mails().into_iter().find(|(id, _)| mails.iter().all(|mail| mail.0 != *id)).unwrap();
    // The gate opens and closes again while the probe talks.
    shell.end(mails[1].0, End::Tried(Try::Accepted));
    shell.end(mails[2].0, End::Tried(failed()));
    shell.end(probe, End::Tried(refused_for_now()));
    shell.pass(5 * SECOND);
    assert_eq!(shell.people(), [2], "the next probe, while the copy of the first one waits for its ack");
}

#[test]
fn what_probed_before_the_gate_was_open_again_is_no_probe_of_the_next_time() {
    let mut shell = Shell::new(40);
    shell.take_codes(0..20);
    let began = shell.mails();
    shell.end(began[0].0, End::Tried(failed()));
    shell.pass(5 * SECOND);
    let first_probe = shell.mails().into_iter().find(|mail| !began.contains(mail)).unwrap();
    shell.end(began[1].0, End::Tried(Try::Accepted));
    assert!(shell.gate_is_open());
    shell.end(began[2].0, End::Tried(failed()));
    shell.end(shell.mails()[0].0, End::Tried(failed()));
    shell.pass(5 * SECOND);
    let running = shell.mails().len();
    shell.end(first_probe.0, End::Tried(failed()));
    shell.pass(5 * SECOND);
    assert_eq!(shell.mails().len(), running - 1, "the second probe has not ended");
}

#[test]
fn a_probe_that_is_dropped_with_its_partitions_is_not_waited_for() {
    let mut shell = Shell::new(40);
    shell.take_codes(0..1);
    shell.end_mails(failed);
    shell.pass(5 * SECOND);
    assert_eq!(shell.people(), [0], "the probe");
    shell.told.clear();
    shell.on(LOST);
    assert_eq!(shell.told(), ["call back", "discard", "unassign"]);
    shell.assign();
    shell.take_codes(0..1);
    shell.end_dropped();
    shell.pass(5 * SECOND);
    assert_eq!(shell.people(), [0], "the next one");
}

#[test]
fn a_probe_that_ends_in_a_bug_is_not_waited_for_and_its_record_is_a_dead_letter() {
    let mut shell = Shell::new(40);
    shell.take_codes(0..2);
    shell.end_mails(failed);
    shell.pass(5 * SECOND);
    let probe = shell.mails()[0];
    shell.end(probe.0, End::Gone);
    let dead_letter = Target::DeadLetter { reason: Reason::Panicked, status: None };
    assert!(shell.started.values().any(|job| matches!(job, Job::Write(_, target) if *target == dead_letter)));
    assert!(matches!(shell.people()[..], [person] if person != probe.1), "the next probe");
}

#[test]
fn a_member_that_joins_again_before_it_gave_its_partitions_up_goes_on() {
    let mut shell = Shell::new(40);
    shell.take_codes(0..3);
    shell.on(CLEAN);
    shell.take_codes(3..4);
    assert_eq!((shell.people(), shell.told()), (vec![0, 1, 2], vec!["call back"]), "nothing new begins");
    shell.assign();
    assert_eq!(shell.told(), ["discard", "assign"]);
    shell.take_codes(0..4);
    shell.end_dropped();
    assert_eq!(shell.people().len(), 4);
    shell.end_mails(|| Try::Accepted);
    shell.pass(60 * SECOND);
    shell.commit();
    assert_eq!((shell.committed[&CODES], shell.told()), (4, vec![]), "what was assigned is not given up");
}

#[test]
fn what_ends_when_its_partition_is_gone_is_neither_written_nor_committed() {
    for ended in [refused_for_now(), Try::Accepted, failed()] {
        let mut shell = Shell::new(40);
        shell.take_codes(0..1);
        let (id, _) = shell.mails()[0];
        shell.on(LOST);
        shell.dropped.clear();
        shell.assign();
        shell.end(id, End::Tried(ended));
        shell.pass(SECOND);
        assert!(shell.started.is_empty() && shell.committing.is_none());
        let ledger = shell.mailing.work().ledger;
        assert_eq!((ledger.handed_back, ledger.delivered, ledger.in_flight), (1, 0, 0));
    }
}

#[test]
fn partitions_are_resumed_before_they_are_given_up() {
    let mut shell = Shell::new(40);
    shell.take_codes(0..60);
    assert_eq!(shell.told(), ["pause codes", "pause retries"]);
    shell.on(LOST);
    assert_eq!(shell.told(), ["call back", "discard", "resume codes", "resume retries", "unassign"]);
}

#[test]
fn partitions_are_given_up_when_mails_in_hand_have_ended_and_are_committed() {
    let mut shell = Shell::new(40);
    shell.take_codes(0..3);
    shell.on(CLEAN);
    shell.pass(14 * SECOND);
    shell.end_mails(|| Try::Accepted);
    assert_eq!(shell.told(), ["call back"]);
    shell.commit_all();
    assert_eq!((shell.committed[&CODES], shell.told()), (3, vec!["discard", "unassign"]));
}

#[test]
fn a_mail_that_takes_too_long_when_partitions_are_given_up_is_handed_on() {
    let mut shell = Shell::new(40);
    shell.take_codes(0..3);
    let mails = shell.mails();
    mails[1..].iter().for_each(|(id, _)| shell.end(*id, End::Tried(Try::Accepted)));
    shell.on(CLEAN);
    shell.pass(ending::DRAIN);
    assert_eq!(shell.told(), ["call back", "abandon"]);
    shell.end(mails[0].0, End::Tried(Try::Interrupted));
    assert_eq!(shell.write_all(), 1);
    shell.commit_all();
    assert_eq!((shell.committed[&CODES], shell.told()), (3, vec!["discard", "unassign"]));
}

#[test]
fn a_member_that_was_expelled_waits_for_nothing() {
    for (revoking, told) in [(false, vec![]), (true, vec!["call back", "discard", "unassign"])] {
        let mut shell = Shell::new(40);
        shell.take_codes(0..1);
        shell.end_mails(|| Try::Accepted);
        shell.pass(SECOND);
        if revoking {
            shell.on(CLEAN);
        }
        shell.fail_commit(true);
        assert_eq!(shell.told(), told);
    }
}

#[test]
fn a_stop_is_over_in_time_although_neither_broker_nor_mail_server_answer() {
    let mut shell = Shell::new(40);
    shell.take_codes(0..2);
    let (id, _) = shell.mails()[0];
    shell.end(id, End::Tried(Try::Accepted));
    shell.pass(SECOND);
    assert!(shell.committing.is_some());
    shell.on(Input::Stop);
    assert_eq!(shell.told(), ["call back", "pause all"]);
    shell.pass(ending::DRAIN + ending::LAST_WRITES - SECOND);
    assert_eq!(shell.told(), ["abandon"]);
    shell.pass(SECOND);
    assert_eq!(shell.told(), ["abandon", "leave"]);
}

#[test]
fn a_stop_hands_on_what_waits_in_front_of_finished_records_and_leaves_the_rest() {
    let mut shell = Shell::new(40);
    shell.take_retry(0, 0, 60 * SECOND);
    (1..3).for_each(|offset| shell.take_retry(offset, offset, Duration::ZERO));
    shell.take_retry(3, 3, 60 * SECOND);
    shell.pass(SECOND);
    shell.end_mails(|| Try::Accepted);
    shell.on(Input::Stop);
    assert_eq!(shell.write_all(), 1);
    assert_eq!(shell.told(), ["call back", "pause all"]);
    shell.commit_all();
    assert_eq!((shell.committed[&RETRIES], shell.told()), (3, vec!["leave"]));
}

#[test]
fn two_records_of_one_mail_are_mailed_once_and_the_second_when_the_first_was_not() {
    for (ended, next, duplicates) in [(Try::Accepted, vec![], 1), (refused_for_now(), vec![7], 0)] {
        let mut shell = Shell::new(40);
        (0..2).for_each(|offset| shell.take(CODES, offset, "user_account_created", 7, None));
        assert_eq!(shell.people(), [7]);
        let (id, _) = shell.mails()[0];
        shell.end(id, End::Tried(ended));
        shell.write_all();
        assert_eq!((shell.people(), shell.mailing.work().ledger.duplicates), (next, duplicates));
    }
}

#[test]
fn a_second_record_of_a_mail_that_expires_is_finished_although_the_first_is_still_being_mailed() {
    let mut shell = Shell::new(40);
    (0..2).for_each(|offset| shell.take(CODES, offset, "user_account_created", 7, None));
    shell.pass(3 * 3_600 * SECOND);
    assert_eq!((shell.people(), shell.mailing.work().ledger.expired), (vec![7], 1));
}

#[test]
fn records_that_are_put_off_in_one_step_are_due_at_different_times() {
    let mut shell = Shell::new(40);
    (0..16).for_each(|offset| shell.take(CODES, offset, "of_a_version_to_come", offset, None));
    let due = |job: &Job| match job {
        Job::Write(_, Target::Retry(retry)) => Some(retry.not_before),
        _ => None,
    };
    let due: BTreeSet<_> = shell.started.values().filter_map(due).collect();
    assert_eq!(due.len(), 16);
}

/// What happens to a member; drawn at random.
#[derive(Debug, Clone, Copy)]
enum Step {
    Take,
    Accept,
    Refuse,
    Fail,
    Lose,
    Write,
    Commit,
    FailCommit,
    Wait,
    RevokeLost,
    RevokeClean,
    Assign,
    EndDropped,
}

proptest! {
    #[test]
    fn whatever_happens_nothing_unfinished_is_committed_and_all_is_finished_in_the_end(
        steps in prop::collection::vec(prop_oneof![
            10 => Just(Step::Take),
            10 => Just(Step::Accept),
            6 => prop::sample::select(vec![Step::Refuse, Step::Fail, Step::Lose, Step::Write, Step::FailCommit]),
            4 => prop::sample::select(vec![Step::Commit, Step::Wait, Step::EndDropped]),
            1 => prop::sample::select(vec![Step::RevokeLost, Step::RevokeClean, Step::Assign]),
        ], 0..200),
    ) {
        let mut shell = Shell::new(8);
        // The records that were mailed or written elsewhere, and the next offset to read.
        let (mut finished, mut next) = (BTreeSet::new(), 0);
        for step in steps {
            let mail = shell.mails().first().copied();
            let end = match step {
                Step::Accept => Some(Try::Accepted),
                Step::Refuse => Some(refused_for_now()),
                Step::Fail => Some(failed()),
                _ => None,
            };
            match (step, mail, end) {
                (Step::Take, ..) => {
                    shell.take_codes(next..next + 1);
                    next += 1;
                }
                (_, Some((id, person)), Some(ended)) => {
                    if matches!(ended, Try::Accepted) {
                        finished.insert(person);
                    }
                    shell.end(id, End::Tried(ended));
                }
                (Step::Lose, Some((id, _)), _) => shell.end(id, End::Gone),
                (Step::Write, ..) => {
                    let written = shell.started.values().filter_map(|job| match job {
                        Job::Write(at, _) => Some(at.offset),
                        Job::Mail(..) => None,
                    });
                    finished.extend(written);
                    shell.write_all();
                }
                (Step::Commit, ..) => shell.commit(),
                (Step::FailCommit, ..) => shell.fail_commit(false),
                (Step::Wait, ..) => shell.pass(SECOND),
                (Step::RevokeLost, ..) => shell.on(LOST),
                (Step::RevokeClean, ..) => shell.on(CLEAN),
                (Step::Assign, ..) => {
                    shell.assign();
                    next = shell.committed.get(&CODES).copied().unwrap_or(0);
                }
                (Step::EndDropped, ..) => shell.end_dropped(),
                _ => {}
            }
            for at in shell.committing.iter().flatten().filter(|at| at.partition == CODES) {
                let known = (0..=at.offset).all(|offset| finished.contains(&offset));
                prop_assert!(known, "{at:?} of {finished:?}");
            }
            // Deliveries in flight come on top: at the limit, a record that blocks a commit may still go on.
            prop_assert!(shell.mailing.assignment.offsets.done() <= 8 + 16);
        }
        shell.end_dropped();
        shell.commit();
        shell.assign();
        let next = shell.committed.get(&CODES).copied().unwrap_or(0);
        shell.take_codes(next..next + 20);
        for _ in 0..100 {
            shell.end_dropped();
            shell.end_mails(|| Try::Accepted);
            shell.write_all();
            shell.commit();
            shell.pass(SECOND);
        }
        prop_assert_eq!(shell.committed[&CODES], next + 20);
        prop_assert!(shell.mailing.work().ledger.balances());
    }
}
