//! Writes a record that no client library would write: the name of its header may be any octets, and need not be UTF-8.

use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

const PRODUCE: i16 = 0;
/// The oldest version whose batches have headers.
const VERSION: i16 = 3;
const PATIENCE: Duration = Duration::from_secs(20);

/// Writes one record with one header to partition 0 of a topic, with the acks of all replicas. Blocks.
///
/// # Errors
/// When the broker does not answer, or with the number of its error.
pub fn write(
    bootstrap: &str,
    topic: &str,
    (key, value): (&[u8], &[u8]),
    header: (&[u8], &[u8]),
) -> io::Result<()> {
    let batch = batch(key, value, header);
    let mut request = Vec::new();
    request.extend([PRODUCE, VERSION].map(i16::to_be_bytes).concat());
    // The correlation id; no client id; no transaction; acks of all replicas.
    request.extend(7_i32.to_be_bytes());
    request.extend([-1_i16; 3].map(i16::to_be_bytes).concat());
    // The time-out in milliseconds; one topic.
    request.extend([10_000, 1].map(i32::to_be_bytes).concat());
    request.extend(i16::try_from(topic.len()).map_err(io::Error::other)?.to_be_bytes());
    request.extend(topic.as_bytes());
    // One partition: the first one.
    request.extend([1, 0, length(&batch)].map(i32::to_be_bytes).concat());
    request.extend(batch);

    let mut broker = TcpStream::connect(bootstrap)?;
    broker.set_read_timeout(Some(PATIENCE))?;
    broker.write_all(&[&length(&request).to_be_bytes(), &*request].concat())?;
    let mut octets = [0; 4];
    broker.read_exact(&mut octets)?;
    let mut answer = vec![0; usize::try_from(i32::from_be_bytes(octets)).map_err(io::Error::other)?];
    broker.read_exact(&mut answer)?;
    // Correlation id, number of topics, name, number of partitions, partition.
    let at = 4 + 4 + 2 + topic.len() + 4 + 4;
    match answer.get(at..at + 2) {
        Some([0, 0]) => Ok(()),
        error => Err(io::Error::other(format!("the broker answers with the error {error:?}"))),
    }
}

/// A batch of one record (https://kafka.apache.org/documentation/#recordbatch).
fn batch(key: &[u8], value: &[u8], header: (&[u8], &[u8])) -> Vec<u8> {
    // Attributes, and the differences of time and offset from the batch.
    let mut record = vec![0, 0, 0];
    put(&mut record, key);
    put(&mut record, value);
    // One header; numbers are doubled (zigzag).
    record.push(2);
    put(&mut record, header.0);
    put(&mut record, header.1);

    let mut checked = vec![0; 2 + 4];
    // First and last time; neither a producer nor a sequence; one record.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let now = u64::try_from(now.as_millis()).unwrap_or_default().to_be_bytes();
    checked.extend([now, now].concat());
    checked.extend([0xff; 8 + 2 + 4]);
    checked.extend(1_i32.to_be_bytes());
    put(&mut checked, &record);

    // The offset; the length; the leader's epoch; the version; the checksum.
    let mut batch = vec![0; 8];
    batch.extend((length(&checked) + 9).to_be_bytes());
    batch.extend([0xff, 0xff, 0xff, 0xff, 2]);
    batch.extend(crc32c::crc32c(&checked).to_be_bytes());
    batch.extend(checked);
    batch
}

/// Octets behind their number, as a variable-length integer (zigzag).
fn put(bytes: &mut Vec<u8>, octets: &[u8]) {
    let mut rest = octets.len() * 2;
    while rest > 0x7f {
        bytes.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes.extend(octets);
}

fn length(bytes: &[u8]) -> i32 {
    i32::try_from(bytes.len()).unwrap_or(i32::MAX)
}
