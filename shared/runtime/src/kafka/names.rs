//! The names of topics and consumer groups in Kafka: the contract's, each behind the prefix of this installation.
//!
//! They are decided here alone. Metrics, log fields and the places of records in headers have the
//! contract's names, whatever the prefix: dashboards and alerts are the same in every installation.

use contract::topic::Topic;
use std::fmt;

/// The longest name of a topic in Kafka is 249 octets. This leaves room for the longest one of the contract.
const LONGEST: usize = 200;

/// The names behind one prefix. The default has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    prefix: String,
}

impl Names {
    /// Reads a prefix. It must end with a separator. Otherwise an ACL for all names that begin with `team` would also
    /// cover the topics of `team2`.
    ///
    /// # Errors
    /// What is expected instead.
    pub(super) fn parse(prefix: &str) -> Result<Self, &'static str> {
        let is_separator = |character| matches!(character, '.' | '_' | '-');
        let fits = prefix.len() <= LONGEST
            && prefix.chars().all(|it| it.is_ascii_alphanumeric() || is_separator(it))
            && prefix.starts_with(|it: char| it.is_ascii_alphanumeric())
            && prefix.ends_with(is_separator);
        if fits {
            Ok(Self { prefix: prefix.to_owned() })
        } else {
            Err(
                "a letter or a digit, then letters, digits, dots, underscores and hyphens, the last a dot, underscore or hyphen: team-a. (200 characters at most)",
            )
        }
    }

    /// The name of a topic in Kafka.
    #[must_use]
    pub fn topic(&self, topic: Topic) -> String {
        self.group(topic.name())
    }

    /// As [`Names::topic`], for a text that may never be written.
    pub fn shown(&self, topic: Topic) -> impl fmt::Display {
        fmt::from_fn(move |f| write!(f, "{}{}", self.prefix, topic.name()))
    }

    /// The topic with this name in Kafka, if it is one of this installation's.
    #[must_use]
    pub fn topic_of(&self, name: &str) -> Option<Topic> {
        Topic::from_name(name.strip_prefix(&self.prefix)?)
    }

    /// The name in Kafka of the consumer group that this installation calls so.
    #[must_use]
    pub fn group(&self, group: &str) -> String {
        format!("{}{group}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_the_topics_of_their_own_prefix_alone() {
        let [none, a, b] = ["", "team-a.", "team-b."]
            .map(|prefix| if prefix.is_empty() { Names::default() } else { Names::parse(prefix).unwrap() });
        assert_eq!(none.topic(Topic::Created), "user_account_created");
        assert_eq!(a.topic(Topic::Created), "team-a.user_account_created");
        assert_eq!(a.group("notification-service"), "team-a.notification-service");
        for topic in Topic::ALL {
            for names in [&none, &a, &b] {
                assert_eq!(names.topic_of(&names.topic(topic)), Some(topic));
                assert_eq!(names.shown(topic).to_string(), names.topic(topic));
            }
            for (names, others) in [(&none, &a), (&a, &none), (&a, &b)] {
                assert_eq!(names.topic_of(&others.topic(topic)), None);
            }
        }
    }

    #[test]
    fn a_prefix_makes_a_valid_name_that_begins_like_no_other_teams() {
        let longest = format!("{}.", "x".repeat(LONGEST - 1));
        for prefix in ["a.", "Team-a_", "1-", "acme.signup.prod.", &longest] {
            let names = Names::parse(prefix).unwrap();
            assert!(Topic::ALL.iter().all(|topic| names.topic(*topic).len() <= 249));
        }
        let too_long = format!("x{longest}");
        for prefix in ["team", ".", "..", "-a.", "__", "a b.", "a/.", "ä.", "a.\n", "a,", &too_long] {
            Names::parse(prefix).unwrap_err();
        }
    }
}
