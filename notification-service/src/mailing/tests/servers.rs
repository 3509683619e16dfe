//! Several mail servers: which one gets the mail, and when it goes back to the first.

use super::*;
use crate::gate::{LONGEST_PAUSE_BESIDE_ANOTHER, TRIAL};

const FIRST: ServerNumber = ServerNumber::ALL[0];
const SECOND_SERVER: ServerNumber = ServerNumber::ALL[1];
const THIRD: ServerNumber = ServerNumber::ALL[2];

impl Shell {
    /// The mails that are with this server, each with its person's number.
    fn with(&self, server: ServerNumber) -> Vec<(DeliveryId, i64)> {
        let with_it = |id: &DeliveryId| matches!(&self.started[id], Job::Mail(_, at) if *at == server);
        self.mails().into_iter().filter(|(id, _)| with_it(id)).collect()
    }

    /// Ends all mails of this server, and returns their number.
    fn end_with(&mut self, server: ServerNumber, ended: impl Fn() -> Try) -> usize {
        let mails = self.with(server);
        mails.iter().for_each(|(id, _)| self.end(*id, End::Tried(ended())));
        mails.len()
    }

    fn closed_by(&self, server: ServerNumber) -> Option<String> {
        self.mailing.work().gates.closed_by(server).map(str::to_owned)
    }

    /// A second with two new mails, each of which ends as its server has it. Returns how many each server accepted.
    fn a_second(&mut self, next: &mut i64, works: [bool; 2]) -> [usize; 2] {
        self.pass(SECOND);
        self.take_codes(*next..*next + 2);
        *next += 2;
        let mut accepted = [0, 0];
        for _ in 0..4 {
            for (server, works) in [FIRST, SECOND_SERVER].into_iter().zip(works) {
                let ended = self.end_with(server, || if works { Try::Accepted } else { failed() });
                accepted[server.index()] += if works { ended } else { 0 };
            }
        }
        self.commit();
        accepted
    }
}

#[test]
fn all_mail_goes_to_the_first_server_while_it_works() {
    let mut shell = Shell::with_servers(2, 500);
    shell.take_codes(0..40);
    assert_eq!(
        (shell.with(FIRST).len(), shell.with(SECOND_SERVER).len()),
        (16, 0),
        "what waits does not overflow"
    );
}

#[test]
fn a_mail_that_fails_because_of_its_server_goes_to_the_next_at_once() {
    let mut shell = Shell::with_servers(3, 500);
    shell.take_codes(0..3);
    shell.end(shell.with(FIRST)[0].0, End::Tried(failed()));
    assert_eq!(shell.with(SECOND_SERVER).iter().map(|(_, person)| *person).collect::<Vec<_>>(), [0]);
    assert_eq!(shell.withdrawn, [(FIRST, Withdrawal::IfUnsent)], "the others are taken back, too");
    assert!(!shell.told.contains(&"call back"));
    shell.end_with(FIRST, || Try::Interrupted);
    assert_eq!(shell.with(SECOND_SERVER).len(), 3);
    shell.end(shell.with(SECOND_SERVER)[0].0, End::Tried(failed()));
    assert_eq!(shell.with(THIRD).len(), 1);
    assert!(shell.gate_is_open());
    shell.end_with(SECOND_SERVER, || Try::Interrupted);
    shell.end_with(THIRD, failed);
    assert!(!shell.gate_is_open());
    let reason = shell.mailing.work().gates.all_closed_by().unwrap();
    assert_eq!(
        reason,
        "1: connect: connection closed; 2: connect: connection closed; 3: connect: connection closed"
    );
}

#[test]
fn a_recipient_who_is_refused_for_good_is_not_tried_at_the_next_server() {
    let mut shell = Shell::with_servers(2, 500);
    shell.take_codes(0..1);
    let refusal = Refusal { kind: RefusalKind::Recipient, status: None };
    shell.end_mails(|| Try::Refused(refusal.clone()));
    assert!(matches!(shell.started.values().next(), Some(Job::Write(_, Target::DeadLetter { .. }))));
    assert_eq!(shell.mails(), []);
    assert!(shell.closed_by(FIRST).is_none());
}

