//! A topic's settings, with Kafka's names, defaults and ranges. Settings without an effect here are refused.

use std::{collections::BTreeMap, str::FromStr};

/// The values that a setting takes. DescribeConfigs has numbers for these types.
enum Values {
    AtLeast(i64),
    OneOf(&'static [&'static str]),
    /// From 0 to 1.
    Ratio,
}

/// Name, default, values. The defaults are Kafka 4's.
const KNOWN: [(&str, &str, Values); 13] = [
    ("cleanup.policy", "delete", Values::OneOf(&["delete", "compact", "compact,delete", "delete,compact"])),
    // In either case batches are kept as they arrive.
    ("compression.type", "producer", Values::OneOf(&["producer", "uncompressed"])),
    ("delete.retention.ms", "86400000", Values::AtLeast(0)),
    ("max.compaction.lag.ms", "9223372036854775807", Values::AtLeast(1)),
    ("max.message.bytes", "1048588", Values::AtLeast(0)),
    ("message.timestamp.type", "CreateTime", Values::OneOf(&["CreateTime", "LogAppendTime"])),
    ("min.cleanable.dirty.ratio", "0.5", Values::Ratio),
    ("min.compaction.lag.ms", "0", Values::AtLeast(0)),
    ("min.insync.replicas", "1", Values::AtLeast(1)),
    ("retention.bytes", "-1", Values::AtLeast(-1)),
    ("retention.ms", "604800000", Values::AtLeast(-1)),
    ("segment.bytes", "1073741824", Values::AtLeast(1_048_576)),
    ("segment.ms", "604800000", Values::AtLeast(1)),
];

/// The valid settings of one topic.
#[derive(Clone, Debug)]
pub(in crate::broker) struct Settings {
    given: BTreeMap<String, String>,
    pub(in crate::broker) deletes: bool,
    pub(in crate::broker) compacts: bool,
    pub(in crate::broker) delete_retention_ms: i64,
    pub(in crate::broker) max_compaction_lag_ms: i64,
    pub(in crate::broker) min_compaction_lag_ms: i64,
    pub(in crate::broker) dirty_ratio: f64,
    pub(in crate::broker) max_message_bytes: i64,
    pub(in crate::broker) append_time: bool,
    pub(in crate::broker) min_insync_replicas: i64,
    /// `None` keeps everything.
    pub(in crate::broker) retention_ms: Option<i64>,
    pub(in crate::broker) retention_bytes: Option<u64>,
    pub(in crate::broker) segment_bytes: u64,
    pub(in crate::broker) segment_ms: i64,
}

/// A setting as DescribeConfigs shows it.
pub(in crate::broker) struct Described {
    pub(in crate::broker) name: &'static str,
    pub(in crate::broker) value: String,
    pub(in crate::broker) is_default: bool,
    /// The protocol's number of the type.
    pub(in crate::broker) kind: i8,
}

impl Settings {
    /// # Errors
    /// The text says which setting is wrong, and what it takes.
    pub(in crate::broker) fn parse(given: BTreeMap<String, String>) -> Result<Settings, String> {
        for (name, value) in &given {
            let Some((.., values)) = KNOWN.iter().find(|(known, ..)| known == name) else {
                return Err(format!("{name} is not a setting that this broker knows"));
            };
            values.check(value).map_err(|expected| format!("{name} is {value}; it takes {expected}"))?;
        }
        let policy = value(&given, "cleanup.policy");
        let min_compaction_lag_ms: i64 = number(&given, "min.compaction.lag.ms");
        let max_compaction_lag_ms = number(&given, "max.compaction.lag.ms");
        if min_compaction_lag_ms > max_compaction_lag_ms {
            return Err(format!(
                "min.compaction.lag.ms is {min_compaction_lag_ms}; it takes at most max.compaction.lag.ms, \
                 {max_compaction_lag_ms}"
            ));
        }
        Ok(Settings {
            deletes: policy.contains("delete"),
            compacts: policy.contains("compact"),
            delete_retention_ms: number(&given, "delete.retention.ms"),
            max_compaction_lag_ms,
            min_compaction_lag_ms,
            dirty_ratio: number(&given, "min.cleanable.dirty.ratio"),
            max_message_bytes: number(&given, "max.message.bytes"),
            append_time: value(&given, "message.timestamp.type") == "LogAppendTime",
            min_insync_replicas: number(&given, "min.insync.replicas"),
            retention_ms: Some(number(&given, "retention.ms")).filter(|ms| *ms >= 0),
            retention_bytes: value(&given, "retention.bytes").parse().ok(),
            segment_bytes: number(&given, "segment.bytes"),
            segment_ms: number(&given, "segment.ms"),
            given,
        })
    }

    pub(in crate::broker) fn given(&self) -> &BTreeMap<String, String> {
        &self.given
    }

    pub(in crate::broker) fn describe(&self) -> impl Iterator<Item = Described> {
        KNOWN.iter().map(|(name, _, values)| Described {
            name,
            value: value(&self.given, name).to_owned(),
            is_default: !self.given.contains_key(*name),
            kind: match values {
                Values::OneOf(_) => 2,
                Values::AtLeast(_) => 5,
                Values::Ratio => 6,
            },
        })
    }
}

impl Values {
    /// The error says what was expected.
    fn check(&self, value: &str) -> Result<(), String> {
        match self {
            Values::AtLeast(least) if value.parse::<i64>().is_ok_and(|number| number >= *least) => Ok(()),
            Values::AtLeast(least) => Err(format!("a number from {least}")),
            Values::OneOf(values) if values.contains(&value) => Ok(()),
            Values::OneOf(values) => Err(values.join(" or ")),
            Values::Ratio if value.parse::<f64>().is_ok_and(|ratio| (0.0..=1.0).contains(&ratio)) => Ok(()),
            Values::Ratio => Err("a number from 0 to 1".to_owned()),
        }
    }
}

fn value<'a>(given: &'a BTreeMap<String, String>, name: &str) -> &'a str {
    let default = KNOWN.iter().find(|(known, ..)| *known == name).map_or("", |(_, default, _)| default);
    given.get(name).map_or(default, String::as_str)
}

/// The number in a checked value.
fn number<T: FromStr + Default>(given: &BTreeMap<String, String>, name: &str) -> T {
    value(given, name).parse().unwrap_or_default()
}
