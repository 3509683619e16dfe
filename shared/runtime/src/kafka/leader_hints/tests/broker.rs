//! A broker with one topic. It refuses the first fetches with
//! leader hints, some of which are "none", and then serves records.
//!
//! In place of such a hint, librdkafka reads what its heap held before. So each
//! poisoned reply follows a reply that is as long as librdkafka's list of hints and
//! full of one pattern: glibc reuses the freed buffer of that reply for the list.

use super::wire::{Reply, Request};
use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

pub(super) const TOPIC: &str = "t";
pub(super) const PARTITIONS: i32 = 8;

const TOPIC_ID: [u8; 16] = 0x1122_3344_5566_7788_99aa_bbcc_ddee_ff01_u128.to_be_bytes();
const NODE: i32 = 1;
const EPOCH: i32 = 5;
const NOBODY: i32 = -1;

const NOT_LEADER: i16 = 6;
const COORDINATOR_NOT_AVAILABLE: i16 = 15;
const UNKNOWN_LEADER_EPOCH: i16 = 75;

const PRODUCE: i16 = 0;
const FETCH: i16 = 1;
const METADATA: i16 = 3;
const FIND_COORDINATOR: i16 = 10;
const API_VERSIONS: i16 = 18;
/// The lowest and highest version of each API. Produce is only
/// announced: librdkafka takes a broker without it for an old one.
const APIS: [[i16; 3]; 5] =
    [[PRODUCE, 3, 8], [FETCH, 4, 16], [METADATA, 12, 12], [FIND_COORDINATOR, 0, 2], [API_VERSIONS, 0, 3]];

/// The length of the list for eight partitions of one topic and one node, as of librdkafka
/// 2.12.1 on 64 bits: 88 + 24 + 24 + 16 + 16 + 32 + 56 + 8 x 40 + 8 x 24 octets. With
/// another layout the test proves less without the guard, and no less with it.
const LIST_LENGTH: usize = 768;
/// Partition, error, leader, replicas of a hint: a partition far outside of every topic, and a leader that is known.
const PATTERN: [i32; 4] = [-457_233_024, 7, NODE, 7];

/// A broker that answers fetches with poisoned replies. Its threads end with their connections or with the process.
pub(super) struct Broker {
    address: String,
    fetches: Arc<AtomicUsize>,
}

impl Broker {
    /// Listens on a free port; refuses two fetches in each round before it serves any.
    pub(super) fn start(rounds: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let fetches = Arc::new(AtomicUsize::new(0));
        thread::spawn({
            let fetches = Arc::clone(&fetches);
            move || {
                for stream in listener.incoming().flatten() {
                    let connection = Connection { port, rounds, fetches: Arc::clone(&fetches) };
                    // It ends in an error when the client has gone.
                    thread::spawn(move || connection.serve(stream));
                }
            }
        });
        Self { address: format!("127.0.0.1:{port}"), fetches }
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    pub(super) fn poisoned_replies(&self) -> usize {
        self.fetches.load(Ordering::Relaxed) / 2
    }
}

struct Connection {
    port: u16,
    rounds: usize,
    /// The number of fetches on all connections.
    fetches: Arc<AtomicUsize>,
}

impl Connection {
    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        loop {
            let mut length = [0; 4];
            stream.read_exact(&mut length)?;
            let mut request = vec![0; u32::from_be_bytes(length) as usize];
            stream.read_exact(&mut request)?;
            let reply = self.answer(Request(&request)).into_bytes();
            stream.write_all(&[&(reply.len() as u32).to_be_bytes()[..], &reply].concat())?;
        }
    }

    fn answer(&self, mut request: Request<'_>) -> Reply {
        let (api, version, correlation) = (request.int16(), request.int16(), request.int32());
        let client_id = request.int16();
        request.skip(client_id as usize);
        match api {
            API_VERSIONS => api_versions(correlation, version),
            METADATA => self.metadata(correlation),
            FIND_COORDINATOR => no_coordinator(correlation, version),
            FETCH => {
                let fetch = self.fetches.fetch_add(1, Ordering::Relaxed);
                match (fetch < 2 * self.rounds, fetch % 2) {
                    (true, 0) => groom(correlation),
                    (true, _) => self.poison(correlation),
                    (false, _) => records(correlation, request),
                }
            }
            other => panic!("request {other} was not announced"),
        }
    }

    fn metadata(&self, correlation: i32) -> Reply {
        let reply = Reply::to(correlation, true).int32(0);
        let reply = reply.length(1).int32(NODE).text("127.0.0.1").int32(self.port.into()).bytes(&[0, 0]);
        let reply = reply.text("cluster").int32(NODE);
        let reply = reply.length(1).int16(0).text(TOPIC).bytes(&TOPIC_ID).bytes(&[0]);
        let reply = (0..PARTITIONS).fold(reply.length(PARTITIONS as usize), |reply, partition| {
            let reply = reply.int16(0).int32(partition).int32(NODE).int32(EPOCH);
            reply.int32s(&[NODE]).int32s(&[NODE]).int32s(&[]).bytes(&[0])
        });
        reply.int32(i32::MIN).bytes(&[0, 0])
    }

