//! Whom a refusal is about: the address, the mail, the server or us.
//!
//! A server with delayed checks waits until RCPT to refuse the client, its EHLO name, the sender or the login. If such a
//! reply counted against the recipient, one wrong setting would turn every mail into a dead letter. An enhanced status code
//! (RFC 3463) decides if there is one. Otherwise the reply code decides, then a few phrases that servers use, and at last
//! what happens to other recipients. Pure. `docs/mail-servers.md` has the table of replies and servers; a test runs every
//! row of it through [`judge`].

use super::{
    phase::Phase,
    reply::{EnhancedStatus, Reply, Status},
};

/// Whom or what a refusal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// The address, for good.
    Recipient,
    /// Refused after RCPT for good, without a reason.
    RecipientUnclear,
    /// The address, for now.
    RecipientForNow,
    /// No one in particular, for now.
    ForNow,
    /// The mail, or the server's opinion of its sender.
    Content,
    /// The server, or our standing with it, whoever the recipient is.
    Server,
    /// A limit on parallel sessions or connections.
    Connections,
    /// A limit on the mails of a session.
    Mails,
}

/// Codes that are never about a recipient: a command is unknown, malformed or out of order; a login is needed or refused
/// (RFC 4954, section 6); the host takes no mail (RFC 7504).
const OF_THE_SERVER: [u16; 9] = [500, 502, 503, 504, 521, 530, 534, 535, 538];

/// Details of 5.7 about a login or its sender, even after DATA: RFC 4954 section 6, RFC 5248, Exchange.
const OF_THE_LOGIN: [u16; 7] = [3, 8, 9, 13, 57, 60, 64];

/// Details of 5.7 about the recipient: lists and groups that are closed to strangers (RFC 3463, Exchange), changed owners
/// (RFC 7293).
const OF_THE_RECIPIENT: [u16; 9] = [2, 17, 18, 124, 129, 133, 134, 135, 136];

/// Phrases about the client, its name, its login or the sender. Each contains a space, so no address can contain one.
const ABOUT_US: [&str; 16] = [
    "relay access denied",
    "relay denied",
    "relay not permitted",
    "relaying denied",
    "relaying not allowed",
    "unable to relay",
    "not permitted to relay",
    "not allowed to relay",
    "client host rejected",
    "helo command rejected",
    "sender address rejected",
    "sender verify failed",
    "authentication required",
    "authentication is required",
    "must authenticate",
    "blocked using",
];

/// Phrases about the recipient in a reply whose code means policy.
const ABOUT_THE_RECIPIENT: [&str; 2] = ["recipient address rejected", "recipient suppressed"];

/// Phrases about a limit of the session in a 452, which also means a full mailbox.
const ABOUT_A_LIMIT: [&str; 5] =
    ["per session", "per connection", "in one connection", "this session", "this connection"];

impl Judgement {
    /// All of them, for the metrics.
    pub(crate) const ALL: [Self; 8] = [
        Self::Recipient,
        Self::RecipientUnclear,
        Self::RecipientForNow,
        Self::ForNow,
        Self::Content,
        Self::Server,
        Self::Connections,
        Self::Mails,
    ];

    /// The value of the metric's label, and the word in the documents.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Recipient => "recipient",
            Self::RecipientUnclear => "recipient_unclear",
            Self::RecipientForNow => "recipient_for_now",
            Self::ForNow => "for_now",
            Self::Content => "content",
            Self::Server => "server",
            Self::Connections => "connections",
            Self::Mails => "mails",
        }
    }
}

/// Whether the reply code alone says that there are too many connections: a temporary refusal before the session's first
/// use, or 432, which Exchange uses for this.
pub(super) fn is_one_too_many(phase: Phase, code: u16) -> bool {
    match phase {
        Phase::Connect | Phase::Tls | Phase::Greeting => (400..500).contains(&code),
        // In RFC 4954 a 432 to the login means that the password must be changed.
        Phase::Login => code == 421,
        Phase::MailFrom | Phase::Recipient | Phase::Data | Phase::Content => code == 432,
    }
}

/// Whether a refusal says that the login is missing or no longer valid. 334 is a question of AUTH: some servers repeat it
/// when the token of a session has expired.
pub(super) fn is_about_the_login(status: Status) -> bool {
    let policy = status.enhanced.filter(|enhanced| enhanced.subject == 7);
    matches!(status.code, 334 | 530 | 534 | 535 | 538)
        || policy.is_some_and(|enhanced| OF_THE_LOGIN.contains(&enhanced.detail))
}

