//! What goes wrong, when, and for how long: a pure function of the seed. The faults of one lane do not overlap; those of different
//! lanes do.

use crate::{
    random::{Random, generator},
    setup::Setup,
};
use rand::{Rng, RngExt, seq::SliceRandom};
use std::{ops::Range, time::Duration};

/// One fault and its place in time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Planned {
    pub(crate) at: Duration,
    /// Until it is mended.
    pub(crate) lasts: Duration,
    pub(crate) fault: Fault,
}

/// What fails. Numbers are those of services; without one it fails for all, user services included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fault {
    Process(usize, ProcessFault),
    Link(Option<usize>, Link),
    /// A mail server, or all of them, towards a notification service, or all.
    Mail {
        server: Option<usize>,
        service: Option<usize>,
        mood: Mood,
    },
    Group(usize, GroupFault),
    /// Commits of this service.
    Commits(usize, CommitFault),
    /// Its wall clock differs by this many milliseconds from the true time, from now on.
    Clock(usize, i64),
    /// A user service.
    User(usize, ProcessFault),
    /// A user service's way to the broker.
    UserLink(usize, Link),
    /// A user service's wall clock.
    UserClock(usize, i64),
}

/// How a process fails.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum ProcessFault {
    /// SIGKILL; started again at the end.
    Kill,
    /// SIGTERM; started again at the end, or when it has ended.
    Stop,
    /// SIGSTOP; SIGCONT at the end.
    Freeze,
}

/// What the way to the broker does.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(crate) enum Link {
    Up,
    /// Seconds go by in each direction.
    Slow,
    /// Half of the records that a user service writes are lost, or come late: the leaders of some partitions are away.
    Lossy,
    /// What a service sends arrives, and it learns nothing of that.
    AnswersLost,
    Down,
}

impl Link {
    /// The worst of several faults at a time.
    pub(crate) fn worst(faults: &[(usize, Self)]) -> Self {
        let links = faults.iter().map(|(_, link)| *link);
        links.fold(Self::Up, |worst, link| if link > worst { link } else { worst })
    }
}

/// What the coordinator of the group does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum GroupFault {
    /// It forgets the member.
    Expel,
    /// It shares all partitions anew.
    Rebalance,
    /// The topics change, and the member's client joins again although it has no answer to the revocation.
    JoinAgain,
}

/// What becomes of a commit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum CommitFault {
    /// It is refused.
    Refused,
    /// It is carried out, and the answer is an error.
    AnswerLost,
    /// It arrives seconds later.
    Late,
}

/// What a mail server does with everybody.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Mood {
    /// What each recipient deserves.
    Fair,
    /// Nobody listens.
    Away,
    /// A connection, and no greeting.
    NoGreeting,
    /// No answer to the recipient.
    Silent,
    /// It takes the mail, and does not answer.
    TakesSilently,
    /// It takes the mail, and closes the connection.
    TakesAndDrops,
    /// It closes the connection before it has taken the mail.
    Drops,
    /// It refuses us, and says so when it knows the recipient.
    Unwelcome,
    /// 421, whatever is said.
    Closing,
    /// It refuses all recipients for now (false), or for good without a reason (true).
    RefusesAll { for_good: bool },
    /// It does not like the content of any mail.
    DislikesAll,
    /// It takes this many seconds for each mail.
    Slow(u64),
}

/// A duration in this range of milliseconds.
pub(crate) fn milliseconds(random: &mut impl Rng, range: Range<u64>) -> Duration {
    Duration::from_millis(random.random_range(range))
}

