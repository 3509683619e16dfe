//! One test for each situation that needs no broker and no second process.

use super::model::{Log, Seen, Side, TOPICS, at, person, seconds_after};
use crate::rules::{Rules, tests::RULES};
use contract::{
    event::{Event, Mailing},
    person::Person,
    registration_id::RegistrationId,
    topic::Topic,
};
use jiff::Timestamp;
use proptest::prelude::*;
use std::time::Duration;

const V: &str = "victim@example.com";

fn e() -> Person {
    person("Eve", V)
}

fn v() -> Person {
    person("Ada", V)
}

/// Registers and returns the id.
fn registered(side: &mut Side, log: &mut Log, person: Person, now: Timestamp) -> RegistrationId {
    let (id, seen) = side.register(log, person, now);
    assert!(matches!(seen, Seen::Accepted { .. }), "{seen:?}");
    id
}

/// E registers at each place of three hours' schedules and tries 25 wrong codes an hour.
fn three_hours_of_a_stranger(mut every_second: impl FnMut(&mut Side, &mut Log, Timestamp)) {
    let (mut side, mut log) = (Side::new(), Log::default());
    let mut codes = side.wrong_codes(V);
    for second in 0..3 * 3_600 {
        let now = seconds_after(at("10:00:00"), second);
        if [0, 1, 3, 7, 15, 31].contains(&(second % 3_600 / 60)) && second % 60 == 0 {
            let id = registered(&mut side, &mut log, e(), now);
            for _ in 0..5 {
                side.verify(&mut log, id, &codes.next().unwrap(), now);
            }
        }
        every_second(&mut side, &mut log, now);
    }
    assert_eq!(log.mails.len(), 3 * 6);
}

#[test]
fn at_every_second_the_newest_mails_link_works_with_the_owners_own_registration() {
    three_hours_of_a_stranger(|side, log, now| {
        if now.as_second() % 7 != 0 {
            return;
        }
        let (mail, token) = (log.newest(V).registration, side.token(log.newest(V)));
        assert_eq!(side.show(log, mail, &token, now), Seen::Shown(e()), "{now}");
        if now.as_second() % 1_001 == 0 {
            // V's own registration takes no place of the schedule here.
            // The newest mail proves it, whoever asked for that mail.
            let mails = log.mails.len();
            let id = registered(side, log, v(), now);
            assert_eq!(log.mails.len(), mails, "{now}");
            assert_eq!(side.show(log, id, &token, now), Seen::Shown(v()), "{now}");
        }
    });
}

#[test]
fn whoever_asks_at_a_place_of_the_schedule_gets_a_mail_whatever_strangers_do() {
    // E polls every thirty seconds for three hours; V asks a second before E at each place.
    let (mut side, mut log) = (Side::new(), Log::default());
    let mut mailed = 0;
    for second in 0..3 * 3_600 {
        let now = seconds_after(at("10:00:00"), second);
        let is_place = [0, 1, 3, 7, 15, 31].contains(&(second % 3_600 / 60)) && second % 60 == 0;
        if is_place {
            let id = registered(&mut side, &mut log, v(), now);
            mailed += 1;
            assert_eq!((log.mails.len(), log.newest(V).registration), (mailed, id), "{now}");
            let token = side.token(log.newest(V));
            assert_eq!(side.show(&mut log, id, &token, now), Seen::Shown(v()));
        } else if second % 30 == 0 {
            registered(&mut side, &mut log, e(), now);
        }
    }
    assert_eq!(log.mails.len(), mailed);
}

#[test]
fn mails_go_out_at_0_1_3_7_15_and_31_minutes() {
    let (mut side, mut log) = (Side::new(), Log::default());
    for second in 0..2 * 3_600 {
        registered(&mut side, &mut log, v(), seconds_after(at("10:00:00"), second));
    }
    let minutes = |mail: &(Timestamp, _)| (mail.0.as_second() - at("10:00:00").as_second()) / 60;
    let hour = [0, 1, 3, 7, 15, 31];
    assert_eq!(log.mails.iter().map(minutes).collect::<Vec<_>>(), [hour, hour.map(|it| it + 60)].concat());
}

#[test]
fn an_owner_who_has_deleted_all_mails_has_the_next_window() {
    let (mut side, mut log) = (Side::new(), Log::default());
    let mut codes = side.wrong_codes(V);
    for minute in [0, 1, 3, 7, 15, 31] {
        let id = registered(&mut side, &mut log, e(), seconds_after(at("10:00:00"), minute * 60));
        for _ in 0..4 {
            side.verify(&mut log, id, &codes.next().unwrap(), seconds_after(at("10:00:00"), minute * 60));
        }
    }
    let id = registered(&mut side, &mut log, v(), at("10:50:00"));
    assert_eq!(log.mails.len(), 6, "the next place is at 63 minutes");
    let kept = side.code(log.newest(V));
    // 24 of the window's 25 guesses are made.
    assert_eq!(side.verify(&mut log, id, &kept, at("10:52:00")), Seen::Verified);

    let (mut side, mut log) = (Side::new(), Log::default());
    registered(&mut side, &mut log, e(), at("10:31:00"));
    let id = registered(&mut side, &mut log, v(), at("10:31:30"));
    let (_, seen) = side.resend(&mut log, id, at("11:00:00"));
    assert!(matches!(seen, Seen::Accepted { .. }));
    assert_eq!(log.mails.len(), 2, "a mail at once");
}

