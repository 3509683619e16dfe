//! A malformed request ends its connection, and nothing else.

use super::*;
use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

fn frame(body: &[u8]) -> Vec<u8> {
    [&u32::try_from(body.len()).unwrap().to_be_bytes(), body].concat()
}

#[tokio::test]
async fn a_malformed_request_ends_its_connection_and_nothing_else() {
    let broker = Broker::start(Storage::Temporary, 0).await.unwrap();
    let bootstrap = broker.bootstrap();
    create_topic(&bootstrap, topic("sound", 1)).await.unwrap();
    let producer = producer(&bootstrap);
    let malformed = [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        (-1_i32).to_be_bytes().to_vec(),
        i32::MAX.to_be_bytes().to_vec(),
        frame(&[0; 3]),
        // An unknown key, and a version that is not advertised.
        frame(&[0x7f, 0xff, 0, 0, 0, 0, 0, 1, 0xff, 0xff]),
        frame(&[0, 1, 0x7f, 0xff, 0, 0, 0, 1, 0xff, 0xff]),
        // A header that ends too soon, a client id longer than the frame, a missing body.
        frame(&[0, 3, 0, 1, 0, 0, 0, 1]),
        frame(&[0, 3, 0, 1, 0, 0, 0, 1, 0x7f, 0xff, b'x']),
        frame(&[0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff]),
        // Lists with more elements than fit into memory, in both encodings.
        frame(&[0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]),
        frame(&[0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 1, 0x40, 0, 0, 0, 0, 0]),
        frame(&[0, 3, 0, 9, 0, 0, 0, 1, 0xff, 0xff, 0, 0xff, 0xff, 0xff, 0xff, 0x0f]),
        frame(&[0, 3, 0, 9, 0, 0, 0, 1, 0xff, 0xff, 0, 0x80, 0x80, 0x80, 0x80, 0x08]),
        // A list of -2 topics, and a topic whose name is not UTF-8.
        frame(&[0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe]),
        frame(&[0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 1, 0, 2, 0xff, 0xfe]),
    ];
    for (number, bytes) in (0_i64..).zip(malformed) {
        let mut stream = TcpStream::connect(&bootstrap).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.write_all(&bytes).unwrap();
        let mut answer = Vec::new();
        // The connection may also be reset, because not all bytes were read.
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.is_empty(), "{bytes:?} is answered {answer:?}");
        assert_eq!(send(&producer, "sound", 0, "key", "value").await, number);
    }
}
