//! An address that can be mailed: the subset of RFC 5321 that real mailboxes use.
//!
//! Refused on purpose: quoted local parts, IP literals and domains without a dot. Outside ASCII a
//! local part may have letters, their marks and decimal digits. RFC 6531 allows all of Unicode, but
//! nobody hands out mailboxes with symbols, and invisible characters only deceive. Each refusal
//! says why. The spelling is kept for delivery, in NFC (RFC 6532, section 3.1). Identity ignores
//! case (`normalised`). An address that parses here can be mailed: nothing parses it again.

use crate::characters::{category, is_joiner, is_legible, is_letter, is_mark};
use icu_properties::props::GeneralCategory;
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, fmt};
use unicode_normalization::UnicodeNormalization;

/// Longest address in octets (RFC 5321, section 4.5.3.1.3: a path of 256 with its angle brackets).
pub const MAX_OCTETS: usize = 254;
/// Longest local part in octets (RFC 5321, section 4.5.3.1.1).
pub const MAX_LOCAL_OCTETS: usize = 64;

/// A valid address; `Debug` shows it masked.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct EmailAddress(Box<str>);

/// Why a text is not an address that can be mailed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EmailAddressError {
    /// Nothing was given.
    #[error("must not be empty")]
    Empty,
    /// Longer than [`MAX_OCTETS`], or a local part longer than [`MAX_LOCAL_OCTETS`].
    #[error("must have at most 64 octets before the @ and 254 in all")]
    TooLong,
    /// Not exactly one `@`, or nothing on one of its sides.
    #[error("must have one @ with a name before and a domain after it")]
    Shape,
    /// `"john doe"@example.com`.
    #[error("must not have a quoted part before the @")]
    QuotedLocalPart,
    /// A character that an unquoted local part can't have, or a dot at an end or doubled.
    #[error(
        "must have only letters, digits, single inner dots and !#$%&'*+-/=?^_`{{|}}~ before the @, and no spaces"
    )]
    LocalPart,
    /// An invisible character, or more marks on a letter than any script has.
    #[error("must not have invisible characters, nor many marks on one letter")]
    Illegible,
    /// `ada@[192.0.2.1]` or `ada@192.0.2.1`.
    #[error("must have a domain name after the @, not an IP address")]
    IpLiteral,
    /// Not a domain name, even after the conversion of international names (IDNA).
    #[error("must have a valid domain name with a dot after the @, such as example.com")]
    Domain,
}

impl EmailAddress {
    /// Parses an address as a person types it. An international domain name is converted to ASCII. So are the
    /// fullwidth forms that Japanese and Chinese keyboards make of ASCII. Letters are composed with their marks (NFC).
    ///
    /// # Errors
    /// The first rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, EmailAddressError> {
        if text.is_empty() {
            return Err(EmailAddressError::Empty);
        }
        // A domain is longest as it is typed. A longer text is refused before it is composed, which costs time.
        if text.len() > 4 * MAX_OCTETS {
            return Err(EmailAddressError::TooLong);
        }
        let text = if text.is_ascii() { text.into() } else { composed(text) };
        if text.starts_with('"') {
            return Err(EmailAddressError::QuotedLocalPart);
        }
        let (local, domain) = text.split_once('@').ok_or(EmailAddressError::Shape)?;
        if local.is_empty() || domain.is_empty() || domain.contains('@') {
            return Err(EmailAddressError::Shape);
        }
        if local.len() > MAX_LOCAL_OCTETS {
            return Err(EmailAddressError::TooLong);
        }
        if !is_legible(local) {
            return Err(EmailAddressError::Illegible);
        }
        if !is_dot_atom(local) {
            return Err(EmailAddressError::LocalPart);
        }
        let address = format!("{local}@{}", ascii_domain(domain)?);
        if address.len() > MAX_OCTETS {
            return Err(EmailAddressError::TooLong);
        }
        Ok(Self(address.into()))
    }

    /// The address as envelopes and headers have it: in its own spelling, with an ASCII domain.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form that decides identity: NFC, without case. No server gets it, and it may be longer than an address: `Ⱥ` has two octets, `ⱥ` three.
    #[must_use]
    pub fn normalised(&self) -> String {
        if self.0.is_ascii() {
            return self.0.to_ascii_lowercase();
        }
        self.0.nfc().flat_map(char::to_lowercase).nfc().collect()
    }

    /// The mailbox that spellings with a tag share, without case and without the tag:
    /// `ada@example.com` for `Ada+news@example.com`. `None` if there is no tag. Most providers
    /// deliver all of them to one mailbox. Used for a limit alone, never for identity.
    #[must_use]
    pub fn tagged_mailbox(&self) -> Option<String> {
        let normalised = self.normalised();
        let (local, domain) = normalised.split_once('@')?;
        let (mailbox, _) = local.split_once('+')?;
        Some(format!("{mailbox}@{domain}"))
    }

    /// Whether the local part needs the SMTPUTF8 extension (RFC 6531).
    #[must_use]
    pub fn needs_smtputf8(&self) -> bool {
        !self.0.is_ascii()
    }

    /// A form for logs that hides the address: `a***@e***.com`. A part of one letter shows nothing.
    #[must_use]
    pub fn masked(&self) -> String {
        let (local, domain) = self.0.split_once('@').unwrap_or((&self.0, ""));
        let (rest, top_level) = domain.rsplit_once('.').unwrap_or(("", domain));
        format!("{}***@{}***.{top_level}", initial(local), initial(rest))
    }
}