#[test]
fn the_event_holds_the_data_of_the_registration_that_was_proved() {
    for order in [[true, false], [false, true]] {
        for apart in [1, 59, 61, 600] {
            let (mut side, mut log) = (Side::new(), Log::default());
            let mut mine = None;
            for (is_owner, second) in order.into_iter().zip([0, apart]) {
                let who = if is_owner { person("Ada", "Victim@example.com") } else { e() };
                let id = registered(&mut side, &mut log, who, seconds_after(at("10:00:00"), second));
                mine = if is_owner { Some(id) } else { mine };
            }
            let now = seconds_after(at("10:00:00"), apart + 5);
            let code = side.code(log.newest(V));
            assert_eq!(side.verify(&mut log, mine.unwrap(), &code, now), Seen::Verified);
            let [verified] = log.verified()[..] else { panic!("one event") };
            assert_eq!(
                (verified.first_name.as_str(), verified.email.as_str()),
                ("Ada", "Victim@example.com")
            );
            assert_eq!(Some(verified.registration), mine);
        }
    }
}

#[test]
fn the_link_shows_what_was_entered_before_anything_is_confirmed() {
    let (mut side, mut log) = (Side::new(), Log::default());
    let stranger = registered(&mut side, &mut log, e(), at("10:00:00"));
    let owner = registered(&mut side, &mut log, v(), at("10:00:30"));
    let token = side.token(log.newest(V));
    assert_eq!(side.show(&mut log, stranger, &token, at("10:01:00")), Seen::Shown(e()));
    assert_eq!(
        side.show(&mut log, owner, &token, at("10:01:00")),
        Seen::Shown(v()),
        "any registration of the address"
    );
    let other = registered(&mut side, &mut log, person("Bob", "bob@example.com"), at("10:02:00"));
    assert_eq!(side.show(&mut log, other, &token, at("10:03:00")), Seen::WrongToken);
    assert!(log.verified().is_empty());
}

#[test]
fn whoever_registered_before_the_verification_is_answered_alike_and_changes_nothing() {
    let (mut side, mut log) = (Side::new(), Log::default());
    let stranger = registered(&mut side, &mut log, e(), at("10:00:00"));
    let owner = registered(&mut side, &mut log, v(), at("10:00:10"));
    let (code, token) = (side.code(log.newest(V)), side.token(log.newest(V)));
    assert_eq!(side.verify(&mut log, owner, &code, at("10:05:00")), Seen::Verified);
    assert_eq!(side.follow_link(&mut log, stranger, &token, at("10:06:00")), Seen::Verified);
    assert_eq!(side.verify(&mut log, stranger, &code, at("10:06:00")), Seen::Verified);
    assert_eq!(log.verified().len(), 1);
    assert_eq!(log.verified()[0].first_name.as_str(), "Ada");

    let later = registered(&mut side, &mut log, e(), at("10:08:00"));
    assert_eq!(side.verify(&mut log, later, &code, at("10:09:00")), Seen::WrongCode(4));
    assert_eq!(side.follow_link(&mut log, later, &token, at("10:09:00")), Seen::WrongToken);
    assert_eq!(side.show(&mut log, later, &token, at("10:09:00")), Seen::WrongToken);
    // Within the skew nobody can tell which came first.
    let at_once = registered(&mut side, &mut log, e(), at("10:06:59"));
    assert_eq!(side.follow_link(&mut log, at_once, &token, at("10:09:00")), Seen::Verified);
    assert_eq!(log.verified().len(), 1);
}

#[test]
fn tagged_spellings_of_a_mailbox_have_ten_places_a_window_together() {
    let (mut side, mut log) = (Side::new(), Log::default());
    for tag in 1..=12 {
        registered(&mut side, &mut log, person("Eve", &format!("victim+{tag}@example.com")), at("10:00:00"));
    }
    assert_eq!(log.mails.len(), 10);
    registered(&mut side, &mut log, v(), at("10:00:01"));
    assert_eq!((log.mails.len(), log.newest(V).send), (11, 1), "the plain spelling has its own");
    registered(&mut side, &mut log, person("Eve", "victim+13@example.com"), at("11:00:00"));
    assert_eq!(log.mails.len(), 12, "the next window");
}

