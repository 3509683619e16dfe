use super::*;
use proptest::prelude::*;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn read(parent: &str, state: &[&str]) -> Option<TraceContext> {
    TraceContext::parse([parent.as_bytes()], state.iter().map(|state| state.as_bytes()))
}

fn state_of(state: &[&str]) -> Option<String> {
    read(PARENT, state).unwrap().tracestate().map(str::to_owned)
}

#[test]
fn a_valid_parent_is_taken_over_with_its_flags_of_the_standard() {
    let trace = read(PARENT, &[]).unwrap();
    assert_eq!(trace.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(trace.span_id().to_string(), "b7ad6b7169203331");
    assert_eq!(trace.traceparent(), PARENT);
    for (flags, kept) in [("00", "00"), ("01", "01"), ("02", "02"), ("03", "03"), ("ff", "03"), ("08", "00")]
    {
        let parent = format!("{}{flags}", &PARENT[..53]);
        let trace = read(&parent, &[]).unwrap();
        assert_eq!(trace.traceparent(), format!("{}{kept}", &PARENT[..53]), "{flags}");
        assert_eq!(trace.is_sampled(), kept.ends_with(['1', '3']), "{flags}");
    }
}

#[test]
fn of_a_later_version_the_known_fields_are_taken() {
    for parent in [
        "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03",
        "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-the-future-has",
        "fe-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-09-",
    ] {
        assert_eq!(read(parent, &[]).unwrap().traceparent(), PARENT, "{parent}");
    }
    for parent in [
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.what",
        "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
    ] {
        assert_eq!(read(parent, &[]), None, "{parent}");
    }
}

#[test]
fn any_other_parent_is_none() {
    for parent in [
        "",
        "00",
        "garbage",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-00",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333A-01",
        "0A-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319g-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319-cb7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b71-9203331-01",
        "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "0-00af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        " 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0\u{e9}",
    ] {
        assert_eq!(read(parent, &["a=1"]), None, "{parent}");
    }
    assert_eq!(TraceContext::parse([PARENT.as_bytes(); 2], []), None, "two of them");
    assert_eq!(TraceContext::parse([], [&b"a=1"[..]]), None, "none of them");
}

#[test]
fn a_state_is_passed_on_and_one_that_breaks_a_rule_is_dropped() {
    for (given, kept) in [
        (&["rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"][..], "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
        (&["a=1", "b=2"], "a=1,b=2"),
        (&[" a=1 ,\t, b= 2 2,"], "a=1,b= 2 2"),
        (&["0tenant@system/x*-_=!~:;"], "0tenant@system/x*-_=!~:;"),
    ] {
        assert_eq!(state_of(given).as_deref(), Some(kept), "{given:?}");
    }
    let many = |members: usize| (0..members).map(|number| format!("k{number}=v")).collect::<Vec<_>>();
    assert_eq!(state_of(&[&many(32).join(",")]), Some(many(32).join(",")));
    let long = |octets: usize| format!("a={},b={}", "x".repeat(250), "x".repeat(octets - 255));
    assert_eq!(state_of(&[&long(511)]).map(|state| state.len()), Some(511));
    for dropped in [
        "",
        ",,",
        "a",
        "=1",
        "a=",
        "a= ",
        "A=1",
        "-a=1",
        "a b=1",
        "a=1=2",
        "a=\u{e9}",
        "a=1\u{7f}",
        "a=1\tb",
        "a=1,b=2,a=3",
        "a=1,B=2",
        &format!("a={}", "x".repeat(257)),
        &format!("{}=1", "k".repeat(257)),
        &many(33).join(","),
        &format!("a={},b={},c={}", "x".repeat(250), "x".repeat(250), "x".repeat(9)),
    ] {
        assert_eq!(state_of(&[dropped]), None, "{dropped:?}");
    }
}

#[test]
fn the_headers_of_a_record_are_read_as_they_were_written() {
    let written = read(PARENT, &["a=1"]).unwrap();
    let headers: Vec<_> = written.headers().collect();
    let lent = headers.iter().map(|(name, value)| (*name, Some(value.as_bytes())));
    assert_eq!(TraceContext::of_record(lent.clone()), Some(written));
    assert_eq!(TraceContext::of_record(lent.clone().chain(lent)), None, "each twice");
    assert_eq!(TraceContext::of_record([("ce_type", Some(&b"attempt"[..]))]), None);
    let broken = [(TRACEPARENT, None), (TRACESTATE, Some(&b"a=1"[..]))];
    assert_eq!(TraceContext::of_record(broken), None);
}

#[test]
fn a_new_trace_is_its_own_and_a_step_stays_in_its_trace() {
    let (one, other) = (TraceContext::random(), TraceContext::random());
    assert_ne!(one.trace_id(), other.trace_id());
    assert!(one.traceparent().ends_with("-02"), "{one:?}: its id is random, and nobody records it");
    let step = read(PARENT, &["a=1"]).unwrap().next_step();
    assert_eq!(step.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
    assert_ne!(step.span_id().to_string(), "b7ad6b7169203331");
    assert!(step.is_sampled());
    assert_eq!(step.tracestate(), Some("a=1"));
    assert!(!format!("{step:?}").contains("a=1"));
}

proptest! {
    #[test]
    fn whatever_is_taken_over_is_bounded_printable_and_read_again(
        parent in prop_oneof![
            any::<Vec<u8>>(),
            "[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}.{0,9}".prop_map(String::into_bytes),
        ],
        states in prop::collection::vec(
            prop_oneof![any::<Vec<u8>>(), "([a-z0-9@]{1,3}=[ -~]{1,9},?){1,9}".prop_map(String::into_bytes)], 0..4,
        ),
    ) {
        let read = TraceContext::parse([&parent[..]], states.iter().map(Vec::as_slice));
        if let Some(trace) = read {
            let text: String = trace.headers().map(|(_, value)| value).collect();
            prop_assert!(text.len() <= PARENT_OCTETS + MAX_STATE_OCTETS);
            prop_assert!(text.bytes().all(|octet| matches!(octet, b' '..=b'~')));
            let headers: Vec<_> = trace.headers().collect();
            let lent = headers.iter().map(|(name, value)| (*name, Some(value.as_bytes())));
            prop_assert_eq!(TraceContext::of_record(lent), Some(trace));
        }
    }
}
