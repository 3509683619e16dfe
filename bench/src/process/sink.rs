//! A mail server that only counts: it accepts every mail, notes its recipient and time, and can be slow on purpose.
//!
//! Its standard input takes one command a line: `count`; `mails` (their number, then a line for each, and forgets them);
//! `phases` (see [`Phases`]; starts new sums); `delay MS` per mail; `close` (no listener, no session); `open`.

pub(crate) mod client;
mod session;

use super::monotonic_ns;
use anyhow::Context as _;
use std::{
    io::Write as _,
    net::{Ipv4Addr, SocketAddr},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::watch,
};

/// The state that all sessions share.
#[derive(Debug)]
struct Sink {
    state: Mutex<State>,
    open: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    count: u64,
    mails: Vec<(u64, String)>,
    delay: Duration,
    phases: Phases,
}

/// How the time of a session is spent: sums over mails, in nanoseconds.
#[derive(Debug, Default, Clone, Copy)]
struct Phases {
    mails: u64,
    /// The size of all mails, in octets.
    octets: u64,
    /// Mails that were not the first of their session.
    follow_ups: u64,
    /// From the reply to a mail until the session's next `MAIL FROM`.
    between: u64,
    /// From `MAIL FROM` until the final dot.
    dialogue: u64,
    /// From the final dot until its reply: the real delay.
    reply: u64,
}

impl Sink {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, question: &str) -> String {
        let mut state = self.lock();
        match question.split_once(' ').unwrap_or((question, "")) {
            ("count", _) => state.count.to_string(),
            ("mails", _) => {
                let mails = std::mem::take(&mut state.mails);
                let lines = mails.iter().map(|(moment, recipient)| format!("\n{moment} {recipient}"));
                format!("{}{}", mails.len(), lines.collect::<String>())
            }
            ("phases", _) => {
                let Phases { mails, octets, follow_ups, between, dialogue, reply } =
                    std::mem::take(&mut state.phases);
                format!("{mails} {octets} {follow_ups} {between} {dialogue} {reply}")
            }
            ("delay", ms) => {
                state.delay = Duration::from_millis(ms.parse().unwrap_or(0));
                "ok".to_owned()
            }
            ("close", _) => self.set_open(false),
            ("open", _) => self.set_open(true),
            _ => "unknown".to_owned(),
        }
    }

    fn set_open(&self, open: bool) -> String {
        self.open.send_replace(open);
        "ok".to_owned()
    }
}

/// Accepts mails until standard input ends.
///
/// # Errors
/// When no port is free.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run() -> anyhow::Result<()> {
    let sink: &'static Sink =
        Box::leak(Box::new(Sink { state: Mutex::default(), open: watch::Sender::new(true) }));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    writeln!(std::io::stdout(), "{address}")?;
    std::thread::spawn(move || {
        for question in std::io::stdin().lines().map_while(Result::ok) {
            if writeln!(std::io::stdout(), "{}", sink.answer(&question)).is_err() {
                break;
            }
        }
        std::process::exit(0);
    });
    serve(sink, listener, address).await
}

async fn serve(sink: &'static Sink, listener: TcpListener, address: SocketAddr) -> anyhow::Result<()> {
    let mut open = sink.open.subscribe();
    let mut listener = Some(listener);
    loop {
        tokio::select! {
            accepted = accept(listener.as_ref()) => {
                let stream = accepted?;
                let mut open = sink.open.subscribe();
                tokio::spawn(async move {
                    tokio::select! {
                        // A client that disconnects in the middle does not matter to a sink.
                        _ = session::serve(sink, stream) => {}
                        _ = async { open.wait_for(|open| !open).await.is_ok() } => {}
                    }
                });
            }
            changed = open.changed() => {
                changed?;
                listener = if *open.borrow_and_update() { Some(listen(address)?) } else { None };
            }
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> std::io::Result<tokio::net::TcpStream> {
    match listener {
        Some(listener) => {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        }
        None => std::future::pending().await,
    }
}

fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    // Closed sessions may still hold the port.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(1024).context("the port is taken")
}
