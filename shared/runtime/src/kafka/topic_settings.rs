//! What is wrong with a topic that somebody else has made or changed, and the command that mends it.
//!
//! Pure: the settings that the brokers show go in, problems come out. A setting that they don't show is not judged.

use super::watch::TopicShape;
use contract::topic::Topic;
use std::{
    collections::BTreeMap,
    fmt::{self, Write},
    time::Duration,
};

/// In bytes; every event is smaller.
const LARGEST_EVENT: i64 = 64 * 1024;
/// The value of `retention.ms` and `retention.bytes` when nothing is deleted.
const UNLIMITED: i64 = -1;

/// A topic's settings as the brokers show them, including their defaults.
pub(super) type Found = BTreeMap<String, String>;

/// All that is wrong with one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Judgement {
    /// Its name in Kafka.
    name: String,
    problems: Vec<Problem>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Problem {
    breaks_promise: bool,
    setting: &'static str,
    found: String,
    expected: String,
    consequence: &'static str,
}

impl Judgement {
    /// Judges a topic's settings. `least_retention`: how long a record must stay to be read.
    pub(super) fn of(
        topic: Topic,
        name: String,
        shape: TopicShape,
        found: &Found,
        least_retention: Duration,
    ) -> Self {
        let replicas = i32::try_from(shape.replicas).unwrap_or(i32::MAX);
        let mut expected = topic.settings(replicas);
        // Not set when a topic is made, because they are the brokers' defaults.
        if !topic.takes_copies() {
            expected.push(("max.message.bytes", LARGEST_EVENT.to_string()));
        }
        if topic.retention().is_some() {
            expected.push(("retention.bytes", UNLIMITED.to_string()));
        }
        if replicas > 1 {
            expected.push(("unclean.leader.election.enable", "false".to_owned()));
        }
        let problems = expected.into_iter().filter_map(|(setting, expected)| {
            let found = found.get(setting)?.clone();
            let (breaks_promise, consequence) =
                consequence(topic, setting, &found, &expected, replicas, least_retention)?;
            Some(Problem { breaks_promise, setting, found, expected, consequence })
        });
        let mut problems: Vec<_> = problems.collect();
        // The worst first.
        problems.sort_by_key(|problem| !problem.breaks_promise);
        Self { name, problems }
    }

    pub(super) fn is_flawless(&self) -> bool {
        self.problems.is_empty()
    }

    /// The problems that break a promise, if there are any.
    pub(super) fn broken_promises(&self) -> Option<Self> {
        let problems: Vec<_> = self.problems.iter().filter(|it| it.breaks_promise).cloned().collect();
        (!problems.is_empty()).then(|| Self { name: self.name.clone(), problems })
    }

    /// The command that corrects all problems.
    pub(super) fn command(&self, brokers: &str) -> String {
        let settings: Vec<_> =
            self.problems.iter().map(|it| format!("{}={}", it.setting, it.expected)).collect();
        format!(
            "kafka-configs.sh --bootstrap-server {brokers} --alter --entity-type topics --entity-name {} --add-config {}",
            self.name,
            settings.join(",")
        )
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        let mut separator = ':';
        for Problem { setting, found, expected, consequence, .. } in &self.problems {
            f.write_char(std::mem::replace(&mut separator, ';'))?;
            write!(f, " {setting} is {found}, expected {expected} ({consequence})")?;
        }
        Ok(())
    }
}

