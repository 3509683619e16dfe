//! A TCP proxy between a process and its peer: it passes bytes on, delays or drops them, or closes connections.
//!
//! An honest network stack on one machine has no half-open connections, so the proxy swallows bytes instead. A connection
//! that has lost bytes is closed when the fault ends, because its stream is corrupt.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinSet,
    time::sleep,
};

const CHUNK: usize = 16 * 1024;

/// How a connection fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkFault {
    /// Bytes arrive later, in both directions.
    Delay(Duration),
    /// All connections are closed, new ones as well.
    Cut,
    /// Half-open: bytes are lost in both directions, and both ends keep their connection.
    Swallow,
    /// Bytes are held back and arrive when the fault ends.
    Stall,
}

/// What came from the upstream, once somebody listens.
type Heard = Arc<Mutex<Option<Vec<u8>>>>;

/// A running proxy. Dropping it closes everything.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    upstream: Arc<OnceLock<SocketAddr>>,
    fault: watch::Sender<Option<LinkFault>>,
    open: Arc<AtomicUsize>,
    heard: Heard,
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// Listens on a free port. Before [`leads_to`](Proxy::leads_to) every connection is closed.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn listen() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (upstream, open) = (Arc::new(OnceLock::new()), Arc::new(AtomicUsize::new(0)));
        let fault = watch::Sender::new(None);
        let mut tasks = JoinSet::new();
        let heard = Heard::default();
        tasks.spawn(accept(
            listener,
            Arc::clone(&upstream),
            fault.subscribe(),
            Arc::clone(&open),
            Arc::clone(&heard),
        ));
        Ok(Self { address, upstream, fault, open, heard, _tasks: tasks })
    }

    /// The address at which it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets the address to which it connects. Only the first call has an effect.
    pub fn leads_to(&self, upstream: SocketAddr) {
        self.upstream.get_or_init(|| upstream);
    }

    /// The number of open connections.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// Keeps all that comes from the upstream from now on, for [`heard`](Proxy::heard).
    pub fn listen_in(&self) {
        *self.heard.lock().expect("nobody panics with it") = Some(Vec::new());
    }

    /// Whether this text came from the upstream.
    #[must_use]
    pub fn heard(&self, text: &str) -> bool {
        let heard = self.heard.lock().expect("nobody panics with it");
        heard.as_ref().is_some_and(|heard| heard.windows(text.len()).any(|part| part == text.as_bytes()))
    }

    /// Begins a fault, or ends it.
    pub fn set(&self, fault: Option<LinkFault>) {
        self.fault.send_replace(fault);
    }
}