#[test]
fn a_probe_that_is_refused_for_no_reason_of_its_recipient_goes_to_the_next_server_at_once() {
    for kind in [RefusalKind::ForNow, RefusalKind::Content, RefusalKind::RecipientUnclear] {
        let mut shell = Shell::with_servers(2, 500);
        shell.take_codes(0..10);
        shell.end_mails(|| Try::Refused(Refusal { kind, status: None }));
        shell.write_all();
        assert!(shell.closed_by(FIRST).is_some(), "{kind:?}");
        shell.pass(SECOND);
        shell.take_codes(10..11);
        assert_eq!(shell.with(FIRST).len(), 1, "the probe");
        shell.end_with(FIRST, || Try::Refused(Refusal { kind, status: None }));
        assert_eq!((shell.with(FIRST), shell.with(SECOND_SERVER).len()), (vec![], 1), "{kind:?}");
    }
}

#[test]
fn nobody_waits_for_a_probe_twice() {
    let mut shell = Shell::with_servers(2, 500);
    shell.take_codes(0..1);
    shell.end_with(FIRST, failed);
    shell.end_with(SECOND_SERVER, || Try::Accepted);
    shell.pass(60 * SECOND);
    // A probe is due. The retry was tried before, so the probe is the mail that comes after it.
    shell.take_retry(0, 1, Duration::ZERO);
    shell.pass(2 * SECOND);
    assert_eq!((shell.with(FIRST).len(), shell.with(SECOND_SERVER).len()), (0, 1));
    shell.take_codes(2..3);
    assert_eq!(shell.with(FIRST).iter().map(|(_, person)| *person).collect::<Vec<_>>(), [2]);
    // Without another server any mail will do.
    shell.end_with(SECOND_SERVER, failed);
    shell.end_with(FIRST, failed);
    shell.pass(SECOND);
    assert_eq!((shell.with(FIRST).len(), shell.with(SECOND_SERVER).len()), (1, 1));
}

#[test]
fn the_first_server_gets_the_mail_back_after_it_has_served_all_probes_for_long_enough() {
    let mut shell = Shell::with_servers(2, 500);
    let mut next = 0;
    while shell.closed_by(FIRST).is_none() {
        shell.a_second(&mut next, [false, true]);
    }
    // Probes are few, and the second server has all other mail.
    let minute: Vec<_> = (0..60).map(|_| shell.a_second(&mut next, [false, true])).collect();
    assert!(minute.iter().all(|accepted| *accepted == [0, 2]), "{minute:?}");

    let mut waited = Duration::ZERO;
    while shell.closed_by(FIRST).is_some() {
        let [by_first, by_second] = shell.a_second(&mut next, [true, true]);
        assert_eq!(by_first + by_second, 2, "nothing waits");
        let reason = shell.closed_by(FIRST);
        assert!(by_first == 0 || reason.is_none_or(|reason| reason == "it works again, and is on trial"));
        assert!(by_first <= 1 || shell.closed_by(FIRST).is_none(), "one probe at a time");
        waited += SECOND;
    }
    assert!((TRIAL..=TRIAL + LONGEST_PAUSE_BESIDE_ANOTHER + 2 * SECOND).contains(&waited), "{waited:?}");
    assert_eq!(shell.a_second(&mut next, [true, true]), [2, 0]);
}

#[test]
fn a_server_that_works_now_and_then_does_not_get_the_mail_back() {
    let mut shell = Shell::with_servers(2, 500);
    let mut next = 0;
    shell.a_second(&mut next, [false, true]);
    for second in 0..600 {
        // It works for twenty seconds of each thirty.
        let accepted = shell.a_second(&mut next, [second % 30 < 20, true]);
        assert_eq!(accepted.iter().sum::<usize>(), 2);
        assert!(shell.closed_by(FIRST).is_some(), "after {second} s");
    }
}

#[test]
fn the_first_server_takes_over_at_once_when_the_second_fails_meanwhile() {
    let mut shell = Shell::with_servers(2, 500);
    let mut next = 0;
    for _ in 0..30 {
        shell.a_second(&mut next, [false, true]);
    }
    // The first one's next probe may be half a minute away.
    shell.a_second(&mut next, [true, false]);
    let accepted = shell.a_second(&mut next, [true, false]);
    assert!(accepted[0] >= 2, "{accepted:?}");
    assert!(shell.closed_by(FIRST).is_none() && shell.closed_by(SECOND_SERVER).is_some());
}

