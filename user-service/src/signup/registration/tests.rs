use super::*;
use proptest::prelude::*;
use shared::{
    account_id::AccountId,
    email_address::EmailAddress,
    event::{self, EventId, EventKind},
    locale::Locale,
    person_name::PersonName,
    request_id::RequestId,
};

const RULES: Rules = Rules {
    code_ttl: Duration::from_secs(900),
    code_attempts: 5,
    resend_cooldown: Duration::from_secs(60),
    max_sends: 5,
    window: Duration::from_secs(3600),
};

fn at(seconds: i64) -> Timestamp {
    // Ten minutes into an hour, so that the hour of the clock and the window are not the same thing.
    Timestamp::from_second(1_800_000_600 + seconds).unwrap()
}

fn key(name: &str) -> KeyId {
    KeyId::parse(name).unwrap()
}

fn ada() -> Person {
    Person {
        first_name: PersonName::parse("Ada").unwrap(),
        last_name: PersonName::parse("Lovelace").unwrap(),
        email: EmailAddress::parse("ada@example.com").unwrap(),
        locale: Locale::default(),
    }
}

fn register(known: &Registration, seconds: i64) -> Next {
    known.register(false, ada(), &key("k1"), at(seconds), &RULES)
}

/// The registration after what `register` decided at that second.
fn registered(known: Registration, seconds: i64) -> Registration {
    match register(&known, seconds) {
        Next::Create(pending) | Next::Resend(pending) => known.with_pending(pending),
        Next::Repeat(_) => known,
        next @ Next::Exists { .. } => known.with_notice(exists_event(next, seconds), &RULES),
    }
}

fn exists_event(next: Next, seconds: i64) -> AccountExists {
    let Next::Exists { window, window_started_at, person } = next else { panic!("{next:?}") };
    let id = AccountId::from_derived([1; 16]);
    AccountExists {
        event_id: EventId::derive(EventKind::AccountExists, id, window, 0, 0),
        occurred_at: at(seconds),
        version: event::VERSION,
        id,
        first_name: person.first_name,
        last_name: person.last_name,
        email: person.email,
        locale: person.locale,
        window,
        window_started_at,
        request_id: RequestId::parse("test").unwrap(),
    }
}

/// The registration after somebody registered the address of the verified account at that second.
fn registered_again(known: Registration, seconds: i64) -> Registration {
    let next = known.register(true, ada(), &key("k1"), at(seconds), &RULES);
    known.with_notice(exists_event(next, seconds), &RULES)
}

fn guessed(mut known: Registration, times: u32) -> Registration {
    for _ in 0..times {
        let pending = known.pending().unwrap();
        let (window, generation) = (pending.window, pending.generation);
        known = known.with_attempt(window, generation, EventId::random()).0;
    }
    known
}

#[test]
fn a_first_registration_begins_a_window() {
    let Next::Create(pending) = register(&Registration::default(), 0) else { panic!("not created") };
    assert_eq!((pending.generation, pending.send), (0, 1));
    assert_eq!((pending.window_started_at, pending.expires_at), (at(0), at(900)));
    assert_eq!(pending.window, 500_000);
}

#[test]
fn inside_the_cool_down_nothing_is_mailed() {
    let known = registered(Registration::default(), 0);
    assert!(matches!(register(&known, 59), Next::Repeat(_)));
    assert!(matches!(register(&known, 60), Next::Resend(_)));
}

#[test]
fn a_resend_repeats_the_code_and_prolongs_it_inside_the_window() {
    let known = registered(Registration::default(), 0);
    let Next::Resend(second) = register(&known, 600) else { panic!("not resent") };
    assert_eq!((second.generation, second.send, second.expires_at), (0, 2, at(1500)));
    let Next::Resend(late) = register(&known, 3500) else { panic!("not resent") };
    assert_eq!(late.expires_at, at(3600), "no code outlives its window");
}

