//! The file `.env`: a value is taken exactly as written, or it is refused.
//!
//! dotenvy reads the lines. By itself it replaces `$NAME` by the value of another variable,
//! removes quotes and backslashes inside a value, and drops a value that begins with `#`. A
//! password would silently become another one. dotenvy gets one line at a time, so that
//! each problem has the number of its line, and an open quote ends with its line.

use super::Problem;
use std::collections::HashMap;

/// Replaces `$` while dotenvy reads, because dotenvy would interpret
/// `$`. A noncharacter: no text has it (Unicode 17, section 23.7).
const DOLLAR: char = '\u{FDD0}';

const LINE: &str =
    "NAME=value; a value with spaces, quotes or backslashes in 'single quotes', closed in the same line";
const UNQUOTED: &str = "'single quotes' around a value with quotes, backslashes or a # at its beginning";
const LINE_FEED: &str =
    "a value of one line; in \"double quotes\" \\n is a line feed, write \\\\n or use 'single quotes'";

/// The variables of a file, the last value of each name, and a problem
/// for each line that is not understood. A problem repeats no value.
pub(super) fn parse(file: &[u8]) -> (HashMap<String, String>, Vec<Problem>) {
    let (mut values, mut problems) = (HashMap::new(), Vec::new());
    let mut refuse = |line: usize, expected: &str| {
        problems.push(Problem { name: ".env", detail: format!("line {line}: expected {expected}") });
    };
    match std::str::from_utf8(file) {
        Ok(text) => {
            // Some editors put a byte order mark at the beginning.
            for (line, number) in text.trim_start_matches('\u{FEFF}').split('\n').zip(1..) {
                match variable(line) {
                    Ok(variable) => values.extend(variable),
                    Err(expected) => refuse(number, expected),
                }
            }
        }
        Err(error) => {
            let line = 1 + file[..error.valid_up_to()].iter().filter(|octet| **octet == b'\n').count();
            refuse(line, "UTF-8 (choose that encoding in the editor's \"save as\")");
        }
    }
    (values, problems)
}

/// The value of a quoted text, as if it stood in the file.
///
/// # Errors
/// What was expected.
pub(super) fn unquote(value: &str) -> Result<String, &'static str> {
    Ok(variable(&format!("NAME={value}"))?.map_or_else(String::new, |(_, value)| value))
}

/// Name and value of a line; `None` for an empty one or a comment.
fn variable(line: &str) -> Result<Option<(String, String)>, &'static str> {
    // dotenvy accepts spaces at the end of a line only if a line feed follows.
    let plain = format!("{}\n", without_dollars(line));
    let Some(read) = dotenvy::from_read_iter(plain.as_bytes()).next() else { return Ok(None) };
    // dotenvy's error repeats the line, which may hold a secret.
    let (name, value) = read.map_err(|_| LINE)?;
    let value = value.replace(DOLLAR, "$");
    let written = line.split_once('=').map_or("", |(_, written)| written);
    if !written.trim_start().starts_with(['"', '\'']) && !is_literal(written, &value) {
        return Err(UNQUOTED);
    }
    if value.contains('\n') { Err(LINE_FEED) } else { Ok(Some((name, value))) }
}

/// The line with every `$` hidden, except those behind a backslash: dotenvy takes these literally.
fn without_dollars(line: &str) -> String {
    let mut escaped = false;
    let hide = |c| {
        let hidden = if c == '$' && !escaped { DOLLAR } else { c };
        escaped = c == '\\' && !escaped;
        hidden
    };
    line.chars().map(hide).collect()
}

/// Whether a value without quotes is exactly the written text, up to a comment.
fn is_literal(written: &str, value: &str) -> bool {
    let rest = if value.is_empty() { Some(written) } else { written.trim_start().strip_prefix(value) };
    rest.is_some_and(|rest| rest.trim_end().is_empty() || rest.starts_with([' ', '\t']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The one value of a file without problems.
    fn value(file: &str) -> String {
        let (values, problems) = parse(file.as_bytes());
        assert_eq!((values.len(), &*problems), (1, &[][..]), "{file}");
        values.into_values().next().unwrap()
    }

    /// The one problem of a file.
    fn problem(file: &[u8]) -> String {
        let (_, problems) = parse(file);
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems[0].detail.clone()
    }

    #[test]
    fn a_dollar_is_a_dollar() {
        for (line, expected) in [
            ("SMTP_PASSWORD=pa$$w0rd$x#1", "pa$$w0rd$x#1"),
            ("SMTP_USERNAME=x${HOME}y", "x${HOME}y"),
            ("A=\"x$HOME \\$HOME\"", "x$HOME $HOME"),
            ("A='x$HOME \\$HOME'", "x$HOME \\$HOME"),
            ("A=\"\\\\$HOME\"", "\\$HOME"),
            ("A=$HOME # $HOME", "$HOME"),
        ] {
            assert_eq!(value(line), expected, "{line}");
        }
    }

    #[test]
    fn a_byte_order_mark_and_carriage_returns_are_no_part_of_the_values() {
        assert_eq!(value("\u{FEFF}SMTP_HOST=127.0.0.1\r\n# saved by Notepad\r\n"), "127.0.0.1");
        let (values, problems) = parse(b"\xEF\xBB\xBFA=1\r\nexport B = '2' # two\r\n\r\nC=\r\n D=4 \r\n");
        assert_eq!(problems, []);
        let expected = [("A", "1"), ("B", "2"), ("C", ""), ("D", "4")];
        assert_eq!(values, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    }

    #[test]
    fn what_would_become_another_value_is_refused_with_the_number_of_its_line() {
        for line in ["A=#1", "A=pa\"ss\"word", "A=it's'", "A=a\\\\b", "A=a\\nb", "A=\\$x", "A=a\\ b"] {
            assert!(problem(line.as_bytes()).contains("line 1: expected 'single quotes'"), "{line}");
        }
        assert!(problem(b"A=\"a\\nb\"").contains("\\n is a line feed"));
    }

    #[test]
    fn a_line_that_is_not_understood_is_named_by_its_number_and_not_repeated() {
        for line in [
            "hunter2",
            "A=hunter2 x",
            "A='hunter2",
            "A='hunter2\\'",
            "A=\"hunter2",
            "=hunter2",
            "A=hunter2\\x",
            "2=x",
        ] {
            let detail = problem(format!("# comment\n\n{line}\nB=1").as_bytes());
            assert!(detail.starts_with("line 3: expected NAME=value"), "{line}: {detail}");
            assert!(!detail.contains("hunter2"), "{detail}");
        }
        assert_eq!(parse(b"A\nB=1\nC").1.len(), 2, "all of them at once");
        for file in [&b"A=1\nB=\xE4\n"[..], b"A=1\n\xFF\xFEB"] {
            assert!(problem(file).starts_with("line 2: expected UTF-8"));
        }
    }

    proptest! {
        #[test]
        fn any_value_is_taken_as_it_stands_or_refused(text in "\\PC{0,20}") {
            let taken = |line: String| {
                let (values, problems) = parse(line.as_bytes());
                (problems.is_empty()).then(|| values.into_values().next().unwrap_or_default())
            };
            // Quoted values and comments have tests of their own.
            if !text.starts_with(|c: char| c.is_whitespace() || "'\"".contains(c)) && !text.contains(" #") {
                let value = taken(format!("A={text}"));
                prop_assert!(value.is_none_or(|value| value == text.trim_end()));
            }
            if !text.contains(['\'', '\\']) {
                prop_assert_eq!(taken(format!("A='{text}'")), Some(text));
            }
        }
    }
}