#[test]
fn without_any_server_one_probe_of_each_is_tried_and_nothing_is_lost() {
    let mut shell = Shell::with_servers(2, 500);
    shell.take_codes(0..20);
    shell.end_with(FIRST, failed);
    shell.end_with(SECOND_SERVER, failed);
    shell.end_mails(failed);
    for _ in 0..60 {
        shell.pass(SECOND);
        assert!(
            !shell.gate_is_open() && shell.with(FIRST).len() <= 1 && shell.with(SECOND_SERVER).len() <= 1
        );
        shell.end_mails(failed);
        shell.write_all();
    }
    for _ in 0..10 {
        shell.pass(SECOND);
        while shell.end_mails(|| Try::Accepted) + shell.write_all() > 0 {}
    }
    assert!(shell.gate_is_open());
    shell.commit_all();
    assert_eq!(shell.committed[&CODES], 20);
}

#[test]
fn a_silent_server_loses_its_mail_to_the_next_and_a_lone_one_does_not() {
    for servers in [1, 2] {
        let mut shell = Shell::with_servers(servers, 500);
        shell.take_codes(0..4);
        shell.pass(LONGEST_SILENCE - SECOND);
        assert_eq!((shell.closed_by(FIRST), &shell.withdrawn), (None, &vec![]));
        shell.pass(SECOND);
        if servers == 1 {
            assert_eq!((shell.closed_by(FIRST), shell.withdrawn), (None, vec![]));
            continue;
        }
        assert_eq!(shell.closed_by(FIRST).as_deref(), Some("no mail ended for 10s"));
        assert_eq!(shell.withdrawn, [(FIRST, Withdrawal::IfUnsent)]);
        // One of them was sent to its end: the server may have it.
        let sent = shell.with(FIRST)[3].0;
        for (id, _) in &shell.with(FIRST)[..3] {
            shell.end(*id, End::Tried(Try::Interrupted));
        }
        assert_eq!(shell.end_with(SECOND_SERVER, || Try::Accepted), 3);
        shell.pass(LONGEST_SILENCE);
        shell.end(sent, End::Tried(Try::Accepted));
        assert!(shell.closed_by(FIRST).is_some(), "a late answer is no part of a trial");
    }
}

#[test]
fn a_server_that_answers_some_mails_is_not_silent() {
    let mut shell = Shell::with_servers(2, 500);
    shell.take_codes(0..16);
    for _ in 0..10 {
        shell.pass(LONGEST_SILENCE - SECOND);
        shell.end(shell.with(FIRST)[0].0, End::Tried(Try::Accepted));
    }
    assert_eq!((shell.closed_by(FIRST), shell.withdrawn), (None, vec![]));
}

#[test]
fn a_silent_probe_is_taken_back_and_counts_as_failed() {
    let mut shell = Shell::with_servers(2, 500);
    shell.take_codes(0..1);
    shell.end_with(FIRST, failed);
    shell.end_with(SECOND_SERVER, || Try::Accepted);
    shell.pass(SECOND);
    shell.take_codes(1..2);
    assert_eq!(shell.with(FIRST).len(), 1, "the probe");
    shell.withdrawn.clear();
    shell.pass(LONGEST_SILENCE);
    assert_eq!(shell.withdrawn, [(FIRST, Withdrawal::IfUnsent)]);
    shell.end_with(FIRST, || Try::Interrupted);
    assert_eq!((shell.with(FIRST), shell.with(SECOND_SERVER).len()), (vec![], 1), "no second probe at once");
}

/// The limit is reached because of a mail that hangs at the first server: it is taken back, and a hundred codes are mailed.
fn the_hanging_mail_is_dropped_and_all_others_are_committed(shell: &mut Shell) {
    shell.pass(SECOND);
    assert_eq!(shell.withdrawn, [(FIRST, Withdrawal::Anyway)]);
    shell.end_with(FIRST, || Try::Interrupted);
    for _ in 0..40 {
        shell.end_with(FIRST, failed);
        shell.end_with(SECOND_SERVER, || Try::Accepted);
        shell.pass(SECOND);
        shell.commit();
    }
    assert_eq!(shell.committed[&CODES], 100);
}

