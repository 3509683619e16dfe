//! The health check for containers and operators: the service's binary asks the running service.
//!
//! An image then needs neither a shell nor an HTTP client, and the check follows the configured address.

use anyhow::{Context, ensure};
use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    str::FromStr,
    time::Duration,
};

/// The time limit for connecting and for each read of the answer. A
/// service waits for its broker for less than that before it answers.
const TIMEOUT: Duration = Duration::from_secs(4);
/// The longest answer that is read, in octets.
const MAX_ANSWER: u64 = 64 * 1024;

/// The probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// Whether the process works; if not, it must be restarted.
    Live,
    /// Whether the service can take requests or records; if not, wait.
    Ready,
}

impl FromStr for Probe {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "live" => Ok(Self::Live),
            "ready" => Ok(Self::Ready),
            _ => Err("expected live or ready"),
        }
    }
}

impl Probe {
    /// Asks the service that listens on `address`, or on loopback if
    /// `address` stands for all addresses. Blocks for some seconds at most.
    ///
    /// # Errors
    /// When it does not answer, or answers anything but 200; the error repeats the answer.
    pub fn ask(self, address: SocketAddr) -> anyhow::Result<()> {
        let path = match self {
            Self::Live => "/health/live",
            Self::Ready => "/health/ready",
        };
        let address = reachable(address);
        let answer = get(address, path).with_context(|| format!("{address} does not answer"))?;
        let reason = || answer.lines().last().unwrap_or_default();
        ensure!(answer.starts_with("HTTP/1.1 200 "), "{address}{path} answered {}", reason());
        Ok(())
    }
}

fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes(),
    )?;
    let mut answer = String::new();
    stream.take(MAX_ANSWER).read_to_string(&mut answer)?;
    Ok(answer)
}

fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{net::TcpListener, thread};

    /// A service that gives one answer. Returns its address as configured, and the request that it got.
    fn answering(answer: &'static str) -> (SocketAddr, thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let configured = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), listener.local_addr().unwrap().port());
        let asked = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut octet = [0];
                stream.read_exact(&mut octet).unwrap();
                request.extend(octet);
            }
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(request).unwrap()
        });
        (configured, asked)
    }

    #[test]
    fn a_service_that_answers_200_is_healthy() {
        let (address, asked) = answering("HTTP/1.1 200 OK\r\n\r\n{}");
        Probe::Live.ask(address).unwrap();
        assert!(asked.join().unwrap().starts_with("GET /health/live HTTP/1.1\r\n"));
    }

    #[test]
    fn any_other_answer_is_an_error_that_repeats_it() {
        let (address, asked) =
            answering("HTTP/1.1 503 Service Unavailable\r\n\r\n{\"broker_answers\":false}");
        let error = Probe::Ready.ask(address).unwrap_err().to_string();
        assert!(error.ends_with("/health/ready answered {\"broker_answers\":false}"), "{error}");
        assert!(asked.join().unwrap().starts_with("GET /health/ready HTTP/1.1\r\n"));
    }

    #[test]
    fn a_service_that_is_not_there_is_an_error_of_one_line() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = format!("{:#}", Probe::Live.ask(free).unwrap_err());
        assert!(error.contains("does not answer: ") && !error.contains('\n'), "{error}");
    }
}
