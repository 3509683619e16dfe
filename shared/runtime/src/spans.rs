//! Spans: what the steps of a trace were, and how long they took, for a collector of OpenTelemetry.
//!
//! ```text
//!   config (OTEL_…) ──► exporter: sampler, bounded queue, a thread ──► client: OTLP over HTTP
//! ```
//!
//! Only with the cargo feature `otel`. Without it a span is the trace that it belongs to, and nothing else. Nobody waits for an
//! export: when the queue is full, spans are dropped and counted in the log. Names and attributes are this project's own words and
//! numbers; nothing that a person typed, no address, code, token or id of a registration is ever among them.

mod config;
#[cfg(feature = "otel")]
mod exporter;
#[cfg(feature = "otel")]
mod client;

pub use config::SpansConfig;
use contract::trace_context::TraceContext;
use std::fmt;

/// What a span is, in the words of OpenTelemetry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The answer to a request of another process.
    Server,
    /// A record is written.
    Producer,
    /// The work that a record asks for. Linked to the step that wrote the record.
    Consumer,
    /// A request to another server.
    Client,
}

/// Begins spans. Cheap to clone.
#[derive(Clone, Default)]
pub struct Spans {
    #[cfg(feature = "otel")]
    exporter: Option<std::sync::Arc<exporter::Exporter>>,
}

/// A step of a trace, from its begin until it is dropped.
#[derive(Debug)]
pub struct Span {
    trace: TraceContext,
    #[cfg(feature = "otel")]
    recorded: Option<exporter::Recorded>,
}

impl Spans {
    /// Starts what `config` asks for: the thread that exports, or nothing.
    ///
    /// # Errors
    /// When the library does not take the endpoint.
    pub fn start(config: &SpansConfig) -> anyhow::Result<Self> {
        if let Some(switch) = config.off_by {
            log::info!("no spans are exported: {switch}");
        }
        #[cfg(feature = "otel")]
        {
            let exporter = config.on.as_deref().map(exporter::Exporter::start).transpose()?;
            Ok(Self { exporter: exporter.map(std::sync::Arc::new) })
        }
        #[cfg(not(feature = "otel"))]
        {
            if let Some(on) = &config.on {
                log::warn!("no spans are exported to {}: this build is without --features otel", on.endpoint);
            }
            Ok(Self {})
        }
    }

    /// Begins a step after `parent`, or a trace. `name` is formatted only if spans are exported.
    #[must_use]
    pub fn begin(&self, kind: Kind, name: fmt::Arguments<'_>, parent: Option<&TraceContext>) -> Span {
        #[cfg(feature = "otel")]
        if let Some(exporter) = &self.exporter {
            let (trace, recorded) = exporter.begin(kind, name.to_string(), parent);
            return Span { trace, recorded };
        }
        let _ = (kind, name);
        Span::unrecorded(parent.map_or_else(TraceContext::random, |parent| parent.clone().next_step()))
    }

    /// Exports what waits, for a few seconds at most, and then nothing more. Blocks.
    pub fn close(&self) {
        #[cfg(feature = "otel")]
        if let Some(exporter) = &self.exporter {
            exporter.close();
        }
    }
}

impl Span {
    /// A step that is exported by nobody.
    #[must_use]
    pub fn unrecorded(trace: TraceContext) -> Self {
        Self {
            trace,
            #[cfg(feature = "otel")]
            recorded: None,
        }
    }

    /// The trace, at this step.
    #[must_use]
    pub fn trace(&self) -> &TraceContext {
        &self.trace
    }

    /// Replaces the name.
    pub fn rename(&mut self, name: fmt::Arguments<'_>) {
        #[cfg(feature = "otel")]
        if let Some(recorded) = &mut self.recorded {
            recorded.rename(name.to_string());
        }
        let _ = name;
    }

    /// Adds an attribute.
    pub fn text(&mut self, name: &'static str, value: &str) {
        #[cfg(feature = "otel")]
        if let Some(recorded) = &mut self.recorded {
            recorded.set(name, value.to_owned());
        }
        let _ = (name, value);
    }

    /// Adds an attribute.
    pub fn number(&mut self, name: &'static str, value: i64) {
        #[cfg(feature = "otel")]
        if let Some(recorded) = &mut self.recorded {
            recorded.set(name, value);
        }
        let _ = (name, value);
    }

    /// Adds an attribute, which is formatted only if the span is exported.
    pub fn shown(&mut self, name: &'static str, value: impl fmt::Display) {
        #[cfg(feature = "otel")]
        if self.recorded.is_some() {
            self.text(name, &value.to_string());
        }
        let _ = (name, value);
    }

    /// Adds what spans about records have, by the conventions for messaging.
    pub fn of_kafka(&mut self, operation: &'static str, topic: impl fmt::Display) {
        self.text("messaging.system", "kafka");
        self.text("messaging.operation.name", operation);
        self.text("messaging.operation.type", operation);
        self.shown("messaging.destination.name", topic);
    }

    /// Adds the place of the record.
    pub fn at_place(&mut self, partition: i32, offset: i64) {
        self.shown("messaging.destination.partition.id", partition);
        self.number("messaging.kafka.offset", offset);
    }

    /// Makes the step fail as `interrupted` if it is dropped before [`Span::end`]. Its task was cancelled then, and an operation
    /// that did not return its result has not succeeded.
    pub fn fail_unless_ended(&mut self) {
        #[cfg(feature = "otel")]
        if let Some(recorded) = &mut self.recorded {
            recorded.fail_unless_ended();
        }
    }

    /// Ends the step, which failed only if [`Span::fail`] has said so.
    pub fn end(self) {
        #[cfg(feature = "otel")]
        if let Some(recorded) = self.recorded {
            recorded.end();
        }
    }

    /// Says that the step failed. `error` is a short name of this project's own.
    pub fn fail(&mut self, error: &'static str) {
        #[cfg(feature = "otel")]
        if let Some(recorded) = &mut self.recorded {
            recorded.fail(error);
        }
        let _ = error;
    }
}

impl fmt::Debug for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spans")
    }
}