#[test]
fn mails_behind_a_hanging_one_go_on_when_another_server_is_open() {
    let mut shell = Shell::with_servers(2, 20);
    shell.take_codes(0..1);
    shell.pass(LONGEST_SILENCE);
    assert!(shell.closed_by(FIRST).is_some());
    shell.withdrawn.clear();
    // It was sent to its end, so it stays. The others are mailed until too many wait for its commit.
    shell.take_codes(1..100);
    let mut accepted = 0;
    for _ in 0..20 {
        accepted += shell.end_with(SECOND_SERVER, || Try::Accepted);
    }
    let probes = shell.with(FIRST).len();
    assert_eq!(accepted + probes, 20, "the limit");
    the_hanging_mail_is_dropped_and_all_others_are_committed(&mut shell);
}

#[test]
fn a_mail_that_another_record_asks_for_too_does_not_hold_up_what_is_behind_that_record() {
    let mut shell = Shell::with_servers(2, 20);
    shell.take_retry(0, 0, Duration::ZERO);
    shell.pass(2 * SECOND);
    shell.pass(LONGEST_SILENCE);
    assert_eq!((shell.closed_by(FIRST).is_some(), shell.people()), (true, vec![0]), "it was sent to its end");
    shell.withdrawn.clear();
    // The first of these waits for it, and the commit of the others for the first of these.
    shell.take_codes(0..100);
    for _ in 0..20 {
        shell.end_with(SECOND_SERVER, || Try::Accepted);
    }
    assert_eq!((shell.with(FIRST)[0].1, shell.with(SECOND_SERVER)), (0, vec![]), "the limit");
    the_hanging_mail_is_dropped_and_all_others_are_committed(&mut shell);
}

/// How long a server takes for this person's mail, or `None` if it never answers.
type Takes = fn(ServerNumber, i64) -> Option<Duration>;

/// What came of mails, one every `every` seconds for ten minutes.
#[derive(Debug, Default)]
struct Mailed {
    /// From a mail's record to its acceptance, by person. In seconds.
    waits: BTreeMap<i64, u64>,
    /// How often the first server's gate closed.
    closed: usize,
    /// Seconds without any open gate.
    stopped: usize,
}

/// `sent`: servers hang after the content, so no mail can be taken back. Otherwise they hang before it.
fn mail_for_ten_minutes(shell: &mut Shell, every: u64, sent: bool, takes: Takes) -> Mailed {
    let (mut mailed, mut began, mut taken) = (Mailed::default(), BTreeMap::new(), BTreeMap::new());
    let mut was_open = shell.closed_by(FIRST).is_none();
    for second in 0..800 {
        shell.pass(SECOND);
        if second < 600 && second % every == 0 {
            let person = i64::try_from(taken.len()).unwrap();
            shell.take_codes(person..person + 1);
            taken.insert(person, second);
        }
        loop {
            for (id, _) in shell.mails() {
                began.entry(id).or_insert(second);
            }
            let recalled = shell.recalled.iter().next().copied().filter(|_| !sent);
            let has_answer = |(id, person): &(DeliveryId, i64)| {
                let Job::Mail(_, server) = shell.started[id] else { return false };
                takes(server, *person).is_some_and(|takes| second - began[id] >= takes.as_secs())
            };
            let answered = shell.mails().into_iter().find(has_answer);
            match (recalled, answered) {
                (Some(id), _) => shell.end(id, End::Tried(Try::Interrupted)),
                (None, Some((id, person))) => {
                    shell.end(id, End::Tried(Try::Accepted));
                    mailed.waits.insert(person, second - taken[&person]);
                }
                (None, None) => break,
            }
        }
        shell.commit();
        let is_open = shell.closed_by(FIRST).is_none();
        mailed.closed += usize::from(was_open && !is_open);
        mailed.stopped += usize::from(!shell.gate_is_open());
        was_open = is_open;
    }
    mailed
}

