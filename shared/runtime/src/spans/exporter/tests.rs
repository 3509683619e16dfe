use super::*;
use crate::spans::{Spans, config::Sampling};
use proptest::prelude::*;
use std::{
    process::Command,
    sync::{Condvar, Mutex},
    thread,
};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const LIMIT: Duration = Duration::from_secs(20);

/// A collector that takes spans at once, or only when it is opened.
#[derive(Debug, Clone, Default)]
struct Collector(Arc<(Mutex<Taken>, Condvar)>);

#[derive(Debug, Default)]
struct Taken {
    is_shut: bool,
    is_asked: bool,
    spans: Vec<SpanData>,
}

impl Collector {
    fn shut() -> Self {
        let collector = Self::default();
        collector.0.0.lock().unwrap().is_shut = true;
        collector
    }

    fn open(&self) {
        self.0.0.lock().unwrap().is_shut = false;
        self.0.1.notify_all();
    }

    fn spans(&self) -> Vec<SpanData> {
        self.0.0.lock().unwrap().spans.clone()
    }

    /// Waits until a batch is on its way to it.
    fn wait_until_asked(&self) {
        let began = Instant::now();
        while !self.0.0.lock().unwrap().is_asked {
            assert!(began.elapsed() < LIMIT);
            thread::yield_now();
        }
    }

    fn exporter(&self, sampling: Sampling) -> Arc<Exporter> {
        self.exporter_after(Duration::from_secs(5), sampling)
    }

    fn exporter_after(&self, delay: Duration, sampling: Sampling) -> Arc<Exporter> {
        let on = On {
            endpoint: "http://localhost/".parse().unwrap(),
            service_name: "a-service".to_owned(),
            service_version: "1.2.3",
            sampling,
            delay,
        };
        Arc::new(Exporter::exporting(self.clone(), &on))
    }
}

impl SpanExporter for Collector {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let mut taken = self.0.0.lock().unwrap();
        taken.is_asked = true;
        let mut taken = self.0.1.wait_while(taken, |taken| taken.is_shut).unwrap();
        taken.spans.extend(batch);
        Ok(())
    }
}

const ALL: Sampling = Sampling { share: 1.0, follows_parent: true };

fn spans_to(exporter: &Arc<Exporter>) -> Spans {
    Spans { exporter: Some(Arc::clone(exporter)) }
}

fn parent() -> TraceContext {
    TraceContext::parse([PARENT.as_bytes()], [&b"a=1"[..]]).unwrap()
}

#[test]
fn a_step_has_an_id_of_its_own_and_the_one_before_is_its_parent() {
    let collector = Collector::default();
    let exporter = collector.exporter(ALL);
    let spans = spans_to(&exporter);
    for kind in [Kind::Server, Kind::Producer, Kind::Consumer, Kind::Client] {
        let given = parent();
        let step = spans.begin(kind, format_args!("a step"), Some(&given)).trace().clone();
        assert_eq!(step.trace_id(), given.trace_id());
        assert_ne!(step.span_id(), given.span_id(), "{kind:?}");
        assert_eq!((step.is_sampled(), step.tracestate()), (true, Some("a=1")));
        exporter.provider.force_flush().unwrap();
        let exported = collector.spans().pop().unwrap();
        assert_eq!(exported.span_context.span_id().to_bytes(), step.span_id().octets(), "{kind:?}");
        assert_eq!(exported.parent_span_id.to_bytes(), given.span_id().octets(), "{kind:?}");
    }
}

#[test]
fn a_step_whose_task_is_cancelled_has_failed() {
    let collector = Collector::default();
    let exporter = collector.exporter(ALL);
    let begin = |name| spans_to(&exporter).begin(Kind::Consumer, format_args!("{name}"), None);
    let must_end = |name| {
        let mut span = begin(name);
        span.fail_unless_ended();
        span
    };
    drop(must_end("cancelled"));
    must_end("ended").end();
    begin("ended").end();
    drop(begin("dropped, and nobody has asked for an end"));
    let mut failed = must_end("failed");
    failed.fail("refused");
    failed.end();
    exporter.provider.force_flush().unwrap();
    let errors = |span: &SpanData| -> Vec<_> {
        assert_eq!(matches!(span.status, Status::Error { .. }), !span.attributes.is_empty());
        span.attributes.iter().map(|it| format!("{}={}", it.key, it.value)).collect()
    };
    let errors: Vec<_> = collector.spans().iter().map(errors).collect();
    assert_eq!(errors, [vec!["error.type=interrupted"], vec![], vec![], vec![], vec!["error.type=refused"]]);
}