#[test]
fn after_the_attempts_of_a_code_a_new_one_is_mailed_with_the_current_key() {
    let known = guessed(registered(Registration::default(), 0), 5);
    let Next::Resend(pending) = known.register(false, ada(), &key("k2"), at(60), &RULES) else {
        panic!("not resent")
    };
    assert_eq!((pending.generation, pending.key), (1, key("k2")));
    let known = guessed(registered(Registration::default(), 0), 4);
    let Next::Resend(pending) = known.register(false, ada(), &key("k2"), at(60), &RULES) else {
        panic!("not resent")
    };
    assert_eq!((pending.generation, pending.key), (0, key("k1")));
}

#[test]
fn attempts_alone_or_an_ended_code_are_no_code_to_try() {
    let attempts_alone = Registration::default().with_attempt(500_000, 0, EventId::random()).0;
    assert!(!attempts_alone.has_code(at(0)));
    let known = registered(attempts_alone, 0);
    assert!(known.has_code(at(899)));
    assert!(!known.has_code(at(900)));
}

#[test]
fn after_the_last_mail_of_a_window_nothing_is_mailed_until_the_next() {
    let mut known = Registration::default();
    for minute in 0..5 {
        known = registered(known, 60 * minute);
    }
    assert_eq!(known.pending().unwrap().send, 5);
    assert!(matches!(register(&known, 3599), Next::Repeat(_)));
    let Next::Create(pending) = register(&known, 3600) else { panic!("no new window") };
    assert_eq!((pending.window, pending.send), (500_001, 1));
}

#[test]
fn a_guess_at_a_verified_account_uses_up_no_more_than_one_at_a_pending_one() {
    let mut pending = registered(Registration::default(), 0);
    let notice = pending.register(true, ada(), &key("k1"), at(100), &RULES);
    let mut verified = pending.clone().with_notice(exists_event(notice, 100), &RULES);
    let guess = |known: Registration| {
        let (window, generation) = match (&known.notice, &known.pending) {
            (Some(notice), _) => (notice.window, notice.generation),
            (None, pending) => pending.as_ref().map(|it| (it.window, it.generation)).unwrap(),
        };
        known.with_attempt(window, generation, EventId::random()).0
    };
    for used_up in [false, false, false, false, true] {
        (pending, verified) = (guess(pending), guess(verified));
        assert_eq!(pending.is_used_up(&RULES), used_up);
        assert_eq!(verified.is_used_up(&RULES), used_up);
    }
}

#[test]
fn a_verified_account_gets_one_notice_a_window() {
    let begins =
        |known: &Registration, seconds| match known.register(true, ada(), &key("k1"), at(seconds), &RULES) {
            Next::Exists { window_started_at, .. } => window_started_at == at(seconds),
            other => panic!("{other:?}"),
        };
    assert!(begins(&Registration::default(), 0));
    let known = registered_again(Registration::default(), 0);
    assert!(!begins(&known, 59) && !begins(&known, 3599));
    assert!(begins(&known, 3600));
}

#[test]
fn a_resend_waits_for_the_cool_down_and_for_the_next_window() {
    let resend = |known: &Registration, seconds| known.resend(false, &key("k1"), at(seconds), &RULES);
    assert_eq!(resend(&Registration::default(), 0), Resend::Unknown);
    let mut known = registered(Registration::default(), 0);
    assert_eq!(resend(&known, 20), Resend::Wait(Duration::from_secs(40)));
    assert_eq!(resend(&known, 900), Resend::Expired);
    for minute in 1..5 {
        let Resend::Next(Next::Resend(pending), expires_at) = resend(&known, 60 * minute) else {
            panic!("not resent")
        };
        assert_eq!((pending.expires_at, expires_at), (at(60 * minute + 900), at(60 * minute + 900)));
        known = known.with_pending(pending);
    }
    assert_eq!(resend(&known, 300), Resend::Wait(Duration::from_secs(3300)));
}

