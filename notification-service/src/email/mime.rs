//! Composes the email: headers, and a body in two forms.
//!
//! Of all that people type, only the address gets into a header. Its type keeps it free of CR, LF and spaces. The operator's
//! own headers come last, and were checked at the start.

use super::{Email, Letterhead, Parts, Sender, UnwritableError};
use contract::{email_address::EmailAddress, event::Event, trace_context::TraceId};
use jiff::Timestamp;
use lettre::{
    Address, Message,
    address::Envelope,
    message::{
        Mailbox, MultiPart, SinglePart,
        header::{HeaderName, HeaderValue},
    },
};
use std::time::SystemTime;

pub(super) fn compose(
    event: &Event,
    trace: Option<TraceId>,
    letterhead: &Letterhead,
    to: &EmailAddress,
    parts: &Parts,
    now: Timestamp,
) -> Result<Email, UnwritableError> {
    let to = address(to);
    let Sender { from: author, return_path, reply_to, headers } = &letterhead.sender;
    let from = return_path.clone();
    let mail_id = event.mail_id();
    // Without an explicit envelope lettre parses the addresses from the headers.
    let envelope =
        Envelope::new(Some(from.clone()), vec![to.clone()]).map_err(|_| UnwritableError::Compose)?;
    let mut message = Message::builder()
        .envelope(envelope)
        .from(author.clone())
        .to(Mailbox::new(None, to.clone()))
        .subject(parts.subject.clone())
        .date(SystemTime::from(now))
        .message_id(Some(format!("<{mail_id}@{}>", author.email.domain())))
        .raw_header(header("Auto-Submitted", "auto-generated")?)
        .raw_header(header("X-Request-Id", event.request_id().as_str())?);
    // A record of an earlier release names none. A new one would make each duplicate another mail.
    if let Some(trace) = trace {
        message = message.raw_header(header("X-Trace-Id", &trace.to_string())?);
    }
    if let Some(reply_to) = reply_to {
        message = message.reply_to(reply_to.clone());
    }
    let message = headers
        .iter()
        .fold(message, |message, header| message.raw_header(header.clone()))
        .multipart(
            // A fixed boundary makes duplicates identical.
            MultiPart::alternative()
                .boundary(format!("part-{mail_id}"))
                .singlepart(SinglePart::plain(parts.text.clone()))
                .singlepart(SinglePart::html(parts.html.clone())),
        )
        .map_err(|_| UnwritableError::Compose)?;
    let mut text = String::from_utf8(message.formatted()).map_err(|_| UnwritableError::Compose)?;
    // The end of data in SMTP adds a line end of its own.
    if let Some(kept) = text.strip_suffix("\r\n").map(str::len) {
        text.truncate(kept);
    }
    Ok(Email { from, to, text })
}

/// Unchecked: lettre's check refuses marks that many scripts need. Every value of this type is safe in a header.
fn address(address: &EmailAddress) -> Address {
    let (local, domain) = address.as_str().split_once('@').unwrap_or_default();
    Address::new_dangerous(local, domain)
}

fn header(name: &'static str, value: &str) -> Result<HeaderValue, UnwritableError> {
    let name = HeaderName::new_from_ascii(name.to_owned()).map_err(|_| UnwritableError::Compose)?;
    Ok(HeaderValue::new(name, value.to_owned()))
}
