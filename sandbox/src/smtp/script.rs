//! What the server answers, and when: a function from the step of a session to an action.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Where a session is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Stage {
    /// The client has connected and waits for the greeting.
    Connect,
    /// `EHLO` or `HELO`.
    Ehlo,
    /// `MAIL FROM`.
    Mail,
    /// `RCPT TO`, once for each recipient.
    Rcpt,
    /// `DATA`, before the mail itself.
    Data,
    /// The mail and its final dot have arrived.
    EndOfData,
}

/// One decision that a session needs.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// Where the session is.
    pub stage: Stage,
    /// The address in `MAIL FROM` or `RCPT TO`, the client's name in `EHLO`, otherwise empty.
    pub argument: &'a str,
    /// The recipients accepted so far in this transaction.
    pub recipients: &'a [String],
    /// Which session of this server it is, from 1.
    pub session: usize,
    /// How many sessions are open at this moment, this one included.
    pub open: usize,
}

/// What the server does at a step.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Action {
    /// Goes on as a good server does.
    Accept,
    /// Does not accept, and answers with a code (400 to 599) and a text, whose lines become the lines of the reply. 421
    /// also ends the session, and so does any code at [`Stage::Connect`].
    Reply(u16, String),
    /// Says these octets instead of the usual reply, and goes on as their first digit says: as after [`Action::Accept`]
    /// for 2 and 3, else as after [`Action::Reply`].
    Say(Vec<u8>),
    /// Answers nothing until the script changes, which then decides again, or the client leaves.
    Hang,
    /// Closes the connection without an answer.
    Disconnect,
    /// Accepts after this time.
    Delay(Duration),
    /// At [`Stage::EndOfData`]: keeps the mail, then closes the connection without an answer, so that the client can't
    /// know. Elsewhere the same as [`Action::Disconnect`].
    AcceptThenDisconnect,
}

impl Action {
    /// A reply with one line of text.
    pub fn reply(code: u16, text: &str) -> Action {
        Action::Reply(code, text.to_owned())
    }
}

/// Decides every step of every session.
#[derive(Clone)]
pub struct Script(Arc<dyn Fn(&Step<'_>) -> Action + Send + Sync>);

impl Script {
    /// A script of any shape. It must not block.
    pub fn new(decide: impl Fn(&Step<'_>) -> Action + Send + Sync + 'static) -> Script {
        Script(Arc::new(decide))
    }

    /// Accepts everything.
    pub fn accept_all() -> Script {
        Script::new(|_| Action::Accept)
    }

    /// Does this at one stage, always, and accepts the rest.
    pub fn at(stage: Stage, action: Action) -> Script {
        Script::new(move |step| if step.stage == stage { action.clone() } else { Action::Accept })
    }

    /// Does this at one stage the first `times` times, counted over all sessions, and accepts the rest.
    pub fn first(times: usize, stage: Stage, action: Action) -> Script {
        let seen = AtomicUsize::new(0);
        Script::new(move |step| {
            if step.stage == stage && seen.fetch_add(1, Ordering::Relaxed) < times {
                action.clone()
            } else {
                Action::Accept
            }
        })
    }

    /// Does this at `RCPT TO` for one address, and accepts the rest.
    pub fn recipient(address: &str, action: Action) -> Script {
        let address = address.to_owned();
        Script::new(move |step| {
            let meant = step.stage == Stage::Rcpt && step.argument.eq_ignore_ascii_case(&address);
            if meant { action.clone() } else { Action::Accept }
        })
    }

    pub(super) fn decide(&self, step: &Step<'_>) -> Action {
        (self.0)(step)
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Script")
    }
}
