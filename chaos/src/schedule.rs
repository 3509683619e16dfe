//! The faults of a round, with their times and lengths: a pure function of the seed and the length.
//!
//! ```text
//!   one lane for each thing that can fail: calm, fault, calm, fault, …   (lanes run side by side)
//! ```
//!
//! Each lane has its own generator and draws its faults from a shuffled bag, so that all kinds occur about equally often.
//! Nothing here depends on a clock or on how the system behaves.

use acceptance::proxy::LinkFault;
use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus, seq::SliceRandom};
use sandbox::smtp::Stage;
use std::{ops::Range, time::Duration};

/// Replicas of each service.
pub(crate) const REPLICAS: usize = 2;
/// The user services come first, then the notification services.
pub(crate) const SERVICES: usize = 2 * REPLICAS;

/// The faults of one thing. Faults of one lane do not overlap; those of different lanes do.
pub(crate) type Lane = Vec<Planned>;

/// One fault and its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Planned {
    /// The time since the start of the schedule.
    pub(crate) at: Duration,
    /// The time until it is mended.
    pub(crate) lasts: Duration,
    pub(crate) fault: Fault,
}

/// The part that fails. A number is that of a service; a mail link has the number of its notification service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Service(usize, ProcessFault),
    Broker(ProcessFault),
    Mail(MailFault),
    BrokerLink(usize, LinkFault),
    MailLink(usize, LinkFault),
    Garbage(Garbage),
    /// At this user service.
    Strangers(usize, Stranger),
}

/// How a process fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProcessFault {
    /// SIGKILL; started again at the end.
    Kill,
    /// SIGTERM; started again at the end.
    Terminate,
    /// SIGSTOP; SIGCONT at the end.
    Freeze,
}

/// How the mail server fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MailFault {
    /// The server does not listen, and all sessions are dropped.
    Away,
    /// Closes the connection at this stage.
    Disconnect(Stage),
    /// Answers with this code at this stage.
    Reply(Stage, u16),
    /// Sends no answer at this stage.
    Hang(Stage),
    /// Takes every third mail and closes the connection without a reply.
    DropAfterFinalDot,
    /// Takes this long to answer the final dot of each mail.
    Slow(Duration),
    /// Takes this many mails in a session, then refuses the next with 452.
    MailsPerSession(usize),
    /// Takes this many sessions at a time, and refuses the next with 421.
    Sessions(usize),
    /// Gives the usual answers with text in Latin-1.
    Latin1,
}

/// The kinds of forged and broken records. The module `garbage` makes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Garbage {
    FarTimes,
    FarNumbers,
    WrongTopic,
    /// A guess in windows that are not the clock's.
    FarWindows,
    WrongClock,
    /// With an account of another address.
    OtherAddress,
    OldVersion,
    /// More octets than an event has.
    Large,
    /// More octets than a dead letter can have.
    Oversized,
    Unreadable,
    /// Of a type that no present service knows.
    Unknown,
    /// A retry of another consumer group.
    OtherGroup,
    Null,
}

/// A stranger's abuse of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stranger {
    /// Sends many requests and reads no answer.
    ReadsNothing,
    /// Sends half of a request's body.
    SendsHalf,
}

/// All lanes of a round of this length.
pub(crate) fn plan(seed: u64, length: Duration) -> Vec<Lane> {
    use {LinkFault as Link, ProcessFault as Process};
    let processes = [Process::Kill, Process::Terminate, Process::Freeze];
    let services = (0..SERVICES).map(|number| {
        let kinds = processes.map(|fault| Fault::Service(number, fault));
        (kinds.to_vec(), Pace { calm: 8_000..30_000, fault: 200..9_000 })
    });
    let broker = (processes.map(Fault::Broker).to_vec(), Pace { calm: 25_000..60_000, fault: 500..10_000 });
    let mail = (mail_faults().map(Fault::Mail).collect(), Pace { calm: 2_000..12_000, fault: 500..8_000 });
    let links = |fault: fn(usize, LinkFault) -> Fault| {
        move |number| {
            let delay = Link::Delay(Duration::from_millis(40));
            let kinds = [delay, Link::Cut, Link::Swallow, Link::Stall].map(|link| fault(number, link));
            (kinds.to_vec(), Pace { calm: 20_000..50_000, fault: 500..8_000 })
        }
    };
    let broker_links = (0..SERVICES).map(links(Fault::BrokerLink));
    let mail_links = (REPLICAS..SERVICES).map(links(Fault::MailLink));

    let garbage = (GARBAGE.map(Fault::Garbage).to_vec(), Pace { calm: 3_000..9_000, fault: 1..2 });
    let strangers = (0..REPLICAS).map(|number| {
        let kinds = [Stranger::ReadsNothing, Stranger::SendsHalf].map(|kind| Fault::Strangers(number, kind));
        (kinds.to_vec(), Pace { calm: 10_000..30_000, fault: 5_000..15_000 })
    });

    let lanes = services.chain([broker, mail]).chain(broker_links).chain(mail_links);
    let lanes = lanes.chain([garbage]).chain(strangers);
    lanes
        .enumerate()
        .map(|(number, (kinds, pace))| lane(generator(seed, number), &kinds, &pace, length))
        .collect()
}