/// The first character, unless it is the only one besides its marks.
fn initial(text: &str) -> String {
    let mut letters = text.chars().filter(|c| !is_mark(*c));
    letters.next().filter(|_| letters.next().is_some()).map(String::from).unwrap_or_default()
}

fn composed(text: &str) -> Cow<'_, str> {
    let narrow = |c| match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        c => c,
    };
    text.chars().map(narrow).nfc().collect::<String>().into()
}

fn is_dot_atom(local: &str) -> bool {
    local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atom_character))
}

fn is_atom_character(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    }
    is_letter(c) || is_mark(c) || is_joiner(c) || category(c) == GeneralCategory::DecimalNumber
}

fn ascii_domain(domain: &str) -> Result<String, EmailAddressError> {
    if domain.starts_with('[') {
        return Err(EmailAddressError::IpLiteral);
    }
    let ascii = idna::domain_to_ascii_strict(domain).map_err(|_| EmailAddressError::Domain)?;
    let Some((_, top_level)) = ascii.rsplit_once('.') else {
        return Err(EmailAddressError::Domain);
    };
    if top_level.bytes().all(|b| b.is_ascii_digit()) {
        let only_digits = ascii.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        return Err(if only_digits && !top_level.is_empty() {
            EmailAddressError::IpLiteral
        } else {
            EmailAddressError::Domain
        });
    }
    // An ASCII domain keeps the case in which it was typed; only international names are rewritten.
    Ok(if domain.is_ascii() { domain.to_owned() } else { ascii })
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EmailAddress({})", self.masked())
    }
}

impl TryFrom<String> for EmailAddress {
    type Error = EmailAddressError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refused(text: &str) -> EmailAddressError {
        EmailAddress::parse(text).expect_err(text)
    }

    #[test]
    fn ordinary_addresses_keep_their_spelling() {
        for text in [
            "ada@example.com",
            "Ada.Lovelace+signup@Mail.Example.co.uk",
            "o'brien@example.org",
            "jörg@example.de",
            "संपर्क@xn--c2bd4bq1db8d.xn--h2brj9c",
            "ผู้ใช้@example.com",
            "বিড\u{9bc}াল@example.org",
            "علی\u{200c}رضا@example.com",
            "用户7@example.com",
            "李〇@example.com",
            "٣ب@example.com",
        ] {
            assert_eq!(EmailAddress::parse(text).expect(text).as_str(), text);
        }
    }

    #[test]
    fn identity_ignores_case_and_unicode_form() {
        let same = |a: &str, b: &str| {
            assert_eq!(
                EmailAddress::parse(a).unwrap().normalised(),
                EmailAddress::parse(b).unwrap().normalised()
            );
        };
        same("Ada@Example.COM", "ada@example.com");
        same("ada@BÜCHER.example", "ada@xn--bcher-kva.example");
        same("J\u{f6}rg@example.com", "jo\u{308}rg@example.com");
    }

    #[test]
    fn spellings_with_a_tag_share_a_mailbox() {
        let mailbox = |text: &str| EmailAddress::parse(text).unwrap().tagged_mailbox();
        for text in ["ada+1@example.com", "Ada+news+2@Example.com", "ADA+@example.com"] {
            assert_eq!(mailbox(text).as_deref(), Some("ada@example.com"), "{text}");
        }
        assert_eq!(mailbox("ada@example.com"), None);
    }

    #[test]
    fn what_looks_the_same_becomes_the_same() {
        for (text, address) in [
            ("Nguye\u{302}\u{303}n@example.com", "Nguyễn@example.com"),
            ("jo\u{308}rg@example.com", "jörg@example.com"),
            ("\u{212a}arl@example.com", "Karl@example.com"),
            ("ada@bu\u{308}cher.example", "ada@xn--bcher-kva.example"),
            ("ａｄａ＠ｅｘａｍｐｌｅ．ｃｏｍ", "ada@example.com"),
            ("संपर्क@डाटामेल.भारत", "संपर्क@xn--c2bd4bq1db8d.xn--h2brj9c"),
        ] {
            assert_eq!(EmailAddress::parse(text).expect(text).as_str(), address);
        }
    }

