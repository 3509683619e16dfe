//! The metrics of a user service. No address, code or id is ever a label.

use crate::rules::Decision;
use contract::event::{DecodeError, Mailing};
use jiff::SignedDuration;
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use runtime::{
    kafka::KafkaSecurity, process_metrics::ProcessMetrics, secret_check::KeyRing,
    secret_metrics::SecretMetrics, texts_watch::TextsMetrics,
};
use std::time::Duration;

/// Bounds of the latency histogram, in seconds: from a quick ack to the publish time-out and beyond.
const BUCKETS: [f64; 13] = [0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125, 0.25, 0.5, 1.0, 2.5, 5.0];

/// Bounds of the time from a window's first mail to the verification, in seconds.
const VERIFIED_AFTER: [f64; 8] = [15.0, 30.0, 60.0, 120.0, 300.0, 900.0, 1800.0, 3600.0];
/// Why an accepted request mails nothing: it came before the next place of the
/// schedule, or the tagged spellings of its mailbox have taken all of theirs.
const WITHHELD: [&str; 2] = ["schedule", "tagged"];

/// The reason of a record that was passed over because the code panicked on it.
pub(crate) const PANICKED: &str = "panicked";

/// The metrics of one user service.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Family<EndpointLabels, Histogram>,
    /// Events whose ack did not come.
    pub(crate) publish_failures: Counter,
    /// Codes that were tried and have a place in the log.
    pub(crate) guesses: Counter,
    /// Codes that were answered as wrong.
    pub(crate) wrong_codes: Counter,
    first_mails: Counter,
    verified_after: Histogram,
    withheld: Family<ReasonLabels, Counter>,
    /// Requests refused with 429 by the client's rate limit.
    pub(crate) rate_limited: Counter,
    /// Requests refused with 503 because too many were in flight.
    pub(crate) overloaded: Counter,
    not_understood: Family<ReasonLabels, Counter>,
    /// Connections closed at once because of the bounds on their number.
    pub(crate) refused_connections: Counter,
    /// The watch over the texts.
    pub(crate) texts: TextsMetrics,
    ready: Gauge,
    registrations: Gauge,
    registrations_limit: Gauge,
    verified: Gauge,
    caught_up: Gauge,
    topics_fit: Gauge,
    replayed: Gauge,
    replay_total: Gauge,
    lag: Gauge,
}