#[test]
fn a_span_waits_for_others_as_long_as_is_configured() {
    let collector = Collector::default();
    let exporter = collector.exporter_after(Duration::from_millis(10), ALL);
    let began = Instant::now();
    drop(spans_to(&exporter).begin(Kind::Server, format_args!("a step"), None));
    collector.wait_until_asked();
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[test]
fn the_work_that_a_record_asks_for_is_linked_to_the_step_that_wrote_it_and_no_other_step_is() {
    let collector = Collector::default();
    let exporter = collector.exporter(ALL);
    let spans = spans_to(&exporter);
    let written = spans.begin(Kind::Producer, format_args!("send"), Some(&parent())).trace().clone();
    drop(spans.begin(Kind::Consumer, format_args!("process"), Some(&written)));
    drop(spans.begin(Kind::Consumer, format_args!("process a record without a trace"), None));
    drop(spans.begin(Kind::Client, format_args!("SMTP"), Some(&written)));
    exporter.provider.force_flush().unwrap();
    let links = |span: &SpanData| -> Vec<_> {
        span.links.iter().map(|link| link.span_context.span_id().to_bytes()).collect()
    };
    let links: Vec<_> = collector.spans().iter().map(links).collect();
    assert_eq!(links, [vec![], vec![written.span_id().octets()], vec![], vec![]]);
}

#[test]
fn what_does_not_fit_is_lost_and_counted_and_there_is_room_again_once_the_collector_takes_spans() {
    let collector = Collector::shut();
    let exporter = collector.exporter(ALL);
    let spans = spans_to(&exporter);
    let begin = |number: usize| drop(spans.begin(Kind::Server, format_args!("{number}"), None));
    (0..3 * MAX_WAITING).for_each(begin);
    assert_eq!(exporter.waiting.spans.load(Ordering::Relaxed), MAX_WAITING);
    collector.wait_until_asked();
    collector.open();
    exporter.provider.force_flush().unwrap();
    let kept: Vec<_> = collector.spans().iter().map(|span| span.name.to_string()).collect();
    let expected: Vec<_> = (0..MAX_WAITING).map(|number| number.to_string()).collect();
    assert_eq!(kept, expected, "the earliest are kept");
    assert_eq!(exporter.waiting.spans.load(Ordering::Relaxed), 0);
    (0..MAX_WAITING).for_each(begin);
    exporter.provider.force_flush().unwrap();
    assert_eq!(collector.spans().len(), 2 * MAX_WAITING);
}

#[test]
fn the_end_waits_for_no_collector_and_counts_all_that_is_lost() {
    let collector = Collector::shut();
    let exporter = collector.exporter(ALL);
    let begin = |number: usize| drop(spans_to(&exporter).begin(Kind::Server, format_args!("{number}"), None));
    (0..MAX_WAITING).for_each(begin);
    collector.wait_until_asked();
    let began = Instant::now();
    let closed = exporter.provider.shutdown_with_timeout(Duration::from_millis(50));
    assert!(closed.is_err() && began.elapsed() < LIMIT);
    assert_eq!(exporter.waiting.take_lost(), MAX_WAITING);
    begin(0);
    assert_eq!(exporter.waiting.take_lost(), MAX_WAITING, "after the end there are no spans");
    collector.open();
}

#[test]
fn a_trace_that_is_not_exported_goes_on_with_a_step_of_its_own() {
    let unsampled =
        TraceContext::parse([&b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-02"[..]], []);
    let off = Sampling { share: 0.0, follows_parent: false };
    for (sampling, given) in [(ALL, unsampled), (off, Some(parent())), (off, None)] {
        let collector = Collector::default();
        let exporter = collector.exporter(sampling);
        let step =
            spans_to(&exporter).begin(Kind::Server, format_args!("a step"), given.as_ref()).trace().clone();
        assert!(!step.is_sampled());
        if let Some(given) = given {
            assert_eq!((step.trace_id(), step.tracestate()), (given.trace_id(), given.tracestate()));
            assert_ne!(step.span_id(), given.span_id());
        }
        exporter.provider.force_flush().unwrap();
        assert!(collector.spans().is_empty());
    }
}

proptest! {
    /// Whatever the library makes of it.
    #[test]
    fn a_state_of_a_stranger_goes_on_unchanged(state in "([a-z0-9@][a-z0-9@_*/-]{0,20}=[ -~]{1,9},?){1,9}") {
        let exporter = Collector::default().exporter(ALL);
        if let Some(given) = TraceContext::parse([PARENT.as_bytes()], [state.as_bytes()]) {
            let step = spans_to(&exporter).begin(Kind::Consumer, format_args!("a step"), Some(&given)).trace().clone();
            prop_assert_eq!((step.trace_id(), step.tracestate()), (given.trace_id(), given.tracestate()));
        }
    }
}

#[test]
fn no_variable_of_the_librarys_makes_its_queue_another_one() {
    let this = "what_does_not_fit_is_lost_and_counted_and_there_is_room_again_once_the_collector_takes_spans";
    for length in ["0", "100", "18446744073709551615"] {
        let ended = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &format!("spans::exporter::tests::{this}")])
            .env("OTEL_BSP_MAX_QUEUE_SIZE", length)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ended.stdout);
        assert!(ended.status.success() && said.contains("1 passed"), "{length}: {said}");
    }
}
