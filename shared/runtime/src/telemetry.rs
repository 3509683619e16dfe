//! The log: text for people, one JSON object a line for machines.
//!
//! Fields are structured (`log`'s key-values) with dotted names and units in the names of numbers. Codes, tokens
//! and addresses are never among them; an address appears masked.

mod line_limit;
mod lines;

use crate::env::{self, Env};
use contract::characters::printable;
use env_logger::{Builder, Target};
use jiff::Timestamp;
pub use line_limit::LineLimit;
use lines::{Entrance, Lines};
use log::{Level, LevelFilter, Log, Metadata, Record, kv};
use serde_json::{Map, Value};
use std::{
    borrow::Cow,
    io::{Stderr, Write},
    sync::{Arc, OnceLock},
    thread::JoinHandle,
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// The pause between two checks that the log's thread is alive.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// The thread that writes the log of this process. There is one, as there is one logger.
static WRITER: OnceLock<JoinHandle<()>> = OnceLock::new();

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// `2026-11-21T10:00:00.123Z INFO  user_service::http registered account.id=…`
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    /// Parses `LOG_FORMAT`.
    ///
    /// # Errors
    /// What was expected.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("text or json"),
        }
    }
}

/// Starts the log as `LOG_FORMAT` and `RUST_LOG` say; a wrong value is reported to `env`.
pub fn start_from_env(env: &mut Env) {
    let format = env.or("LOG_FORMAT", LogFormat::Text, LogFormat::parse);
    let filter = env.or("RUST_LOG", "info".to_owned(), env::text);
    start(format, &filter);
}

/// Sends the log of this process to standard error; `filter` is in `env_logger`'s syntax, such as `info`.
///
/// Errors and warnings are written at once. All other lines are written within some hundredths
/// of a second, or by `log::logger().flush()`, which belongs at the end of `main`. The first
/// call of a process wins. Later ones change nothing, so that tests may all call it.
pub fn start(format: LogFormat, filter: &str) {
    let lines = Arc::new(Lines::new(std::io::stderr()));
    let mut builder = filtered(filter);
    builder.target(Target::Pipe(Box::new(Entrance(Arc::clone(&lines)))));
    match format {
        LogFormat::Text => builder.format(write_text),
        LogFormat::Json => builder.format(write_json),
    };
    let formatting = builder.build();
    let level = formatting.filter();
    // An error means that a logger is there already.
    if log::set_boxed_logger(Box::new(Logger { formatting, lines: Arc::clone(&lines) })).is_ok() {
        log::set_max_level(level);
        // Without the thread, lines are written late: when many wait, with a warning, and at the end.
        if let Ok(writer) = lines.keep_writing() {
            let _ = WRITER.set(writer);
        }
    }
}

/// A logger with this filter. actix-http logs each request that it can't parse as an error. A stranger's
/// input is no error of this service, so those lines appear only if the filter names that module.
fn filtered(filter: &str) -> Builder {
    let mut builder = Builder::new();
    builder.filter_module("actix_http::h1::dispatcher", LevelFilter::Off).parse_filters(filter);
    builder
}

/// Waits until `stop` is cancelled, and checks once a second that the thread that writes the log is alive.
///
/// # Errors
/// When it is not.
pub async fn watch_writer(stop: CancellationToken) -> Result<(), &'static str> {
    watch(WRITER.get(), &stop).await
}

async fn watch(writer: Option<&JoinHandle<()>>, stop: &CancellationToken) -> Result<(), &'static str> {
    while tokio::time::timeout(LOOK_PAUSE, stop.cancelled()).await.is_err() {
        if writer.is_some_and(JoinHandle::is_finished) {
            return Err("its thread has ended");
        }
    }
    Ok(())
}

struct Logger {
    formatting: env_logger::Logger,
    lines: Arc<Lines<Stderr>>,
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.formatting.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        self.formatting.log(record);
        if record.level() <= Level::Warn {
            self.flush();
        }
    }

    fn flush(&self) {
        self.lines.write_all();
    }
}

fn write_text(out: &mut impl Write, record: &Record<'_>) -> std::io::Result<()> {
    // The failure of a command is a line of the log, too. It may quote brokers and mail servers.
    let message = record.args().as_str().map_or_else(|| Cow::Owned(record.args().to_string()), Cow::Borrowed);
    let message = printable(&message);
    write!(out, "{:.3} {:<5} {} {message}", Timestamp::now(), record.level(), record.target())?;
    // Written straight into the line, because there is one for each request.
    record.key_values().visit(&mut TextFields(out)).map_err(std::io::Error::other)?;
    writeln!(out)
}

struct TextFields<'a, W>(&'a mut W);

