//! `GET /metrics`: the ledger, the gate, the sessions, the lag, the oldest waiting record, and the time from an event to the
//! acceptance of its email.
//!
//! Except for that time, nothing is counted here: a scrape reads one snapshot of the status, so its numbers always add up.

use crate::{
    mailer::Mailer,
    server_number::ServerNumber,
    status::{Gates, Ledger, State, Status, Work},
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
        mailers: Vec<Arc<Mailer>>,
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
        let known = mailers.clone();
        let secrets = SecretMetrics::new(keys, move || {
            known.iter().flat_map(|mailer| mailer.secret_files()).chain(kafka.secret_file()).collect()
        });
        registry.register_collector(Box::new(secrets));
        registry.register_collector(Box::new(Snapshot { status, mailers, topics }));
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
    mailers: Vec<Arc<Mailer>>,
    topics: Arc<TopicCheck>,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Snapshot")
    }
}

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let State { joined, lag, work: Work { ledger, gates, waiting_since } } = self.status.snapshot();
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
        let open = i64::from(gates.all_closed_by().is_none());
        gauge(
            &mut encoder,
            "gate_open",
            "1 while mail may be tried, 0 while the mail servers are only probed",
            [([], open)],
        )?;
        self.encode_mail_servers(&mut encoder, &gates)?;
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

impl Snapshot {
    /// What there is of each mail server.
    fn encode_mail_servers(&self, encoder: &mut DescriptorEncoder<'_>, gates: &Gates) -> fmt::Result {
        let servers = || ServerNumber::ALL.into_iter().zip(&self.mailers);
        let open = servers()
            .map(|(number, _)| ([("server", number.label())], i64::from(gates.closed_by(number).is_none())));
        gauge(
            encoder,
            "smtp_server_open",
            "1 while this mail server may get mail, 0 while it is only probed; 1 also before its first mail, when nobody has spoken to it",
            open,
        )?;
        let accepted = servers().map(|(number, mailer)| ([("server", number.label())], mailer.accepted()));
        counter(encoder, "smtp_accepted", "Emails that this mail server accepted", accepted)?;
        let sessions = servers().flat_map(|(number, mailer)| {
            let (busy, idle, _) = mailer.sessions();
            let labels = |state| [("state", state), ("server", number.label())];
            [(labels("busy"), gauged(busy)), (labels("idle"), gauged(idle))]
        });
        gauge(encoder, "smtp_sessions", "SMTP sessions", sessions)?;
        let allowed =
            servers().map(|(number, mailer)| ([("server", number.label())], gauged(mailer.sessions().2)));
        gauge(
            encoder,
            "smtp_sessions_allowed",
            "SMTP sessions that may be busy at a time: SMTP_CONNECTIONS, or fewer as the mail server allows",
            allowed,
        )?;
        let refusals = servers().flat_map(|(number, mailer)| {
            let labels = move |about| [("about", about), ("server", number.label())];
            mailer.refusals().map(|(judgement, count)| (labels(judgement.name()), count))
        });
        counter(encoder, "smtp_refusals", "Replies that refused something, by what they were about", refusals)
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

fn gauged(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
