//! What connects a request with the records, the log lines and the mail that it leads to.

use contract::{request_id::RequestId, trace_context::TraceContext};

/// The ids of a request.
#[derive(Debug, Clone)]
pub(crate) struct Correlation {
    /// Of this request: in its event, in log lines, in the mail.
    pub(crate) request_id: RequestId,
    /// The trace that the request belongs to, and this service's step of it: in the headers of its records, in log lines,
    /// in the mail.
    pub(crate) trace: TraceContext,
}

impl Correlation {
    /// Of a request that belongs to no trace yet: begins one.
    pub(crate) fn begin(request_id: RequestId) -> Self {
        Self { request_id, trace: TraceContext::random() }
    }
}
