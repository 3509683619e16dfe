//! HTTP/1.1 to a collector in the same pod, machine or network: one request, one connection, no TLS.
//!
//! The library's own clients would bring a second HTTP stack into the services, for one request every few seconds. It
//! is called on the exporter's thread alone, so it may block. Every wait ends at the deadline of the request, but for the
//! system's resolver, which has times of its own.

use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use std::{
    future::Future,
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    pin::Pin,
    time::{Duration, Instant},
};

/// The most octets of an answer. A collector's has a few hundred.
const MAX_ANSWER: u64 = 64 * 1024;
const NOT_HTTP: &str = "the collector's answer is not HTTP";

/// The client; without state.
#[derive(Debug)]
pub(super) struct Client {
    timeout: Duration,
}

impl Client {
    /// `timeout`: for a whole request with its answer.
    pub(super) const fn new(timeout: Duration) -> Self {
        Self { timeout }
    }
}

type Answered<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'a>>;

impl HttpClient for Client {
    fn send_bytes<'life0, 'async_trait>(&'life0 self, request: Request<Bytes>) -> Answered<'async_trait>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async move {
            let sent = send(&request, Instant::now() + self.timeout);
            // The library knows no more of it than that there was no answer.
            sent.inspect_err(
                |error| log::debug!("error" = error.to_string().as_str(); "no answer from the collector"),
            )
        })
    }
}

fn send(request: &Request<Bytes>, deadline: Instant) -> Result<Response<Bytes>, HttpError> {
    let authority = request.uri().authority().ok_or("an address without a host")?;
    // An IPv6 address has brackets in a URL and none in a socket's address.
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let mut stream = connect((host, authority.port_u16().unwrap_or(80)), deadline)?;
    stream.set_nodelay(true)?;
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let mut head = format!("POST {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n").into_bytes();
    for (name, value) in request.headers() {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(format!("Content-Length: {}\r\n\r\n", request.body().len()).as_bytes());
    let mut stream = Bounded { stream: &mut stream, deadline };
    stream.write_all(&head)?;
    stream.write_all(request.body())?;
    read(stream)
}

fn connect(address: (&str, u16), deadline: Instant) -> io::Result<TcpStream> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the collector's name has no address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, left(deadline)?) {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// The time until the deadline, at least a moment.
fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// A stream whose reads and writes all end at a deadline.
struct Bounded<'a> {
    stream: &'a mut TcpStream,
    deadline: Instant,
}

impl Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(left(self.deadline)?))?;
        self.stream.read(buffer)
    }
}

impl Write for Bounded<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(left(self.deadline)?))?;
        self.stream.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Reads an answer to its end, or to the bound. Of its headers only the one that the library looks at is kept, so that no other
/// can make a batch that was taken one that is sent again. The body of a chunked answer is left out: it says nothing that is needed.
fn read(stream: impl Read) -> Result<Response<Bytes>, HttpError> {
    let mut stream = BufReader::new(stream.take(MAX_ANSWER));
    let first = read_line(&mut stream)?;
    let status = first.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)).ok_or(NOT_HTTP)?;
    let mut response = Response::builder().status(status);
    let mut length = if matches!(status, "204" | "304") { 0 } else { MAX_ANSWER };
    loop {
        let line = read_line(&mut stream)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or_default();
        let number = value.trim().parse::<u64>().ok();
        if name.eq_ignore_ascii_case("transfer-encoding") {
            length = 0;
        } else if let (true, Some(octets)) = (name.eq_ignore_ascii_case("content-length"), number) {
            length = length.min(octets);
        } else if name.eq_ignore_ascii_case("retry-after") && is_printable(value) {
            // Seconds or a date.
            response = response.header("retry-after", value.trim());
        }
    }
    let mut body = Vec::new();
    stream.take(length).read_to_end(&mut body)?;
    Ok(response.body(body.into())?)
}

fn is_printable(value: &str) -> bool {
    value.bytes().all(|octet| matches!(octet, b' '..=b'~'))
}