#[test]
fn servers_that_are_all_slow_serve_all_the_mail_and_do_not_take_turns() {
    for (servers, every, sent) in [
        (2, 2, false),
        (2, 2, true),
        (2, 30, false),
        (2, 30, true),
        (2, 180, false),
        (3, 2, false),
        (3, 30, true),
        (3, 700, false),
    ] {
        let mut shell = Shell::with_servers(servers, 500);
        let mailed = mail_for_ten_minutes(&mut shell, every, sent, |_, _| Some(Duration::from_secs(15)));
        let case = format!("{servers} servers, every {every} s, sent {sent}: {mailed:?}");
        assert_eq!(mailed.waits.len(), usize::try_from(600_u64.div_ceil(every)).unwrap(), "{case}");
        // Ten seconds at each server, ten as a probe, and fifteen.
        let longest = u64::try_from(servers).unwrap() * 10 + 25;
        assert!(mailed.waits.values().all(|wait| *wait <= longest), "{case}");
        assert!(mailed.closed <= 1 && mailed.stopped == 0, "{case}");
    }
}

#[test]
fn with_few_mails_no_closed_server_takes_all_the_probes() {
    let mut shell = Shell::with_servers(3, 500);
    shell.take_codes(0..1);
    shell.end_with(FIRST, failed);
    shell.end_with(SECOND_SERVER, failed);
    shell.end_with(THIRD, || Try::Accepted);
    let mut probes = [0, 0];
    for person in 1..21 {
        shell.pass(60 * SECOND);
        shell.take_codes(person..person + 1);
        for (server, probes) in [FIRST, SECOND_SERVER].into_iter().zip(&mut probes) {
            *probes += shell.end_with(server, failed);
        }
        assert_eq!(shell.end_with(THIRD, || Try::Accepted), 1);
        shell.commit();
    }
    assert_eq!(probes, [10, 10]);
}

#[test]
fn a_server_that_answers_too_late_does_not_get_the_mail_back() {
    let mut shell = Shell::with_servers(2, 500);
    let slow = |server, _| Some(if server == FIRST { Duration::from_secs(15) } else { Duration::ZERO });
    let mailed = mail_for_ten_minutes(&mut shell, 1, true, slow);
    assert_eq!((mailed.waits.len(), mailed.closed), (600, 1), "{mailed:?}");
}

#[test]
fn a_recipient_whom_no_server_answers_does_not_stop_the_mail_of_others() {
    for sent in [false, true] {
        let mut shell = Shell::with_servers(2, 500);
        let answers = |_, person: i64| (person % 2 == 1).then_some(Duration::ZERO);
        let mailed = mail_for_ten_minutes(&mut shell, 30, sent, answers);
        assert_eq!((mailed.waits.len(), mailed.stopped), (10, 0), "{mailed:?}");
        assert!(mailed.waits.values().all(|wait| *wait <= 1), "{mailed:?}");
    }
}

#[test]
fn when_the_server_in_charge_fails_a_probe_that_hangs_elsewhere_is_not_waited_for() {
    let mut shell = Shell::with_servers(2, 500);
    shell.take_codes(0..1);
    shell.end_with(FIRST, failed);
    shell.end_with(SECOND_SERVER, || Try::Accepted);
    shell.pass(SECOND);
    // The probe is sent to its end, and hangs.
    shell.take_codes(1..2);
    shell.pass(60 * SECOND);
    assert_eq!(shell.with(FIRST).len(), 1);
    shell.take_codes(2..3);
    shell.end_with(SECOND_SERVER, failed);
    shell.pass(SECOND);
    shell.take_codes(3..4);
    assert_eq!((shell.with(FIRST).len(), shell.with(SECOND_SERVER).len()), (2, 1), "a further probe");
}

#[test]
fn a_server_whose_probe_hangs_is_not_called_one_on_trial() {
    let mut shell = Shell::with_servers(2, 500);
    shell.take_codes(0..1);
    shell.end_with(FIRST, failed);
    shell.end_with(SECOND_SERVER, || Try::Accepted);
    shell.pass(SECOND);
    shell.take_codes(1..2);
    shell.end_with(FIRST, || Try::Accepted);
    assert_eq!(shell.closed_by(FIRST).as_deref(), Some("it works again, and is on trial"));
    shell.pass(SECOND);
    shell.take_codes(2..3);
    assert_eq!(shell.with(FIRST).len(), 1);
    shell.pass(LONGEST_SILENCE);
    shell.end_with(FIRST, || Try::Interrupted);
    assert_eq!(shell.closed_by(FIRST).as_deref(), Some("no mail ended for 10s"));
}

