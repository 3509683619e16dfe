//! One connection: frames in, frames out. Requests are answered in order, one at a time.
//!
//! A malformed request ends the connection, as with Kafka. A panic ends only its own task. When a client disconnects, its
//! waiting request is dropped, so that the coordinator does not wait for a member that has gone.

use crate::broker::{Node, requests};
use anyhow::ensure;
use bytes::Bytes;
use std::sync::Arc;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpStream, tcp::OwnedReadHalf},
};

/// Less than Kafka's `socket.request.max.bytes` (100 MiB), because a list may reserve some 120 bytes for each byte of a
/// request.
const MAX_FRAME: usize = 16 * 1024 * 1024;
/// The size of the header fields that every version has.
const MIN_FRAME: usize = 8;

/// Serves a client until it disconnects.
///
/// # Errors
/// The client sent a request that this broker does not advertise, or the connection broke.
pub(super) async fn converse(stream: TcpStream, node: Arc<Node>) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let (from_client, mut to_client) = stream.into_split();
    let mut from_client = BufReader::new(from_client);
    while let Some(frame) = read_frame(&mut from_client).await? {
        let answer = tokio::select! {
            biased;
            answer = requests::answer(&node, frame) => answer?,
            () = gone(&mut from_client) => return Ok(()),
        };
        if let Some(answer) = answer {
            to_client.write_all(&answer).await?;
        }
    }
    Ok(())
}

async fn read_frame(from_client: &mut BufReader<OwnedReadHalf>) -> anyhow::Result<Option<Bytes>> {
    if from_client.fill_buf().await?.is_empty() {
        return Ok(None);
    }
    let announced = from_client.read_i32().await?;
    let length = usize::try_from(announced).unwrap_or(usize::MAX);
    ensure!((MIN_FRAME..=MAX_FRAME).contains(&length), "a request of {announced} bytes");
    let mut frame = Vec::new();
    from_client.take(length as u64).read_to_end(&mut frame).await?;
    ensure!(frame.len() == length, "a request ended after {} of {length} bytes", frame.len());
    Ok(Some(frame.into()))
}

/// Waits until the client has disconnected. A next request stays unread.
async fn gone(from_client: &mut BufReader<OwnedReadHalf>) {
    if from_client.fill_buf().await.is_ok_and(|next| !next.is_empty()) {
        std::future::pending().await
    }
}