/// The values of the gauges.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Numbers {
    /// Whether the service is ready, as `/health/ready` says.
    pub(crate) ready: bool,
    pub(crate) registrations: u64,
    /// `MAX_PENDING`: from this number on new registrations are refused.
    pub(crate) registrations_limit: u64,
    pub(crate) verified: u64,
    pub(crate) caught_up: bool,
    /// No topic is known to break a promise.
    pub(crate) topics_fit: bool,
    pub(crate) replayed: u64,
    pub(crate) replay_total: u64,
    /// Records in the log that are not in the view yet; `None` while the log-end offsets are not known.
    pub(crate) lag: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    endpoint: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndpointLabels {
    endpoint: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("user_service");
        let metrics = Self {
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            publish_failures: Counter::default(),
            guesses: Counter::default(),
            wrong_codes: Counter::default(),
            first_mails: Counter::default(),
            verified_after: Histogram::new(VERIFIED_AFTER),
            withheld: Family::default(),
            rate_limited: Counter::default(),
            overloaded: Counter::default(),
            not_understood: Family::default(),
            refused_connections: Counter::default(),
            texts: TextsMetrics::default(),
            ready: Gauge::default(),
            registrations: Gauge::default(),
            registrations_limit: Gauge::default(),
            verified: Gauge::default(),
            caught_up: Gauge::default(),
            topics_fit: Gauge::default(),
            replayed: Gauge::default(),
            replay_total: Gauge::default(),
            lag: Gauge::default(),
            registry: Registry::default(),
        };
        registry.register("http_requests", "Requests by endpoint and status", metrics.requests.clone());
        registry.register_with_unit(
            "http_request_duration",
            "Time from a request's head to its answer",
            Unit::Seconds,
            metrics.durations.clone(),
        );
        // Each reason exists from the start, so that its first record shows as an increase.
        for reason in DecodeError::NAMES.into_iter().chain([PANICKED]) {
            drop(metrics.not_understood.get_or_create(&ReasonLabels { reason }));
        }
        registry.register(
            "records_not_understood",
            "Records of the log that were passed over, by reason",
            metrics.not_understood.clone(),
        );
        for reason in WITHHELD {
            drop(metrics.withheld.get_or_create(&ReasonLabels { reason }));
        }
        registry.register(
            "mails_withheld",
            "Accepted requests for which no mail was due: by the schedule, or by the limit of tagged spellings",
            metrics.withheld.clone(),
        );
        registry.register_with_unit(
            "verified_after_first_mail",
            "Time from the first mail of an account's window to its verification",
            Unit::Seconds,
            metrics.verified_after.clone(),
        );
        for (name, help, counter) in [
            ("guesses", "Codes that were tried and have a place in the log", &metrics.guesses),
            ("wrong_codes", "Codes that were answered as wrong", &metrics.wrong_codes),
            ("first_mails", "First mails with a code in a window of an account", &metrics.first_mails),
            ("publish_failures", "Events that were not acknowledged in time", &metrics.publish_failures),
            (
                "rate_limited_requests",
                "Requests refused by the limit per client address",
                &metrics.rate_limited,
            ),
            ("overloaded_requests", "Requests refused because too many were in flight", &metrics.overloaded),
            (
                "refused_connections",
                "Connections closed at once: too many in all or from one address",
                &metrics.refused_connections,
            ),
        ] {
            registry.register(name, help, counter.clone());
        }
        for (name, help, gauge) in [
            ("ready", "1 while requests may be sent here, as /health/ready says", &metrics.ready),
            ("registrations", "Registrations in memory", &metrics.registrations),
            (
                "registrations_limit",
                "Registrations in memory from which on new ones are refused (MAX_PENDING)",
                &metrics.registrations_limit,
            ),
            ("verified_accounts", "Verified accounts in memory", &metrics.verified),
            ("caught_up", "1 when the replay is over", &metrics.caught_up),
            (
                "topics_fit",
                "0 while a topic's settings or partitions break a promise; /health/ready says which",
                &metrics.topics_fit,
            ),
            ("replay_records_read", "Records of the replay that were read", &metrics.replayed),
            ("replay_records_expected", "Records that the replay has to read", &metrics.replay_total),
            (
                "log_lag_records",
                "Records in the log that are not in memory yet; -1 when unknown",
                &metrics.lag,
            ),
        ] {
            registry.register(name, help, gauge.clone());
        }
        metrics.texts.register(&mut registry);
        registry.register_collector(Box::new(ProcessMetrics::of_service_started_now()));
        Self { registry, ..metrics }
    }

    /// Adds the metrics of the secrets.
    pub(crate) fn show_secrets(&mut self, keys: KeyRing, kafka: KafkaSecurity) {
        let secrets = SecretMetrics::new(keys, move || kafka.secret_file().into_iter().collect());
        self.registry.register_collector(Box::new(secrets));
    }

    /// Counts a record of the log that was passed over.
    pub(crate) fn not_understood(&self, reason: &'static str) {
        self.not_understood.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// The number of records that were passed over.
    #[cfg(test)]
    pub(crate) fn passed_over(&self) -> u64 {
        let reasons = DecodeError::NAMES.into_iter().chain([PANICKED]);
        reasons.map(|reason| self.not_understood.get_or_create(&ReasonLabels { reason }).get()).sum()
    }

    /// Counts the first mail that a registration asks for, or why none is due.
    pub(crate) fn registered(&self, decision: &Decision) {
        match (decision.mailing, decision.taken) {
            (Mailing::FirstCode, _) => {
                self.first_mails.inc();
            }
            (Mailing::Nothing, taken) => {
                let [schedule, tagged] = WITHHELD;
                let reason = if decision.is_over_tag_limit && taken.is_some() { tagged } else { schedule };
                self.withheld.get_or_create(&ReasonLabels { reason }).inc();
            }
            (Mailing::FurtherCode | Mailing::Notice, _) => {}
        }
    }

    /// Observes the time from the first mail of a window to a verification, if it is known.
    pub(crate) fn verified_after(&self, first_mail: Option<SignedDuration>) {
        if let Some(after) = first_mail {
            self.verified_after.observe(after.as_secs_f64());
        }
    }

    /// Counts an answered request.
    pub(crate) fn answered(&self, endpoint: String, status: u16, duration: Duration) {
        let labels = RequestLabels { endpoint, status };
        self.requests.get_or_create(&labels).inc();
        let labels = EndpointLabels { endpoint: labels.endpoint };
        self.durations.get_or_create(&labels).observe(duration.as_secs_f64());
    }

    /// All metrics in the OpenMetrics text format.
    ///
    /// # Errors
    /// None in practice: writing to a string does not fail.
    pub(crate) fn text(&self, numbers: Numbers) -> Result<String, std::fmt::Error> {
        let gauge = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        self.ready.set(i64::from(numbers.ready));
        self.registrations.set(gauge(numbers.registrations));
        self.registrations_limit.set(gauge(numbers.registrations_limit));
        self.verified.set(gauge(numbers.verified));
        self.caught_up.set(i64::from(numbers.caught_up));
        self.topics_fit.set(i64::from(numbers.topics_fit));
        self.replayed.set(gauge(numbers.replayed));
        self.replay_total.set(gauge(numbers.replay_total));
        self.lag.set(numbers.lag.map_or(-1, gauge));
        let mut out = String::new();
        text::encode(&mut out, &self.registry)?;
        Ok(out)
    }
}