/// A generator of its own for each part of a round.
pub(crate) fn generator(seed: u64, part: usize) -> Xoshiro256PlusPlus {
    let part = u64::try_from(part).unwrap_or(u64::MAX);
    // An odd factor, so that no two parts of a round have the same seed.
    Xoshiro256PlusPlus::seed_from_u64(seed ^ part.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// Lengths in milliseconds.
struct Pace {
    calm: Range<u64>,
    fault: Range<u64>,
}

fn lane(mut random: Xoshiro256PlusPlus, kinds: &[Fault], pace: &Pace, length: Duration) -> Lane {
    let (mut lane, mut bag) = (Lane::new(), Vec::new());
    let mut at = Duration::from_millis(random.random_range(0..pace.calm.end));
    loop {
        if bag.is_empty() {
            bag = kinds.to_vec();
            bag.shuffle(&mut random);
        }
        let lasts = Duration::from_millis(random.random_range(pace.fault.clone()));
        let Some(fault) = bag.pop().filter(|_| at + lasts < length) else { return lane };
        lane.push(Planned { at, lasts, fault });
        at += lasts + Duration::from_millis(random.random_range(pace.calm.clone()));
    }
}

const GARBAGE: [Garbage; 13] = [
    Garbage::FarTimes,
    Garbage::FarNumbers,
    Garbage::WrongTopic,
    Garbage::FarWindows,
    Garbage::WrongClock,
    Garbage::OtherAddress,
    Garbage::OldVersion,
    Garbage::Large,
    Garbage::Oversized,
    Garbage::Unreadable,
    Garbage::Unknown,
    Garbage::OtherGroup,
    Garbage::Null,
];

/// The longest time to answer a final dot: longer than a stopping notification service waits.
pub(crate) const SLOWEST: Duration = Duration::from_secs(20);

fn mail_faults() -> impl Iterator<Item = MailFault> {
    use MailFault::{
        Away, Disconnect, DropAfterFinalDot, Hang, Latin1, MailsPerSession, Reply, Sessions, Slow,
    };
    const STAGES: [Stage; 6] =
        [Stage::Connect, Stage::Ehlo, Stage::Mail, Stage::Rcpt, Stage::Data, Stage::EndOfData];
    let anywhere = STAGES.into_iter().flat_map(|stage| [Disconnect(stage), Hang(stage), Reply(stage, 421)]);
    let single = [
        Away,
        Reply(Stage::Connect, 554),
        Reply(Stage::Mail, 550),
        Reply(Stage::Rcpt, 451),
        Reply(Stage::Rcpt, 452),
        Reply(Stage::Data, 451),
        Reply(Stage::EndOfData, 452),
        Reply(Stage::EndOfData, 554),
        DropAfterFinalDot,
        Slow(Duration::from_millis(300)),
        Slow(SLOWEST),
        MailsPerSession(3),
        Sessions(3),
        Latin1,
    ];
    anywhere.chain(single)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: Duration = Duration::from_secs(180);

    #[test]
    fn the_same_seed_makes_the_same_schedule_and_another_seed_another() {
        assert_eq!(plan(7, LENGTH), plan(7, LENGTH));
        assert_ne!(plan(7, LENGTH), plan(8, LENGTH));
        let lanes = plan(7, LENGTH);
        let times = |lane: &Lane| lane.iter().map(|planned| planned.at).collect::<Vec<_>>();
        assert_ne!(times(&lanes[0]), times(&lanes[1]), "each lane has a generator of its own");
    }

    #[test]
    fn faults_of_a_lane_follow_one_another_and_all_end_with_the_schedule() {
        for lane in (0..50).flat_map(|seed| plan(seed, LENGTH)) {
            for pair in lane.windows(2) {
                assert!(pair[0].at + pair[0].lasts < pair[1].at, "{pair:?}");
            }
            assert!(lane.iter().all(|planned| planned.at + planned.lasts < LENGTH));
        }
    }

    #[test]
    fn twenty_rounds_have_every_kind_of_fault() {
        let faults: Vec<Fault> =
            (0..20).flat_map(|seed| plan(seed, LENGTH)).flatten().map(|planned| planned.fault).collect();
        for fault in mail_faults() {
            assert!(faults.contains(&Fault::Mail(fault)), "{fault:?}");
        }
        for process in [ProcessFault::Kill, ProcessFault::Terminate, ProcessFault::Freeze] {
            assert!(faults.contains(&Fault::Broker(process)), "{process:?}");
            assert!((0..SERVICES).all(|number| faults.contains(&Fault::Service(number, process))));
        }
        for link in [LinkFault::Cut, LinkFault::Swallow, LinkFault::Stall] {
            assert!((0..SERVICES).all(|number| faults.contains(&Fault::BrokerLink(number, link))));
            assert!((REPLICAS..SERVICES).all(|number| faults.contains(&Fault::MailLink(number, link))));
        }
        assert!(GARBAGE.iter().all(|kind| faults.contains(&Fault::Garbage(*kind))));
        for stranger in [Stranger::ReadsNothing, Stranger::SendsHalf] {
            assert!((0..REPLICAS).all(|number| faults.contains(&Fault::Strangers(number, stranger))));
        }
    }
}
