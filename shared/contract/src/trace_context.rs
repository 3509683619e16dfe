//! The trace that a request belongs to: W3C Trace Context, from the HTTP headers to the records and to the mail.
//!
//! Strangers choose what the headers say, so nothing of them is kept but ids, two flags, and a state within the bounds of the
//! standard. In records the headers are those of CloudEvents' extension for distributed tracing.
//! Sources: <https://www.w3.org/TR/trace-context-2/>, sections 3.2 and 3.3.

use rand::RngExt;
use std::fmt;

/// The record's header with the ids. Its value has the form of `traceparent`.
pub const TRACEPARENT: &str = "ce_traceparent";
/// The record's header with what tracing systems pass on. Its value has the form of `tracestate`.
pub const TRACESTATE: &str = "ce_tracestate";
/// Most octets of a `tracestate`. A longer one is dropped.
pub const MAX_STATE_OCTETS: usize = 512;
/// Most members of a `tracestate`. One with more is dropped.
pub const MAX_STATE_MEMBERS: usize = 32;

/// Octets of a `traceparent` of version 00, and the least of any later version.
const PARENT_OCTETS: usize = 55;
const MAX_KEY_OCTETS: usize = 256;
const MAX_VALUE_OCTETS: usize = 256;
/// The caller may record the trace.
const SAMPLED: u8 = 0x01;
/// The trace's id is random.
const RANDOM: u8 = 0x02;

/// Identifies a trace. Never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId([u8; 16]);

/// Identifies a step of a trace. Never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId([u8; 8]);

/// A trace, and the step of it that leads to what follows.
#[derive(Clone, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: TraceId,
    span_id: SpanId,
    flags: u8,
    state: Option<Box<str>>,
}

impl TraceContext {
    /// Reads the values of all `traceparent` and of all `tracestate` headers. `None`: there is not exactly one valid
    /// `traceparent`. A state that breaks a rule is dropped, and the ids are kept.
    pub fn parse<'a>(
        parents: impl IntoIterator<Item = &'a [u8]>,
        states: impl IntoIterator<Item = &'a [u8]>,
    ) -> Option<Self> {
        let mut parents = parents.into_iter();
        let (Some(parent), None) = (parents.next(), parents.next()) else { return None };
        let (trace_id, span_id, flags) = read_parent(parent)?;
        Some(Self { trace_id, span_id, flags, state: read_state(states) })
    }

    /// Reads the headers of a record. `None`: they name no trace, or not in the standard's form.
    pub fn of_record<'a, H>(headers: H) -> Option<Self>
    where
        H: IntoIterator<Item = (&'a str, Option<&'a [u8]>)> + Clone,
    {
        let values = |wanted: &'static str| {
            headers.clone().into_iter().filter(move |(name, _)| *name == wanted).filter_map(|header| header.1)
        };
        Self::parse(values(TRACEPARENT), values(TRACESTATE))
    }

    /// Begins a trace with random ids. Nobody has asked to record it.
    #[must_use]
    pub fn random() -> Self {
        Self { trace_id: TraceId::random(), span_id: SpanId::random(), flags: RANDOM, state: None }
    }

    /// The next step of the same trace, with a random id.
    #[must_use]
    pub fn next_step(self) -> Self {
        Self { span_id: SpanId::random(), ..self }
    }

    /// The first step of a trace with this random id. `None`: the id is zero.
    #[must_use]
    pub fn begun(trace_id: [u8; 16], span_id: SpanId, is_sampled: bool) -> Option<Self> {
        let trace_id = TraceId(trace_id);
        let flags = RANDOM | if is_sampled { SAMPLED } else { 0 };
        (trace_id.0 != [0; 16]).then_some(Self { trace_id, span_id, flags, state: None })
    }

    /// A step of the same trace. `is_sampled`: it is recorded.
    #[must_use]
    pub fn step(self, span_id: SpanId, is_sampled: bool) -> Self {
        let flags = self.flags & RANDOM | if is_sampled { SAMPLED } else { 0 };
        Self { span_id, flags, ..self }
    }

    /// The trace's id.
    #[must_use]
    pub const fn trace_id(&self) -> TraceId {
        self.trace_id
    }

    /// The id of the step.
    #[must_use]
    pub const fn span_id(&self) -> SpanId {
        self.span_id
    }

    /// The flags of the standard: 1 sampled, 2 random.
    #[must_use]
    pub const fn flags(&self) -> u8 {
        self.flags
    }

    /// Whether the caller may have recorded the trace.
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The value of `traceparent`, of version 00.
    #[must_use]
    pub fn traceparent(&self) -> String {
        format!("00-{}-{}-{:02x}", self.trace_id, self.span_id, self.flags)
    }

    /// The value of `tracestate`, if there is one: at most [`MAX_STATE_OCTETS`] of printable ASCII.
    #[must_use]
    pub fn tracestate(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// The headers of a record.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, String)> {
        let state = self.state.as_ref().map(|state| (TRACESTATE, state.to_string()));
        [(TRACEPARENT, self.traceparent())].into_iter().chain(state)
    }
}

