//! The headers of the page's files.

use std::borrow::Cow;
use texts::Language;

/// Nothing is inlined and nothing comes from elsewhere but the logo, so everything else is forbidden.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'{logo}; \
                      connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'";

/// Headers of a file's answers, by their names in lower case.
pub(crate) type Headers = Vec<(&'static str, Cow<'static, str>)>;

/// The headers of a file that a page of another origin may load if `is_embeddable`.
pub(crate) fn of_asset(is_embeddable: bool) -> Headers {
    let mut headers = common("");
    if is_embeddable {
        headers.push(("cross-origin-resource-policy", "cross-origin".into()));
    }
    headers
}

/// The headers of a file in one language that a page of another origin may load if `is_embeddable`.
pub(super) fn of_part(language: &Language, is_embeddable: bool) -> Headers {
    let mut headers = of_asset(is_embeddable);
    headers.extend(of_language(language));
    headers
}

/// The headers of the page itself.
pub(super) fn of_document(language: &Language) -> Headers {
    let logo = language.brand().logo_origin().map(|origin| format!(" {origin}")).unwrap_or_default();
    let mut headers = common(&logo);
    headers.extend(of_language(language));
    headers
}

fn common(logo: &str) -> Headers {
    vec![
        ("content-security-policy", POLICY.replace("{logo}", logo).into()),
        ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()".into()),
    ]
}

fn of_language(language: &Language) -> Headers {
    vec![
        ("content-language", language.tag().to_owned().into()),
        ("vary", "Accept-Encoding, Accept-Language".into()),
    ]
}
