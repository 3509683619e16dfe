//! What the two services must agree on, and nothing else: neither a client of Kafka nor a runtime.
//!
//! ```text
//!   email_address, person_name,
//!   locale, person, request_id, account_id,
//!   registration_id                   values that exist only once they are valid
//!   trace_context                     the trace that a request belongs to, in headers of requests and records
//!   characters                        Unicode properties of typed text; text that is safe to print
//!   verification_code                 codes and link tokens, derived on both sides, carried by no event
//!   code_secrets, mac                 the keys of codes, and the HMAC over them
//!   event ──► topic                   what happened, and where it is written
//!   retry_headers,
//!   dead_letter_headers               what became of an event's mail, in the topics that take copies
//! ```

pub mod event;
pub mod topic;
pub mod retry_headers;
pub mod dead_letter_headers;
pub mod verification_code;
pub mod code_secrets;
pub mod mac;

pub mod characters;
pub mod account_id;
pub mod registration_id;
pub mod email_address;
pub mod person_name;
pub mod person;
pub mod locale;
pub mod request_id;
pub mod trace_context;
