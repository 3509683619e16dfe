//! One client's session: reads lines, asks the script, answers (RFC 5321; PIPELINING, RFC 2920).
//!
//! An action other than [`Action::Accept`] or a delay leaves the transaction unchanged. After the end of the data the
//! transaction is over in any case.

use crate::smtp::{
    command::Command,
    mailroom::{ReceivedMail, SessionPass},
    script::{Action, Script, Stage, Step},
    wire::{MAX_MAIL, Wire},
};
use jiff::Timestamp;
use std::io;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    time::sleep,
};

const GREETING: &str = "sandbox ESMTP";

pub(super) struct Session<S> {
    wire: Wire<S>,
    pass: SessionPass,
    script: watch::Receiver<Script>,
    helo: String,
    sender: Option<String>,
    recipients: Vec<String>,
}

/// The script's decision about a step.
enum Verdict {
    Accepted,
    /// The mail is accepted, but the session ends before the client learns of it.
    Unacknowledged,
    /// Refused: the client got this reply instead of the usual one.
    Replied(u16),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    pub(super) fn new(stream: S, pass: SessionPass, script: watch::Receiver<Script>) -> Self {
        Session {
            wire: Wire::new(stream),
            pass,
            script,
            helo: String::new(),
            sender: None,
            recipients: Vec::new(),
        }
    }

    /// Serves until the client or the script ends it.
    pub(super) async fn run(mut self) {
        if let Err(error) = self.serve().await {
            log::trace!("SMTP session {} ended: {error}", self.pass.number);
        }
    }

    async fn serve(&mut self) -> io::Result<()> {
        match self.decide(Stage::Connect, "").await? {
            Verdict::Accepted => self.wire.reply(220, GREETING),
            _ => return self.wire.flush().await,
        }
        loop {
            let line = self.wire.line().await?;
            let proceed = match Command::parse(&line) {
                Command::Hello { extended, name } => self.hello(extended, name).await?,
                Command::Mail(address) => self.mail(address).await?,
                Command::Rcpt(address) => self.rcpt(address).await?,
                Command::Data => self.data().await?,
                Command::Reset => {
                    self.reset();
                    self.say(250, "OK")
                }
                Command::Noop => self.say(250, "OK"),
                Command::Verify => self.say(252, "Send some mail, I'll try my best"),
                Command::Quit => {
                    self.wire.reply(221, "Bye");
                    false
                }
                Command::Malformed => self.say(501, "Syntax error in parameters or arguments"),
                Command::Unknown => self.say(502, "Command not implemented"),
            };
            if !proceed {
                return self.wire.flush().await;
            }
        }
    }

    async fn hello(&mut self, extended: bool, name: &str) -> io::Result<bool> {
        match self.decide(Stage::Ehlo, name).await? {
            Verdict::Accepted => {
                name.clone_into(&mut self.helo);
                self.reset();
                if extended {
                    let size = format!("SIZE {MAX_MAIL}");
                    self.wire
                        .reply(250, &["sandbox", "PIPELINING", "8BITMIME", "SMTPUTF8", &size].join("\n"));
                } else {
                    self.wire.reply(250, "sandbox");
                }
                Ok(true)
            }
            verdict => Ok(goes_on(&verdict)),
        }
    }

    async fn mail(&mut self, address: &str) -> io::Result<bool> {
        if self.sender.is_some() {
            return Ok(self.say(503, "Nested MAIL command"));
        }
        match self.decide(Stage::Mail, address).await? {
            Verdict::Accepted => {
                self.sender = Some(address.to_owned());
                Ok(self.say(250, "OK"))
            }
            verdict => Ok(goes_on(&verdict)),
        }
    }

    async fn rcpt(&mut self, address: &str) -> io::Result<bool> {
        if self.sender.is_none() {
            return Ok(self.say(503, "Need MAIL before RCPT"));
        }
        match self.decide(Stage::Rcpt, address).await? {
            Verdict::Accepted => {
                self.recipients.push(address.to_owned());
                Ok(self.say(250, "OK"))
            }
            verdict => Ok(goes_on(&verdict)),
        }
    }

