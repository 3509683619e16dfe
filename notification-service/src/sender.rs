//! Who sends the emails: the addresses and further headers that the operator chooses.
//!
//! The service writes some headers itself, and others belong to the mail servers on the way. `MAIL_HEADERS` may have
//! neither: a second `Subject` or a forged `DKIM-Signature` would make every email an invalid one.

use lettre::{
    Address,
    message::{
        Mailbox,
        header::{HeaderName, HeaderValue},
    },
};
use runtime::env::Env;

const DEFAULT_SENDER: &str = "Two-step signup <no-reply@example.com>";

/// Headers that the service writes.
const OF_THE_SERVICE: [&str; 8] =
    ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "X-Request-Id", "X-Trace-Id"];
/// Headers that name other recipients or another sender, thread emails, or belong to the servers on the way.
const OF_OTHERS: [&str; 14] = [
    "Sender",
    "Cc",
    "Bcc",
    "In-Reply-To",
    "References",
    "Return-Path",
    "Received",
    "Delivered-To",
    "Authentication-Results",
    "Received-SPF",
    "DKIM-Signature",
    "DomainKey-Signature",
    "MIME-Version",
    "BIMI-Indicator",
];
/// How the names of whole families of such headers begin.
const FAMILIES: [&str; 3] = ["Content-", "Resent-", "ARC-"];

/// The most characters of a name or a value. With the name in front, a value without spaces still fits into a line of 998
/// (RFC 5322, section 2.1.1).
const LONGEST_NAME: usize = 76;
const LONGEST_VALUE: usize = 900;

/// What `MAIL_FROM`, `MAIL_RETURN_PATH`, `MAIL_REPLY_TO` and `MAIL_HEADERS` say.
#[derive(Debug, Clone)]
pub struct Sender {
    /// The author, in `From`. Its domain is that of the Message-IDs.
    pub from: Mailbox,
    /// The envelope's sender, to whom bounces go.
    pub return_path: Address,
    /// Where answers go, if not to the author.
    pub reply_to: Option<Mailbox>,
    /// Further headers of every email.
    pub headers: Vec<HeaderValue>,
}

impl From<Mailbox> for Sender {
    /// This author and nothing else.
    fn from(from: Mailbox) -> Self {
        Self { return_path: from.email.clone(), from, reply_to: None, headers: Vec::new() }
    }
}

impl Sender {
    /// Reads the variables; `None` only after a problem.
    pub(crate) fn from_env(env: &mut Env) -> Option<Self> {
        let from = env.optional("MAIL_FROM", mailbox).or_else(|| mailbox(DEFAULT_SENDER).ok());
        let return_path = env.optional("MAIL_RETURN_PATH", address);
        let reply_to = env.optional("MAIL_REPLY_TO", mailbox);
        let headers = env.or("MAIL_HEADERS", Vec::new(), headers);
        let sender = Self::from(from?);
        Some(Self { return_path: return_path.unwrap_or(sender.return_path), reply_to, headers, ..sender })
    }
}

fn mailbox(text: &str) -> Result<Mailbox, &'static str> {
    const EXPECTED: &str = "a sender such as Example <no-reply@example.com>";
    let mailbox: Mailbox = text.parse().map_err(|_| EXPECTED)?;
    let harmless = !text.contains(char::is_control) && AsRef::<str>::as_ref(&mailbox.email).is_ascii();
    if harmless { Ok(mailbox) } else { Err(EXPECTED) }
}

fn address(text: &str) -> Result<Address, &'static str> {
    const EXPECTED: &str = "an address alone, such as bounces@example.com";
    let address: Address = text.parse().map_err(|_| EXPECTED)?;
    if text.is_ascii() && !text.contains(char::is_control) { Ok(address) } else { Err(EXPECTED) }
}

/// Parses `Name: value | Name: value`.
fn headers(text: &str) -> Result<Vec<HeaderValue>, String> {
    let mut headers: Vec<(&str, HeaderValue)> = Vec::new();
    for element in text.split('|').map(str::trim).filter(|element| !element.is_empty()) {
        let (name, value) = element.split_once(':').ok_or("Name: value, several separated by |")?;
        let (name, value) = (name.trim(), value.trim());
        check_name(name)?;
        if headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
            return Err(format!("each header once, and {name} is there twice"));
        }
        let printable = value.bytes().all(|octet| matches!(octet, b' '..=b'~'));
        if !(1..=LONGEST_VALUE).contains(&value.len()) || !printable {
            return Err(format!("1 to {LONGEST_VALUE} printable ASCII characters as the value of {name}"));
        }
        let valid = HeaderName::new_from_ascii(name.to_owned()).map_err(|_| "a valid name of a header")?;
        headers.push((name, HeaderValue::new(valid, value.to_owned())));
    }
    Ok(headers.into_iter().map(|(_, header)| header).collect())
}

