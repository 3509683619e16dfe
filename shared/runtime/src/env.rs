//! Configuration from the environment: the process' variables first, then `.env`.
//!
//! An empty variable counts as absent in both. Quotes around a value are removed in both:
//! `docker run --env-file` passes them on, and a file should mean the same either way.
//!
//! Every wrong value is collected, so that a start is refused
//! once, with the whole list. The list never repeats a secret.

mod file;
mod secrets;

use jiff::SignedDuration;
use std::{
    collections::{BTreeSet, HashMap},
    ffi::OsString,
    fmt, io,
    time::Duration,
};

/// The variables that a service reads, and the problems with them.
#[derive(Clone, Default)]
pub struct Env {
    values: HashMap<String, Value>,
    names: BTreeSet<&'static str>,
    problems: Vec<Problem>,
}

/// A value, or the reason why it can't be used.
type Value = Result<String, &'static str>;

/// A variable, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The variable's name.
    pub name: &'static str,
    /// What is wrong and what would be right.
    pub detail: String,
}

/// All problems of the configuration, a line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvError(Vec<Problem>);

impl Env {
    /// Reads the environment of this process and, for variables that it lacks, the file
    /// `.env` here or in a parent folder. A problem with the file is reported like any other.
    #[must_use]
    pub fn load() -> Self {
        let mut env = Self::default();
        match dot_env() {
            Ok(file) => env.add_file(&file),
            Err(error) => env.problem(".env", format!("can't be read: {error}")),
        }
        env.add_process(std::env::vars_os());
        env
    }

    /// Reads only this file, which is in the form of `.env`.
    #[must_use]
    pub fn from_file(file: &[u8]) -> Self {
        let mut env = Self::default();
        env.add_file(file);
        env
    }

    fn add_file(&mut self, file: &[u8]) {
        let (values, problems) = file::parse(file);
        self.values.extend(values.into_iter().map(|(name, value)| (name, Ok(value))));
        self.problems.extend(problems);
    }

    fn add_process(&mut self, variables: impl IntoIterator<Item = (OsString, OsString)>) {
        for (name, value) in variables {
            let Ok(name) = name.into_string() else { continue };
            let value =
                value.into_string().map_err(|_| "expected UTF-8").and_then(|value| of_process(&value));
            if value.as_ref().map_or(true, |value| !value.trim().is_empty()) {
                self.values.insert(name, value);
            }
        }
    }

    /// Takes only the values of a map: for a service inside another process, and for tests.
    pub fn from_pairs<N: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let values = pairs.into_iter().map(|(name, value)| (name.into(), Ok(value.into()))).collect();
        Self { values, ..Self::default() }
    }

    /// Sets a value, which overrides the environment.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.values.insert(name.to_owned(), Ok(value.into()));
    }

    /// Sets a value, unless the environment has one.
    pub fn set_default(&mut self, name: &str, value: impl Into<String>) {
        if self.values.get(name).is_none_or(|value| value.as_ref().is_ok_and(String::is_empty)) {
            self.set(name, value);
        }
    }

    /// Forgets the variables whose names begin like this.
    pub fn forget(&mut self, beginning: &str) {
        self.values.retain(|name, _| !name.starts_with(beginning));
    }

    /// Reads an optional variable; an empty one counts as absent.
    pub fn optional<T, E: fmt::Display>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let value = self.read(name)?;
        parse(&value)
            .map_err(|expected| self.problem(name, format!("expected {expected}, got {value:?}")))
            .ok()
    }

    /// Reads a variable with a default. The default also replaces a wrong value until [`Env::finish`] reports it.
    pub fn or<T, E: fmt::Display>(
        &mut self,
        name: &'static str,
        default: T,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> T {
        self.optional(name, parse).unwrap_or(default)
    }

    /// Adds a problem that shows only when several values are compared.
    pub fn problem(&mut self, name: &'static str, detail: impl Into<String>) {
        self.problems.push(Problem { name, detail: detail.into() });
    }

    /// Adds problems that were found elsewhere.
    pub fn report(&mut self, problems: impl IntoIterator<Item = Problem>) {
        self.problems.extend(problems);
    }

    /// Whether a variable has a value, right or wrong.
    #[must_use]
    pub fn is_set(&self, name: &str) -> bool {
        self.values
            .get(name)
            .is_some_and(|value| value.as_ref().map_or(true, |value| !value.trim().is_empty()))
    }

    /// The names of all variables that were read.
    #[must_use]
    pub fn names(&self) -> &BTreeSet<&'static str> {
        &self.names
    }

    /// Returns the configuration that `build` makes, unless there are problems.
    ///
    /// # Errors
    /// All problems. `build` may return `None` only if the problems name the missing value.
    pub fn finish<T>(self, build: impl FnOnce() -> Option<T>) -> Result<T, EnvError> {
        let problems = self.problems;
        if problems.is_empty() { build().ok_or(EnvError(problems)) } else { Err(EnvError(problems)) }
    }

    fn read(&mut self, name: &'static str) -> Option<String> {
        self.names.insert(name);
        match self.values.get(name)? {
            Ok(value) => Some(value.trim().to_owned()).filter(|value| !value.is_empty()),
            Err(problem) => {
                self.problem(name, *problem);
                None
            }
        }
    }
}