    async fn data(&mut self) -> io::Result<bool> {
        if self.recipients.is_empty() {
            return Ok(self.say(503, "Need RCPT before DATA"));
        }
        match self.decide(Stage::Data, "").await? {
            Verdict::Accepted => self.wire.reply(354, "End data with <CR><LF>.<CR><LF>"),
            verdict => return Ok(goes_on(&verdict)),
        }
        let Some(data) = self.wire.body().await? else {
            self.reset();
            return Ok(self.say(552, "Too much mail data"));
        };
        let verdict = self.decide(Stage::EndOfData, "").await?;
        let (from, recipients) =
            (self.sender.take().unwrap_or_default(), std::mem::take(&mut self.recipients));
        if matches!(verdict, Verdict::Accepted | Verdict::Unacknowledged) {
            self.pass.mailroom.receive(ReceivedMail {
                helo: self.helo.clone(),
                from,
                recipients,
                message_id: message_id(&data),
                data,
                received_at: Timestamp::now(),
            });
        }
        match verdict {
            Verdict::Accepted => Ok(self.say(250, "OK: mail received")),
            verdict => Ok(goes_on(&verdict)),
        }
    }

    fn reset(&mut self) {
        self.sender = None;
        self.recipients.clear();
    }

    /// Sends the usual reply; the session goes on.
    fn say(&mut self, code: u16, text: &str) -> bool {
        self.wire.reply(code, text);
        true
    }

    /// Asks the script until a decision ends the step.
    async fn decide(&mut self, stage: Stage, argument: &str) -> io::Result<Verdict> {
        loop {
            let script = self.script.borrow_and_update().clone();
            let step = Step {
                stage,
                argument,
                recipients: &self.recipients,
                session: self.pass.number,
                open: self.pass.mailroom.sessions().open,
            };
            match script.decide(&step) {
                Action::Accept => return Ok(Verdict::Accepted),
                Action::Reply(code, text) => {
                    self.wire.reply(code, &text);
                    return Ok(Verdict::Replied(code));
                }
                Action::Say(octets) => {
                    let accepted = matches!(octets.first(), Some(b'2' | b'3'));
                    self.wire.instead(octets);
                    if accepted {
                        return Ok(Verdict::Accepted);
                    }
                    self.wire.reply(550, "");
                    return Ok(Verdict::Replied(550));
                }
                Action::AcceptThenDisconnect if stage == Stage::EndOfData => {
                    return Ok(Verdict::Unacknowledged);
                }
                Action::Disconnect | Action::AcceptThenDisconnect => {
                    return Err(io::Error::other("the script disconnects"));
                }
                Action::Delay(time) => {
                    self.wire.flush().await?;
                    tokio::select! {
                        () = sleep(time) => return Ok(Verdict::Accepted),
                        gone = self.wire.client_gone() => return Err(gone),
                    }
                }
                Action::Hang => {
                    self.wire.flush().await?;
                    tokio::select! {
                        changed = self.script.changed() => changed.map_err(io::Error::other)?,
                        gone = self.wire.client_gone() => return Err(gone),
                    }
                }
            }
        }
    }
}

/// Whether the session goes on after a refused step.
fn goes_on(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Replied(code) if *code != 421)
}

/// The `Message-ID` header's value, from the headers alone.
fn message_id(data: &[u8]) -> Option<String> {
    const NAME: &[u8] = b"message-id:";
    let headers = data.split(|byte| *byte == b'\n').take_while(|line| !line.trim_ascii().is_empty());
    let mut named =
        headers.filter(|line| line.get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME)));
    named.next().map(|line| String::from_utf8_lossy(&line[NAME.len()..]).trim().to_owned())
}
