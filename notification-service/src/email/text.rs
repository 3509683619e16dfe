//! The texts: templates, checked at compile time, one file for each email, language and format.
//!
//! The template engine escapes everything in the HTML part. A new language needs a variant of `Language` and its tag in
//! `contract::locale`, six files, and an arm in each function here.

use super::{Language, Parts, UnwritableError};
use askama::Template;

/// The variables of the templates. Emails without a code leave `code` and `minutes` empty.
pub(super) struct Fields<'a> {
    pub(super) language: Language,
    /// `None`: no greeting by name.
    pub(super) first_name: Option<&'a str>,
    pub(super) code: String,
    pub(super) link: String,
    pub(super) minutes: i64,
}

impl<'a> Fields<'a> {
    pub(super) fn notice(language: Language, first_name: Option<&'a str>, link: String) -> Self {
        Self { language, first_name, code: String::new(), link, minutes: 0 }
    }
}

/// Declares one template of the folder `templates`.
macro_rules! template {
    ($name:ident, $path:literal) => {
        #[derive(Template)]
        #[template(path = $path)]
        struct $name<'a> {
            mail: &'a Fields<'a>,
        }
    };
}

template!(VerifyAccountEnglishText, "verify_account.en.txt");
template!(VerifyAccountEnglishHtml, "verify_account.en.html");
template!(VerifyAccountGermanText, "verify_account.de.txt");
template!(VerifyAccountGermanHtml, "verify_account.de.html");
template!(AccountVerifiedEnglishText, "account_verified.en.txt");
template!(AccountVerifiedEnglishHtml, "account_verified.en.html");
template!(AccountVerifiedGermanText, "account_verified.de.txt");
template!(AccountVerifiedGermanHtml, "account_verified.de.html");
template!(AccountExistsEnglishHtml, "account_exists.en.html");
template!(AccountExistsGermanHtml, "account_exists.de.html");

#[derive(Template)]
#[template(path = "account_exists.en.txt")]
struct AccountExistsEnglishText;

#[derive(Template)]
#[template(path = "account_exists.de.txt")]
struct AccountExistsGermanText;

/// The mail with the code. The code comes first, alone in its line, because previews show the beginning.
pub(super) fn verify_account(mail: &Fields<'_>) -> Result<Parts, UnwritableError> {
    match mail.language {
        Language::English => Parts::render(
            "Verify Account",
            &VerifyAccountEnglishText { mail },
            &VerifyAccountEnglishHtml { mail },
        ),
        Language::German => Parts::render(
            "Konto bestätigen",
            &VerifyAccountGermanText { mail },
            &VerifyAccountGermanHtml { mail },
        ),
    }
}

/// The confirmation.
pub(super) fn account_verified(mail: &Fields<'_>) -> Result<Parts, UnwritableError> {
    match mail.language {
        Language::English => Parts::render(
            "Account Verified",
            &AccountVerifiedEnglishText { mail },
            &AccountVerifiedEnglishHtml { mail },
        ),
        Language::German => Parts::render(
            "Konto bestätigt",
            &AccountVerifiedGermanText { mail },
            &AccountVerifiedGermanHtml { mail },
        ),
    }
}

/// The notice to the owner of an address with which somebody has registered again.
pub(super) fn account_exists(mail: &Fields<'_>) -> Result<Parts, UnwritableError> {
    match mail.language {
        Language::English => Parts::render(
            "You already have an account",
            &AccountExistsEnglishText,
            &AccountExistsEnglishHtml { mail },
        ),
        Language::German => Parts::render(
            "Sie haben schon ein Konto",
            &AccountExistsGermanText,
            &AccountExistsGermanHtml { mail },
        ),
    }
}
