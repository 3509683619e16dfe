//! An SMTP server that takes mail, or misbehaves as its [`Script`] says.
//!
//! ```text
//!   server ──► session ──► wire, command   one task per session; lines in, replies out
//!                 ├──────► script          the answer to every step; can be changed at any time
//!                 └──────► mailroom        the received mails, and the number of sessions
//!                             content      a received mail, decoded for reading
//! ```
//!
//! A session runs over any byte stream, so TLS would be one more step before it.

mod server;
mod session;
mod wire;
mod command;
mod script;
mod mailroom;
mod content;

pub use content::Content;
pub use mailroom::{Keep, ReceivedMail, SessionCount};
pub use script::{Action, Script, Stage, Step};
pub use server::SmtpServer;
