//! `GET /metrics`: the ledger, the gate, the sessions, the lag, the oldest waiting record, and the time from an event to the
//! acceptance of its email.
//!
//! Except for that time, nothing is counted here: a scrape reads one snapshot of the status, so its numbers always add up.

use crate::{
    mailer::Mailer,
    status::{Ledger, State, Status, Work},
};
use jiff::Timestamp;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use runtime::{
    kafka::{KafkaSecurity, TopicCheck},
    process_metrics::ProcessMetrics,
    secret_check::KeyRing,
    secret_metrics::SecretMetrics,
    texts_watch::TextsMetrics,
};
use std::{fmt, sync::Arc};

/// Upper bounds in seconds: milliseconds on an idle system, minutes in an outage.
const BUCKETS: [f64; 14] =
    [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0];

/// The registry of one service.
pub(crate) struct Metrics {
    registry: Registry,
    /// Seconds from an event to the mail server's acceptance of its email.
    pub(crate) accepted_after: Histogram,
}

impl Metrics {
    pub(crate) fn new(
        status: Arc<Status>,
        mailer: Arc<Mailer>,
        topics: Arc<TopicCheck>,
        keys: KeyRing,
        kafka: KafkaSecurity,
        texts: &TextsMetrics,
    ) -> Self {
        let mut registry = Registry::with_prefix("notification");
        let accepted_after = Histogram::new(BUCKETS);
        registry.register_with_unit(
            "event_to_accepted",
            "Time from an event to the mail server's acceptance of its email",
            Unit::Seconds,
            accepted_after.clone(),
        );
        texts.register(&mut registry);
        let known = Arc::clone(&mailer);
        let secrets =
            SecretMetrics::new(keys, move || known.secret_files().chain(kafka.secret_file()).collect());
        registry.register_collector(Box::new(secrets));
        registry.register_collector(Box::new(Snapshot { status, mailer, topics }));
        registry.register_collector(Box::new(ProcessMetrics::of_service_started_now()));
        Self { registry, accepted_after }
    }

    /// Encodes everything in the OpenMetrics text format.
    pub(crate) fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

struct Snapshot {
    status: Arc<Status>,
    mailer: Arc<Mailer>,
    topics: Arc<TopicCheck>,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Snapshot")
    }
}

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let State { joined, lag, work: Work { ledger, gate_closed_by, waiting_since } } =
            self.status.snapshot();
        let joined = i64::from(joined);
        gauge(
            &mut encoder,
            "joined",
            "1 while this process is a member of the consumer group",
            [([], joined)],
        )?;
        let topics_fit = i64::from(self.topics.broken_promises().is_none());
        gauge(
            &mut encoder,
            "topics_fit",
            "0 while a topic's settings break a promise; /health/ready says which",
            [([], topics_fit)],
        )?;
        counter(&mut encoder, "records_taken", "Records taken from Kafka", [([], ledger.taken)])?;
        let ended = outcomes(&ledger).map(|(outcome, count)| ([("outcome", outcome)], count));
        counter(&mut encoder, "records_ended", "Records by how they ended", ended)?;
        gauge(
            &mut encoder,
            "records_in_flight",
            "Records taken and not ended",
            [([], signed(ledger.in_flight))],
        )?;
        let age =
            waiting_since.map_or(0.0, |since| Timestamp::now().duration_since(since).as_secs_f64().max(0.0));
        let name = "oldest_unfinished_record_age";
        let help = "Age of the oldest record that was taken and has not ended; 0 when there is none";
        let age = ConstGauge::new(age);
        age.encode(encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Gauge)?)?;
        let letters = ledger.dead_letters().map(|(reason, count)| ([("reason", reason.name())], count));
        counter(&mut encoder, "dead_letters", "Dead letters by reason", letters)?;
        let open = i64::from(gate_closed_by.is_none());
        gauge(
            &mut encoder,
            "gate_open",
            "1 while mail may be tried, 0 while the mail server is probed",
            [([], open)],
        )?;
        let (busy, idle, allowed) = self.mailer.sessions();
        let sessions = [([("state", "busy")], busy), ([("state", "idle")], idle)]
            .map(|(label, count)| (label, i64::try_from(count).unwrap_or(i64::MAX)));
        gauge(&mut encoder, "smtp_sessions", "SMTP sessions", sessions)?;
        gauge(
            &mut encoder,
            "smtp_sessions_allowed",
            "SMTP sessions that may be busy at a time: SMTP_CONNECTIONS, or fewer as the mail server allows",
            [([], i64::try_from(allowed).unwrap_or(i64::MAX))],
        )?;
        let refusals = self.mailer.refusals();
        let refusals = refusals.iter().map(|(judgement, count)| ([("about", judgement.name())], *count));
        counter(
            &mut encoder,
            "smtp_refusals",
            "Replies that refused something, by what they were about",
            refusals,
        )?;
        let lag: Vec<_> = lag
            .into_iter()
            .map(|(partition, records)| (partition.topic.name(), partition.number.to_string(), records))
            .collect();
        let lag = lag.iter().map(|(topic, partition, records)| {
            ([("topic", *topic), ("partition", partition.as_str())], *records)
        });
        gauge(&mut encoder, "lag_records", "Records of a partition that are not committed yet", lag)
    }
}

/// Each outcome with its count.
fn outcomes(ledger: &Ledger) -> [(&'static str, u64); 7] {
    [
        ("delivered", ledger.delivered),
        ("handed_on", ledger.handed_on),
        ("dead_lettered", ledger.dead_lettered),
        ("expired", ledger.expired),
        ("ignored", ledger.ignored),
        ("duplicate", ledger.duplicates),
        ("handed_back", ledger.handed_back),
    ]
}

fn counter<'a, const LABELS: usize>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = ([(&'a str, &'a str); LABELS], u64)>,
) -> fmt::Result {
    family(encoder, name, help, MetricType::Counter, values, ConstCounter::new)
}

fn gauge<'a, const LABELS: usize>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = ([(&'a str, &'a str); LABELS], i64)>,
) -> fmt::Result {
    family(encoder, name, help, MetricType::Gauge, values, ConstGauge::new)
}

fn family<'a, const LABELS: usize, Value, Metric: EncodeMetric>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    kind: MetricType,
    values: impl IntoIterator<Item = ([(&'a str, &'a str); LABELS], Value)>,
    metric: impl Fn(Value) -> Metric,
) -> fmt::Result
where
    [(&'a str, &'a str); LABELS]: EncodeLabelSet,
{
    let mut family = encoder.encode_descriptor(name, help, None, kind)?;
    for (labels, value) in values {
        if LABELS == 0 {
            return metric(value).encode(family);
        }
        metric(value).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
