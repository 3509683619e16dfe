//! The three mails, and the two forms of their bodies.

/// Which mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// With the code.
    VerifyAccount,
    /// The confirmation.
    AccountVerified,
    /// The notice.
    AccountExists,
}

/// The two forms of a mail's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Text,
    Html,
}

impl Format {
    pub(super) const ALL: [Self; 2] = [Self::Text, Self::Html];

    fn ending(self) -> &'static str {
        match self {
            Self::Text => "txt",
            Self::Html => "html",
        }
    }
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::VerifyAccount, Self::AccountVerified, Self::AccountExists];

    /// Its name, in files and in keys of sentences.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::VerifyAccount => "verify_account",
            Self::AccountVerified => "account_verified",
            Self::AccountExists => "account_exists",
        }
    }

    pub(super) fn template(self, format: Format) -> String {
        format!("{}.{}", self.name(), format.ending())
    }
}
