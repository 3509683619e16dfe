//! Requests that librdkafka would not send: the same bytes twice, sequence numbers with a gap, a wrong checksum.

use super::*;
use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

const PRODUCE: i16 = 0;
const FETCH: i16 = 1;
const API_VERSIONS: i16 = 18;
const INIT_PRODUCER_ID: i16 = 22;

/// A connection that sends requests as bytes.
pub(crate) struct Client(TcpStream);

/// An answer that is read from the front.
struct Answer(Vec<u8>);

impl Client {
    pub(crate) fn connect(bootstrap: &str) -> Client {
        let stream = TcpStream::connect(bootstrap).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        Client(stream)
    }

    fn ask(&mut self, key: i16, version: i16, body: &[u8]) -> Answer {
        let mut request = [key.to_be_bytes(), version.to_be_bytes()].concat();
        request.extend(7_i32.to_be_bytes());
        put_text(&mut request, "raw");
        request.extend(body);
        let length = i32::try_from(request.len()).unwrap();
        self.0.write_all(&[&length.to_be_bytes(), request.as_slice()].concat()).unwrap();
        let mut length = [0; 4];
        self.0.read_exact(&mut length).unwrap();
        let mut answer = vec![0; usize::try_from(i32::from_be_bytes(length)).unwrap()];
        self.0.read_exact(&mut answer).unwrap();
        let mut answer = Answer(answer);
        assert_eq!(answer.i32(), 7, "the answer belongs to the request");
        answer
    }

    fn producer_id(&mut self) -> i64 {
        // No transactional id, so the timeout means nothing.
        let mut answer = self.ask(INIT_PRODUCER_ID, 0, &[&(-1_i16).to_be_bytes()[..], &[0; 4]].concat());
        assert_eq!((answer.i32(), answer.i16()), (0, 0));
        answer.i64()
    }

    /// Returns error and offset.
    fn produce(&mut self, topic: &str, batch: &[u8]) -> (i16, i64) {
        let (error, offset, _) = self.produce_at(topic, batch);
        (error, offset)
    }

    /// Returns error, offset and time.
    fn produce_at(&mut self, topic: &str, batch: &[u8]) -> (i16, i64, i64) {
        let mut body = [(-1_i16).to_be_bytes(), (-1_i16).to_be_bytes()].concat();
        body.extend(10_000_i32.to_be_bytes());
        body.extend(1_i32.to_be_bytes());
        put_text(&mut body, topic);
        body.extend(1_i32.to_be_bytes());
        body.extend(0_i32.to_be_bytes());
        body.extend(i32::try_from(batch.len()).unwrap().to_be_bytes());
        body.extend(batch);
        let mut answer = self.ask(PRODUCE, 3, &body);
        answer.skip(4 + 2 + topic.len() + 4 + 4);
        (answer.i16(), answer.i64(), answer.i64())
    }

    /// Returns the error and the end of the partition.
    pub(crate) fn fetch(&mut self, topic: &str, partition: i32, offset: i64, wait_ms: i32) -> (i16, i64) {
        let mut body = Vec::new();
        for number in [-1, wait_ms, 1, 1_000_000] {
            body.extend(number.to_be_bytes());
        }
        body.push(0);
        body.extend(1_i32.to_be_bytes());
        put_text(&mut body, topic);
        body.extend(1_i32.to_be_bytes());
        body.extend(partition.to_be_bytes());
        body.extend(offset.to_be_bytes());
        body.extend(1_000_000_i32.to_be_bytes());
        let mut answer = self.ask(FETCH, 4, &body);
        answer.skip(4 + 4 + 2 + topic.len() + 4 + 4);
        (answer.i16(), answer.i64())
    }
}

impl Answer {
    fn skip(&mut self, bytes: usize) {
        self.0.drain(..bytes);
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        let taken = self.0[..N].try_into().unwrap();
        self.skip(N);
        taken
    }

    fn i16(&mut self) -> i16 {
        i16::from_be_bytes(self.take())
    }

    fn i32(&mut self) -> i32 {
        i32::from_be_bytes(self.take())
    }

    fn i64(&mut self) -> i64 {
        i64::from_be_bytes(self.take())
    }
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend(i16::try_from(text.len()).unwrap().to_be_bytes());
    bytes.extend(text.as_bytes());
}

/// A batch of this many records without a value, as an idempotent producer sends it.
pub(crate) fn batch(producer: i64, epoch: i16, sequence: i32, records: u8) -> Vec<u8> {
    let mut checked = vec![0, 0];
    checked.extend((i32::from(records) - 1).to_be_bytes());
    for timestamp in [1_700_000_000_000_i64; 2] {
        checked.extend(timestamp.to_be_bytes());
    }
    checked.extend(producer.to_be_bytes());
    checked.extend(epoch.to_be_bytes());
    checked.extend(sequence.to_be_bytes());
    checked.extend(i32::from(records).to_be_bytes());
    for number in 0..records {
        // Length, attributes, time, offset, a key of one byte, no value, no headers: numbers are doubled (zigzag).
        checked.extend([14, 0, 0, number * 2, 2, b'k', 1, 0]);
    }
    let mut batch = vec![0; 8];
    batch.extend(i32::try_from(9 + checked.len()).unwrap().to_be_bytes());
    batch.extend([0, 0, 0, 0, 2]);
    batch.extend(crc32c(&checked).to_be_bytes());
    batch.extend(checked);
    batch
}

/// The same batch with these attributes.
fn with_attributes(mut batch: Vec<u8>, attributes: u8) -> Vec<u8> {
    batch[22] = attributes;
    let sum = crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&sum.to_be_bytes());
    batch
}

