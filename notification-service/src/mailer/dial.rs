//! The TCP connection, to the first address of the host that answers (Happy Eyeballs, RFC 8305).
//!
//! When an address fails or does not answer for a moment, the next one is tried. The earlier attempts go on meanwhile.

use futures_util::{StreamExt, stream::FuturesUnordered};
use socket2::{SockRef, TcpKeepalive};
use std::{io, net::SocketAddr, time::Duration};
use tokio::{
    net::{TcpStream, lookup_host},
    time::sleep,
};

/// RFC 8305, section 5: "Connection Attempt Delay".
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// A server may take minutes over a mail, but its machine acknowledges packets at once. After this time a connection counts
/// as lost: the machine is gone, or a router has forgotten the connection.
#[cfg(target_os = "linux")]
const VANISHED_AFTER: Duration = Duration::from_secs(60);
const KEEPALIVE: TcpKeepalive =
    TcpKeepalive::new().with_time(Duration::from_secs(15)).with_interval(Duration::from_secs(15));

/// Connects, without a time-out of its own.
pub(super) async fn dial(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = first_to_answer(interleaved(lookup_host((host, port)).await?)).await?;
    stream.set_nodelay(true)?;
    let socket = SockRef::from(&stream);
    socket.set_tcp_keepalive(&KEEPALIVE)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(VANISHED_AFTER))?;
    Ok(stream)
}

async fn first_to_answer(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut waiting = addresses.into_iter();
    let mut attempts = FuturesUnordered::new();
    let mut last_error = io::Error::other("the name has no address");
    loop {
        attempts.extend(waiting.next().map(TcpStream::connect));
        tokio::select! {
            answered = attempts.next() => match answered {
                Some(Ok(stream)) => return Ok(stream),
                Some(Err(error)) => last_error = error,
                None => return Err(last_error),
            },
            () = sleep(ATTEMPT_DELAY), if waiting.len() > 0 => {}
        }
    }
}

/// The addresses in the system's order (RFC 6724), with the two families alternating (RFC 8305, section 4).
fn interleaved(addresses: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let addresses: Vec<_> = addresses.collect();
    let is_first_family =
        |address: &SocketAddr| addresses.first().map(SocketAddr::is_ipv4) == Some(address.is_ipv4());
    let (first, second): (Vec<_>, Vec<_>) = addresses.iter().copied().partition(is_first_family);
    let turns = first.len().max(second.len());
    (0..turns).flat_map(|turn| first.get(turn).into_iter().chain(second.get(turn))).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;
    use tokio::net::{TcpListener, TcpSocket};

    async fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    #[tokio::test]
    async fn an_address_that_drops_packets_costs_a_moment() {
        // The kernel drops connection attempts to a full backlog.
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let silent = socket.local_addr().unwrap();
        let full = socket.listen(1).unwrap();
        let fill = || tokio::time::timeout(Duration::from_millis(100), TcpStream::connect(silent));
        let mut filling = Vec::new();
        while let Ok(Ok(stream)) = fill().await {
            filling.push(stream);
            assert!(filling.len() < 100, "the backlog has an end");
        }

        let (_listener, good) = listener().await;
        let started = Instant::now();
        let stream = first_to_answer(vec![silent, good]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
        let took = started.elapsed();
        assert!((Duration::from_millis(200)..Duration::from_secs(5)).contains(&took), "{took:?}");
        drop(full);
    }

    #[tokio::test]
    async fn an_address_that_refuses_costs_nothing_and_the_last_error_is_told() {
        let (listener, refusing) = listener().await;
        drop(listener);
        let (_listener, good) = self::listener().await;
        let started = Instant::now();
        let stream = first_to_answer(vec![refusing, refusing, good]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
        assert!(started.elapsed() < ATTEMPT_DELAY);

        let error = first_to_answer(vec![refusing]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(first_to_answer(vec![]).await.unwrap_err().to_string(), "the name has no address");
    }

    #[test]
    fn families_take_turns_and_the_systems_first_choice_stays_first() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let [a, b, c, d] = ["[::1]:25", "[::2]:25", "[::3]:25", "127.0.0.1:25"].map(address);
        assert_eq!(interleaved([a, b, c, d].into_iter()), [a, d, b, c]);
        assert_eq!(interleaved([d, a, b].into_iter()), [d, a, b]);
        assert_eq!(interleaved([].into_iter()), []);
    }
}