#[test]
fn a_mail_that_was_taken_away_from_a_server_is_no_probe_of_it() {
    let mut shell = Shell::with_servers(2, 8);
    shell.take_codes(0..1);
    shell.pass(LONGEST_SILENCE);
    assert!(shell.closed_by(FIRST).is_some(), "it was sent, and hangs");
    shell.take_codes(1..8);
    for _ in 0..4 {
        // The probe.
        let others: Vec<_> = shell.with(FIRST).into_iter().filter(|(_, person)| *person > 0).collect();
        others.iter().for_each(|(id, _)| shell.end(*id, End::Tried(failed())));
        shell.end_with(SECOND_SERVER, || Try::Accepted);
    }
    shell.pass(30 * SECOND);
    assert!(shell.withdrawn.contains(&(FIRST, Withdrawal::Anyway)));
    shell.end_with(FIRST, || Try::Interrupted);
    let with = |shell: &Shell, server| shell.with(server).iter().any(|(_, person)| *person == 0);
    assert!(!with(&shell, FIRST) && with(&shell, SECOND_SERVER));
}

#[test]
fn a_server_that_hangs_with_as_many_mails_as_may_be_uncommitted_does_not_stop_the_mail() {
    let mut shell = Shell::with_servers(2, 8);
    shell.take_codes(0..20);
    assert_eq!(shell.with(FIRST).len(), 8);
    // They were sent to their end.
    shell.pass(LONGEST_SILENCE);
    assert!(shell.closed_by(FIRST).is_some());
    shell.pass(SECOND);
    assert_eq!(shell.withdrawn.last(), Some(&(FIRST, Withdrawal::Anyway)));
    shell.end_with(FIRST, || Try::Interrupted);
    assert!(!shell.with(SECOND_SERVER).is_empty());
}

#[derive(Debug, Clone, Copy)]
enum Event {
    Take,
    Accept(usize),
    Fail(usize),
    Refuse(usize),
    Interrupt(usize),
    Write,
    Commit,
    Pass(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => Just(Event::Take),
        4 => (0..40_usize).prop_map(Event::Accept),
        3 => (0..40_usize).prop_map(Event::Fail),
        1 => (0..40_usize).prop_map(Event::Refuse),
        2 => (0..40_usize).prop_map(Event::Interrupt),
        2 => Just(Event::Write),
        2 => Just(Event::Commit),
        2 => (0..40_u64).prop_map(Event::Pass),
    ]
}

proptest! {
    #[test]
    fn whatever_the_servers_do_everything_is_mailed_and_committed_in_the_end(
        servers in 1..4_usize, bound in 1..30_usize, events in proptest::collection::vec(event(), 0..120),
    ) {
        let mut shell = Shell::with_servers(servers, bound);
        let mut taken = 0;
        for event in events {
            let end = |shell: &mut Shell, number: usize, tried: Try| {
                let mails = shell.mails();
                if let Some((id, _)) = mails.get(number % mails.len().max(1)) {
                    shell.end(*id, End::Tried(tried));
                }
            };
            match event {
                Event::Take => { shell.take_codes(taken..taken + 1); taken += 1; }
                Event::Accept(number) => end(&mut shell, number, Try::Accepted),
                Event::Fail(number) => end(&mut shell, number, failed()),
                Event::Refuse(number) => end(&mut shell, number, refused_for_now()),
                Event::Interrupt(number) => end(&mut shell, number, Try::Interrupted),
                Event::Write => drop(shell.write_all()),
                Event::Commit => shell.commit(),
                Event::Pass(seconds) => shell.pass(Duration::from_secs(seconds)),
            }
            for server in ServerNumber::ALL {
                prop_assert!(shell.with(server).len() <= 16);
            }
        }
        for _ in 0..100 {
            shell.pass(SECOND);
            while shell.end_mails(|| Try::Accepted) + shell.write_all() > 0 {}
            shell.commit();
        }
        shell.commit_all();
        prop_assert_eq!(shell.committed.get(&CODES).copied().unwrap_or(0), taken);
    }
}
