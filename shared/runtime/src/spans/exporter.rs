//! The exporter: OpenTelemetry's SDK, with a queue of its own count.
//!
//! The SDK's batch processor has a bounded queue and a thread. It drops what does not fit, and says so only through a log of its
//! own. [`Counting`] stands before its queue and never lets it overflow, so that each span that is lost is counted here.

use super::{
    Kind,
    client::Client,
    config::{On, Sampling},
};
use crate::telemetry::LineLimit;
use anyhow::Context as _;
use contract::trace_context::{SpanId, TraceContext};
use opentelemetry::{
    Context, KeyValue, TraceId, Value,
    trace::{
        Link, Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt as _, TraceFlags,
        TraceState, Tracer as _, TracerProvider as _,
    },
};
use opentelemetry_otlp::{Protocol, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{
        BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider, Span, SpanData,
        SpanExporter, SpanProcessor,
    },
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// The most spans that wait for the collector, with those that are on their way to it. The SDK's own queue has this length, too,
/// whatever `OTEL_BSP_MAX_QUEUE_SIZE` says: a span that is dropped there would keep its place here.
const MAX_WAITING: usize = 2_048;
/// Time for a request to the collector, with its repetitions.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for the last spans at the end of the process.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// Begins spans and exports them.
pub(super) struct Exporter {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    waiting: Arc<Waiting>,
}

/// A span that will be exported when it is dropped.
#[derive(Debug)]
pub(super) struct Recorded {
    span: Box<Span>,
    /// Dropped as it is, the step has failed.
    must_end: bool,
}

impl Exporter {
    pub(super) fn start(on: &On) -> anyhow::Result<Self> {
        let sender = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(Client::new(EXPORT_TIMEOUT))
            .with_endpoint(on.endpoint.as_str())
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(EXPORT_TIMEOUT)
            .build()
            .context("spans can't be exported: see the OTEL_ variables")?;
        let exporter = Self::exporting(sender, on);
        log::info!("endpoint" = on.endpoint.as_str(), "service.name" = on.service_name.as_str(); "spans are exported");
        Ok(exporter)
    }

    /// Starts the thread that hands what has ended to `sender`.
    fn exporting(sender: impl SpanExporter + 'static, on: &On) -> Self {
        let waiting = Arc::new(Waiting::default());
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(MAX_WAITING)
            .with_scheduled_delay(on.delay)
            .build();
        let batches = BatchSpanProcessor::builder(Reporting { sender, waiting: Arc::clone(&waiting) })
            .with_batch_config(config)
            .build();
        let instance = uuid::Uuid::new_v4().to_string();
        let resource = Resource::builder()
            .with_service_name(on.service_name.clone())
            .with_attribute(KeyValue::new("service.version", on.service_version))
            .with_attribute(KeyValue::new("service.instance.id", instance))
            .build();
        let provider = SdkTracerProvider::builder()
            .with_sampler(sampler(on.sampling))
            .with_resource(resource)
            .with_span_processor(Counting { batches, waiting: Arc::clone(&waiting) })
            .build();
        let tracer = provider.tracer("two-step-signup");
        Self { provider, tracer, waiting }
    }

    pub(super) fn begin(
        &self,
        kind: Kind,
        name: String,
        parent: Option<&TraceContext>,
    ) -> (TraceContext, Option<Recorded>) {
        let before = parent.map(|parent| span_context(parent, matches!(kind, Kind::Server | Kind::Consumer)));
        let mut builder = SpanBuilder::from_name(name).with_kind(match kind {
            Kind::Server => SpanKind::Server,
            Kind::Producer => SpanKind::Producer,
            Kind::Consumer => SpanKind::Consumer,
            Kind::Client => SpanKind::Client,
        });
        if let (Kind::Consumer, Some(written)) = (kind, &before) {
            builder = builder.with_links(vec![Link::with_context(written.clone())]);
        }
        let context =
            before.map_or_else(Context::new, |before| Context::new().with_remote_span_context(before));
        let span = self.tracer.build_with_context(builder, &context);
        let made = span.span_context();
        let is_sampled = made.is_sampled();
        let trace = match (parent, SpanId::new(made.span_id().to_bytes())) {
            (Some(parent), Some(step)) => parent.clone().step(step, is_sampled),
            (None, Some(step)) => TraceContext::begun(made.trace_id().to_bytes(), step, is_sampled)
                .unwrap_or_else(TraceContext::random),
            // The exporter is closed.
            (parent, None) => parent.map_or_else(TraceContext::random, |parent| parent.clone().next_step()),
        };
        (trace, span.is_recording().then(|| Recorded { span: Box::new(span), must_end: false }))
    }

    /// Exports what waits. Blocks for [`CLOSE_TIMEOUT`] at most. Logs what was lost, if no line said so before.
    pub(super) fn close(&self) {
        let closed = self.provider.shutdown_with_timeout(CLOSE_TIMEOUT);
        let lost = self.waiting.take_lost();
        if lost > 0 {
            let error = closed.err().map_or_else(String::new, |error| error.to_string());
            log::warn!("spans.lost" = lost, "error" = error.as_str(); "spans were not exported");
        }
    }
}

impl Recorded {
    pub(super) fn rename(&mut self, name: String) {
        self.span.update_name(name);
    }

    pub(super) fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        self.span.set_attribute(KeyValue::new(name, value));
    }

    pub(super) fn fail(&mut self, error: &'static str) {
        self.set("error.type", error);
        self.span.set_status(Status::error(""));
    }

    pub(super) fn fail_unless_ended(&mut self) {
        self.must_end = true;
    }

    pub(super) fn end(mut self) {
        self.must_end = false;
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        if self.must_end {
            self.fail("interrupted");
        }
    }
}