    #[test]
    fn each_refusal_names_its_rule() {
        use EmailAddressError as E;
        assert_eq!(refused(""), E::Empty);
        for text in ["ada", "@example.com", "ada@", "a@b@example.com"] {
            assert_eq!(refused(text), E::Shape, "{text}");
        }
        for text in [
            "a b@example.com",
            ".ada@example.com",
            "ada.@example.com",
            "a..b@example.com",
            "a€b@example.com",
            "😀@example.com",
            "a\u{fffd}b@example.com",
            "=\u{338}@example.com",
            "a\u{a0}b@example.com",
            "①@example.com",
            "a\u{e000}@example.com",
            "a\u{2800}@example.com",
            "a＂@example.com",
            "a，b@example.com",
            "a,b@example.com",
            "a\r\nRCPT TO:<x@example.com",
        ] {
            assert_eq!(refused(text), E::LocalPart, "{text:?}");
        }
        for text in [
            "a\u{202e}b@example.com",
            "\u{202a}ada\u{202c}@example.com",
            "a\u{200b}b@example.com",
            "a\u{200d}b@example.com",
            "\u{3164}@example.com",
            "a\u{ad}b@example.com",
            "a\u{fe0f}@example.com",
            "\u{301}a@example.com",
            "a+\u{301}@example.com",
            "a\u{300}\u{301}\u{302}\u{303}\u{304}\u{305}@example.com",
        ] {
            assert_eq!(refused(text), E::Illegible, "{text:?}");
        }
        assert_eq!(refused("\"ada l\"@example.com"), E::QuotedLocalPart);
        for text in ["ada@[192.0.2.1]", "ada@192.0.2.1", "ada@[IPv6:::1]"] {
            assert_eq!(refused(text), E::IpLiteral, "{text}");
        }
        for text in [
            "ada@localhost",
            "ada@example..com",
            "ada@-example.com",
            "ada@exam ple.com",
            "ada@example.com.",
            "ada@example.com\r\n",
            "ada@exa_mple.com",
            "ada@.com",
            "ada@a.1",
        ] {
            assert_eq!(refused(text), E::Domain, "{text:?}");
        }
        assert_eq!(refused(&format!("{}@example.com", "a".repeat(65))), E::TooLong);
        let label = "a".repeat(60);
        assert_eq!(refused(&format!("ada@{label}.{label}.{label}.{label}.{label}.com")), E::Domain);
    }

    #[test]
    fn the_masked_form_hides_all_but_the_initials() {
        let address = EmailAddress::parse("lovelace@mail.example.com").unwrap();
        assert_eq!(address.masked(), "l***@m***.com");
        assert_eq!(format!("{address:?}"), "EmailAddress(l***@m***.com)");
        for (text, masked) in [
            ("x@example.com", "***@e***.com"),
            ("ada@x.com", "a***@***.com"),
            ("x@x.org", "***@***.org"),
            ("रि@example.com", "***@e***.com"),
        ] {
            assert_eq!(EmailAddress::parse(text).expect(text).masked(), masked);
        }
    }

    #[test]
    fn an_address_of_the_greatest_length_is_taken_whatever_its_identity_needs() {
        let address = EmailAddress::parse(&format!("{}@example.com", "Ⱥ".repeat(32))).unwrap();
        assert_eq!(address.normalised(), format!("{}@example.com", "ⱥ".repeat(32)));
    }

    proptest! {
        #[test]
        fn the_short_way_for_ascii_leads_to_the_same_identity(local in "[!-~&&[^@\"]]{1,20}") {
            let address = EmailAddress(format!("{local}@Example.com").into());
            let long_way: String = address.0.nfc().flat_map(char::to_lowercase).nfc().collect();
            prop_assert_eq!(address.normalised(), long_way);
        }

        #[test]
        fn what_parses_is_printable_short_and_stable(text in "\\PC{0,40}@\\PC{0,40}|[\\pL\\pM\\pN.＠@]{1,20}@[a-z]{1,9}\\.com|.{0,80}") {
            if let Ok(address) = EmailAddress::parse(&text) {
                prop_assert!(address.as_str().len() <= MAX_OCTETS);
                prop_assert!(!address.as_str().chars().any(|c| c.is_control() || c.is_whitespace()));
                prop_assert_eq!(EmailAddress::parse(address.as_str()).unwrap(), address.clone());
                let normalised = address.normalised();
                prop_assert_eq!(EmailAddress(normalised.as_str().into()).normalised(), normalised);
            }
        }
    }
}