async fn accept(
    listener: TcpListener,
    upstream: Arc<OnceLock<SocketAddr>>,
    fault: watch::Receiver<Option<LinkFault>>,
    open: Arc<AtomicUsize>,
    heard: Heard,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (Ok((client, _)), Some(upstream)) = (accepted, upstream.get().copied()) else { continue };
                let (fault, open, heard) = (fault.clone(), Arc::clone(&open), Arc::clone(&heard));
                connections.spawn(async move {
                    open.fetch_add(1, Ordering::SeqCst);
                    // An error means only that the connection has ended.
                    let _ = connect(client, upstream, fault, heard).await;
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connect(
    client: TcpStream,
    upstream: SocketAddr,
    fault: watch::Receiver<Option<LinkFault>>,
    heard: Heard,
) -> io::Result<()> {
    let mut cut = fault.clone();
    let passing = async {
        let server = TcpStream::connect(upstream).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        tokio::try_join!(
            pass(from_client, to_server, fault.clone(), Heard::default()),
            pass(from_server, to_client, fault.clone(), heard)
        )
    };
    tokio::select! {
        passed = passing => passed.map(|_| ()),
        _ = cut.wait_for(|fault| *fault == Some(LinkFault::Cut)) => Ok(()),
    }
}

/// Passes one direction on until its end.
async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut fault: watch::Receiver<Option<LinkFault>>,
    heard: Heard,
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    let mut lost = false;
    loop {
        let now = *fault.borrow_and_update();
        if lost && now != Some(LinkFault::Swallow) {
            return Err(io::Error::other("bytes were lost"));
        }
        let read = tokio::select! {
            changed = fault.changed() => {
                changed.map_err(io::Error::other)?;
                continue;
            }
            read = from.read(&mut chunk), if now != Some(LinkFault::Stall) => read?,
        };
        match now {
            Some(LinkFault::Swallow) => {
                lost = true;
                if read == 0 {
                    // The end of the stream is lost, too. There is nothing more to read.
                    fault.changed().await.map_err(io::Error::other)?;
                }
                continue;
            }
            Some(LinkFault::Delay(time)) => sleep(time).await,
            _ => {}
        }
        if read == 0 {
            return to.shutdown().await;
        }
        if let Some(heard) = heard.lock().expect("nobody panics with it").as_mut() {
            heard.extend(&chunk[..read]);
        }
        to.write_all(&chunk[..read]).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;
    use tokio::time::timeout;

    const LIMIT: Duration = Duration::from_secs(10);
    const SOON: Duration = Duration::from_millis(100);

    /// A proxy in front of an echo server, and a connection through it.
    async fn echo() -> (Proxy, TcpStream) {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let proxy = Proxy::listen().await.unwrap();
        proxy.leads_to(server.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = server.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        let client = TcpStream::connect(proxy.address()).await.unwrap();
        (proxy, client)
    }

    async fn echoed(client: &mut TcpStream) -> io::Result<usize> {
        client.write_all(b"ping").await?;
        let mut answer = [0; 4];
        timeout(LIMIT, client.read(&mut answer)).await?
    }

    #[tokio::test]
    async fn bytes_pass_and_a_delay_holds_them_up() {
        let (proxy, mut client) = echo().await;
        assert_eq!(echoed(&mut client).await.unwrap(), 4);
        proxy.set(Some(LinkFault::Delay(SOON)));
        let began = Instant::now();
        assert_eq!(echoed(&mut client).await.unwrap(), 4);
        assert!(began.elapsed() >= 2 * SOON, "there and back");
    }

    #[tokio::test]
    async fn a_cut_closes_what_is_open_and_what_comes() {
        let (proxy, mut client) = echo().await;
        assert_eq!(echoed(&mut client).await.unwrap(), 4);
        assert_eq!(proxy.open(), 1);
        proxy.set(Some(LinkFault::Cut));
        assert!(!matches!(timeout(LIMIT, client.read(&mut [0; 4])).await.unwrap(), Ok(1..)));
        let mut next = TcpStream::connect(proxy.address()).await.unwrap();
        assert!(!matches!(echoed(&mut next).await, Ok(1..)));
    }

    #[tokio::test]
    async fn swallowed_bytes_are_lost_and_their_connection_with_them() {
        let (proxy, mut client) = echo().await;
        assert_eq!(echoed(&mut client).await.unwrap(), 4);
        proxy.set(Some(LinkFault::Swallow));
        client.write_all(b"ping").await.unwrap();
        assert!(timeout(SOON, client.read(&mut [0; 4])).await.is_err(), "no answer and no end");
        proxy.set(None);
        assert!(!matches!(timeout(LIMIT, client.read(&mut [0; 4])).await.unwrap(), Ok(1..)));
    }

    #[tokio::test]
    async fn stalled_bytes_arrive_in_the_end() {
        let (proxy, mut client) = echo().await;
        assert_eq!(echoed(&mut client).await.unwrap(), 4);
        proxy.set(Some(LinkFault::Stall));
        client.write_all(b"ping").await.unwrap();
        assert!(timeout(SOON, client.read(&mut [0; 4])).await.is_err());
        proxy.set(None);
        assert_eq!(timeout(LIMIT, client.read(&mut [0; 4])).await.unwrap().unwrap(), 4);
    }
}