impl EnvError {
    /// The problems, in the order in which the variables were read.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.0
    }
}

impl fmt::Display for EnvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration can't be used:")?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  {}: {}", problem.name, problem.detail))
    }
}

impl std::error::Error for EnvError {}

/// The file `.env` of this folder or of the nearest one above that has it; empty if there is none.
fn dot_env() -> io::Result<Vec<u8>> {
    let folder = std::env::current_dir()?;
    let file = folder.ancestors().map(|folder| folder.join(".env")).find(|file| file.is_file());
    file.map_or_else(|| Ok(Vec::new()), std::fs::read)
}

/// The meaning of a variable of the process. Only `docker run --env-file` leaves quotes or comments in it.
fn of_process(value: &str) -> Value {
    let value = value.trim();
    let in_quotes = |quote| value.len() > 1 && value.starts_with(quote) && value.ends_with(quote);
    if in_quotes('"') || in_quotes('\'') {
        file::unquote(value)
            .map_err(|_| "begins and ends with a quote and is no quoted value; the value is not shown")
    } else if value.starts_with("# ") || value.contains(" #") || value.contains("\t#") {
        Err(
            "has a comment behind its value, as from `docker run --env-file`; the value is not shown. Put the comment on \
             a line of its own or, if it is none, the whole value into quotes",
        )
    } else {
        Ok(value.to_owned())
    }
}

/// Parses `250ms`, `60s`, `15m`, `1h`; zero and negative durations are refused.
///
/// # Errors
/// What was expected.
pub fn duration(text: &str) -> Result<Duration, &'static str> {
    const EXPECTED: &str = "a duration above zero such as 250ms, 60s, 15m or 1h";
    let parsed: SignedDuration = text.parse().map_err(|_| EXPECTED)?;
    Duration::try_from(parsed).ok().filter(|duration| !duration.is_zero()).ok_or(EXPECTED)
}

/// Returns a parser for whole numbers of `range`, ends included.
pub fn number<T>(range: std::ops::RangeInclusive<T>) -> impl FnOnce(&str) -> Result<T, String>
where
    T: std::str::FromStr + PartialOrd + fmt::Display,
{
    move |text| {
        let expected = || format!("a whole number from {} to {}", range.start(), range.end());
        text.parse().ok().filter(|number| range.contains(number)).ok_or_else(expected)
    }
}

