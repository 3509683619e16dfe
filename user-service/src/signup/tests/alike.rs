//! An attacker can't tell addresses apart: the answers to his calls don't depend on the state of the address.

use super::model::{Log, Seen, Side, at, person, seconds_after};
use contract::{
    registration_id::RegistrationId,
    verification_code::{LinkToken, VerificationCode},
};
use jiff::Timestamp;

const V: &str = "victim@example.com";
/// How many random sequences of calls are made against all classes of addresses; `ALIKE_SEQUENCES` overrides it.
const SEQUENCES: u64 = 1_000;
const MOST_IDS: usize = 8;

/// The history of an address before the attacker comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    New,
    /// Somebody registered it. The mail is on its way, in a mailbox, or dead-lettered: only its owner knows.
    Pending,
    /// Its owner has tried this many wrong codes.
    Tried(usize),
    VerifiedLongAgo,
    VerifiedASecondAgo,
    Forgotten,
    Expired,
}

const CLASSES: [Class; 8] = [
    Class::New,
    Class::Pending,
    Class::Tried(1),
    Class::Tried(25),
    Class::VerifiedLongAgo,
    Class::VerifiedASecondAgo,
    Class::Forgotten,
    Class::Expired,
];

/// When the attacker comes: within a window, and within minutes of a boundary.
const BEGINNINGS: [&str; 2] = ["09:40:00", "09:57:30"];

/// One call. A number picks one of the ids, in the order in which they were answered.
#[derive(Debug, Clone)]
enum Call {
    Wait(i64),
    Register,
    Resend(usize),
    WrongCode(usize, usize),
    WrongToken(usize),
    WrongLink(usize),
    Elsewhere(usize, usize),
}

/// The sequence of calls of a seed, which anybody can repeat.
fn calls(seed: u64) -> (Timestamp, Vec<Call>) {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut below = move |bound: u64| {
        // xorshift64*, Vigna 2016.
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        usize::try_from((state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound).unwrap()
    };
    let begin = at(BEGINNINGS[below(2)]);
    let calls = (0..6 + below(14)).map(|number| match (number, below(9)) {
        (0, _) | (_, 0) => Call::Register,
        (_, 1) => Call::Resend(below(8)),
        (_, 2..=4) => Call::WrongCode(below(8), below(7)),
        (_, 5) => Call::WrongToken(below(8)),
        (_, 6) => Call::WrongLink(below(8)),
        (_, 7) => Call::Elsewhere(below(8), below(7)),
        _ => Call::Wait([1, 30, 61, 150, 400, 1_900][below(6)]),
    });
    (begin, calls.collect())
}

/// The log of an address that came into a class before `begin`.
fn prepared(class: Class, wrong: &[VerificationCode], begin: Timestamp) -> Log {
    let (mut side, mut log) = (Side::new(), Log::default());
    prepare(class, &mut side, &mut log, wrong, begin);
    log
}

fn prepare(class: Class, side: &mut Side, log: &mut Log, wrong: &[VerificationCode], begin: Timestamp) {
    let before = |seconds: i64| seconds_after(begin, -seconds);
    let registered =
        |side: &mut Side, log: &mut Log, seconds| side.register(log, person("Ada", V), before(seconds)).0;
    match class {
        Class::Pending => {
            registered(side, log, 600);
        }
        Class::Tried(count) => {
            for guesses in wrong[10..10 + count].chunks(5) {
                let id = registered(side, log, 300);
                for code in guesses {
                    side.verify(log, id, code, before(200));
                }
            }
        }
        Class::New | Class::VerifiedLongAgo => {}
        Class::VerifiedASecondAgo => {
            let id = registered(side, log, 100);
            let code = side.code(log.newest(V));
            assert_eq!(side.verify(log, id, &code, before(1)), Seen::Verified);
        }
        Class::Forgotten => {
            let id = registered(side, log, 1_200);
            let code = side.code(log.newest(V));
            assert_eq!(side.verify(log, id, &code, before(1_100)), Seen::Verified);
            log.forget(side.account(V), before(900));
            side.read_all(log, before(899));
        }
        Class::Expired => {
            registered(side, log, 3 * 3_600);
        }
    }
}

/// What the attacker sees of these calls, made at two replicas by turns.
fn seen(class: Class, mut log: Log, seed: u64, wrong: &[VerificationCode], token: &LinkToken) -> Vec<Seen> {
    let (begin, calls) = calls(seed);
    let (mut a, mut b) = (Side::new(), Side::new());
    for side in [&mut a, &mut b] {
        side.trusts_the_log = true;
        side.read_all(&log, begin);
        if class == Class::VerifiedLongAgo {
            side.desk().view.verify(side.account(V), Timestamp::MIN, begin);
        }
        // Each class has room for the same number of further registrations, however many it holds.
        side.bound(side.desk().view.held() + 6);
    }
    let (mut now, mut ids) = (begin, Vec::<RegistrationId>::new());
    let mut answers = Vec::new();
    for call in calls {
        let id = |at: usize| ids.get(at % ids.len().max(1)).copied().unwrap_or(RegistrationId::NONE);
        let side = if answers.len() % 2 == 0 { &mut a } else { &mut b };
        let (new, answer) = match call {
            Call::Wait(seconds) => {
                now = seconds_after(now, seconds);
                continue;
            }
            Call::Register if ids.len() == MOST_IDS => continue,
            Call::Register => side.register(&mut log, person("Eve", V), now),
            Call::Resend(at) => side.resend(&mut log, id(at), now),
            Call::WrongCode(at, code) => (id(at), side.verify(&mut log, id(at), &wrong[code], now)),
            Call::WrongToken(at) => (id(at), side.follow_link(&mut log, id(at), token, now)),
            Call::WrongLink(at) => (id(at), side.show(&mut log, id(at), token, now)),
            Call::Elsewhere(at, code) => (id(at), b.verify(&mut log, id(at), &wrong[code], now)),
        };
        if matches!(answer, Seen::Accepted { .. }) && ids.len() < MOST_IDS {
            ids.push(new);
        }
        answers.push(answer);
    }
    assert!(!answers.contains(&Seen::Verified), "{class:?} {seed}");
    answers
}

#[test]
fn answers_are_the_same_whatever_is_known_of_the_address() {
    let mut side = Side::new();
    let wrong: Vec<_> = side.wrong_codes(V).take(40).collect();
    let mut log = Log::default();
    side.register(&mut log, person("Bob", "bob@example.com"), at("09:00:00"));
    let token = side.token(log.newest("bob@example.com"));
    let logs = BEGINNINGS.map(|begin| CLASSES.map(|class| prepared(class, &wrong, at(begin))));
    let asked = std::env::var("ALIKE_SEQUENCES").ok().map(|count| count.parse().expect("a number"));
    let sequences: u64 = asked.unwrap_or(SEQUENCES);
    let threads = u64::try_from(std::thread::available_parallelism().map_or(1, usize::from)).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (logs, wrong, token) = (&logs, &wrong, &token);
            scope.spawn(move || {
                for seed in (thread..sequences).step_by(usize::try_from(threads).unwrap()) {
                    let beginning = BEGINNINGS.iter().position(|begin| at(begin) == calls(seed).0).unwrap();
                    let logs = CLASSES.iter().zip(&logs[beginning]);
                    let mut seen = logs.map(|(class, log)| seen(*class, log.clone(), seed, wrong, token));
                    let expected = seen.next().unwrap();
                    for (class, seen) in CLASSES[1..].iter().zip(seen) {
                        assert_eq!(seen, expected, "{class:?} {:?}", calls(seed));
                    }
                }
            });
        }
    });
}
