//! The commands of RFC 5321 that this server knows.

/// One line from the client.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Command<'a> {
    /// `EHLO` (`extended`) or `HELO`, with the client's name.
    Hello {
        extended: bool,
        name: &'a str,
    },
    /// The sender; empty for a bounce.
    Mail(&'a str),
    Rcpt(&'a str),
    Data,
    Reset,
    Noop,
    Verify,
    Quit,
    /// A known command with an argument that can't be read.
    Malformed,
    Unknown,
}

impl<'a> Command<'a> {
    pub(super) fn parse(line: &'a str) -> Command<'a> {
        let (verb, argument) = line.trim_end().split_once(' ').unwrap_or((line.trim_end(), ""));
        let is = |name: &str| verb.eq_ignore_ascii_case(name);
        if is("MAIL") {
            path(argument, "FROM:").map_or(Command::Malformed, Command::Mail)
        } else if is("RCPT") {
            let address = path(argument, "TO:").filter(|address| !address.is_empty());
            address.map_or(Command::Malformed, Command::Rcpt)
        } else if is("DATA") {
            Command::Data
        } else if is("EHLO") || is("HELO") {
            Command::Hello { extended: is("EHLO"), name: argument.trim() }
        } else if is("RSET") {
            Command::Reset
        } else if is("NOOP") {
            Command::Noop
        } else if is("VRFY") {
            Command::Verify
        } else if is("QUIT") {
            Command::Quit
        } else {
            Command::Unknown
        }
    }
}

/// The address in `FROM:<address> parameters`. The parameters need no action here.
fn path<'a>(argument: &'a str, keyword: &str) -> Option<&'a str> {
    let (start, rest) = argument.split_at_checked(keyword.len())?;
    let path = rest.trim_start().strip_prefix('<')?;
    start.eq_ignore_ascii_case(keyword).then_some(())?;
    path.split_once('>').map(|(address, _parameters)| address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_are_read_in_any_case() {
        assert_eq!(
            Command::parse("ehlo client.example"),
            Command::Hello { extended: true, name: "client.example" }
        );
        assert_eq!(Command::parse("QuIt"), Command::Quit);
        assert_eq!(Command::parse("DATA "), Command::Data);
    }

    #[test]
    fn parameters_behind_an_address_are_ignored() {
        assert_eq!(
            Command::parse("MAIL FROM:<ada@example.com> SIZE=99 SMTPUTF8"),
            Command::Mail("ada@example.com")
        );
        assert_eq!(Command::parse("mail from: <>"), Command::Mail(""));
        assert_eq!(Command::parse("RCPT TO:<eve@example.com>"), Command::Rcpt("eve@example.com"));
    }

    #[test]
    fn an_address_without_brackets_is_malformed() {
        for line in ["MAIL FROM:ada@example.com", "RCPT TO:<>", "RCPT", "MAIL", "MAIL é<a@example.com>"] {
            assert_eq!(Command::parse(line), Command::Malformed, "{line}");
        }
    }
}