#[test]
fn attempts_left_are_those_of_the_registration_alone() {
    for made in [0, 1, 5, 24, 25, 30] {
        let (mut side, mut log) = (Side::new(), Log::default());
        let mut codes = side.wrong_codes(V);
        let mut own = None;
        for guess in 0..made {
            if guess % 5 == 0 {
                own = Some(registered(&mut side, &mut log, v(), at("10:00:00")));
            }
            side.verify(&mut log, own.unwrap(), &codes.next().unwrap(), at("10:01:00"));
        }
        for _ in 0..5 {
            let id = registered(&mut side, &mut log, e(), at("10:02:00"));
            let mut guess = || side.verify(&mut log, id, &codes.next().unwrap(), at("10:03:00"));
            let seen: Vec<_> = (0..6).map(|_| guess()).collect();
            let left: Vec<_> = (0..5).rev().map(Seen::WrongCode).chain([Seen::UsedUp]).collect();
            assert_eq!(seen, left, "after {made}");
        }
    }
}

#[test]
fn beyond_a_windows_guesses_the_link_works_and_so_does_the_next_window() {
    let (mut side, mut log) = (Side::new(), Log::default());
    let mut codes = side.wrong_codes(V);
    for _ in 0..5 {
        let id = registered(&mut side, &mut log, e(), at("10:00:00"));
        for _ in 0..5 {
            side.verify(&mut log, id, &codes.next().unwrap(), at("10:01:00"));
        }
    }
    let id = registered(&mut side, &mut log, v(), at("10:02:00"));
    let (code, token) = (side.code(log.newest(V)), side.token(log.newest(V)));
    assert_eq!(side.verify(&mut log, id, &code, at("10:03:00")), Seen::WrongCode(4), "not compared");
    assert_eq!(side.show(&mut log, id, &token, at("10:03:00")), Seen::Shown(v()));
    let (again, _) = side.resend(&mut log, id, at("11:00:10"));
    let next = side.code(log.newest(V));
    assert_eq!(side.verify(&mut log, again, &next, at("11:01:00")), Seen::Verified);
    assert_eq!(log.verified()[0].first_name.as_str(), "Ada");
}

#[test]
fn the_same_guess_has_one_place_however_often_it_is_sent_and_written() {
    let (mut side, mut log) = (Side::new(), Log::default());
    let id = registered(&mut side, &mut log, v(), at("10:00:00"));
    let code = side.code(log.newest(V));
    let mut wrong = side.wrong_codes(V);
    let (first, second) = (wrong.next().unwrap(), wrong.next().unwrap());
    for _ in 0..20 {
        assert_eq!(side.verify(&mut log, id, &first, at("10:01:00")), Seen::WrongCode(4));
    }
    assert_eq!(side.verify(&mut log, id, &second, at("10:01:00")), Seen::WrongCode(3));
    assert_eq!(
        side.verify(&mut log, id, &first, at("10:01:00")),
        Seen::WrongCode(3),
        "as many as are left by then"
    );
    for code in wrong.take(3) {
        side.verify(&mut log, id, &code, at("10:01:00"));
    }
    assert_eq!(side.verify(&mut log, id, &first, at("10:02:00")), Seen::WrongCode(0), "it has a place");
    let attempts = log.attempts();
    assert_eq!(side.verify(&mut log, id, &code, at("10:02:00")), Seen::UsedUp);
    assert_eq!(log.attempts(), attempts, "a new guess after the fifth is not published");
    let id = registered(&mut side, &mut log, v(), at("10:03:00"));
    assert_eq!(side.verify(&mut log, id, &code, at("10:03:00")), Seen::Verified);
    assert_eq!(side.verify(&mut log, id, &code, at("10:04:00")), Seen::Verified, "also again");
}

#[test]
fn a_code_is_right_from_the_skew_before_its_window_until_its_ttl_after_it() {
    let short = Rules {
        window: Duration::from_secs(1_800),
        code_ttl: Duration::from_secs(600),
        max_clock_skew: Duration::from_secs(60),
        ..RULES
    };
    for (rules, windows, moments) in [
        (RULES, 3_600, ["09:57:59", "09:58:00", "10:00:00", "11:14:59", "11:15:00"]),
        (short, 1_800, ["09:58:59", "09:59:00", "10:00:00", "10:39:59", "10:40:00"]),
    ] {
        let is_right = |time: &str| {
            let (mut side, mut log) = (Side::with(rules), Log::default());
            let now = at(time);
            let id = registered(&mut side, &mut log, v(), now);
            let window = u64::try_from(at("10:00:00").as_second() / windows).unwrap();
            let code = side.code_of(&v().email, window);
            side.verify(&mut log, id, &code, now) == Seen::Verified
        };
        assert_eq!(moments.map(is_right), [false, true, true, true, false], "{rules:?}");
    }
}

#[test]
fn both_codes_of_a_boundary_are_right_and_each_has_its_own_budget() {
    let (mut side, mut log) = (Side::new(), Log::default());
    let mut codes = side.wrong_codes(V);
    let early = registered(&mut side, &mut log, v(), at("09:50:00"));
    let old = side.code(log.newest(V));
    for _ in 0..5 {
        let id = registered(&mut side, &mut log, e(), at("09:51:00"));
        for _ in 0..5 {
            side.verify(&mut log, id, &codes.next().unwrap(), at("09:52:00"));
        }
    }
    let late = registered(&mut side, &mut log, v(), at("10:01:00"));
    let new = side.code(log.newest(V));
    assert_eq!(side.verify(&mut log, early, &old, at("10:02:00")), Seen::WrongCode(4), "a full window");
    assert_eq!(
        side.verify(&mut log, late, &new, at("10:02:00")),
        Seen::Verified,
        "does not keep it from the other's code"
    );
}

