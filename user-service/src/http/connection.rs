//! One client's connection, between the socket and the HTTP/1.1 dispatcher
//! of actix-http. It bounds what one client can make the service hold.
//!
//! By itself, actix-http reads up to 128 KiB ahead on each connection and parses all requests that it
//! finds there. It answers them even if the client reads no answers. After the first request it waits for
//! the next head without a time limit. A request that it refuses itself gets an answer without a body. It
//! continues with the requests behind a body that no handler has read. So this module adds four rules:
//!
//! - It stops reading while the peer does not read its answers. Before
//!   an answer it reads only a little ([`STEP`], [`READ_AHEAD`]).
//! - A peer that reads nothing for [`Silence::of_peer`], or gets
//!   no answer for [`Silence::of_service`], loses its connection.
//! - A refusal by actix-http becomes a problem document (`refusal`).
//! - After a request whose body was not read the connection ends, and further input is discarded (`track`).

mod refusal;
mod track;
mod admission;

pub(crate) use admission::Admission;
pub(super) use track::body_was_read;
pub(crate) use track::track;

use crate::network::Place;
use actix_web::{
    dev::Extensions,
    rt::net::TcpStream,
    web::{Buf, Bytes},
};
use socket2::SockRef;
use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::OwnedSemaphorePermit,
    time::{Instant, Sleep, sleep_until},
};
use track::Connected;

/// Octets that are read before actix-http parses them. It parses
/// all requests that it finds, and each takes 6 kB of memory.
const STEP: usize = 1024;
/// The most octets that are read before an answer is written: 16 KiB of a body, and a head of 24 KiB.
const READ_AHEAD: usize = 40 * 1024;
/// The kernel's buffer for unsent answers, in octets.
const SEND_BUFFER: usize = 64 * 1024;
/// How long a connection that is to end waits until its peer has read the answer and closed.
pub(super) const LINGER: Duration = Duration::from_secs(1);

/// Time limits for a connection on which nothing happens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Silence {
    /// How long a peer may read nothing while data waits for it. `TCP_USER_TIMEOUT` is not
    /// suitable: if the peer's window opens again and again, but never wide enough for all
    /// queued data, Linux counts it as closed all the time, and resets clients that read slowly.
    pub(crate) of_peer: Duration,
    /// How long the connection may go without an answer.
    pub(crate) of_service: Duration,
}

/// A client's socket, with its places in the limits on connections.
pub(crate) struct Connection {
    stream: TcpStream,
    /// The peer's address.
    pub(crate) peer: SocketAddr,
    connected: Rc<Connected>,
    /// Octets read since the last answer.
    read: usize,
    /// Octets read in the present step.
    step: usize,
    /// The last write was blocked: the peer does not read.
    is_blocked: bool,
    /// Woken by the next write that is not blocked; reading then continues.
    reader: Option<Waker>,
    /// The rest of a refusal that this module writes. Nothing else is written after it.
    refusal: Option<Bytes>,
    silence: Silence,
    answered_at: Instant,
    ends_at: Option<Instant>,
    timer: Pin<Box<Sleep>>,
    _places: (Option<Place>, OwnedSemaphorePermit),
}

impl Connection {
    fn new(
        stream: TcpStream,
        peer: SocketAddr,
        silence: Silence,
        places: (Option<Place>, OwnedSemaphorePermit),
    ) -> Self {
        let now = Instant::now();
        Self {
            stream,
            peer,
            connected: Rc::default(),
            read: 0,
            step: 0,
            is_blocked: false,
            reader: None,
            refusal: None,
            silence,
            answered_at: now,
            ends_at: None,
            timer: Box::pin(sleep_until(now + silence.of_service)),
            _places: places,
        }
    }

    /// Gives the requests of this connection access to its state.
    pub(crate) fn introduce(&self, data: &mut Extensions) {
        data.insert(Rc::clone(&self.connected));
    }

    /// Fails when the connection went without an answer for too long, or should have ended by now.
    fn poll_time(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.connected.ends.get() && self.ends_at.is_none() {
            self.ends_at = Some(Instant::now() + LINGER);
            // actix-http may be waiting for more of a body. It is
            // woken to read again: from now on its input is discarded.
            context.waker().wake_by_ref();
        }
        let patience = if self.is_blocked { self.silence.of_peer } else { self.silence.of_service };
        let until = self.ends_at.unwrap_or(self.answered_at + patience);
        if self.timer.deadline() > until || self.timer.is_elapsed() {
            self.timer.as_mut().reset(until);
        }
        while self.timer.as_mut().poll(context).is_ready() {
            if Instant::now() >= until {
                if self.is_blocked {
                    // The kernel drops the unsent data, too, instead of keeping it for a peer that does not read.
                    SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))?;
                }
                return Err(ErrorKind::TimedOut.into());
            }
            self.timer.as_mut().reset(until);
        }
        Ok(())
    }

    /// Discards input until the peer closes.
    fn poll_discard(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut octets = [0; 4096];
        for _ in 0..16 {
            let mut buffer = ReadBuf::new(&mut octets);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Continues to write a refusal of this module.
    fn poll_refusal(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { refusal, stream, .. } = self;
        while let Some(refusal) = refusal.as_mut().filter(|left| !left.is_empty()) {
            let count = ready!(Pin::new(&mut *stream).poll_write(context, refusal))?;
            refusal.advance(count);
        }
        Poll::Ready(Ok(()))
    }

    fn refuse(&mut self, refusal: Bytes) {
        self.refusal = Some(refusal);
        self.connected.ends.set(true);
    }

    fn pause(&mut self, context: &Context<'_>) -> Poll<io::Result<()>> {
        self.reader = Some(context.waker().clone());
        Poll::Pending
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_time(context)?;
        if self.ends_at.is_some() {
            return self.poll_discard(context);
        }
        if self.is_blocked {
            return self.pause(context);
        }
        let is_at_work = self.connected.open.get() > 0 || self.connected.answers.get() > 0;
        let bound = if is_at_work && !self.connected.unread.get() { STEP } else { READ_AHEAD };
        if self.read >= bound {
            if is_at_work {
                return self.pause(context);
            }
            self.refuse(refusal::head_too_large());
        }
        if self.step >= STEP || self.refusal.is_some() {
            self.step = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let count = buffer.remaining().min(STEP - self.step);
        let mut step = ReadBuf::new(buffer.initialize_unfilled_to(count));
        let read = Pin::new(&mut self.stream).poll_read(context, &mut step);
        let count = step.filled().len();
        buffer.advance(count);
        self.read += count;
        self.step = if read.is_pending() { 0 } else { self.step + count };
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_time(context)?;
        if self.refusal.is_none()
            && self.connected.answers.get() == 0
            && let Some(document) = refusal::instead_of(octets)
        {
            self.refuse(document);
        }
        if self.refusal.is_some() {
            ready!(self.poll_refusal(context))?;
            return Poll::Ready(Ok(octets.len()));
        }
        let written = Pin::new(&mut self.stream).poll_write(context, octets);
        let was_blocked = std::mem::replace(&mut self.is_blocked, written.is_pending());
        if self.is_blocked && !was_blocked {
            self.answered_at = Instant::now();
            self.poll_time(context)?;
        }
        if !self.is_blocked {
            (self.read, self.answered_at) = (0, Instant::now());
            self.connected.answers.set(0);
            if let Some(reader) = self.reader.take() {
                reader.wake();
            }
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_refusal(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_refusal(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