/// Parses `127.0.0.1:3006` or `[::1]:3006`; port 0 takes any free one.
///
/// # Errors
/// What was expected.
pub fn socket_address(text: &str) -> Result<std::net::SocketAddr, &'static str> {
    text.parse().map_err(|_| "an IP address and a port such as 127.0.0.1:3006 or [::1]:3006")
}

/// Parses a list separated by commas; empty elements are dropped.
///
/// # Errors
/// None: any text is a list.
pub fn list(text: &str) -> Result<Vec<String>, std::convert::Infallible> {
    Ok(text.split(',').map(str::trim).filter(|element| !element.is_empty()).map(str::to_owned).collect())
}

/// Parses `yes` or `no`.
///
/// # Errors
/// What was expected.
pub fn yes_or_no(text: &str) -> Result<bool, &'static str> {
    match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("yes or no"),
    }
}

/// Parses `on` or `off`.
///
/// # Errors
/// What was expected.
pub fn on_or_off(text: &str) -> Result<bool, &'static str> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("on or off"),
    }
}

/// Parses a web address to which a path can be appended, such as
/// `https://signup.example.com`. Returns it without a slash at its end.
///
/// # Errors
/// What was expected.
pub fn web_address(text: &str) -> Result<String, &'static str> {
    const EXPECTED: &str = "an address such as https://signup.example.com, without ? and #";
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).ok_or(EXPECTED)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~:/[]%@".contains(c);
    let valid =
        rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[') && rest.chars().all(allowed);
    if valid { Ok(text.trim_end_matches('/').to_owned()) } else { Err(EXPECTED) }
}