#[test]
fn a_replica_that_is_ahead_within_the_skew_mails_the_next_windows_code_and_it_works() {
    let (mut a, mut b, mut log) = (Side::new(), Side::new(), Log::default());
    let ahead = at("10:00:30");
    let (_, seen) = a.register_as(&mut log, v(), ahead, at("09:58:30"));
    assert!(matches!(seen, Seen::Accepted { .. }));
    let mail = log.newest(V).clone();
    assert_eq!(mail.window, u64::try_from(at("10:00:00").as_second() / 3_600).unwrap());
    let code = b.code(&mail);
    assert_eq!(b.verify(&mut log, mail.registration, &code, at("09:58:31")), Seen::Verified);
}

#[test]
fn a_replica_whose_clock_is_wrong_changes_nothing_for_others() {
    for wrong in
        [seconds_after(at("10:00:00"), 70 * 60), seconds_after(at("10:00:00"), 24 * 3_600), at("09:50:00")]
    {
        let (mut a, mut b, mut log) = (Side::new(), Side::new(), Log::default());
        assert_eq!(a.register_as(&mut log, e(), wrong, at("10:00:00")).1, Seen::WrongClock);
        let id = log.mails.pop().unwrap().1.registration;
        b.read_all(&log, at("10:00:01"));
        assert_eq!(b.passed_over(), 1, "{wrong}");
        assert_eq!(b.registration(id, at("10:00:01")), None);
        let own = registered(&mut b, &mut log, v(), at("10:00:02"));
        assert_eq!((log.mails.len(), log.newest(V).send), (1, 1), "the first place is free");
        let code = b.code(log.newest(V));
        assert_eq!(b.verify(&mut log, own, &code, at("10:00:03")), Seen::Verified);
    }
}

#[test]
fn two_replicas_that_take_the_same_place_ask_for_one_mail() {
    let (mut a, mut b, mut log) = (Side::new(), Side::new(), Log::default());
    let now = at("10:00:00");
    // Neither has read what the other has written.
    let drafts = [(&a, e()), (&b, v())].map(|(side, person)| {
        side.desk()
            .register(RegistrationId::random(), person, 0, contract::request_id::RequestId::random(), now)
            .event
    });
    assert_eq!(drafts[0].mail_id(), drafts[1].mail_id());
    assert_ne!(drafts[0].event_id(), drafts[1].event_id());
    for event in &drafts {
        log.write(event, now);
    }
    assert_eq!(log.mails.len(), 1);
    let code = a.code(log.newest(V));
    let ids = drafts
        .map(|event| if let Event::Registered(_, event) = event { event.registration } else { panic!() });
    assert_eq!(a.verify(&mut log, ids[0], &code, at("10:00:05")), Seen::Verified);
    assert_eq!(b.verify(&mut log, ids[1], &code, at("10:00:06")), Seen::Verified);
    assert_eq!(log.verified().len(), 1);
}

#[test]
fn a_place_without_an_ack_is_free_again_and_leads_to_one_mail() {
    for is_in_log in [false, true] {
        for email in [V, "victim+1@example.com"] {
            let (mut side, mut log) = (Side::new(), Log::default());
            let request = contract::request_id::RequestId::random();
            let lost = side.desk().register(
                RegistrationId::random(),
                person("Ada", email),
                0,
                request,
                at("10:00:00"),
            );
            side.desk().take_back(&lost);
            if is_in_log {
                log.write(&lost.event, at("10:00:04"));
            }
            registered(&mut side, &mut log, person("Ada", email), at("10:00:05"));
            let mail = log.newest(email);
            assert_eq!((log.mails.len(), mail.send), (1, 1), "{email} {is_in_log}");
        }
    }
}

#[test]
fn a_place_without_an_ack_that_another_replica_took_has_the_time_of_its_record() {
    let (mut a, mut b, mut log) = (Side::new(), Side::new(), Log::default());
    let request = contract::request_id::RequestId::random();
    let lost = a.desk().register(RegistrationId::random(), v(), 0, request, at("10:00:00"));
    registered(&mut b, &mut log, e(), at("10:00:04"));
    a.read_all(&log, at("10:00:05"));
    a.desk().take_back(&lost);
    for side in [&mut a, &mut b] {
        let (id, _) = side.register(&mut log, v(), at("10:01:03"));
        assert_eq!(
            log.mailing_of(id),
            (Mailing::Nothing, 1),
            "the next place is free a minute after the mail"
        );
    }
    let (id, _) = a.register(&mut log, v(), at("10:01:04"));
    assert_eq!(log.mailing_of(id), (Mailing::FurtherCode, 2));
}