impl<'kvs, W: Write> kv::VisitSource<'kvs> for TextFields<'_, W> {
    fn visit_pair(&mut self, name: kv::Key<'kvs>, value: kv::Value<'kvs>) -> Result<(), kv::Error> {
        // Numbers and booleans are plain as well.
        let text = value.to_borrowed_str().map_or_else(|| Cow::Owned(value.to_string()), Cow::Borrowed);
        let written = match is_plain(&text) {
            true => write!(self.0, " {name}={text}"),
            false => write!(self.0, " {name}={}", printable(&Value::from(text).to_string())),
        };
        written.map_err(kv::Error::boxed)
    }
}

fn write_json(out: &mut impl Write, record: &Record<'_>) -> std::io::Result<()> {
    let mut line = Map::new();
    line.insert("timestamp".into(), format!("{:.3}", Timestamp::now()).into());
    line.insert("level".into(), record.level().as_str().into());
    line.insert("target".into(), record.target().into());
    line.insert("message".into(), record.args().to_string().into());
    line.append(&mut fields(record));
    writeln!(out, "{}", printable(&serde_json::to_string(&line)?))
}

/// Whether a text can't be mistaken for another field or another line.
fn is_plain(text: &str) -> bool {
    let plain = |b: u8| {
        b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':' | b'/' | b'+' | b'@' | b'*')
    };
    !text.is_empty() && text.bytes().all(plain)
}

fn fields(record: &Record<'_>) -> Map<String, Value> {
    struct Collect(Map<String, Value>);
    impl<'kvs> kv::VisitSource<'kvs> for Collect {
        fn visit_pair(&mut self, key: kv::Key<'kvs>, value: kv::Value<'kvs>) -> Result<(), kv::Error> {
            let value = if let Some(number) = value.to_i64() {
                number.into()
            } else if let Some(number) = value.to_u64() {
                number.into()
            } else if let Some(number) = value.to_f64() {
                number.into()
            } else if let Some(flag) = value.to_bool() {
                flag.into()
            } else {
                value.to_string().into()
            };
            self.0.insert(key.as_str().to_owned(), value);
            Ok(())
        }
    }
    let mut collect = Collect(Map::new());
    // Collecting can't fail: `visit_pair` above never does.
    let _ = record.key_values().visit(&mut collect);
    collect.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(write: fn(&mut Vec<u8>, &Record<'_>) -> std::io::Result<()>) -> String {
        let mut out = Vec::new();
        let fields = [("kafka.partition", kv::Value::from(3)), ("reason", kv::Value::from("two\nlines=1"))];
        let record = Record::builder()
            .args(format_args!("delivered"))
            .level(Level::Info)
            .target("mailer")
            .key_values(&fields)
            .build();
        write(&mut out, &record).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[tokio::test]
    async fn a_thread_that_writes_no_more_is_noticed() {
        let stop = CancellationToken::new();
        let writer = std::thread::spawn(|| ());
        assert!(watch(Some(&writer), &stop).await.is_err());
        stop.cancel();
        assert_eq!(watch(Some(&writer), &stop).await, Ok(()));
        assert_eq!(watch(None, &stop).await, Ok(()));
    }

    #[test]
    fn a_text_line_stays_one_line_with_its_fields() {
        let line = line(write_text);
        assert!(
            line.ends_with("INFO  mailer delivered kafka.partition=3 reason=\"two\\nlines=1\"\n"),
            "{line}"
        );
        assert_eq!(line.lines().count(), 1);
    }

    #[test]
    fn no_word_from_outside_steers_the_terminal_that_shows_the_log() {
        let fields = [("reply", kv::Value::from("550 \u{1b}[2J\u{9b}31m\u{202e}x"))];
        let args = String::from("no answer: \u{1b}]0;x\u{7}\u{9b}2J\u{2066}\n");
        for json in [false, true] {
            let write = if json { write_json } else { write_text };
            let mut out = Vec::new();
            // In one statement, because the arguments live no longer.
            write(&mut out, &Record::builder().args(format_args!("{args}")).key_values(&fields).build())
                .unwrap();
            let line = String::from_utf8(out).unwrap();
            let line = line.strip_suffix('\n').unwrap();
            assert_eq!(contract::characters::printable(line), line);
            assert!(line.contains("\\u001b[2J\\u009b31m\\u202ex"), "{line}");
        }
    }

    #[test]
    fn what_a_client_sends_is_no_error_of_the_service() {
        let errors_of = |target: &str, filter: &str| {
            let metadata = Metadata::builder().level(Level::Error).target(target).build();
            filtered(filter).build().enabled(&metadata)
        };
        let http = "actix_http::h1::dispatcher";
        for filter in ["info", "debug", "warn,user_service=debug"] {
            assert!(!errors_of(http, filter), "{filter}");
            assert!(errors_of("user_service::http", filter), "{filter}");
        }
        assert!(errors_of(http, "info,actix_http::h1::dispatcher=error"), "whoever names it gets it");
    }

    #[test]
    fn a_json_line_is_one_object() {
        let line = line(write_json);
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["message"], "delivered");
        assert_eq!(value["kafka.partition"], 3);
        assert_eq!(value["reason"], "two\nlines=1");
        assert_eq!(line.lines().count(), 1);
    }
}