/// Takes any text.
///
/// # Errors
/// None.
pub fn text(text: &str) -> Result<String, std::convert::Infallible> {
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_problems_are_listed_at_once_and_secrets_are_not_shown() {
        let mut env =
            Env::from_pairs([("CODE_TTL", "soon"), ("KAFKA_PARTITIONS", "0"), ("CODE_SECRETS", "hunter2")]);
        env.or("CODE_TTL", Duration::from_secs(900), duration);
        env.or("KAFKA_PARTITIONS", 6, number(1..=1000));
        let secret = env
            .required_secret("CODE_SECRETS", "CODE_SECRETS_FILE", "keys", |_| Err::<(), _>("key-id:base64"));
        let other =
            env.required_secret("ID_SECRET", "ID_SECRET_FILE", "32 bytes in base64", |_| Ok::<_, &str>(()));
        let error = env.finish(|| secret.zip(other)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the configuration can't be used:\
             \n  CODE_TTL: expected a duration above zero such as 250ms, 60s, 15m or 1h, got \"soon\"\
             \n  KAFKA_PARTITIONS: expected a whole number from 1 to 1000, got \"0\"\
             \n  CODE_SECRETS: expected key-id:base64; the value is not shown\
             \n  ID_SECRET: is required, here or in the file that ID_SECRET_FILE names: expected 32 bytes in base64"
        );
    }

    #[test]
    fn absent_and_empty_variables_take_the_default() {
        let mut env = Env::from_pairs([("KAFKA_PARTITIONS", " ")]);
        assert_eq!(env.or("KAFKA_PARTITIONS", 6, number(1..=1000)), 6);
        assert_eq!(env.or("CODE_TTL", Duration::from_secs(900), duration), Duration::from_secs(900));
        assert_eq!(env.names().iter().copied().collect::<Vec<_>>(), ["CODE_TTL", "KAFKA_PARTITIONS"]);
        assert!(env.finish(|| Some(())).is_ok());
    }

    #[test]
    fn what_is_forgotten_is_absent_and_all_else_stays() {
        let mut env = Env::from_pairs([("SMTP_HOST", "a"), ("SMTP_2_HOST", "b"), ("SMTP_2_PORT", "25")]);
        env.forget("SMTP_2_");
        let set = ["SMTP_HOST", "SMTP_2_HOST", "SMTP_2_PORT"].map(|name| env.is_set(name));
        assert_eq!(set, [true, false, false]);
    }

    /// The value that a process with these variables and this file reads; `None` if it takes the default.
    fn read(file: &str, process: &[(&str, &str)], name: &'static str) -> Result<Option<String>, EnvError> {
        let mut env = Env::from_file(file.as_bytes());
        env.add_process(process.iter().map(|(name, value)| (name.into(), value.into())));
        let value = env.optional(name, text);
        env.finish(|| Some(value))
    }

    #[test]
    fn an_empty_variable_of_the_process_does_not_hide_the_file() {
        let kafka = |process: &[_]| read("KAFKA_BROKERS=kafka:9092", process, "KAFKA_BROKERS").unwrap();
        for process in
            [&[][..], &[("KAFKA_BROKERS", "")], &[("KAFKA_BROKERS", " ")], &[("KAFKA_BROKERS", "''")]]
        {
            assert_eq!(kafka(process).as_deref(), Some("kafka:9092"), "{process:?}");
        }
        assert_eq!(kafka(&[("KAFKA_BROKERS", "other:9092")]).as_deref(), Some("other:9092"));
    }

    #[test]
    fn one_file_means_the_same_to_docker_and_to_us() {
        let lines = [
            ("SMTP_HOST", "\"127.0.0.1\"", "127.0.0.1"),
            (
                "MAIL_FROM",
                "\"Two-step signup <no-reply@example.com>\"",
                "Two-step signup <no-reply@example.com>",
            ),
            ("SMTP_PASSWORD", "'pa$$ #\"1\"'", "pa$$ #\"1\""),
            ("SMTP_PASSWORD", "pa$$w0rd$x#1", "pa$$w0rd$x#1"),
        ];
        for (name, written, expected) in lines {
            // `docker run --env-file` takes the text behind the `=` as it is.
            assert_eq!(read("", &[(name, written)], name).unwrap().as_deref(), Some(expected));
            let file = format!("{name}={written}");
            assert_eq!(read(&file, &[], name).unwrap().as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_comment_that_docker_left_in_a_value_is_refused_where_it_is_read() {
        for written in ["16 # parallel", "16\t# parallel", "# parallel", "hunter2 #2", "'hunter2''"] {
            let process = [("SMTP_PASSWORD", written)];
            let error = read("", &process, "SMTP_PASSWORD").unwrap_err().to_string();
            assert!(error.contains("SMTP_PASSWORD: ") && !error.contains("hunter2"), "{written}: {error}");
            // The variables of other programs don't matter.
            assert_eq!(read("", &process, "SMTP_HOST").unwrap(), None);
        }
    }

    #[test]
    fn a_variable_that_is_not_text_is_said() {
        use std::os::unix::ffi::OsStringExt;
        let mut env = Env::default();
        env.add_process([("CODE_SECRETS".into(), OsString::from_vec(b"k1:\xFF".to_vec()))]);
        let secrets = env.required_secret("CODE_SECRETS", "CODE_SECRETS_FILE", "keys", |_| Ok::<_, &str>(()));
        let error = env.finish(|| secrets).unwrap_err();
        assert_eq!(error.to_string(), "the configuration can't be used:\n  CODE_SECRETS: expected UTF-8");
    }

    #[test]
    fn durations_need_a_unit_and_are_positive() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("15m"), Ok(Duration::from_secs(900)));
        assert_eq!(duration("1h 30m"), Ok(Duration::from_secs(5400)));
        for text in ["", "15", "0s", "-1s", "15 parsecs", "1y"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_link_has_no_double_slash_and_no_foreign_scheme() {
        assert_eq!(web_address("https://a.example/app/").unwrap(), "https://a.example/app");
        for text in
            ["ftp://a.example", "https://", "https://a?b", "https://a#b", "https://a b", "https://a\"b"]
        {
            assert!(web_address(text).is_err(), "{text}");
        }
    }
}