#[test]
fn a_verified_account_answers_every_request_as_a_pending_one_does() {
    // The same requests at the same times: one address is new, the other belongs to a verified account.
    let mut pending = registered(Registration::default(), 0);
    let mut verified = registered_again(Registration::default(), 0);
    for second in [1, 30, 61, 70, 125, 130, 200, 260, 330, 900, 1000, 1225, 1226, 2000, 3599] {
        let shape = |resend: &Resend| match resend {
            Resend::Next(_, expires_at) => format!("next, expires {expires_at}"),
            other => format!("{other:?}"),
        };
        let next = [
            pending.resend(false, &key("k1"), at(second), &RULES),
            verified.resend(true, &key("k1"), at(second), &RULES),
        ];
        assert_eq!(shape(&next[0]), shape(&next[1]), "at {second}");
        let [a, b] = next;
        if let (Resend::Next(Next::Resend(mailed), _), Resend::Next(exists, _)) = (a, b) {
            pending = pending.with_pending(mailed);
            verified = verified.with_notice(exists_event(exists, second), &RULES);
        }
        for guess in 0..2 {
            let open = [pending.challenge(at(second)), verified.challenge(at(second))].map(|challenge| {
                match challenge {
                    Challenge::Open { window, generation, .. } => Some((window, generation)),
                    _ => None,
                }
            });
            assert_eq!(open[0], open[1], "guess {guess} at {second}");
            if let Some((window, generation)) = open[0] {
                let (next_pending, rank) = pending.with_attempt(window, generation, EventId::random());
                let (next_verified, other_rank) =
                    verified.with_attempt(window, generation, EventId::random());
                assert_eq!(rank, other_rank, "guess {guess} at {second}");
                (pending, verified) = (next_pending, next_verified);
            }
        }
    }
}

#[test]
fn a_code_is_open_until_it_expires() {
    assert_eq!(Registration::default().challenge(at(0)), Challenge::Unknown);
    let known = registered(Registration::default(), 0);
    assert!(matches!(known.challenge(at(899)), Challenge::Open { pending: Some(_), .. }));
    assert_eq!(known.challenge(at(900)), Challenge::Expired);
}

#[test]
fn a_forgotten_account_begins_anew() {
    let known = registered(Registration::default(), 0).with_forgotten(at(10));
    assert_eq!(known.challenge(at(11)), Challenge::Unknown);
    let known = registered(known, 11);
    let Challenge::Open { generation, pending: Some(_), .. } = known.challenge(at(12)) else {
        panic!("not open")
    };
    assert_eq!(generation, 1, "the forgotten code stays invalid");
}

#[derive(Debug, Clone)]
enum Fact {
    Mailed(Pending),
    Forgotten(Timestamp),
}

fn facts() -> impl Strategy<Value = Vec<Fact>> {
    let mailed = (0..3_u64, 0..3_u32, 1..4_u32, 0..4_i64, prop::bool::ANY).prop_map(
        |(window, generation, send, second, other)| {
            let person =
                if other { Person { first_name: PersonName::parse("Bob").unwrap(), ..ada() } } else { ada() };
            let pending = Pending::created(None, person, key("k1"), at(second), &RULES);
            Fact::Mailed(Pending { window, generation, send, ..pending })
        },
    );
    let forgotten = (0..4_i64).prop_map(|second| Fact::Forgotten(at(second)));
    prop::collection::vec(prop_oneof![mailed, forgotten], 0..8)
}

fn merged<'a>(facts: impl IntoIterator<Item = &'a Fact>) -> Registration {
    facts.into_iter().fold(Registration::default(), |known, fact| match fact.clone() {
        Fact::Mailed(pending) => known.with_pending(pending),
        Fact::Forgotten(at) => known.with_forgotten(at),
    })
}

proptest! {
    #[test]
    fn merging_takes_facts_in_any_order_and_any_number_of_times(
        (facts, shuffled) in facts().prop_flat_map(|facts| (Just(facts.clone()), Just(facts).prop_shuffle()))
    ) {
        let once = merged(&facts);
        prop_assert_eq!(&merged(&shuffled), &once);
        prop_assert_eq!(&merged(facts.iter().chain(&shuffled).chain(&facts)), &once);
    }
}