fn sampler(Sampling { share, follows_parent }: Sampling) -> Sampler {
    let by_share = match share {
        1.0 => Sampler::AlwaysOn,
        0.0 => Sampler::AlwaysOff,
        share => Sampler::TraceIdRatioBased(share),
    };
    if follows_parent { Sampler::ParentBased(Box::new(by_share)) } else { by_share }
}

/// The SDK's form of a step. `is_remote`: another process took it.
fn span_context(trace: &TraceContext, is_remote: bool) -> SpanContext {
    SpanContext::new(
        TraceId::from_bytes(trace.trace_id().octets()),
        opentelemetry::SpanId::from_bytes(trace.span_id().octets()),
        TraceFlags::new(trace.flags()),
        is_remote,
        trace.tracestate().and_then(|state| state.parse().ok()).unwrap_or(TraceState::NONE),
    )
}

/// What waits for the collector, and what was lost since the last line about it.
#[derive(Debug, Default)]
struct Waiting {
    spans: AtomicUsize,
    lost: AtomicU64,
    lines: LineLimit,
}

impl Waiting {
    /// Takes a place in the queue.
    fn enter(&self) -> bool {
        let entered = self.spans.fetch_add(1, Ordering::Relaxed) < MAX_WAITING;
        if !entered {
            self.leave(1);
        }
        entered
    }

    fn leave(&self, spans: usize) {
        self.spans.fetch_sub(spans, Ordering::Relaxed);
    }

    /// At the end: all that no line has counted, with those that still wait.
    fn take_lost(&self) -> usize {
        let waiting = self.spans.load(Ordering::Relaxed);
        let lost = usize::try_from(self.lost.swap(0, Ordering::Relaxed)).unwrap_or(usize::MAX);
        lost.saturating_add(waiting)
    }

    /// Counts lost spans, and logs the number of all since the last line.
    fn lose(&self, spans: usize, error: &str) {
        self.lost.fetch_add(u64::try_from(spans).unwrap_or(u64::MAX), Ordering::Relaxed);
        if self.lines.admit(Instant::now()).is_some() {
            let lost = self.lost.swap(0, Ordering::Relaxed);
            log::warn!("spans.lost" = lost, "error" = error; "spans were not exported");
        }
    }
}

/// Lets spans into the SDK's queue while there is room.
#[derive(Debug)]
struct Counting {
    batches: BatchSpanProcessor,
    waiting: Arc<Waiting>,
}

impl SpanProcessor for Counting {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.waiting.enter() {
            self.batches.on_end(span);
        } else {
            self.waiting.lose(1, "the collector is away or slow");
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.batches.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.batches.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.batches.set_resource(resource);
    }
}

/// Sends batches, and counts those that the collector did not take.
#[derive(Debug)]
struct Reporting<S> {
    sender: S,
    waiting: Arc<Waiting>,
}

impl<S: SpanExporter> SpanExporter for Reporting<S> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let sent = self.sender.export(batch).await;
        self.waiting.leave(spans);
        sent.inspect_err(|error| self.waiting.lose(spans, &error.to_string()))
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.sender.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.sender.set_resource(resource);
    }
}

#[cfg(test)]
mod tests;
