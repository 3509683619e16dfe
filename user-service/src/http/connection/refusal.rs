//! Problem documents for the requests that actix-http refuses before any route sees them.
//!
//! actix-http answers with a bare head when it can't parse a request (400) or the request came too slowly
//! (408). It would read 128 KiB before it refused a head as too large, so this module makes that refusal (431).
//! They are in English: no `Accept-Language` has been read.

use crate::http::problem::{MEDIA_TYPE, Problem, english};
use actix_web::{ResponseError, http::StatusCode, web::Bytes};

/// The document to send instead of what actix-http writes, if that is such a bare head.
pub(super) fn instead_of(written: &[u8]) -> Option<Bytes> {
    const STATUS_AT: usize = "HTTP/1.1 ".len();
    let head = written.strip_suffix(b"\r\n\r\n")?;
    let head = std::str::from_utf8(head).ok().filter(|head| head.starts_with("HTTP/1.1 4"))?;
    let is_bare = head.lines().any(|line| line.eq_ignore_ascii_case("content-length: 0"));
    is_bare.then(|| document(head.get(STATUS_AT..STATUS_AT + 3).unwrap_or_default()))
}

/// The refusal of a head that does not end within the limit.
pub(super) fn head_too_large() -> Bytes {
    document("431")
}

fn document(status: &str) -> Bytes {
    let (problem, reason) = match status {
        "408" => (Problem::RequestTimeout, "Request Timeout"),
        "431" => (Problem::HeadTooLarge, "Request Header Fields Too Large"),
        _ => (Problem::Malformed(StatusCode::BAD_REQUEST), "Bad Request"),
    };
    let body = serde_json::to_string(&problem.body(english())).unwrap_or_default();
    let (status, length) = (problem.status_code().as_u16(), body.len());
    Bytes::from(format!(
        "HTTP/1.1 {status} {reason}\r\nconnection: close\r\ncontent-type: {MEDIA_TYPE}\r\ncontent-length: {length}\r\n\
         cache-control: no-store\r\nx-content-type-options: nosniff\r\n\r\n{body}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_refusal_becomes_a_document_and_nothing_else_does() {
        let bare = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\ndate: now\r\n\r\n";
        let document = instead_of(bare).unwrap();
        let text = std::str::from_utf8(&document).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(
            head.starts_with("HTTP/1.1 400 Bad Request\r\n")
                && head.contains(&format!("content-length: {}", body.len()))
        );
        assert!(body.contains("two-step-signup:rejected\""), "{body}");
        for other in [
            "HTTP/1.1 304 Not Modified\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\ncontent-length: 7\r\n\r\n{\"a\":1}",
            "HTTP/1.1 100 Continue\r\n\r\n",
            "",
        ] {
            assert_eq!(instead_of(other.as_bytes()), None, "{other}");
        }
    }
}