/// A line of the head, without its end.
fn read_line(stream: &mut impl BufRead) -> Result<String, HttpError> {
    let mut line = Vec::new();
    stream.read_until(b'\n', &mut line)?;
    let line = line.strip_suffix(b"\n").ok_or(NOT_HTTP)?;
    Ok(String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{net::TcpListener, sync::mpsc, thread};

    /// Answers one connection with these octets, and returns what it was sent.
    fn collector(answer: &'static [u8]) -> (String, thread::JoinHandle<Vec<u8>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/v1/traces", listener.local_addr().unwrap());
        let serving = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut got = vec![0; 4096];
            let mut length = 0;
            while !got[..length].ends_with(b"spans") {
                length += stream.read(&mut got[length..]).unwrap();
            }
            stream.write_all(answer).unwrap();
            got.truncate(length);
            got
        });
        (address, serving)
    }

    fn post(address: &str, timeout: Duration) -> Result<Response<Bytes>, HttpError> {
        let request = Request::post(address).header("content-type", "application/x-protobuf");
        send(&request.body(Bytes::from_static(b"spans")).unwrap(), Instant::now() + timeout)
    }

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn a_request_is_http_and_an_answer_has_status_headers_and_body() {
        let (address, serving) =
            collector(b"HTTP/1.1 503 Away\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nno");
        let response = post(&address, LONG).unwrap();
        assert_eq!(response.status(), 503);
        assert_eq!(
            (&response.headers()["retry-after"], &response.body()[..]),
            (&"7".parse().unwrap(), &b"no"[..])
        );
        let got = String::from_utf8(serving.join().unwrap()).unwrap();
        assert!(got.starts_with("POST /v1/traces HTTP/1.1\r\nHost: 127.0.0.1:"), "{got}");
        assert!(
            got.ends_with("content-type: application/x-protobuf\r\nContent-Length: 5\r\n\r\nspans"),
            "{got}"
        );
    }

    #[test]
    fn an_answer_that_is_no_http_is_an_error_and_none_at_all_ends_at_the_deadline() {
        for answer in [
            &b"SSH-2.0-x\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\nServ",
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/2",
            b"\xff",
            b"",
        ] {
            let (address, _serving) = collector(answer);
            assert!(post(&address, LONG).unwrap_err().to_string().contains("not HTTP"));
        }
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, began) = (format!("http://{}", silent.local_addr().unwrap()), Instant::now());
        assert!(post(&address, Duration::from_millis(50)).is_err());
        assert!(began.elapsed() < LONG);
        drop(silent);
        assert!(post(&address, LONG).is_err(), "nobody listens");
    }

    /// As above, and the connection stays open. Gives the time that the request took.
    fn post_to_one_that_keeps_open(answer: &'static [u8]) -> (Response<Bytes>, Duration) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/v1/traces", listener.local_addr().unwrap());
        let (close, closing) = mpsc::channel::<()>();
        let serving = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            stream.write_all(answer).unwrap();
            let _ = closing.recv_timeout(LONG);
        });
        let began = Instant::now();
        let answer = post(&address, LONG / 4).unwrap();
        let took = began.elapsed();
        drop(close);
        serving.join().unwrap();
        (answer, took)
    }

    #[test]
    fn an_answer_ends_where_it_says_also_if_the_collector_keeps_the_connection() {
        for (answer, status, body) in [
            (&b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"[..], 200, &b"ok"[..]),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200, b""),
            (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200, b""),
        ] {
            let (answer, took) = post_to_one_that_keeps_open(answer);
            assert_eq!((answer.status().as_u16(), &answer.body()[..]), (status, body));
            assert!(took < LONG / 4, "{took:?}");
        }
    }

    #[test]
    fn headers_that_are_none_make_no_answer_one_that_is_not_taken() {
        let answer =
            b"HTTP/1.1 429 Later\r\nServer: caf\xe9\r\nno name: x\r\nRetry-After: 2\r\nX: \x01\r\n\r\n";
        let answer = read(&answer[..]).unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["retry-after"]),
            (429, &"2".parse().unwrap())
        );
    }

    #[test]
    fn the_time_of_the_next_try_may_be_a_date_and_is_nothing_that_can_not_be_a_header() {
        for (value, kept) in [("Wed, 21 Oct 2026 07:28:00 GMT", true), ("caf\u{e9}", false), ("1\0", false)] {
            let answer = format!("HTTP/1.1 503 Away\r\nRetry-After: {value}\r\n\r\n");
            let answer = read(answer.as_bytes()).unwrap();
            let expected = kept.then(|| value.parse().unwrap());
            assert_eq!(answer.headers().get("retry-after"), expected.as_ref(), "{value}");
        }
    }

    #[test]
    fn an_answer_without_end_is_read_to_the_bound() {
        let (answer, _) = post_to_one_that_keeps_open(Box::leak(
            [b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n", &[b'x'; 2 * MAX_ANSWER as usize][..]]
                .concat()
                .into(),
        ));
        assert_eq!((answer.status().as_u16(), answer.body().len() < MAX_ANSWER as usize), (200, true));
    }

    #[test]
    fn a_chunked_answer_has_its_status_and_no_body() {
        let answer = read(&b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"[..]).unwrap();
        assert_eq!((answer.status().as_u16(), answer.body().len()), (200, 0));
    }
}