#[test]
fn tagged_places_without_an_ack_leave_the_limit_as_it_was() {
    let (mut side, mut log) = (Side::new(), Log::default());
    for second in 0..10 {
        let (request, now) =
            (contract::request_id::RequestId::random(), seconds_after(at("10:00:00"), second));
        let lost = side.desk().register(
            RegistrationId::random(),
            person("Ada", "victim+0@example.com"),
            0,
            request,
            now,
        );
        side.desk().take_back(&lost);
    }
    for tag in 0..12 {
        registered(&mut side, &mut log, person("Ada", &format!("victim+{tag}@example.com")), at("10:00:20"));
    }
    assert_eq!(log.mails.len(), 10);
}

#[test]
fn a_request_between_places_does_not_take_one_that_is_given_back() {
    let (mut side, mut log) = (Side::new(), Log::default());
    let request = contract::request_id::RequestId::random();
    let lost = side.desk().register(RegistrationId::random(), v(), 0, request, at("10:00:00"));
    registered(&mut side, &mut log, e(), at("10:00:03"));
    side.desk().take_back(&lost);
    let id = registered(&mut side, &mut log, v(), at("10:00:06"));
    assert_eq!((log.mails.len(), log.newest(V).registration), (1, id), "a mail at once");
}

#[test]
fn replicas_whose_clocks_differ_agree_about_the_window_after_a_tombstone() {
    for stamp in ["10:57:30", "10:58:30", "10:59:59"] {
        let (mut a, mut b, mut log) = (Side::new(), Side::new(), Log::default());
        log.forget(a.account(V), at(stamp));
        // B is two minutes slow.
        a.read_all(&log, at(stamp));
        b.read_all(&log, seconds_after(at(stamp), -120));
        let first = [&a, &b]
            .map(|side| side.desk().view.look_at(side.account(V), |account, _| account.first_window(&RULES)));
        assert_eq!(first[0], first[1], "{stamp}");
    }
}

#[test]
fn a_verification_by_a_slow_clock_counts_from_when_all_learnt_of_it() {
    let (mut a, mut b, mut log) = (Side::new(), Side::new(), Log::default());
    let id = registered(&mut b, &mut log, v(), at("10:22:00"));
    let token = b.token(log.newest(V));
    // A is twenty minutes slow. All replicas take its verification in.
    let registration = b.registration(id, at("10:22:01")).unwrap();
    let request = contract::request_id::RequestId::random();
    let (event, _) = a.desk().verification(id, registration, request, at("10:05:00"));
    log.write(&event, at("10:25:00"));
    a.read_all(&log, at("10:25:01"));
    assert_eq!(b.follow_link(&mut log, id, &token, at("10:26:00")), Seen::Verified);
    assert_eq!(log.verified().len(), 1);
}

#[test]
fn after_an_account_was_forgotten_nothing_from_before_is_right() {
    let (mut side, mut log) = (Side::new(), Log::default());
    let mut wrong = side.wrong_codes(V);
    let old = registered(&mut side, &mut log, v(), at("10:00:00"));
    let (old_code, old_token) = (side.code(log.newest(V)), side.token(log.newest(V)));
    assert_eq!(side.verify(&mut log, old, &old_code, at("10:05:00")), Seen::Verified);
    log.forget(side.account(V), at("10:20:00"));
    let new = registered(&mut side, &mut log, v(), at("10:25:00"));
    assert_eq!(log.mails.len(), 2, "a mail at once");
    let mail = log.newest(V).clone();
    assert_eq!(mail.expires_at, at("12:15:00"));
    let (code, token) = (side.code(&mail), side.token(&mail));
    assert!(!code.matches(&old_code) && !token.matches(&old_token));
    for id in [old, new] {
        assert_eq!(side.follow_link(&mut log, id, &old_token, at("10:26:00")), Seen::WrongToken);
    }
    assert_eq!(
        side.verify(&mut log, new, &old_code, at("10:26:00")),
        Seen::WrongCode(4),
        "counts begin anew"
    );
    // One guess of the old id was spent on the right code.
    let seen: Vec<_> =
        (0..5).map(|_| side.verify(&mut log, old, &wrong.next().unwrap(), at("10:26:00"))).collect();
    assert_eq!(seen, [3, 2, 1, 0].map(Seen::WrongCode).into_iter().chain([Seen::UsedUp]).collect::<Vec<_>>());
    assert_eq!(
        side.follow_link(&mut log, old, &token, at("10:26:00")),
        Seen::WrongToken,
        "what was registered before"
    );
    assert_eq!(side.verify(&mut log, new, &code, at("11:14:00")), Seen::Verified, "it goes on to be right");
    assert_eq!(log.verified().len(), 2);
}

#[test]
fn answers_show_the_clocks_expiry_and_events_their_windows() {
    let (mut side, mut log) = (Side::new(), Log::default());
    log.forget(side.account(V), at("10:20:00"));
    let (_, forgotten) = side.register(&mut log, v(), at("10:25:00"));
    let (_, other) = side.register(&mut log, person("Bob", "bob@example.com"), at("10:25:00"));
    assert_eq!(forgotten, other);
    assert!(matches!(other, Seen::Accepted { expires_at, .. } if expires_at == at("11:15:00")));
    assert_eq!(log.newest(V).expires_at, at("12:15:00"));
}

