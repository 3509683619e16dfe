//! The server's answers and their times: a function from the step of a session to an action.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// The stage of a session.
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

/// A step at which a session needs a decision.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// The stage of the session.
    pub stage: Stage,
    /// The address in `MAIL FROM` or `RCPT TO`, or the client's name in `EHLO`; otherwise empty.
    pub argument: &'a str,
    /// The recipients accepted so far in this transaction.
    pub recipients: &'a [String],
    /// The number of the session at this server, from 1.
    pub session: usize,
    /// The number of open sessions, including this one.
    pub open: usize,
}

/// The server's action at a step.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Action {
    /// Continues as a good server does.
    Accept,
    /// Refuses, with a code (400 to 599) and a text. The lines of the text become the lines of the reply. The code 421 also
    /// ends the session, and so does any code at [`Stage::Connect`].
    Reply(u16, String),
    /// Sends these octets instead of the usual reply. Then it continues by their first digit: as after [`Action::Accept`]
    /// for 2 and 3, otherwise as after [`Action::Reply`].
    Say(Vec<u8>),
    /// Sends no answer until the script changes, which then decides again, or the client disconnects.
    Hang,
    /// Closes the connection without an answer.
    Disconnect,
    /// Accepts after this time.
    Delay(Duration),
    /// At [`Stage::EndOfData`]: keeps the mail and closes the connection without an answer, so that the client can't know
    /// whether it was accepted. At other stages the same as [`Action::Disconnect`].
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
    /// A script from a function, which must not block.
    pub fn new(decide: impl Fn(&Step<'_>) -> Action + Send + Sync + 'static) -> Script {
        Script(Arc::new(decide))
    }

    /// Accepts everything.
    pub fn accept_all() -> Script {
        Script::new(|_| Action::Accept)
    }

    /// Takes this action at one stage, always, and accepts everything else.
    pub fn at(stage: Stage, action: Action) -> Script {
        Script::new(move |step| if step.stage == stage { action.clone() } else { Action::Accept })
    }

    /// Takes this action at one stage the first `times` times, counted over all sessions, and accepts everything else.
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

    /// Takes this action at `RCPT TO` for one address, and accepts everything else.
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
