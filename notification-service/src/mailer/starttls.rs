//! The dialogue in the clear that comes before STARTTLS (RFC 3207).
//!
//! Nothing of it is believed afterwards: the session says EHLO again, and what a man in the middle may have sent ahead
//! of the handshake ends the session.

use super::failure::{Cause, Phase, ServerFailure};
use lettre::transport::smtp::extension::ClientId;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

/// Longest reply line (RFC 5321, section 4.5.3.1.5, with room), and so many lines of a reply.
const LONGEST_LINE: u64 = 2_000;
const MOST_LINES: usize = 100;

/// Brings the stream to where the handshake begins.
pub(super) async fn dialogue(stream: TcpStream, hello: &ClientId) -> Result<TcpStream, ServerFailure> {
    let mut stream = BufReader::new(stream);
    reply(&mut stream, Phase::Greeting, 220).await?;
    say(&mut stream, &format!("EHLO {hello}\r\n")).await?;
    let extensions = reply(&mut stream, Phase::Greeting, 250).await?;
    if !extensions.iter().any(|line| line.eq_ignore_ascii_case("STARTTLS")) {
        return Err(ServerFailure { phase: Phase::Tls, cause: Cause::StartTlsMissing });
    }
    say(&mut stream, "STARTTLS\r\n").await?;
    reply(&mut stream, Phase::Tls, 220).await?;
    if !stream.buffer().is_empty() {
        return Err(ServerFailure { phase: Phase::Tls, cause: Cause::Broken });
    }
    Ok(stream.into_inner())
}

async fn say(stream: &mut BufReader<TcpStream>, line: &str) -> Result<(), ServerFailure> {
    let written = stream.write_all(line.as_bytes()).await;
    written.map_err(|error| ServerFailure::io(Phase::Tls, &error))
}

/// The texts of a reply's lines, when it has the code that is expected.
async fn reply(
    stream: &mut BufReader<TcpStream>,
    phase: Phase,
    expected: u16,
) -> Result<Vec<String>, ServerFailure> {
    let broken = || ServerFailure { phase, cause: Cause::Broken };
    let mut texts = Vec::new();
    loop {
        let mut line = String::new();
        let read = (&mut *stream).take(LONGEST_LINE).read_line(&mut line).await;
        read.map_err(|error| ServerFailure::io(phase, &error))?;
        let code: u16 = line.get(..3).and_then(|code| code.parse().ok()).ok_or_else(broken)?;
        let text = line.get(4..).map(str::trim_end).unwrap_or_default();
        texts.push(text.to_owned());
        if line.as_bytes().get(3) != Some(&b'-') {
            return if code == expected {
                Ok(texts)
            } else {
                Err(ServerFailure { phase, cause: Cause::Reply(code) })
            };
        }
        if texts.len() > MOST_LINES {
            return Err(broken());
        }
    }
}