#[test]
fn a_replica_that_has_not_read_the_tombstone_answers_an_old_id_alike_and_learns_of_the_new_window() {
    let (mut a, mut b, mut log) = (Side::new(), Side::new(), Log::default());
    let mut wrong = a.wrong_codes(V);
    let old = registered(&mut a, &mut log, v(), at("10:00:00"));
    log.forget(a.account(V), at("10:20:00"));
    a.read_all(&log, at("10:20:01"));
    for left in (0..5).rev() {
        // Each guess is made at one of the two, by turns.
        let side = if left % 2 == 0 { &mut a } else { &mut b };
        assert_eq!(side.verify(&mut log, old, &wrong.next().unwrap(), at("10:21:00")), Seen::WrongCode(left));
    }
    for side in [&mut a, &mut b] {
        assert_eq!(side.verify(&mut log, old, &wrong.next().unwrap(), at("10:22:00")), Seen::UsedUp);
    }

    let (mut a, mut b, mut log) = (Side::new(), Side::new(), Log::default());
    log.forget(a.account(V), at("10:20:00"));
    let id = registered(&mut a, &mut log, v(), at("10:21:00"));
    let code = a.code(log.newest(V));
    b.read(Topic::Created, &log, at("10:22:00"));
    assert_eq!(b.verify(&mut log, id, &code, at("10:22:00")), Seen::WrongCode(4));
    b.read(Topic::Verified, &log, at("10:23:00"));
    assert_eq!(b.verify(&mut log, id, &code, at("10:23:00")), Seen::Verified);
}

#[test]
fn a_registration_two_windows_ahead_is_known_to_a_replica_without_the_tombstone() {
    let (mut a, mut b, mut log) = (Side::new(), Side::new(), Log::default());
    log.forget(a.account(V), at("10:58:30"));
    let id = registered(&mut a, &mut log, v(), at("10:58:31"));
    assert_eq!(log.newest(V).window, u64::try_from(at("12:00:00").as_second() / 3_600).unwrap());
    b.read(Topic::Created, &log, at("10:58:32"));
    assert!(b.registration(id, at("10:58:32")).is_some());
    assert_eq!(b.passed_over(), 0);
}

#[test]
fn a_second_verification_is_never_written_for_an_account_that_is_verified() {
    let (mut a, mut b, mut log) = (Side::new(), Side::new(), Log::default());
    let first = registered(&mut a, &mut log, v(), at("10:00:00"));
    let second = registered(&mut a, &mut log, v(), at("10:00:01"));
    let (code, token) = (a.code(log.newest(V)), a.token(log.newest(V)));
    assert_eq!(a.verify(&mut log, first, &code, at("10:01:00")), Seen::Verified);
    assert_eq!(b.verify(&mut log, second, &code, at("10:01:01")), Seen::Verified);
    assert_eq!(b.follow_link(&mut log, second, &token, at("10:01:02")), Seen::Verified);
    assert_eq!(log.verified().len(), 1);
}

#[test]
fn resends_wait_for_their_own_registration_alone() {
    let (mut side, mut log) = (Side::new(), Log::default());
    let seconds = |seconds| seconds_after(at("10:00:00"), seconds);
    let first = registered(&mut side, &mut log, v(), seconds(0));
    for second in 0..29 {
        registered(&mut side, &mut log, e(), seconds(second));
    }
    assert_eq!(side.resend(&mut log, first, seconds(30)).1, Seen::Wait(30));
    let (second, seen) = side.resend(&mut log, first, seconds(61));
    assert!(matches!(seen, Seen::Accepted { resend_after: 120, .. }), "{seen:?}");
    assert_eq!(side.resend(&mut log, second, seconds(122)).1, Seen::Wait(59));
    assert!(matches!(side.resend(&mut log, first, seconds(180)).1, Seen::Accepted { resend_after: 120, .. }));
    assert!(matches!(
        side.resend(&mut log, second, seconds(181)).1,
        Seen::Accepted { resend_after: 240, .. }
    ));
}

#[test]
fn a_windows_guesses_outlive_a_restart_and_a_tombstone() {
    let (mut side, mut log) = (Side::new(), Log::default());
    let mut codes = side.wrong_codes(V);
    log.forget(side.account(V), at("10:20:00"));
    registered(&mut side, &mut log, v(), at("10:25:00"));
    let mail = log.newest(V).clone();
    for guess in 0..25 {
        let now = seconds_after(at("10:30:00"), guess * 40);
        let id = registered(&mut side, &mut log, e(), now);
        side.verify(&mut log, id, &codes.next().unwrap(), now);
    }
    let id = registered(&mut side, &mut log, v(), at("12:05:00"));
    let (code, token) = (side.code(&mail), side.token(&mail));
    let mut restarted = Side::started(&log, TOPICS, at("12:10:00"), RULES);
    assert_eq!(restarted.verify(&mut log, id, &code, at("12:10:01")), Seen::WrongCode(4));
    assert_eq!(restarted.follow_link(&mut log, id, &token, at("12:10:02")), Seen::Verified);
}