/// What follows from a limit. The history of the session and the other sessions decide which limit it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// This session is full; a fresh one takes the mail.
    FreshSession,
    /// There are too many sessions.
    FewerSessions,
    /// The server takes no mail from anybody now.
    Server,
    /// The server does not take this mail now.
    ForNow,
}

/// Decides about [`Judgement::Mails`] and [`Judgement::Connections`]. `fresh`: this is the first mail of the session.
/// `alone`: there is no other session.
pub(super) fn verdict(judgement: Judgement, phase: Phase, code: u16, fresh: bool, alone: bool) -> Verdict {
    let session_goes_on = code != 421 && phase != Phase::MailFrom;
    match judgement {
        Judgement::Mails if !fresh => Verdict::FreshSession,
        Judgement::Mails if session_goes_on => Verdict::ForNow,
        _ if alone => Verdict::Server,
        _ => Verdict::FewerSessions,
    }
}

/// Judges an unwanted reply by the step that it answers.
pub(super) fn judge(phase: Phase, reply: &Reply) -> Judgement {
    use Judgement::{Connections, Mails, Recipient, Server};
    match (phase, reply.code) {
        // Not a refusal, but unexpected here.
        (_, 0..400) => Server,
        (_, code) if is_one_too_many(phase, code) => Connections,
        (Phase::Connect | Phase::Tls | Phase::Greeting | Phase::Login, _) => Server,
        // "Closing transmission channel": this session is over. The next one shows whether there is more to it.
        (_, 421) | (Phase::MailFrom, 400..500) => Mails,
        // Our sender's address is ASCII, so this is about the recipient's.
        (Phase::MailFrom, _) if subject_and_detail(reply) == Some((6, 7)) => Recipient,
        (Phase::MailFrom, _) => Server,
        (Phase::Recipient | Phase::Data | Phase::Content, 400..500) => for_now(reply),
        (Phase::Recipient, _) => recipient(reply),
        (Phase::Data | Phase::Content, _) => content(reply),
    }
}

fn for_now(reply: &Reply) -> Judgement {
    use Judgement::{ForNow, Mails, RecipientForNow, Server};
    match subject_and_detail(reply) {
        Some((1, 7 | 8)) => Server,
        Some((1 | 2, _)) => RecipientForNow,
        Some((3, 1 | 2) | (4, 5) | (5, 3)) => Mails,
        None if reply.code == 452 && says(reply, &ABOUT_A_LIMIT) => Mails,
        None | Some((7, _)) if says(reply, &ABOUT_US) => Server,
        _ => ForNow,
    }
}

fn recipient(reply: &Reply) -> Judgement {
    use Judgement::{Content, Recipient, RecipientUnclear, Server};
    match subject_and_detail(reply) {
        _ if OF_THE_SERVER.contains(&reply.code) => Server,
        Some((1, 7 | 8) | (3, 2)) => Server,
        Some((1, 1..) | (2, _) | (6, 7)) => Recipient,
        Some((7, detail)) if OF_THE_RECIPIENT.contains(&detail) => Recipient,
        // An access table, or a policy against the sender: only time can tell.
        Some((7, _)) if says(reply, &ABOUT_THE_RECIPIENT) => Content,
        Some((7, _)) => Server,
        _ if says(reply, &ABOUT_US) => Server,
        _ => RecipientUnclear,
    }
}

fn content(reply: &Reply) -> Judgement {
    use Judgement::{Content, Recipient, Server};
    match subject_and_detail(reply) {
        _ if OF_THE_SERVER.contains(&reply.code) => Server,
        Some((7, detail)) if OF_THE_LOGIN.contains(&detail) => Server,
        Some((1, 7 | 8)) => Server,
        // Servers that relay a mail while they receive it repeat the next server's reply. 5.2 is not among these: Exchange
        // uses it for the sender's mailbox.
        Some((1, 1..)) => Recipient,
        _ => Content,
    }
}

fn subject_and_detail(reply: &Reply) -> Option<(u16, u16)> {
    reply.enhanced.map(|EnhancedStatus { subject, detail, .. }| (subject, detail))
}

