//! HTTP/1.1 to a collector in the same pod, machine or network: one request, one connection, no TLS.
//!
//! The library's own clients would bring a second HTTP stack into the services, for one request every few seconds. It
//! is called on the exporter's thread alone, so it may block; every wait ends at the deadline of the request.

use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use std::{
    future::Future,
    io::{self, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    pin::Pin,
    time::{Duration, Instant},
};

/// The most octets of an answer. A collector's has a few hundred.
const MAX_ANSWER: u64 = 64 * 1024;

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
        Box::pin(async move { send(&request, Instant::now() + self.timeout) })
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
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer)?;
    read(&answer).ok_or_else(|| "the collector's answer is not HTTP".into())
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

/// Status, headers and body. The body of a chunked answer is left out: it says nothing that is needed.
fn read(answer: &[u8]) -> Option<Response<Bytes>> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let mut lines = str::from_utf8(answer.get(..end)?).ok()?.split("\r\n");
    let (version, rest) = lines.next()?.split_once(' ')?;
    if !version.starts_with("HTTP/1.") {
        return None;
    }
    let mut response = Response::builder().status(rest.get(..3)?);
    let mut is_chunked = false;
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        is_chunked |= name.eq_ignore_ascii_case("transfer-encoding");
        response = response.header(name, value.trim());
    }
    let body = if is_chunked { &[] } else { answer.get(end + 4..)? };
    response.body(Bytes::copy_from_slice(body)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{net::TcpListener, thread};

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
        let (address, _serving) = collector(b"SSH-2.0-x\r\n\r\n");
        assert!(post(&address, LONG).unwrap_err().to_string().contains("not HTTP"));
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, began) = (format!("http://{}", silent.local_addr().unwrap()), Instant::now());
        assert!(post(&address, Duration::from_millis(50)).is_err());
        assert!(began.elapsed() < LONG);
        drop(silent);
        assert!(post(&address, LONG).is_err(), "nobody listens");
    }

    #[test]
    fn a_chunked_answer_has_its_status_and_no_body() {
        let answer = read(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").unwrap();
        assert_eq!((answer.status().as_u16(), answer.body().len()), (200, 0));
    }
}