#[test]
fn links_and_spent_guesses_outlive_a_restart_for_as_long_as_the_registration() {
    let a_day = Rules { link_ttl: Duration::from_secs(24 * 3_600), ..RULES };
    for (rules, restart, then) in [(RULES, "11:01:00", "11:03:00"), (a_day, "23:30:00", "23:31:00")] {
        let (mut side, mut log) = (Side::with(rules), Log::default());
        let id = registered(&mut side, &mut log, v(), at("09:50:00"));
        let token = side.token(log.newest(V));
        for code in side.wrong_codes(V).take(5) {
            side.verify(&mut log, id, &code, at("09:51:00"));
        }
        let mut restarted = Side::started(&log, TOPICS, at(restart), rules);
        let another = restarted.wrong_codes(V).nth(9).unwrap();
        assert_eq!(restarted.verify(&mut log, id, &another, at(then)), Seen::UsedUp);
        assert_eq!(restarted.follow_link(&mut log, id, &token, at(then)), Seen::Verified);
    }
}

#[test]
fn a_forgotten_and_again_verified_account_is_the_same_for_all_after_compaction() {
    let (mut a, mut log) = (Side::new(), Log::default());
    let first = registered(&mut a, &mut log, v(), at("10:00:00"));
    let code = a.code(log.newest(V));
    a.verify(&mut log, first, &code, at("10:01:00"));
    log.forget(a.account(V), at("10:20:00"));
    let second = registered(&mut a, &mut log, v(), at("10:25:00"));
    let code = a.code(log.newest(V));
    assert_eq!(a.verify(&mut log, second, &code, at("10:26:00")), Seen::Verified);
    // Nothing younger than two days is compacted away.
    log.compact(seconds_after(at("10:40:00"), -2 * 24 * 3_600));
    let mut b = Side::started(&log, TOPICS, at("10:40:00"), RULES);
    for side in [&mut a, &mut b] {
        side.read_all(&log, at("10:40:00"));
        let account = side.account(V);
        let window = side.desk().view.look_at(account, |account, is_verified| {
            (is_verified, account.window(at("10:40:00"), &RULES), account.guesses_with(second))
        });
        let eleven = crate::rules::Window::new(u64::try_from(at("11:00:00").as_second() / 3_600).unwrap());
        assert_eq!(window, (true, eleven.unwrap(), 1));
    }
}

#[test]
fn of_two_verifications_the_one_with_the_higher_offset_holds_for_all() {
    let (mut a, mut log) = (Side::new(), Log::default());
    let ids = [
        registered(&mut a, &mut log, e(), at("10:00:00")),
        registered(&mut a, &mut log, v(), at("10:00:01")),
    ];
    let registrations = ids.map(|id| a.registration(id, at("10:00:02")).unwrap());
    for (id, registration) in ids.into_iter().zip(registrations) {
        let request = contract::request_id::RequestId::random();
        let (event, _) = a.desk().verification(id, registration, request, at("10:01:00"));
        log.write(&event, at("10:01:00"));
    }
    let whose = |log: &Log| log.verified().last().unwrap().first_name.as_str().to_owned();
    assert_eq!(whose(&log), "Ada");
    log.compact(at("23:00:00"));
    assert_eq!((log.verified().len(), whose(&log)), (1, "Ada".to_owned()));
}

#[test]
fn a_verified_account_gets_one_notice_a_window() {
    let (mut side, mut log) = (Side::new(), Log::default());
    side.desk().view.verify(side.account(V), Timestamp::MIN, at("09:00:00"));
    for second in 0..2 * 3_600 {
        registered(&mut side, &mut log, e(), seconds_after(at("10:00:00"), second));
    }
    assert_eq!((log.notices, log.mails.len()), (2, 0));
}