impl TraceId {
    fn random() -> Self {
        Self(rand::rng().random_range(1..=u128::MAX).to_be_bytes())
    }

    /// Its octets.
    #[must_use]
    pub const fn octets(self) -> [u8; 16] {
        self.0
    }
}

impl SpanId {
    fn random() -> Self {
        Self(rand::rng().random_range(1..=u64::MAX).to_be_bytes())
    }

    /// An id of these octets, unless they are zero.
    #[must_use]
    pub fn new(octets: [u8; 8]) -> Option<Self> {
        (octets != [0; 8]).then_some(Self(octets))
    }

    /// Its octets.
    #[must_use]
    pub const fn octets(self) -> [u8; 8] {
        self.0
    }
}

/// 32 hexadecimal digits.
impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// 16 hexadecimal digits.
impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

/// Without the state: it is another's, and belongs into no log.
impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.traceparent())
    }
}

fn read_parent(value: &[u8]) -> Option<(TraceId, SpanId, u8)> {
    let (known, rest) = value.split_at_checked(PARENT_OCTETS)?;
    let mut fields = known.split(|octet| *octet == b'-');
    let mut field = || fields.next();
    let (version, trace_id, span_id, flags) = (field()?, field()?, field()?, field()?);
    let ([version], [flags]) = (octets(version)?, octets(flags)?);
    // A later version may append fields. Its flags, but for the one that all versions have, are not ours to pass on.
    let flags = match version {
        0 if rest.is_empty() => flags & (SAMPLED | RANDOM),
        0 | u8::MAX => return None,
        _ if rest.first().is_none_or(|octet| *octet == b'-') => flags & SAMPLED,
        _ => return None,
    };
    let (trace_id, span_id) = (octets(trace_id)?, octets(span_id)?);
    (trace_id != [0; 16] && span_id != [0; 8]).then_some((TraceId(trace_id), SpanId(span_id), flags))
}

/// Octets from exactly twice as many digits, in lower case.
fn octets<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    let mut octets = [0; N];
    if pairs.len() != N {
        return None;
    }
    for (octet, [high, low]) in octets.iter_mut().zip(pairs) {
        *octet = value(*high)? << 4 | value(*low)?;
    }
    Some(octets)
}

fn read_state<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Option<Box<str>> {
    let members = values.into_iter().flat_map(|value| value.split(|octet| *octet == b','));
    let (mut state, mut keys) = (Vec::new(), Vec::new());
    // Empty members are allowed, and say nothing.
    for member in members.map(trimmed).filter(|member| !member.is_empty()) {
        let equals = member.iter().position(|octet| *octet == b'=')?;
        let (key, value) = (&member[..equals], &member[equals + 1..]);
        if !is_key(key) || !is_value(value) || keys.contains(&key) || keys.len() == MAX_STATE_MEMBERS {
            return None;
        }
        if !keys.is_empty() {
            state.push(b',');
        }
        keys.push(key);
        state.extend_from_slice(member);
        if state.len() > MAX_STATE_OCTETS {
            return None;
        }
    }
    let state = String::from_utf8(state).ok()?;
    (!state.is_empty()).then(|| state.into())
}

/// Without the spaces and tabs around a member.
fn trimmed(member: &[u8]) -> &[u8] {
    let is_kept = |octet: &u8| !matches!(octet, b' ' | b'\t');
    let begin = member.iter().position(is_kept).unwrap_or(member.len());
    let end = member.iter().rposition(is_kept).map_or(begin, |last| last + 1);
    &member[begin..end]
}

fn is_key(key: &[u8]) -> bool {
    let begins = |octet: &u8| octet.is_ascii_lowercase() || octet.is_ascii_digit();
    let allowed = |octet: &u8| begins(octet) || matches!(octet, b'_' | b'-' | b'*' | b'/' | b'@');
    key.len() <= MAX_KEY_OCTETS && key.first().is_some_and(begins) && key.iter().all(allowed)
}

/// Printable ASCII; no space at its end, which `trimmed` has seen to.
fn is_value(value: &[u8]) -> bool {
    let allowed = |octet: &u8| matches!(octet, b' '..=b'~') && !matches!(octet, b',' | b'=');
    (1..=MAX_VALUE_OCTETS).contains(&value.len()) && value.iter().all(allowed)
}

#[cfg(test)]
mod tests;
