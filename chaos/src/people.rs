//! The people of a round, when they come and what they do: a pure function of the seed and the length.

use crate::{
    evidence::Person,
    schedule::{REPLICAS, generator},
};
use rand::RngExt;
use std::time::Duration;

/// Local parts of addresses that the mail server refuses: for good, for now twice, and for now each time.
pub(crate) const REFUSED: &str = "refused";
pub(crate) const GREYLISTED: &str = "grey";
pub(crate) const FULL: &str = "full";

/// Signups per second.
const PER_SECOND: u64 = 12;
/// The people's generators begin with this part of the seed, behind those of the lanes.
const FIRST_PART: usize = 1_000;
/// First and last names. No word of them occurs elsewhere in a mail.
const OWNERS: [(&str, &str); 6] = [
    ("Augusta", "Lovelace-King"),
    ("Zoë", "Brontë"),
    ("Łukasz", "Żółkiewski"),
    ("Anne-Marie", "O’Neill Jr."),
    ("Gabriel José", "García Márquez"),
    ("小龙", "欧阳"),
];
/// The names that strangers enter, hoping that the owner of the address reads them.
const STRANGERS: [(&str, &str); 3] =
    [("Jackpot", "Lottery"), ("Prizes Waiting", "Casino"), ("Hurry", "Telephone Quickly")];

/// One person's plan.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The time since the start of the schedule.
    pub(crate) arrives: Duration,
    pub(crate) person: Person,
    pub(crate) habit: Habit,
    /// A stranger who registers the same address, too: before, meanwhile and with tags.
    pub(crate) besieged_by: Option<Person>,
    /// The replica of the first request.
    pub(crate) replica: usize,
    /// Presses each button twice.
    pub(crate) double_clicks: bool,
    /// Disconnects this long after the first request, and comes back.
    pub(crate) disconnects: Option<Duration>,
    /// Asks for another mail although one has arrived.
    pub(crate) wants_another: bool,
    /// The number of wrong codes before the right one.
    pub(crate) typos: usize,
    /// Uses the link instead of the code.
    pub(crate) uses_link: bool,
    /// The first wrong code.
    pub(crate) wrong_code: u32,
}

/// What a person intends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Habit {
    /// To verify.
    Verifies,
    /// Never to come back.
    Abandons,
    /// To guess the code many times at once, at all replicas, and then to verify.
    Guesses,
    /// To verify, to be forgotten, and to verify again.
    IsForgotten,
    /// To verify, and to register again.
    ComesBack,
    /// To try an expired code, and then to verify properly.
    ComesLate,
}

/// All people of a round of this length.
pub(crate) fn plan(seed: u64, length: Duration) -> Vec<Plan> {
    let step = Duration::from_millis(1_000 / PER_SECOND);
    let count = usize::try_from(length.as_millis() / step.as_millis().max(1)).unwrap_or(usize::MAX);
    (0..count).map(|number| one(seed, number, step * u32::try_from(number).unwrap_or(u32::MAX))).collect()
}

fn one(seed: u64, number: usize, arrives: Duration) -> Plan {
    let mut random = generator(seed, FIRST_PART + number);
    let name = match random.random_range(0..100) {
        0..3 => REFUSED,
        3..7 => GREYLISTED,
        7..8 => FULL,
        _ => "person",
    };
    let habit = match random.random_range(0..100) {
        0..6 => Habit::Abandons,
        6..10 => Habit::Guesses,
        10..16 => Habit::ComesBack,
        16..20 => Habit::ComesLate,
        20..24 => Habit::IsForgotten,
        _ => Habit::Verifies,
    };
    let pause = Duration::from_millis(random.random_range(0..60));
    let (first_name, last_name) = OWNERS[random.random_range(0..OWNERS.len())];
    let locale = if random.random_ratio(1, 3) { "de" } else { "en" };
    let (stranger_first, stranger_last) = STRANGERS[random.random_range(0..STRANGERS.len())];
    // Another spelling of the same address, and another language.
    let stranger = Person {
        first_name: stranger_first,
        last_name: stranger_last,
        email: format!("{name}{number}.mail@example.com"),
        locale: if locale == "de" { "en" } else { "de" },
    };
    Plan {
        arrives,
        person: Person { first_name, last_name, email: format!("{name}{number}.Mail@example.com"), locale },
        habit,
        besieged_by: random.random_ratio(1, 10).then_some(stranger),
        replica: random.random_range(0..REPLICAS),
        double_clicks: random.random_ratio(1, 8),
        disconnects: random.random_ratio(1, 8).then_some(pause),
        wants_another: random.random_ratio(1, 8),
        typos: if random.random_ratio(1, 5) { random.random_range(1..4) } else { 0 },
        uses_link: random.random_ratio(1, 6),
        wrong_code: random.random_range(0..1_000_000),
    }
}

/// Every word of every name.
pub(crate) fn words() -> impl Iterator<Item = &'static str> {
    let names = OWNERS.into_iter().chain(STRANGERS);
    names.flat_map(|(first, last)| first.split(' ').chain(last.split(' ')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{email_address::EmailAddress, person_name::PersonName};

    #[test]
    fn the_same_seed_brings_the_same_people_in_the_same_order() {
        let length = Duration::from_secs(60);
        let text = |seed| format!("{:?}", plan(seed, length));
        assert_eq!(text(7), text(7));
        assert_ne!(text(7), text(8));
        let people = plan(7, length);
        assert!(people.iter().all(|plan| plan.arrives < length));
        assert!(people.iter().any(|plan| plan.habit == Habit::Guesses));
        assert!(people.iter().any(|plan| plan.besieged_by.is_some()));
    }

    #[test]
    fn names_are_kept_as_they_are_and_a_stranger_enters_the_same_address_with_other_data() {
        for plan in plan(7, Duration::from_secs(60)) {
            for person in std::iter::once(&plan.person).chain(&plan.besieged_by) {
                for name in [person.first_name, person.last_name] {
                    assert_eq!(PersonName::parse(name).unwrap().as_str(), name);
                }
            }
            let normalised = |person: &Person| EmailAddress::parse(&person.email).unwrap().normalised();
            if let Some(stranger) = &plan.besieged_by {
                assert_eq!(normalised(stranger), normalised(&plan.person));
                assert_ne!(stranger.email, plan.person.email);
            }
        }
    }
}