    /// Refuses each partition with a hint: the even ones have no leader, the others this one.
    fn poison(&self, correlation: i32) -> Reply {
        let reply = fetched(correlation).length(1).bytes(&TOPIC_ID);
        let reply = (0..PARTITIONS).fold(reply.length(PARTITIONS as usize), |reply, partition| {
            let leader = if partition % 2 == 0 { NOBODY } else { NODE };
            let hint = Reply::default().int32(leader).int32(EPOCH).bytes(&[0]).into_bytes();
            answered(reply, partition, NOT_LEADER, &[]).bytes(&[1]).tag(1, &hint)
        });
        let node =
            Reply::default().length(1).int32(NODE).text("127.0.0.1").int32(self.port.into()).bytes(&[0, 0]);
        reply.bytes(&[0, 1]).tag(0, &node.into_bytes())
    }
}

fn api_versions(correlation: i32, version: i16) -> Reply {
    let reply = Reply::to(correlation, false).int16(0);
    let flexible = version >= 3;
    let reply = if flexible { reply.length(APIS.len()) } else { reply.int32(APIS.len() as i32) };
    let reply = APIS.iter().fold(reply, |reply, api| {
        let reply = api.iter().fold(reply, |reply, number| reply.int16(*number));
        if flexible { reply.bytes(&[0]) } else { reply }
    });
    let reply = if version >= 1 { reply.int32(0) } else { reply };
    if flexible { reply.bytes(&[0]) } else { reply }
}

fn no_coordinator(correlation: i32, version: i16) -> Reply {
    let reply = Reply::to(correlation, false);
    let reply = if version >= 1 { reply.int32(0) } else { reply };
    let reply = reply.int16(COORDINATOR_NOT_AVAILABLE);
    let reply = if version >= 1 { reply.int16(NOBODY as i16) } else { reply };
    reply.int32(NOBODY).int16(0).int32(0)
}

/// The head of every answer to a fetch: no throttling, no error, no session.
fn fetched(correlation: i32) -> Reply {
    Reply::to(correlation, true).int32(0).int16(0).int32(0)
}

/// A partition's part of an answer, without its tags.
fn answered(reply: Reply, partition: i32, error: i16, records: &[u8]) -> Reply {
    // The high watermark, the last stable offset and the start of the log.
    let offsets = if error == 0 { [i64::MAX, i64::MAX, 0] } else { [-1, -1, 0] };
    let reply =
        offsets.iter().fold(reply.int32(partition).int16(error), |reply, offset| reply.int64(*offset));
    // No aborted transactions, no other replica to read from.
    reply.bytes(&[0]).int32(NOBODY).length(records.len()).bytes(records)
}

/// No topic, and one unknown tag: librdkafka skips it and frees its buffer.
fn groom(correlation: i32) -> Reply {
    const TAG: usize = 9;
    let head = fetched(correlation).bytes(&[1, 1]).varint(TAG);
    let words = PATTERN.map(i32::to_ne_bytes).concat();
    // Its length takes two octets.
    let begin = head.len() + 2;
    let content: Vec<_> = (begin..LIST_LENGTH).map(|octet| words[(octet + 12) % words.len()]).collect();
    head.varint(content.len()).bytes(&content)
}

/// The record at the requested offset, for each partition.
fn records(correlation: i32, mut request: Request<'_>) -> Reply {
    request.skip_tags();
    // Time, least and greatest size, isolation, session and its epoch.
    request.skip(4 + 4 + 4 + 1 + 4 + 4);
    let topics = request.length();
    let reply = (0..topics).fold(fetched(correlation).length(topics), |reply, _| {
        request.skip(TOPIC_ID.len());
        let partitions = request.length();
        let reply = (0..partitions).fold(reply.bytes(&TOPIC_ID).length(partitions), |reply, _| {
            let (partition, epoch, offset) = (request.int32(), request.int32(), request.int64());
            // The last epoch fetched, the start of the log, the greatest size.
            request.skip(4 + 8 + 4);
            request.skip_tags();
            let (error, batch) =
                if epoch > EPOCH { (UNKNOWN_LEADER_EPOCH, Vec::new()) } else { (0, batch(offset)) };
            answered(reply, partition, error, &batch).bytes(&[0])
        });
        request.skip_tags();
        reply.bytes(&[0])
    });
    reply.bytes(&[0])
}

/// One record without key and value, as a batch of format 2. Its checksum is not checked.
fn batch(offset: i64) -> Vec<u8> {
    // Attributes, time and offset, no key, no value, no headers; lengths are doubled (zigzag).
    let record = [6 * 2, 0, 0, 0, 1, 1, 0];
    let batch = Reply::default().int32(EPOCH).bytes(&[2]).int32(0).int16(0).int32(0).int64(0).int64(0);
    // No producer id, epoch or sequence.
    let batch = batch.int64(-1).int16(-1).int32(-1).int32(1).bytes(&record).into_bytes();
    Reply::default().int64(offset).int32(batch.len() as i32).bytes(&batch).into_bytes()
}