/// The consequence of a setting, and whether it breaks a promise; `None` when the setting is fine.
fn consequence(
    topic: Topic,
    setting: &str,
    found: &str,
    expected: &str,
    replicas: i32,
    least_retention: Duration,
) -> Option<(bool, &'static str)> {
    let (number, wanted) = (found.parse::<i64>().ok(), expected.parse::<i64>().ok());
    let below = |least: Option<i64>| number.zip(least).is_some_and(|(number, least)| number < least);
    match setting {
        "cleanup.policy" => (found.trim() != expected).then_some((
            true,
            match topic {
                Topic::Verified => "verified accounts must stay, and forgotten ones must go",
                _ => "records are dropped that other records of the same account do not replace",
            },
        )),
        "retention.ms" if number == Some(UNLIMITED) => None,
        "retention.ms" if below(i64::try_from(least_retention.as_millis()).ok()) => {
            Some((true, "records are deleted before they are read"))
        }
        "retention.ms" => below(wanted).then_some((false, "less time to repair and to subscribe")),
        "retention.bytes" => {
            (number != wanted).then_some((false, "under load records are deleted before they are read"))
        }
        "max.message.bytes" => {
            below(wanted).then_some((true, "larger records are refused and tried again without end"))
        }
        "min.insync.replicas" if replicas > 2 && below(Some(2)) => {
            Some((true, "what was acknowledged may be on one broker alone"))
        }
        "min.insync.replicas" if below(wanted) => Some((false, "fewer copies than were asked for")),
        "min.insync.replicas" => (replicas > 1 && number.is_some_and(|number| number >= replicas.into()))
            .then_some((false, "nothing can be written while one broker is away")),
        "segment.ms" | "max.compaction.lag.ms" => {
            (number > wanted).then_some((false, "personal data stay longer than docs/events.md says"))
        }
        "message.timestamp.type" => (found != expected)
            .then_some((true, "a process whose clock is wrong can't be told from one whose clock is right")),
        "min.compaction.lag.ms" | "delete.retention.ms" if below(wanted) => {
            Some((true, "a replica that starts does not learn that an account was forgotten"))
        }
        "compression.type" => {
            (found != expected).then_some((false, "a small batch can be more than a reader has memory for"))
        }
        "unclean.leader.election.enable" => (found != expected)
            .then_some((false, "a broker that lags behind may lead and drop what was acknowledged")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);
    const ONE: TopicShape = TopicShape { partitions: 6, replicas: 1 };
    const THREE: TopicShape = TopicShape { partitions: 6, replicas: 3 };

    /// The settings as the services make them, on a broker with Kafka's defaults, except for these.
    fn found(topic: Topic, shape: TopicShape, changes: &[(&str, &str)]) -> Found {
        let defaults = [
            ("max.message.bytes", "1048588"),
            ("retention.bytes", "-1"),
            ("unclean.leader.election.enable", "false"),
        ];
        let made = topic.settings(i32::try_from(shape.replicas).unwrap());
        let made = made.iter().map(|(name, value)| (*name, value.as_str()));
        let all = defaults.into_iter().chain(made).chain(changes.iter().copied());
        all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    fn judge(topic: Topic, shape: TopicShape, changes: &[(&str, &str)]) -> Judgement {
        Judgement::of(topic, topic.name().to_owned(), shape, &found(topic, shape, changes), HOUR)
    }

    #[test]
    fn topics_are_made_without_a_flaw() {
        for topic in Topic::ALL {
            for replicas in 1..=5 {
                let judgement = judge(topic, TopicShape { partitions: 3, replicas }, &[]);
                assert!(judgement.is_flawless(), "{judgement}");
            }
        }
    }

    #[test]
    fn settings_that_break_a_promise_are_errors_and_worse_ones_are_warnings() {
        let grave = true;
        let cases = [
            (grave, Topic::Verified, ONE, ("cleanup.policy", "delete")),
            (grave, Topic::Verified, ONE, ("cleanup.policy", "compact,delete")),
            (grave, Topic::Activity, ONE, ("cleanup.policy", "compact")),
            (grave, Topic::Created, ONE, ("cleanup.policy", "delete,compact")),
            (grave, Topic::MailRetry, ONE, ("cleanup.policy", "")),
            (grave, Topic::Created, ONE, ("retention.ms", "30000")),
            (grave, Topic::Activity, ONE, ("retention.ms", "0")),
            (!grave, Topic::Created, ONE, ("retention.ms", "86400000")),
            (!grave, Topic::DeadLetter, ONE, ("retention.bytes", "1000000000")),
            (grave, Topic::DeadLetter, ONE, ("max.message.bytes", "1048588")),
            (grave, Topic::MailRetry, ONE, ("max.message.bytes", "1048588")),
            (grave, Topic::Created, ONE, ("max.message.bytes", "1000")),
            (grave, Topic::Verified, THREE, ("min.insync.replicas", "1")),
            (!grave, Topic::Verified, THREE, ("min.insync.replicas", "3")),
            (!grave, Topic::Created, TopicShape { partitions: 6, replicas: 5 }, ("min.insync.replicas", "2")),
            (!grave, Topic::Created, THREE, ("unclean.leader.election.enable", "true")),
            (!grave, Topic::Created, ONE, ("segment.ms", "604800000")),
            (grave, Topic::Created, ONE, ("message.timestamp.type", "CreateTime")),
            (grave, Topic::Verified, ONE, ("min.compaction.lag.ms", "0")),
            (grave, Topic::Verified, ONE, ("delete.retention.ms", "86400000")),
            (!grave, Topic::Created, ONE, ("compression.type", "producer")),
            (!grave, Topic::Verified, ONE, ("max.compaction.lag.ms", "9223372036854775807")),
        ];
        for (breaks_promise, topic, shape, change) in cases {
            let judgement = judge(topic, shape, &[change]);
            assert!(!judgement.is_flawless(), "{topic:?} {change:?}");
            assert_eq!(judgement.broken_promises().is_some(), breaks_promise, "{judgement}");
        }
    }

    #[test]
    fn what_keeps_every_promise_is_left_alone() {
        for (topic, shape, change) in [
            (Topic::Created, ONE, ("retention.ms", "-1")),
            (Topic::Activity, ONE, ("retention.ms", "9223372036854775807")),
            (Topic::Created, ONE, ("max.message.bytes", "10485880")),
            (Topic::Created, ONE, ("segment.ms", "600000")),
            (Topic::Created, ONE, ("min.insync.replicas", "2")),
            (Topic::Created, ONE, ("unclean.leader.election.enable", "true")),
            (Topic::Verified, ONE, ("retention.ms", "1000")),
            (Topic::Verified, ONE, ("min.compaction.lag.ms", "259200000")),
            (Topic::MailRetry, ONE, ("message.timestamp.type", "CreateTime")),
        ] {
            let judgement = judge(topic, shape, &[change]);
            assert!(judgement.is_flawless(), "{judgement}");
        }
    }

    #[test]
    fn a_setting_that_the_brokers_do_not_tell_is_not_judged() {
        assert!(Judgement::of(Topic::Verified, String::new(), ONE, &Found::new(), HOUR).is_flawless());
    }

    #[test]
    fn one_command_mends_all_of_a_topic() {
        let wrong = [("segment.ms", "604800000"), ("cleanup.policy", "delete")];
        let judgement = judge(Topic::Verified, ONE, &wrong);
        assert_eq!(
            judgement.to_string(),
            "user_account_verified: cleanup.policy is delete, expected compact (verified accounts must stay, and forgotten \
             ones must go); segment.ms is 604800000, expected 3600000 (personal data stay longer than docs/events.md says)"
        );
        assert_eq!(
            judgement.broken_promises().unwrap().to_string(),
            "user_account_verified: cleanup.policy is delete, expected compact (verified accounts must stay, and forgotten \
             ones must go)"
        );
        assert_eq!(
            judgement.command("kafka:9092"),
            "kafka-configs.sh --bootstrap-server kafka:9092 --alter --entity-type topics --entity-name user_account_verified \
             --add-config cleanup.policy=compact,segment.ms=3600000"
        );
        let mended = [("cleanup.policy", "compact"), ("segment.ms", "3600000")];
        assert!(judge(Topic::Verified, ONE, &mended).is_flawless());
    }
}