#[test]
fn mails_that_come_late_hold_a_code_that_is_right() {
    let (mut side, mut log) = (Side::new(), Log::default());
    let mut ids = vec![registered(&mut side, &mut log, v(), at("10:00:00"))];
    for time in ["10:02:00", "10:06:30", "10:15:00", "10:32:00"] {
        let (id, seen) = side.resend(&mut log, *ids.last().unwrap(), at(time));
        assert!(matches!(seen, Seen::Accepted { .. }), "{time} {seen:?}");
        ids.push(id);
    }
    assert!(log.mails.iter().all(|(_, mail)| mail.expires_at == at("11:15:00")));
    let code = side.code(log.newest(V));
    for id in ids {
        assert_eq!(side.verify(&mut log, id, &code, at("10:41:00")), Seen::Verified);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever two people do, and whenever a replica starts: it knows what a replica knows that ran all the time.
    #[test]
    fn a_replica_that_starts_knows_what_one_knows_that_ran(
        steps in prop::collection::vec((0..5_u8, 0..6_usize, 1..900_i64), 1..60),
        order in Just(TOPICS).prop_shuffle(),
    ) {
        let (mut ran, mut log, mut ids) = (Side::new(), Log::default(), Vec::new());
        let mut codes = ran.wrong_codes(V);
        let mut now = at("08:00:00");
        let mut half_way = None;
        let middle = steps.len() / 2;
        for (number, (step, pick, pause)) in steps.into_iter().enumerate() {
            now = seconds_after(now, pause);
            let id = ids.get(pick % ids.len().max(1)).copied();
            match (step, id) {
                (0, _) | (_, None) => ids.push(ran.register(&mut log, if pick % 2 == 0 { v() } else { e() }, now).0),
                (1, Some(id)) => { ran.verify(&mut log, id, &codes.next().unwrap(), now); }
                (2, Some(id)) if !log.mails.is_empty() => {
                    let code = ran.code(log.newest(V));
                    ran.verify(&mut log, id, &code, now);
                }
                (3, Some(id)) => { let (id, _) = ran.resend(&mut log, id, now); ids.push(id); }
                (4, Some(_)) if pick == 0 => log.forget(ran.account(V), now),
                _ => {}
            }
            if number == middle {
                half_way = Some(Side::started(&log, order, now, RULES));
            }
        }
        ran.read_all(&log, now);
        let mut half_way = half_way.unwrap();
        half_way.read_all(&log, now);
        let fresh = Side::started(&log, order, now, RULES);
        let account = ran.account(V);
        let known = |side: &Side| {
            side.desk().view.tidy(now, true);
            let accounts = side.desk().view.look_at(account, |account, is_verified| {
                let mut account = account.clone();
                account.tidy(now, true, &RULES);
                (account, is_verified)
            });
            let alive: Vec<_> = ids.iter().map(|id| side.registration(*id, now)).collect();
            let is_alive = |id| side.registration(id, now).is_some();
            (accounts.0.in_fixed_order(now, &RULES, &is_alive), accounts.1, alive)
        };
        prop_assert_eq!(known(&ran), known(&fresh));
        prop_assert_eq!(known(&ran), known(&half_way));
    }
}

/// The registration has four guesses in window 9, and two at once in window 11, shortly before it is over. The sixth is beyond its budget.
#[test]
fn a_replica_that_starts_counts_no_guess_of_a_window_that_was_beyond_the_budget_of_its_registration() {
    let (mut ran, mut log) = (Side::new(), Log::default());
    let id = registered(&mut ran, &mut log, e(), at("09:50:00"));
    let mut codes = ran.wrong_codes(V);
    for _ in 0..4 {
        assert!(matches!(
            ran.verify(&mut log, id, &codes.next().unwrap(), at("09:51:00")),
            Seen::WrongCode(_)
        ));
    }
    let registration = ran.registration(id, at("11:02:00")).unwrap();
    for code in codes.take(2) {
        let request = contract::request_id::RequestId::random();
        let attempt = ran.desk().guess(id, &registration, &code, request, at("11:02:00")).unwrap();
        log.write(&Event::Attempt(attempt), at("11:02:00"));
    }
    ran.read_all(&log, at("11:02:01"));

    let now = at("12:10:00");
    let fresh = Side::started(&log, TOPICS, now, RULES);
    let counted = |side: &Side| {
        side.desk().view.look_at(side.account(V), |account, _| {
            format!("{:?}", account.in_fixed_order(now, &RULES, &|_| false))
        })
    };
    assert_eq!(counted(&ran).matches("EventId").count(), 1);
    assert_eq!(counted(&fresh), counted(&ran));
}

#[test]
fn what_is_mailed_is_decided_by_the_place_and_by_what_is_known() {
    let (mut side, mut log) = (Side::new(), Log::default());
    let mailing = |log: &mut Log, side: &mut Side, time: &str| {
        let (id, _) = side.register(log, v(), at(time));
        log.mailing_of(id)
    };
    assert_eq!(mailing(&mut log, &mut side, "10:00:00"), (Mailing::FirstCode, 1));
    assert_eq!(mailing(&mut log, &mut side, "10:00:59"), (Mailing::Nothing, 1));
    assert_eq!(mailing(&mut log, &mut side, "10:01:00"), (Mailing::FurtherCode, 2));
    let code = side.code(log.newest(V));
    let (id, _) = side.register(&mut log, v(), at("10:01:01"));
    assert_eq!(side.verify(&mut log, id, &code, at("10:02:00")), Seen::Verified);
    assert_eq!(mailing(&mut log, &mut side, "10:03:00"), (Mailing::Nothing, 3), "a place that mails nothing");
    assert_eq!(mailing(&mut log, &mut side, "10:59:59"), (Mailing::Nothing, 4));
    assert_eq!(
        mailing(&mut log, &mut side, "11:00:30"),
        (Mailing::Nothing, 0),
        "within the cool-down after any other"
    );
    assert_eq!(mailing(&mut log, &mut side, "11:00:59"), (Mailing::Notice, 1));
}
