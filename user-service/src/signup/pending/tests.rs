use super::*;
use proptest::prelude::*;

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
        Next::Exists(notice) => known.with_notice(notice),
    }
}

fn guessed(mut known: Registration, times: u32) -> Registration {
    for _ in 0..times {
        let pending = known.pending().unwrap();
        let (window, generation) = (pending.window, pending.generation);
        known = known.with_attempt(window, generation).0;
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
fn a_verified_account_gets_one_notice_a_window() {
    let exists =
        |known: &Registration, seconds| match known.register(true, ada(), &key("k1"), at(seconds), &RULES) {
            Next::Exists(notice) => notice,
            other => panic!("{other:?}"),
        };
    let first = exists(&Registration::default(), 0);
    assert_eq!(first.window_started_at, at(0));
    let known = Registration::default().with_notice(first);
    let second = exists(&known, 3599);
    assert_eq!((second.window_started_at, second.repeated_at), (at(0), at(3599)));
    assert_eq!(exists(&known.with_notice(second), 3600).window_started_at, at(3600));
}

#[test]
fn a_code_is_open_until_it_expires() {
    assert_eq!(Registration::default().challenge(at(0), &RULES), Challenge::Unknown);
    let known = registered(Registration::default(), 0);
    assert!(matches!(known.challenge(at(899), &RULES), Challenge::Open { pending: Some(_), .. }));
    assert_eq!(known.challenge(at(900), &RULES), Challenge::Expired);
}

#[test]
fn a_verified_account_looks_like_a_pending_one_to_who_guesses() {
    let Next::Exists(notice) = Registration::default().register(true, ada(), &key("k1"), at(0), &RULES)
    else {
        panic!("no notice")
    };
    let known = Registration::default().with_notice(notice);
    assert!(matches!(known.challenge(at(899), &RULES), Challenge::Open { pending: None, .. }));
    assert_eq!(known.challenge(at(900), &RULES), Challenge::Expired);
}

#[test]
fn the_log_hands_out_attempts_in_its_own_order() {
    let mut known = Registration::default();
    for expected in 1..=7 {
        let (next, rank) = known.with_attempt(500_000, 0);
        assert_eq!(rank, expected);
        known = next;
    }
    let (known, rank) = known.with_attempt(500_000, 1);
    assert_eq!(rank, 1, "a new code has a budget of its own");
    assert_eq!(known.with_attempt(500_000, 0).1, u32::MAX, "an old code has none left");
}

#[test]
fn a_forgotten_account_begins_anew() {
    let known = registered(Registration::default(), 0).with_forgotten(at(10));
    assert_eq!(known.challenge(at(11), &RULES), Challenge::Unknown);
    let known = registered(known, 11);
    let Challenge::Open { generation, pending: Some(_), .. } = known.challenge(at(12), &RULES) else {
        panic!("not open")
    };
    assert_eq!(generation, 1, "the forgotten code stays invalid");
}

#[derive(Debug, Clone)]
enum Fact {
    Mailed(Pending),
    Noticed(Notice),
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
    let noticed = (0..3_u64, 0..4_i64, 0..4_i64).prop_map(|(window, started, repeated)| {
        Fact::Noticed(Notice { window, window_started_at: at(started), repeated_at: at(repeated) })
    });
    let forgotten = (0..4_i64).prop_map(|second| Fact::Forgotten(at(second)));
    prop::collection::vec(prop_oneof![mailed, noticed, forgotten], 0..8)
}

fn merged<'a>(facts: impl IntoIterator<Item = &'a Fact>) -> Registration {
    facts.into_iter().fold(Registration::default(), |known, fact| match fact.clone() {
        Fact::Mailed(pending) => known.with_pending(pending),
        Fact::Noticed(notice) => known.with_notice(notice),
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
