//! Configuration from the environment: the process' variables first, then `.env`.
//!
//! Every wrong value is collected, so that a start is refused once, with the whole list. Secrets are never repeated
//! in it.

use jiff::SignedDuration;
use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    time::Duration,
};

/// The variables that a service reads, and what was wrong with them.
#[derive(Clone, Default)]
pub struct Env {
    values: HashMap<String, String>,
    names: BTreeSet<&'static str>,
    problems: Vec<Problem>,
}

/// One variable and what was expected of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The variable's name.
    pub name: &'static str,
    /// What is wrong and what would be right.
    pub detail: String,
}

/// Everything that is wrong with the configuration, a line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvError(Vec<Problem>);

impl Env {
    /// Reads the environment of this process and, for what it lacks, the file `.env` here or in a parent folder.
    ///
    /// # Errors
    /// When `.env` is there but can't be read or understood.
    pub fn load() -> Result<Self, EnvError> {
        let mut values = HashMap::new();
        match dotenvy::dotenv_iter() {
            Ok(pairs) => {
                for pair in pairs {
                    let (name, value) = pair.map_err(broken_file)?;
                    values.insert(name, value);
                }
            }
            Err(error) if error.not_found() => {}
            Err(error) => return Err(broken_file(error)),
        }
        let process = std::env::vars_os();
        values.extend(
            process.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        );
        Ok(Self { values, ..Self::default() })
    }

    /// Takes the values of a map instead: for a service inside another process, and for tests.
    pub fn from_pairs<N: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let values = pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { values, ..Self::default() }
    }

    /// Sets a value, whatever the environment says.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.values.insert(name.to_owned(), value.into());
    }

    /// Sets a value that the environment does not have.
    pub fn set_default(&mut self, name: &str, value: impl Into<String>) {
        if self.values.get(name).is_none_or(String::is_empty) {
            self.values.insert(name.to_owned(), value.into());
        }
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

    /// Reads a variable with a default, which also stands in for a wrong value until [`Env::finish`] reports it.
    pub fn or<T, E: fmt::Display>(
        &mut self,
        name: &'static str,
        default: T,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> T {
        self.optional(name, parse).unwrap_or(default)
    }

    /// Reads a variable that must be there and must not be shown.
    pub fn required_secret<T, E: fmt::Display>(
        &mut self,
        name: &'static str,
        expected: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let Some(value) = self.read(name) else {
            self.problem(name, format!("is required: expected {expected}"));
            return None;
        };
        parse(&value)
            .map_err(|error| self.problem(name, format!("expected {error}; the value is not shown")))
            .ok()
    }

    /// Adds a problem that shows only when values are seen together.
    pub fn problem(&mut self, name: &'static str, detail: impl Into<String>) {
        self.problems.push(Problem { name, detail: detail.into() });
    }

    /// The names of all variables that were asked for.
    #[must_use]
    pub fn names(&self) -> &BTreeSet<&'static str> {
        &self.names
    }

    /// Hands out the configuration that `build` makes, unless something was wrong.
    ///
    /// # Errors
    /// All problems. `build` may answer `None` only for a value whose absence is among them.
    pub fn finish<T>(self, build: impl FnOnce() -> Option<T>) -> Result<T, EnvError> {
        let problems = self.problems;
        if problems.is_empty() { build().ok_or(EnvError(problems)) } else { Err(EnvError(problems)) }
    }

    fn read(&mut self, name: &'static str) -> Option<String> {
        self.names.insert(name);
        self.values.get(name).map(|value| value.trim()).filter(|value| !value.is_empty()).map(str::to_owned)
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

fn broken_file(error: dotenvy::Error) -> EnvError {
    // dotenvy repeats the whole line in its parse errors, which may hold a secret.
    let detail = match error {
        dotenvy::Error::LineParse(_, position) => {
            format!("a line is not NAME=value (at its character {position})")
        }
        other => other.to_string(),
    };
    EnvError(vec![Problem { name: ".env", detail }])
}

/// Parses `250ms`, `60s`, `15m`, `1h`; zero and negative ones are refused.
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

/// Parses a list with commas; empty elements are dropped.
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

/// Parses a web address to which a path may be appended, such as `https://signup.example.com`, and answers it without a
/// slash at its end.
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
        let secret = env.required_secret("CODE_SECRETS", "keys", |_| Err::<(), _>("key-id:base64"));
        let other = env.required_secret("ID_SECRET", "32 bytes in base64", |_| Ok::<_, &str>(()));
        let error = env.finish(|| secret.zip(other)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the configuration can't be used:\
             \n  CODE_TTL: expected a duration above zero such as 250ms, 60s, 15m or 1h, got \"soon\"\
             \n  KAFKA_PARTITIONS: expected a whole number from 1 to 1000, got \"0\"\
             \n  CODE_SECRETS: expected key-id:base64; the value is not shown\
             \n  ID_SECRET: is required: expected 32 bytes in base64"
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
