//! An SMTP server that takes mail, or misbehaves exactly as its [`Script`] says.
//!
//! ```text
//!   server ──► session ──► wire, command   one task per session; lines in, replies out
//!                 ├──────► script          what to answer: asked at every step, changeable while running
//!                 └──────► mailroom        what was received, and how many sessions there were
//! ```
//!
//! A session runs over any byte stream, so TLS would be one more step between accepting and the session.

mod server;
mod session;
mod wire;
mod command;
mod script;
mod mailroom;

pub use mailroom::{Keep, ReceivedMail, SessionCount};
pub use script::{Action, Script, Stage, Step};
pub use server::SmtpServer;
