//! What the command says to people: short, and in words that can be read out on the telephone.

use super::{
    Resend,
    known::Known,
    mails::{Fate, Letter, Mail},
    status::{State, Status},
};
use crate::signup::ResentFor;
use contract::{
    account_id::AccountId,
    characters::printable,
    event::{EventKind, Mailing},
};
use jiff::Timestamp;
use std::fmt::Write;

/// The most mails that are listed. JSON has all that are known.
const LISTED: usize = 10;

pub(super) fn show(known: &Known, status: &Status) -> String {
    let Status { now, window_attempts, code_attempts, left_in_window, outlook, .. } = status;
    let time = |at| time(at, *now);
    let mut text = String::new();
    let mut row = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<9} {value}");
    };
    row("account", &known.account.to_string());
    row("now", &now.strftime("%Y-%m-%d %H:%M:%S UTC").to_string());
    row("state", &state(status));
    for (topic, why) in &known.not_read {
        row("not read", &format!("{}: {why}", topic.name()));
    }
    let mails = known.mails.newest_first();
    if status.state == State::Unknown && mails.is_empty() {
        return text;
    }
    row(
        "window",
        &format!(
            "{} to {}; the code of its mails is right until {}",
            time(status.begins_at),
            time(status.ends_at),
            time(status.code_expires_at)
        ),
    );
    let next = match outlook.next_at <= *now {
        true => "now".to_owned(),
        false => format!("from {}", time(outlook.next_at)),
    };
    row(
        "mails",
        &format!(
            "{} in this window, {} more possible; the next can be asked for {next}",
            status.mails, outlook.left
        ),
    );
    let with_registration = status
        .left_with_registration
        .map(|left| format!("{left} of {code_attempts} left with the newest registration, "))
        .unwrap_or_default();
    row("attempts", &format!("{with_registration}{left_in_window} of {window_attempts} left in this window"));
    if !mails.is_empty() {
        let _ = writeln!(text, "its mails, the newest first:");
    }
    for mail in mails.iter().take(LISTED) {
        let fate = fate(mail, *now, known.not_read.is_empty());
        let _ = writeln!(text, "  {}  {:<12}  {}", time(mail.asked_at), name(mail.kind), printable(&fate));
    }
    if mails.len() > LISTED {
        let _ = writeln!(text, "  and {} older ones (--json)", mails.len().saturating_sub(LISTED));
    }
    text
}

pub(super) fn resend(known: &Known, resend: &Resend) -> String {
    let text = match resend {
        Resend::Asked { result: ResentFor::Written(Mailing::Nothing), .. } => {
            "nothing is due: somebody else asked at the same moment".to_owned()
        }
        Resend::Asked { result: ResentFor::Written(Mailing::Notice), request_id } => {
            format!("verified already: a notice that the account exists is on its way; request {request_id}")
        }
        Resend::Asked { result: ResentFor::Written(_), request_id } => {
            format!("a mail with the code is on its way; request {request_id}")
        }
        Resend::Asked { result: ResentFor::NotDue(due_at), .. } => {
            let is_verified = known.view().look_at(known.account, |_, is_verified| is_verified);
            let verified = if is_verified { "verified already; " } else { "" };
            format!(
                "nothing is due: {verified}the next mail can be asked for from {} UTC",
                time(*due_at, Timestamp::now())
            )
        }
        Resend::NoRegistration | Resend::Asked { result: ResentFor::Unknown, .. } => {
            "nothing to send: no registration is held; the person has to register again".to_owned()
        }
    };
    text + "\n"
}

pub(super) fn forgotten(account: AccountId) -> String {
    format!("forgotten: {account}\n")
}

fn state(status: &Status) -> String {
    let since = status.since.map(|at| format!(" {}", time(at, status.now))).unwrap_or_default();
    match status.state {
        State::Verified => format!("verified{since}"),
        State::Pending => format!("not verified; registered{since}"),
        State::Expired => format!("not verified in time; last registered{since}, has to register again"),
        State::Forgotten => format!("forgotten{since}"),
        State::Unknown => "unknown: no registration in the last days, and no verified account".to_owned(),
    }
}

const fn name(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Created => "code",
        EventKind::CodeResent => "code, again",
        EventKind::AccountExists => "notice",
        EventKind::Verified => "confirmation",
        EventKind::RegistrationRepeated | EventKind::Attempt => "",
    }
}

fn fate(mail: &Mail, now: Timestamp, is_all_read: bool) -> String {
    match mail.fate(now) {
        Fate::NoFailureKnown { .. } if !is_all_read => "no failure known, but not all was read".to_owned(),
        Fate::NoFailureKnown { retried_at: None } => "no failure known".to_owned(),
        Fate::NoFailureKnown { retried_at: Some(at) } => {
            format!("put off until {}; no failure known since", time(at, now))
        }
        Fate::WaitingForRetry { next_try_at } => format!("waiting for retry at {}", time(next_try_at, now)),
        Fate::DeadLettered(letter) => dead_lettered(letter, now),
    }
}

fn dead_lettered(letter: &Letter, now: Timestamp) -> String {
    let Letter { reason, smtp_status, enhanced_status, resolution, failed_at, .. } = letter;
    let codes = [smtp_status.map(|code| code.to_string()), enhanced_status.clone()];
    let codes: Vec<_> = codes.into_iter().flatten().collect();
    let codes = if codes.is_empty() { String::new() } else { format!(", reply {}", codes.join(" ")) };
    let resolution = resolution.as_ref().map(|how| format!("; {how} since")).unwrap_or_default();
    format!("could not be mailed: {reason}{codes}, {}{resolution}", time(*failed_at, now))
}

/// A time in UTC, with its date unless that is today's.
fn time(at: Timestamp, now: Timestamp) -> String {
    let date = |at: Timestamp| at.strftime("%Y-%m-%d").to_string();
    let time = at.strftime("%H:%M:%S").to_string();
    if date(at) == date(now) { time } else { format!("{} {time}", date(at)) }
}