fn check_name(name: &str) -> Result<(), String> {
    let is = |other: &&str| name.eq_ignore_ascii_case(other);
    let begins = |with: &&str| name.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    let known = name.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'));
    if !(1..=LONGEST_NAME).contains(&name.len()) || !known {
        Err(format!("names of headers with 1 to {LONGEST_NAME} characters of A-Z a-z 0-9 - _"))
    } else if is(&"Reply-To") {
        Err("no Reply-To, which is MAIL_REPLY_TO".to_owned())
    } else if OF_THE_SERVICE.iter().any(is) {
        Err(format!("no {name}, which the service writes itself"))
    } else if OF_OTHERS.iter().any(is) || FAMILIES.iter().any(begins) {
        Err(format!("no {name}, which is not the operator's to set"))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lettre::message::header::Headers;
    use proptest::prelude::*;
    use runtime::env::EnvError;

    fn read(pairs: &[(&str, &str)]) -> Result<Sender, EnvError> {
        let mut env = Env::from_pairs(pairs.iter().copied());
        let sender = Sender::from_env(&mut env);
        env.finish(|| sender)
    }

    #[test]
    fn without_variables_bounces_and_answers_go_to_the_author() {
        let sender = read(&[]).unwrap();
        assert_eq!(sender.from.to_string(), "Two-step signup <no-reply@example.com>");
        assert_eq!(sender.return_path.to_string(), "no-reply@example.com");
        assert!(sender.reply_to.is_none() && sender.headers.is_empty());
        let elsewhere = read(&[("MAIL_FROM", "A <a@example.org>")]).unwrap();
        assert_eq!(elsewhere.return_path.to_string(), "a@example.org");
    }

    #[test]
    fn all_wrong_values_are_listed_and_say_what_is_expected() {
        for (name, value, expected) in [
            ("MAIL_FROM", "nobody", "a sender such as"),
            ("MAIL_RETURN_PATH", "Bounces <bounces@example.com>", "an address alone"),
            ("MAIL_RETURN_PATH", "bo\u{fc}nce@example.com", "an address alone"),
            ("MAIL_RETURN_PATH", "<>", "an address alone"),
            ("MAIL_REPLY_TO", "support", "a sender such as"),
            ("MAIL_HEADERS", "X-Tag", "Name: value, several separated by |"),
            ("MAIL_HEADERS", "X-Tag: a | x-tag: b", "x-tag is there twice"),
            ("MAIL_HEADERS", "X-Tag:", "1 to 900 printable ASCII characters as the value of X-Tag"),
            ("MAIL_HEADERS", "X-Tag: gr\u{fc}n", "printable ASCII"),
            ("MAIL_HEADERS", "X-Tag: a\r\nBcc: eve@example.com", "printable ASCII"),
            ("MAIL_HEADERS", "X Tag: a", "1 to 76 characters of A-Z a-z 0-9 - _"),
            ("MAIL_HEADERS", ": a", "1 to 76 characters"),
        ] {
            let error = read(&[(name, value)]).unwrap_err().to_string();
            assert!(error.contains(&format!("{name}: expected ")) && error.contains(expected), "{error}");
        }
        let long = format!("X-Tag: {}", "x".repeat(LONGEST_VALUE + 1));
        assert!(read(&[("MAIL_HEADERS", &long)]).is_err());
    }

    #[test]
    fn headers_that_are_not_the_operators_are_refused_in_any_case() {
        let families = ["Content-Type", "Resent-From", "ARC-Seal"];
        for name in OF_THE_SERVICE.iter().chain(&OF_OTHERS).chain(&families).chain(&["Reply-To"]) {
            for name in [(*name).to_owned(), name.to_lowercase(), name.to_uppercase()] {
                let error =
                    read(&[("MAIL_HEADERS", &format!("X-A: b | {name}: x"))]).unwrap_err().to_string();
                assert!(
                    error.to_lowercase().contains(&format!("expected no {}", name.to_lowercase())),
                    "{error}"
                );
            }
        }
    }

    #[test]
    fn those_of_providers_are_taken_as_they_are() {
        let text = "X-SES-CONFIGURATION-SET: signup | X-SMTPAPI: {\"category\": [\"signup\", \"x:y\"]} | ";
        let sender = read(&[("MAIL_HEADERS", text)]).unwrap();
        assert_eq!(sender.headers.len(), 2);
    }

    proptest! {
        /// Unfolded, a value is what the operator wrote, whatever its length.
        #[test]
        fn a_value_of_words_is_kept(words in proptest::collection::vec("[!-~&&[^|=]]{1,90}", 1..9)) {
            let value = words.join(" ");
            let headers = headers(&format!("X-A: {value}")).unwrap();
            let mut all = Headers::new();
            all.insert_raw(headers[0].clone());
            let text = all.to_string();
            prop_assert!(text.lines().all(|line| line.len() <= 998));
            let unfolded = text.replace("\r\n ", " ");
            prop_assert_eq!(unfolded.trim_end(), format!("X-A: {value}"));
        }

        #[test]
        fn no_text_gets_a_line_end_into_a_header(text in "[!-{}~]{1,80}", line_end in "[\r\n]{1,2}") {
            if let Ok(headers) = headers(&format!("X-A: b{line_end}{text}")) {
                prop_assert!(headers.is_empty());
            }
        }
    }
}
