//! Codes and link tokens: derived where they are needed, stored and sent nowhere.
//!
//! A code is an HOTP value (RFC 4226, with SHA-256 and six digits) at the counter 0. Its key is
//! made from the secret, the account, its normalised address and the window, so a window has one
//! code. The token of the mail's link is 128 bits of an HMAC over the same data, under another
//! label. A record that names somebody else's address therefore mails a code that verifies nothing.

use crate::{
    account_id::AccountId,
    characters::{category, digit, is_invisible},
    code_secrets::CodeKey,
    email_address::EmailAddress,
    mac,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::Mac;
use icu_properties::props::GeneralCategory;
use std::fmt;
use subtle::ConstantTimeEq;

/// Digits of a code.
pub const DIGITS: usize = 6;
/// Octets of a link token.
pub const TOKEN_OCTETS: usize = 16;

/// Six digits; `Debug` hides them, and they are compared in constant time only.
#[derive(Clone)]
pub struct VerificationCode([u8; DIGITS]);

/// The text is not six digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be the six digits from the mail, and no others")]
pub struct VerificationCodeError;

/// The 128 bits of a mail's link; `Debug` hides them, and they are compared in constant time only.
#[derive(Clone)]
pub struct LinkToken([u8; TOKEN_OCTETS]);

/// The text is not a link token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be the token of the mail's link, 22 characters of base64url")]
pub struct LinkTokenError;

impl VerificationCode {
    /// Computes the code that is mailed to this address for this account and window.
    #[must_use]
    pub fn derive(key: &CodeKey, id: AccountId, email: &EmailAddress, window: u64) -> Self {
        let derived = key.derive(b"two-step signup: code, version 2\0", id, email, window);
        let value = hotp(mac::keyed(&derived), 0, DIGITS);
        let mut digits = [b'0'; DIGITS];
        for (position, digit) in digits.iter_mut().rev().enumerate() {
            let shifted = value / 10_u32.pow(u32::try_from(position).unwrap_or(0));
            *digit += u8::try_from(shifted % 10).unwrap_or(0);
        }
        Self(digits)
    }

    /// Parses a code as a person typed or pasted it: six digits of any script, with spaces, dashes and
    /// invisible characters between them, and words and punctuation around them, such as `Code: 940-863.`
    ///
    /// # Errors
    /// [`VerificationCodeError`] when the text has more or fewer digits, other characters between them, or a
    /// Latin or other cased letter that touches them. A text that may be another number or a word is refused.
    pub fn parse(text: &str) -> Result<Self, VerificationCodeError> {
        let is_digit = |c| digit(c).is_some();
        let first = text.find(is_digit).ok_or(VerificationCodeError)?;
        let (before, rest) = text.split_at(first);
        let within = rest.trim_end_matches(|c| !is_digit(c));
        let touches = |c: Option<char>| c.is_some_and(|c| c.is_lowercase() || c.is_uppercase());
        if touches(before.chars().next_back()) || touches(rest[within.len()..].chars().next()) {
            return Err(VerificationCodeError);
        }
        let mut digits = [0; DIGITS];
        let mut places = digits.iter_mut();
        for c in within.chars().filter(|c| !separates_digits(*c)) {
            let (Some(place), Some(digit)) = (places.next(), digit(c)) else {
                return Err(VerificationCodeError);
            };
            *place = b'0' + digit;
        }
        if places.next().is_none() { Ok(Self(digits)) } else { Err(VerificationCodeError) }
    }

    /// Compares in constant time.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    /// The six digits, for the mail.
    #[must_use]
    pub fn digits(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl LinkToken {
    /// Computes the token that is mailed to this address for this account and window.
    #[must_use]
    pub fn derive(key: &CodeKey, id: AccountId, email: &EmailAddress, window: u64) -> Self {
        let derived = key.derive(b"two-step signup: link, version 2\0", id, email, window);
        let mut token = [0; TOKEN_OCTETS];
        token.copy_from_slice(&derived[..TOKEN_OCTETS]);
        Self(token)
    }

    /// Parses the text form.
    ///
    /// # Errors
    /// [`LinkTokenError`] for anything but 16 octets in unpadded base64url.
    pub fn parse(text: &str) -> Result<Self, LinkTokenError> {
        let octets = URL_SAFE_NO_PAD.decode(text).map_err(|_| LinkTokenError)?;
        octets.try_into().map(Self).map_err(|_| LinkTokenError)
    }

    /// Compares in constant time.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    /// The text form, for the mail's link.
    #[must_use]
    pub fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}

/// Whether phones and mail apps put it between digits: spaces, dashes, U+2212 MINUS SIGN, zero widths.
fn separates_digits(c: char) -> bool {
    c.is_whitespace() || c == '\u{2212}' || is_invisible(c) || category(c) == GeneralCategory::DashPunctuation
}

/// HOTP (RFC 4226, section 5.3) with any MAC: dynamic truncation, then the last `digits` decimal digits.
fn hotp(mut mac: impl Mac, counter: u64, digits: usize) -> u32 {
    mac.update(&counter.to_be_bytes());
    let tag = mac.finalize().into_bytes();
    let offset = usize::from(tag[tag.len() - 1] & 0x0f);
    let truncated =
        u32::from_be_bytes([tag[offset], tag[offset + 1], tag[offset + 2], tag[offset + 3]]) & 0x7fff_ffff;
    truncated % 10_u32.pow(u32::try_from(digits).unwrap_or(0))
}

impl fmt::Debug for VerificationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerificationCode(******)")
    }
}

impl fmt::Debug for LinkToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkToken(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code_secrets::CodeSecrets;
    use hmac::{Hmac, KeyInit};
    use proptest::prelude::*;
    use sha2::Sha256;

    #[test]
    fn the_vectors_of_rfc_4226_are_met() {
        // RFC 4226, appendix D: HMAC-SHA-1, the secret "12345678901234567890", counters 0 to 9.
        let expected =
            [755_224, 287_082, 359_152, 969_429, 338_314, 254_676, 287_922, 162_583, 399_871, 520_489];
        for (counter, value) in (0..).zip(expected) {
            let mac = Hmac::<sha1::Sha1>::new_from_slice(b"12345678901234567890").unwrap();
            assert_eq!(hotp(mac, counter, 6), value, "counter {counter}");
        }
    }

    #[test]
    fn the_sha_256_vectors_of_rfc_6238_are_met() {
        // RFC 6238, appendix B: HMAC-SHA-256, eight digits; the counter is the time divided by 30 s.
        let vectors = [
            (59, 46_119_246),
            (1_111_111_109, 68_084_774),
            (1_234_567_890, 91_819_424),
            (20_000_000_000, 77_737_706),
        ];
        for (seconds, value) in vectors {
            let mac = Hmac::<Sha256>::new_from_slice(b"12345678901234567890123456789012").unwrap();
            assert_eq!(hotp(mac, seconds / 30, 8), value, "time {seconds}");
        }
    }

    fn key(byte: char) -> CodeSecrets {
        CodeSecrets::parse(&format!("k:{}=", String::from(byte).repeat(43))).unwrap()
    }

    fn address(text: &str) -> EmailAddress {
        EmailAddress::parse(text).unwrap()
    }

    #[test]
    fn a_code_depends_on_secret_account_address_and_window() {
        let (a, b) = (key('A'), key('E'));
        let (ada, bob) = (AccountId::from_derived([1; 16]), AccountId::from_derived([2; 16]));
        let code = |key: &CodeSecrets, id, email, window| {
            VerificationCode::derive(key.current(), id, &address(email), window).digits().to_owned()
        };
        let first = code(&a, ada, "ada@example.com", 7);
        assert_eq!(first, code(&a, ada, "Ada@Example.com", 7), "the spelling of the address does not count");
        assert_eq!(first.len(), DIGITS);
        for other in [
            code(&b, ada, "ada@example.com", 7),
            code(&a, bob, "ada@example.com", 7),
            code(&a, ada, "thief@example.com", 7),
            code(&a, ada, "ada@example.com", 8),
        ] {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn a_token_depends_on_the_address() {
        let (key, id) = (key('A'), AccountId::from_derived([1; 16]));
        let token = |email| LinkToken::derive(key.current(), id, &address(email), 7);
        assert!(token("ada@example.com").matches(&token("ADA@example.com")));
        assert!(!token("ada@example.com").matches(&token("thief@example.com")));
    }

    #[test]
    fn the_derivation_stays_as_it_is() {
        // Both services must agree across versions: a change here
        // makes every mailed code wrong during a rolling deploy.
        let id = AccountId::from_derived([1; 16]);
        let (key, ada) = (key('A'), address("ada@example.com"));
        assert_eq!(VerificationCode::derive(key.current(), id, &ada, 493_882).digits(), "272045");
        assert_eq!(LinkToken::derive(key.current(), id, &ada, 493_882).to_text(), "jGoS1gFwNSAYdJhbO6nyuQ");
    }

    #[test]
    fn a_code_is_read_as_it_is_pasted() {
        for text in [
            "940863",
            " 940 863 ",
            "940-863",
            "940-863.",
            "9 4 0 8 6 3\r\n",
            "94\u{a0}08–63",
            "940\u{ff0d}863",
            "940\u{2212}863",
            "940863\u{200b}",
            "\u{feff}940863",
            "940\u{2060}863",
            "\u{200e}940863",
            "\u{202b}940863\u{202c}",
            "９４０８６３",
            "٩٤٠٨٦٣",
            "۹۴۰۸۶۳",
            "९४०८६३",
            "๙๔๐๘๖๓",
            "Code: 940863",
            "Code:940863",
            "«940863»",
            "G-940863 is your code.",
            "Ihr Code lautet 940 863.",
            "验证码940863，请勿泄露",
            "رمزك: ٩٤٠٨٦٣",
        ] {
            assert_eq!(VerificationCode::parse(text).expect(text).digits(), "940863", "{text:?}");
        }
    }

    #[test]
    fn what_is_not_exactly_six_digits_is_not_guessed_at() {
        for text in [
            "",
            "code",
            "94086",
            "9408631",
            "940863 123456",
            "940863 940863",
            "Code 1 of 2: 940863",
            "94086a",
            "940a863",
            "940863a",
            "A940863",
            "940.863",
            "940,863",
            "940/863",
            "94.086",
            "+49 4086 3",
            "①②③④⑤⑥",
            "九四〇八六三",
            "٩٤٠٨٦",
        ] {
            assert!(VerificationCode::parse(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_six_digits_or_refused(text in ".{0,40}|[a 0-9٠-٩\u{200b}-]{0,12}") {
            let count = text.chars().filter(|c| digit(*c).is_some()).count();
            match VerificationCode::parse(&text) {
                Ok(code) => {
                    prop_assert_eq!(count, DIGITS);
                    prop_assert!(code.digits().len() == DIGITS && code.digits().bytes().all(|b| b.is_ascii_digit()));
                }
                Err(_) => prop_assert!(count != DIGITS || text.chars().any(|c| !separates_digits(c) && digit(c).is_none())),
            }
        }
    }

    #[test]
    fn a_token_survives_its_text_form() {
        let token = LinkToken::derive(
            key('A').current(),
            AccountId::from_derived([1; 16]),
            &address("ada@example.com"),
            7,
        );
        assert!(LinkToken::parse(&token.to_text()).unwrap().matches(&token));
        for text in ["", "short", &token.to_text()[1..], "!!!!!!!!!!!!!!!!!!!!!!"] {
            assert!(LinkToken::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn debug_output_hides_what_must_not_leak() {
        let code = VerificationCode::parse("123456").unwrap();
        assert_eq!(format!("{code:?}"), "VerificationCode(******)");
    }
}