/// Castagnoli's checksum, bit by bit (RFC 3720, appendix B.4).
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0x82f6_3b78 & (sum & 1).wrapping_neg()))
    })
}

fn count(bootstrap: &str, topic: &str) -> i64 {
    reader(bootstrap, topic, 0).fetch_watermarks(topic, 0, DEADLINE).unwrap().1
}

pub(crate) async fn a_batch_that_is_sent_again_is_acknowledged_with_its_first_offset(bootstrap: &str) {
    create_topic(bootstrap, topic("again", 1)).await.unwrap();
    let mut client = Client::connect(bootstrap);
    let id = client.producer_id();
    let batches = [(0, 3), (3, 2), (5, 1)].map(|(sequence, records)| batch(id, 0, sequence, records));
    let offsets = [(0, 0), (0, 3), (0, 5)];
    assert_eq!(batches.each_ref().map(|batch| client.produce("again", batch)), offsets);
    assert_eq!(batches.each_ref().map(|batch| client.produce("again", batch)), offsets);
    assert_eq!(count(bootstrap, "again"), 6);
    // On another connection it is still the same producer.
    assert_eq!(Client::connect(bootstrap).produce("again", &batches[1]), offsets[1]);
    assert_eq!(count(bootstrap, "again"), 6);
}

pub(crate) async fn a_batch_that_is_sent_again_is_acknowledged_with_its_first_time(bootstrap: &str) {
    for kind in ["LogAppendTime", "CreateTime"] {
        let name = &format!("again-{kind}");
        create_topic(bootstrap, topic(name, 1).set("message.timestamp.type", kind)).await.unwrap();
        let mut client = Client::connect(bootstrap);
        let batch = batch(client.producer_id(), 0, 0, 2);
        let before = times::now();
        let (error, offset, time) = client.produce_at(name, &batch);
        assert_eq!((error, offset), (0, 0));
        // A topic with the producers' times returns none.
        let in_log = if kind == "CreateTime" { 1_700_000_000_000 } else { time };
        assert_eq!(time > 0, kind == "LogAppendTime", "{time}");
        assert!(time < 0 || (before..=times::now()).contains(&time), "{time}");
        let started = Instant::now();
        while times::now() <= time && started.elapsed() < DEADLINE {
            std::hint::spin_loop();
        }
        assert_eq!(client.produce_at(name, &batch), (0, 0, in_log));
    }
}

pub(crate) async fn a_time_of_appending_that_a_producer_states_is_refused(bootstrap: &str) {
    const APPEND_TIME: u8 = 1 << 3;
    const INVALID_TIMESTAMP: i16 = 32;
    let stamped = topic("forged", 1).set("message.timestamp.type", "LogAppendTime");
    create_topic(bootstrap, stamped).await.unwrap();
    let forged = with_attributes(batch(-1, -1, -1, 1), APPEND_TIME);
    assert_eq!(Client::connect(bootstrap).produce("forged", &forged).0, INVALID_TIMESTAMP);
    assert_eq!(count(bootstrap, "forged"), 0);
}

pub(crate) async fn a_gap_in_the_sequence_is_refused(bootstrap: &str) {
    const OUT_OF_ORDER: i16 = 45;
    create_topic(bootstrap, topic("gap", 1)).await.unwrap();
    let mut client = Client::connect(bootstrap);
    let id = client.producer_id();
    assert_eq!(client.produce("gap", &batch(id, 0, 0, 2)), (0, 0));
    assert_eq!(client.produce("gap", &batch(id, 0, 3, 1)).0, OUT_OF_ORDER);
    assert_eq!(count(bootstrap, "gap"), 2);
    assert_eq!(client.produce("gap", &batch(id, 0, 2, 1)), (0, 2));
}

pub(crate) async fn an_old_epoch_is_refused_and_a_new_one_begins_at_zero(bootstrap: &str) {
    const OUT_OF_ORDER: i16 = 45;
    const INVALID_PRODUCER_EPOCH: i16 = 47;
    create_topic(bootstrap, topic("epochs", 1)).await.unwrap();
    let mut client = Client::connect(bootstrap);
    let id = client.producer_id();
    assert_eq!(client.produce("epochs", &batch(id, 0, 0, 1)), (0, 0));
    assert_eq!(client.produce("epochs", &batch(id, 1, 1, 1)).0, OUT_OF_ORDER);
    assert_eq!(client.produce("epochs", &batch(id, 1, 0, 1)), (0, 1));
    assert_eq!(client.produce("epochs", &batch(id, 0, 1, 1)).0, INVALID_PRODUCER_EPOCH);
    assert_eq!(count(bootstrap, "epochs"), 2);
}

pub(crate) async fn a_batch_with_a_wrong_checksum_is_refused(bootstrap: &str) {
    const CORRUPT: i16 = 2;
    create_topic(bootstrap, topic("corrupt", 1)).await.unwrap();
    let mut damaged = batch(-1, -1, -1, 1);
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(Client::connect(bootstrap).produce("corrupt", &damaged).0, CORRUPT);
    assert_eq!(count(bootstrap, "corrupt"), 0);
    assert_eq!(Client::connect(bootstrap).produce("corrupt", &batch(-1, -1, -1, 1)), (0, 0));
}

pub(crate) async fn an_unknown_version_of_api_versions_is_answered_in_the_oldest(bootstrap: &str) {
    const UNSUPPORTED_VERSION: i16 = 35;
    // The byte ends the header of newer versions: no tagged fields.
    let mut answer = Client::connect(bootstrap).ask(API_VERSIONS, 99, &[0]);
    assert_eq!(answer.i16(), UNSUPPORTED_VERSION);
    let count = answer.i32();
    assert!(count > 0, "with what is supported instead: {count}");
}