/// All faults of a run, by their time.
pub(crate) fn plan(seed: u64, setup: &Setup) -> Vec<Planned> {
    let mut random = generator(seed, 0);
    let services = || 0..setup.scale.services;
    let processes = [ProcessFault::Kill, ProcessFault::Stop, ProcessFault::Freeze];
    let links = |who| [Link::Slow, Link::AnswersLost, Link::Down].map(|link| Fault::Link(who, link)).to_vec();
    let mail = |service| moods().map(|mood| Fault::Mail { server: None, service, mood }).to_vec();
    let commits = [CommitFault::Refused, CommitFault::AnswerLost, CommitFault::Late];
    let group = [GroupFault::Expel, GroupFault::Rebalance, GroupFault::JoinAgain];
    let mut lanes = vec![(links(None), 500..20_000), (mail(None), 1_000..60_000)];
    for service in services() {
        lanes.push((processes.map(|fault| Fault::Process(service, fault)).to_vec(), 200..30_000));
        lanes.push((links(Some(service)), 500..20_000));
        lanes.push((mail(Some(service)), 1_000..30_000));
        lanes.push((commits.map(|fault| Fault::Commits(service, fault)).to_vec(), 200..15_000));
        lanes.push((group.map(|fault| Fault::Group(service, fault)).to_vec(), 1..2));
        let clock = Fault::Clock(service, random.random_range(-setup.skew()..=setup.skew()));
        lanes.push((vec![clock], 1..2));
    }
    for user in 0..setup.scale.users {
        lanes.push((processes.map(|fault| Fault::User(user, fault)).to_vec(), 200..30_000));
        let ways =
            [Link::Slow, Link::Lossy, Link::AnswersLost, Link::Down].map(|link| Fault::UserLink(user, link));
        lanes.push((ways.to_vec(), 200..20_000));
        let clock = Fault::UserClock(user, random.random_range(-setup.skew()..=setup.skew()));
        lanes.push((vec![clock], 1..2));
    }
    let longest = if setup.is_light { 150_000 } else { 600_000 };
    let mut faults = Vec::new();
    for (kinds, lasts) in lanes {
        // In some runs a kind of fault is frequent, in others it hardly happens.
        let calm = milliseconds(&mut random, 5_000..longest);
        faults.extend(lane(&mut random, &kinds, lasts, calm, setup.faults_for));
    }
    if setup.servers.len() > 1 {
        let mut random = generator(seed, 5);
        share_among_servers(&mut random, &mut faults, setup.servers.len());
        for server in 0..setup.servers.len() {
            let kinds = moods().map(|mood| Fault::Mail { server: Some(server), service: None, mood });
            let calm = milliseconds(&mut random, 5_000..longest);
            faults.extend(lane(&mut random, &kinds, 1_000..240_000, calm, setup.faults_for));
        }
    }
    faults.sort_by_key(|planned| planned.at);
    faults
}

/// Most faults of the mail servers hit one of them, the others all.
fn share_among_servers(random: &mut Random, faults: &mut [Planned], servers: usize) {
    for planned in faults {
        if let Fault::Mail { server, .. } = &mut planned.fault {
            *server = random.random_bool(0.7).then(|| random.random_range(0..servers));
        }
    }
}

fn lane(
    random: &mut Random,
    kinds: &[Fault],
    lasts: Range<u64>,
    calm: Duration,
    length: Duration,
) -> Vec<Planned> {
    let (mut lane, mut bag) = (Vec::new(), Vec::new());
    let mut at = Duration::ZERO;
    loop {
        if bag.is_empty() {
            bag = kinds.to_vec();
            bag.shuffle(random);
        }
        at += calm.mul_f64(random.random_range(0.0..2.0));
        let lasts = milliseconds(random, lasts.clone());
        let Some(fault) = bag.pop().filter(|_| at + lasts < length) else { return lane };
        lane.push(Planned { at, lasts, fault });
        at += lasts;
    }
}

fn moods() -> [Mood; 14] {
    [
        Mood::Away,
        Mood::NoGreeting,
        Mood::Silent,
        Mood::TakesSilently,
        Mood::TakesAndDrops,
        Mood::Drops,
        Mood::Unwelcome,
        Mood::Closing,
        Mood::RefusesAll { for_good: false },
        Mood::RefusesAll { for_good: true },
        Mood::DislikesAll,
        Mood::Slow(1),
        Mood::Slow(10),
        Mood::Slow(25),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::Scale;
    use std::mem::{Discriminant, discriminant};

    #[test]
    fn eighty_seeds_have_every_kind_of_fault_and_all_end_in_time() {
        let (mut moods_seen, mut servers_seen, mut processes, mut others) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::<Discriminant<Fault>>::new());
        for seed in 0..80 {
            let setup = Setup::new(seed, Scale { services: 2, users: 2, short: false });
            let faults = plan(seed, &setup);
            assert_eq!(faults, plan(seed, &setup));
            for Planned { at, lasts, fault } in faults {
                assert!(at + lasts < setup.faults_for);
                others.push(discriminant(&fault));
                match fault {
                    Fault::Mail { server, mood, .. } => {
                        moods_seen.push(mood);
                        servers_seen.push(server);
                    }
                    Fault::Process(service, fault) => processes.push((service, fault)),
                    _ => {}
                }
            }
        }
        assert!(moods().iter().all(|mood| moods_seen.contains(mood)));
        assert!([None, Some(0), Some(1), Some(2)].iter().all(|server| servers_seen.contains(server)));
        for fault in [ProcessFault::Kill, ProcessFault::Stop, ProcessFault::Freeze] {
            assert!((0..2).all(|service| processes.contains(&(service, fault))));
        }
        others.sort_by_key(|kind| format!("{kind:?}"));
        others.dedup();
        assert_eq!(others.len(), 9);
    }
}
