//! The mail servers' numbers. The service prefers the first; a second and a third one take over while it is away.

use std::{borrow::Cow, fmt};

/// Which mail server: 1 to 3. Its variables begin with `SMTP_`, `SMTP_2_` or `SMTP_3_`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ServerNumber(usize);

impl ServerNumber {
    /// The most servers.
    pub const MOST: usize = 3;
    /// The one that is preferred.
    pub const FIRST: Self = Self(0);
    /// All of them, in the order in which they are preferred.
    pub const ALL: [Self; Self::MOST] = [Self(0), Self(1), Self(2)];

    /// Its place among the servers, from 0.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0
    }

    /// The value of the metrics' label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self.0 {
            0 => "1",
            1 => "2",
            _ => "3",
        }
    }

    /// A text about variables of the first server, with this server's in their place.
    #[must_use]
    pub fn naming(self, text: &str) -> Cow<'_, str> {
        match self.0 {
            0 => text.into(),
            _ => text.replace("SMTP_", &format!("SMTP_{self}_")).into(),
        }
    }

    /// Parses a number from 1 to 3.
    ///
    /// # Errors
    /// What was expected.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let known = Self::ALL.into_iter().find(|number| number.label() == text);
        known.ok_or("the number of a mail server: 1, 2 or 3")
    }
}

impl fmt::Display for ServerNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

impl fmt::Debug for ServerNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_names_the_variables_of_the_server_that_it_is_about() {
        let [first, second, third] = ServerNumber::ALL;
        let text = "no TLS on SMTP_PORT; set SMTP_ENCRYPTION";
        assert_eq!(first.naming(text), text);
        assert_eq!(second.naming(text), "no TLS on SMTP_2_PORT; set SMTP_2_ENCRYPTION");
        assert_eq!(third.naming("SMTP_HOST"), "SMTP_3_HOST");
    }

    #[test]
    fn numbers_are_those_of_the_variables() {
        assert_eq!(ServerNumber::parse("2"), Ok(ServerNumber::ALL[1]));
        for wrong in ["", "0", "4", "02", "second"] {
            assert!(ServerNumber::parse(wrong).is_err(), "{wrong}");
        }
        assert!(ServerNumber::ALL.iter().enumerate().all(|(index, number)| number.index() == index));
    }
}