fn says(reply: &Reply, phrases: &[&str]) -> bool {
    let text = reply.text.to_ascii_lowercase();
    phrases.iter().any(|phrase| text.contains(phrase))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailer::reply::ReplyParser;

    const TABLE: &str = include_str!("../../../docs/mail-servers.md");

    /// The cells of every row under a heading with this beginning, without the table's two header rows.
    fn rows(heading: &str) -> Vec<Vec<&'static str>> {
        let section = TABLE.split("\n## ").find(|section| section.starts_with(heading)).unwrap();
        let rows = section.lines().filter(|line| line.starts_with('|')).skip(2);
        rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
    }

    fn code(cell: &'static str) -> &'static str {
        cell.strip_prefix('`').and_then(|cell| cell.strip_suffix('`')).unwrap_or_else(|| panic!("{cell}"))
    }

    fn phases(cell: &str) -> Vec<Phase> {
        let phase = |name: &str| match name {
            "greeting" => Phase::Greeting,
            "login" => Phase::Login,
            "MAIL" => Phase::MailFrom,
            "RCPT" => Phase::Recipient,
            "DATA" => Phase::Data,
            "content" => Phase::Content,
            other => panic!("no phase: {other}"),
        };
        cell.split(", ").map(phase).collect()
    }

    fn read(text: &str) -> Reply {
        let line = format!("{text}\r\n");
        ReplyParser::default().take(&mut line.as_bytes()).unwrap().unwrap()
    }

    #[test]
    fn every_reply_of_the_documents_table_is_judged_as_it_says() {
        let rows = rows("Replies");
        assert!(rows.len() > 60, "{} rows", rows.len());
        for row in &rows {
            let reply = read(code(row[1]));
            for phase in phases(row[0]) {
                assert_eq!(judge(phase, &reply).name(), code(row[2]), "{row:?}");
            }
        }
        for judgement in Judgement::ALL {
            assert!(
                rows.iter().any(|row| code(row[2]) == judgement.name()),
                "{judgement:?} is not in the table"
            );
        }
    }

    #[test]
    fn the_documents_explain_each_judgement_once() {
        let explained: Vec<_> = rows("Judgements").iter().map(|row| code(row[0])).collect();
        assert_eq!(explained, Judgement::ALL.map(Judgement::name));
    }

    #[test]
    fn which_limit_it_is_the_session_and_its_neighbours_tell() {
        use Judgement::{Connections, Mails};
        use Verdict::{FewerSessions, ForNow, FreshSession, Server};
        let cases = [
            (Mails, Phase::Data, 452, false, true, FreshSession),
            (Mails, Phase::MailFrom, 452, false, false, FreshSession),
            (Mails, Phase::Recipient, 421, false, true, FreshSession),
            (Mails, Phase::Data, 452, true, true, ForNow),
            (Mails, Phase::Recipient, 452, true, false, ForNow),
            (Mails, Phase::MailFrom, 452, true, true, Server),
            (Mails, Phase::MailFrom, 452, true, false, FewerSessions),
            (Mails, Phase::Recipient, 421, true, true, Server),
            (Mails, Phase::Recipient, 421, true, false, FewerSessions),
            (Connections, Phase::Content, 432, false, false, FewerSessions),
            (Connections, Phase::Content, 432, true, true, Server),
        ];
        for (judgement, phase, code, fresh, alone, expected) in cases {
            let found = verdict(judgement, phase, code, fresh, alone);
            assert_eq!(found, expected, "{judgement:?} {phase:?} {code} fresh {fresh} alone {alone}");
        }
    }

    #[test]
    fn a_login_that_is_missing_or_has_expired_is_told_from_other_refusals() {
        let is_about_it = |text| is_about_the_login(read(text).status());
        for text in [
            "334 eyJzdGF0dXMiOiI0MDEifQ==",
            "530 5.7.0 Authentication required",
            "535 5.7.8 expired",
            "550 5.7.57 Client was not authenticated",
            "454 4.7.8 expired",
        ] {
            assert!(is_about_it(text), "{text}");
        }
        for text in [
            "550 5.7.1 Unable to relay",
            "550 5.1.8 Sender address rejected",
            "421 4.3.2 Service shutting down",
        ] {
            assert!(!is_about_it(text), "{text}");
        }
    }

    #[test]
    fn an_address_that_a_reply_repeats_does_not_decide() {
        for local in ["relay-denied", "sender.verify.failed", "relay_access_denied"] {
            let reply = read(&format!("550 <{local}@example.com>: no such user {local}"));
            assert_eq!(judge(Phase::Recipient, &reply), Judgement::RecipientUnclear, "{local}");
        }
    }
}
