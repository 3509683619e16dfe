//! A collector of OpenTelemetry, as far as a test needs one: it takes spans by OTLP over HTTP, and keeps them.

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::v1::{Span, span::SpanKind, status::StatusCode},
};
use prost::Message;
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// How often a test looks whether spans have come.
const POLL: Duration = Duration::from_millis(20);

/// The collector. Dropping it leaves its task to the runtime of the test.
#[derive(Debug)]
pub struct Collector {
    address: SocketAddr,
    taken: Arc<Mutex<Vec<Taken>>>,
}

/// A span, and the service that exported it.
#[derive(Debug, Clone)]
pub struct Taken {
    /// The attributes of the resource.
    pub resource: BTreeMap<String, String>,
    /// The span itself.
    pub span: Span,
}

impl Collector {
    /// Listens at a free port.
    ///
    /// # Panics
    /// When there is none.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let taken = Arc::new(Mutex::default());
        let kept = Arc::clone(&taken);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&kept)));
            }
        });
        Self { address, taken }
    }

    /// The value of `OTEL_EXPORTER_OTLP_ENDPOINT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All spans so far.
    #[must_use]
    pub fn all(&self) -> Vec<Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The spans of a trace, the earliest first, once there are as many.
    ///
    /// # Panics
    /// When they are not there within `limit`.
    pub async fn trace(&self, trace_id: &str, spans: usize, limit: Duration) -> Vec<Taken> {
        let began = Instant::now();
        loop {
            let mut found = self.all();
            found.retain(|taken| taken.trace_id() == trace_id);
            if found.len() >= spans {
                found.sort_by_key(|taken| taken.span.start_time_unix_nano);
                return found;
            }
            assert!(began.elapsed() < limit, "{} of {spans} spans: {}", found.len(), drawn(&found));
            tokio::time::sleep(POLL).await;
        }
    }
}

impl Taken {
    /// 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id(&self) -> String {
        digits(&self.span.trace_id)
    }

    /// 16 hexadecimal digits.
    #[must_use]
    pub fn span_id(&self) -> String {
        digits(&self.span.span_id)
    }

    /// 16 hexadecimal digits, or none.
    #[must_use]
    pub fn parent(&self) -> String {
        digits(&self.span.parent_span_id)
    }

    /// The attributes, as text.
    #[must_use]
    pub fn attributes(&self) -> BTreeMap<String, String> {
        texts(&self.span.attributes)
    }

    /// The name of the service.
    #[must_use]
    pub fn service(&self) -> &str {
        self.resource.get("service.name").map_or("", String::as_str)
    }

    /// All that it says, for a search of what it must not say.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{:?} {:?}", self.resource, self.span)
    }
}

/// A trace for people: a line for each span, below the one that led to it, and its attributes below that.
#[must_use]
pub fn drawn(spans: &[Taken]) -> String {
    let begin = spans.iter().map(|taken| taken.span.start_time_unix_nano).min().unwrap_or_default();
    let mut text = String::new();
    let is_first = |taken: &&Taken| !spans.iter().any(|other| other.span_id() == taken.parent());
    for first in spans.iter().filter(is_first) {
        draw(&mut text, spans, first, begin, 0);
    }
    text
}

fn draw(text: &mut String, spans: &[Taken], taken: &Taken, begin: u64, depth: usize) {
    let Taken { span, .. } = taken;
    let milliseconds = |from: u64, to: u64| to.saturating_sub(from) as f64 / 1e6;
    let kind = SpanKind::try_from(span.kind).map_or("", |kind| kind.as_str_name());
    let failed = span.status.as_ref().is_some_and(|status| status.code == StatusCode::Error as i32);
    let _ = writeln!(
        text,
        "{:9.3} ms  {:8.3} ms  {}{}  [{}, {}]{}",
        milliseconds(begin, span.start_time_unix_nano),
        milliseconds(span.start_time_unix_nano, span.end_time_unix_nano),
        "  ".repeat(depth),
        span.name,
        taken.service(),
        kind.trim_start_matches("SPAN_KIND_").to_lowercase(),
        if failed { " failed" } else { "" },
    );
    let under = format!("{:27}{}  ", "", "  ".repeat(depth));
    let _ = writeln!(text, "{under}span {} after {}", taken.span_id(), taken.parent());
    for link in &span.links {
        let _ = writeln!(text, "{under}linked to {}", digits(&link.span_id));
    }
    for (name, value) in taken.attributes() {
        let _ = writeln!(text, "{under}{name} = {value}");
    }
    for next in spans.iter().filter(|other| other.parent() == taken.span_id()) {
        draw(text, spans, next, begin, depth + 1);
    }
}

async fn serve(mut stream: TcpStream, taken: Arc<Mutex<Vec<Taken>>>) {
    let Some(body) = request(&mut stream).await else { return };
    let exported = ExportTraceServiceRequest::decode(&body[..]).expect("spans by OTLP");
    for of_resource in exported.resource_spans {
        let resource = of_resource.resource.map(|resource| texts(&resource.attributes)).unwrap_or_default();
        let spans = of_resource.scope_spans.into_iter().flat_map(|of_scope| of_scope.spans);
        let spans = spans.map(|span| Taken { resource: resource.clone(), span });
        taken.lock().unwrap_or_else(PoisonError::into_inner).extend(spans);
    }
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
}

/// The body of a request to `/v1/traces`.
async fn request(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut read = Vec::new();
    loop {
        if stream.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
        let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&read[..end]).to_ascii_lowercase();
        assert!(head.starts_with("post /v1/traces http/1.1\r\n"), "{head}");
        assert!(head.contains("\r\ncontent-type: application/x-protobuf"), "{head}");
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok())?;
        if read.len() >= end + 4 + length {
            return Some(read.split_off(end + 4));
        }
    }
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &Option<AnyValue>| match value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    attributes.iter().map(|attribute| (attribute.key.clone(), text(&attribute.value))).collect()
}

fn digits(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
