//! What an operator types. A value that can't be used is not repeated: it may be an address, and standard error may be kept.

use crate::identity::IdSecret;
use clap::{
    Arg, Args, Command, Error, Subcommand,
    builder::{StyledStr, TypedValueParser},
    error::ErrorKind,
};
use contract::{account_id::AccountId, email_address::EmailAddress};
use std::ffi::OsStr;

/// The most characters of an operator's name and of a reason.
const MAX_CHARACTERS: usize = 200;

/// What to do for a person who asks.
#[derive(Debug, Subcommand)]
pub enum AccountCommand {
    /// Shows state, window, mails and attempts of an account, and what became of its mails.
    Show(Request),
    /// Writes all records that name the account, as a person may ask for them; always JSON, one object a line.
    Export(Request),
    /// Asks for another mail with the account's newest registration, if one is due.
    Resend(Request),
    /// Writes the tombstone that forgets the account, and makes sure that it stays forgotten.
    Forget(Request),
}

/// Whose account it is, and who asks why.
#[derive(Debug, Args)]
pub struct Request {
    /// The account: its address or its id
    #[arg(value_name = "ADDRESS|ID", value_parser = Unrepeated(Subject::parse))]
    pub(super) subject: Subject,
    /// Who runs the command; for the log, without an address
    #[arg(long, value_parser = Unrepeated(word))]
    pub(super) operator: String,
    /// Why, such as a ticket's number; for the log, without an address
    #[arg(long, value_parser = Unrepeated(word))]
    pub(super) reason: String,
    /// JSON for programs
    #[arg(long)]
    pub(super) json: bool,
}

/// Whose account it is.
#[derive(Debug, Clone)]
pub(super) enum Subject {
    Address(EmailAddress),
    Id(AccountId),
}

impl AccountCommand {
    /// Its name on the command line.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Show(_) => "show",
            Self::Export(_) => "export",
            Self::Resend(_) => "resend",
            Self::Forget(_) => "forget",
        }
    }

    pub(super) const fn request(&self) -> &Request {
        match self {
            Self::Show(request) | Self::Export(request) | Self::Resend(request) | Self::Forget(request) => {
                request
            }
        }
    }
}

impl Subject {
    fn parse(text: &str) -> Result<Self, String> {
        if text.contains('@') {
            return EmailAddress::parse(text)
                .map(Self::Address)
                .map_err(|error| format!("an address {error}"));
        }
        text.parse().map(Self::Id).map_err(|_| {
            "expected an address, such as ada@example.com, or an account's id, such as \
             c19a848c-0495-87ae-9e10-8be694335a56"
                .to_owned()
        })
    }

    pub(super) fn account(&self, secret: &IdSecret) -> AccountId {
        match self {
            Self::Address(address) => secret.account_id(address),
            Self::Id(id) => *id,
        }
    }

    pub(super) const fn address(&self) -> Option<&EmailAddress> {
        match self {
            Self::Address(address) => Some(address),
            Self::Id(_) => None,
        }
    }
}

fn word(text: &str) -> Result<String, String> {
    if text.trim().is_empty() || text.chars().count() > MAX_CHARACTERS {
        return Err(format!("expected 1 to {MAX_CHARACTERS} characters"));
    }
    // The line of the log must not have the person's address, nor another one.
    if text.contains('@') {
        return Err("expected no @: the log has no addresses; give a name or a ticket's number".to_owned());
    }
    Ok(text.to_owned())
}

/// Parses a value, and does not repeat one that can't be used.
#[derive(Clone)]
struct Unrepeated<T>(fn(&str) -> Result<T, String>);

impl<T: Clone + Send + Sync + 'static> TypedValueParser for Unrepeated<T> {
    type Value = T;

    fn parse_ref(&self, command: &Command, argument: Option<&Arg>, value: &OsStr) -> Result<T, Error> {
        let parsed = value.to_str().ok_or_else(|| "expected UTF-8".to_owned()).and_then(self.0);
        parsed.map_err(|problem| {
            let name = argument.map(ToString::to_string).unwrap_or_default();
            command.clone().error(ErrorKind::ValueValidation, StyledStr::from(format!("{name}: {problem}")))
        })
    }
}
