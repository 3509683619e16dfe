//! Clients that are hostile or have stopped half way: they occupy a server's scarce resources, and give nothing back.
//!
//! Each uses addresses of its own (127.0.0.2 and on), as strangers do. The ledger finds their effect on the people. Their
//! cost to the services in memory is a count of its own.

use crate::{
    chronicle::Chronicle,
    schedule::{Fault, Lane, Planned, Stranger},
};
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, TcpStream},
    time::{Instant, sleep, sleep_until, timeout},
};

/// The connections of one fault, and the number of their addresses.
const CONNECTIONS: u8 = 200;
const ADDRESSES: u8 = 4;
/// The requests that one connection sends without reading an answer.
const PIPELINED: usize = 40;
const CONNECT_LIMIT: Duration = Duration::from_secs(1);

/// Sends strangers to a user service by the schedule.
pub(crate) async fn visit(service: SocketAddr, lane: Lane, began: Instant, chronicle: Arc<Chronicle>) {
    for Planned { at, lasts, fault } in lane {
        sleep_until(began + at).await;
        let Fault::Strangers(_, stranger) = fault else { continue };
        chronicle.note(&format!("strangers at {service}: {stranger:?} for {lasts:?}"));
        let connections = (0..CONNECTIONS).map(|number| come(service, stranger, number));
        let open: Vec<_> = futures_util::future::join_all(connections).await.into_iter().flatten().collect();
        sleep(lasts).await;
        chronicle.note(&format!("strangers at {service}: {} of {CONNECTIONS} had been let in", open.len()));
    }
}

/// Opens a connection and sends the stranger's requests; `None` if the service does not accept it.
async fn come(service: SocketAddr, stranger: Stranger, number: u8) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().ok()?;
    let address = Ipv4Addr::new(127, 0, 0, 2 + number % ADDRESSES);
    socket.bind(SocketAddr::from((address, 0))).ok()?;
    if stranger == Stranger::ReadsNothing {
        // A small buffer, so that the answers fill the service's memory and not the kernel's.
        socket.set_recv_buffer_size(4_096).ok()?;
    }
    let mut stream = timeout(CONNECT_LIMIT, socket.connect(service)).await.ok()?.ok()?;
    let said = match stranger {
        Stranger::ReadsNothing => {
            "GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(PIPELINED)
        }
        Stranger::SendsHalf => {
            "POST /api/register HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 200\r\n\r\n{\"first"
                .to_owned()
        }
    };
    // The service may close the connection at once. That is fine.
    let _ = timeout(CONNECT_LIMIT, stream.write_all(said.as_bytes())).await;
    Some(stream)
}
