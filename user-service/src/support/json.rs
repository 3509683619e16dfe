//! What the command says to programs: one JSON object a line. Fields are only ever added.

use super::{
    Resend,
    known::{Known, NotRead},
    mails::{Fate, Mail},
    read::Withheld,
    status::Status,
};
use crate::signup::ResentFor;
use contract::{account_id::AccountId, characters::printable, event::EventKind};
use jiff::Timestamp;
use serde_json::{Value, json};

pub(super) fn show(known: &Known, status: &Status) -> String {
    let mails = known.mails.newest_first();
    line(&json!({
        "account": known.account.to_string(),
        "state": status.state.to_string(),
        "since": status.since.map(moment),
        "window": {
            "number": status.window,
            "begins_at": moment(status.begins_at),
            "ends_at": moment(status.ends_at),
            "code_expires_at": moment(status.code_expires_at),
        },
        "mails_in_window": status.mails,
        "mails_left": status.outlook.left,
        "next_mail_at": moment(status.outlook.next_at),
        "attempts_left": status.left_with_registration,
        "attempts_left_in_window": status.left_in_window,
        "mails": mails.into_iter().map(|it| mail(it, status.now)).collect::<Vec<_>>(),
        "not_read": not_read(&known.not_read),
    }))
}

pub(super) fn resend(account: AccountId, resend: &Resend) -> String {
    let (result, request_id, due_at) = match resend {
        Resend::Asked { result: ResentFor::Written(mailing), request_id } => {
            (mailing.kind().name(), Some(request_id.to_string()), None)
        }
        Resend::Asked { result: ResentFor::NotDue(due_at), .. } => ("not_due", None, Some(moment(*due_at))),
        Resend::NoRegistration | Resend::Asked { result: ResentFor::Unknown, .. } => {
            ("no_registration", None, None)
        }
    };
    line(&json!({
        "account": account.to_string(), "result": result, "request_id": request_id, "due_at": due_at,
    }))
}

pub(super) fn forgotten(account: AccountId) -> String {
    line(&json!({ "account": account.to_string(), "result": "forgotten" }))
}

/// The topics that could not be read.
pub(super) fn not_read(not_read: &[NotRead]) -> Value {
    let why = |why: &Withheld| match why {
        Withheld::NoRight => "no_right",
        Withheld::Missing => "missing",
    };
    not_read.iter().map(|(topic, withheld)| json!({ "topic": topic.name(), "why": why(withheld) })).collect()
}

fn mail(mail: &Mail, now: Timestamp) -> Value {
    let mut value = json!({
        "type": EventKind::name(mail.kind),
        "asked_at": moment(mail.asked_at),
        "window": mail.window,
    });
    let fate = match mail.fate(now) {
        Fate::NoFailureKnown { retried_at } => {
            json!({ "fate": "no_failure_known", "retried_at": retried_at.map(moment) })
        }
        Fate::WaitingForRetry { next_try_at } => {
            json!({ "fate": "waiting_for_retry", "next_try_at": moment(next_try_at) })
        }
        Fate::DeadLettered(letter) => json!({
            "fate": "dead_lettered",
            "reason": letter.reason,
            "smtp_status": letter.smtp_status,
            "smtp_enhanced_status": letter.enhanced_status,
            "failed_at": moment(letter.failed_at),
            "resolution": letter.resolution,
        }),
    };
    if let (Value::Object(value), Value::Object(fate)) = (&mut value, fate) {
        value.extend(fate);
    }
    value
}

fn moment(at: Timestamp) -> String {
    format!("{at:.3}")
}

fn line(value: &Value) -> String {
    format!("{}\n", printable(&value.to_string()))
}
