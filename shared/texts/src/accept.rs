//! `Accept-Language`: what a reader wants, most wanted first (RFC 9110, section 12.5.4).

use contract::locale::Locale;

/// The most ranges that are looked at.
const MOST: usize = 50;

/// The tags of a header by falling weight; of equal weights the first comes first. Without `*`, refused and malformed ranges.
#[must_use]
pub fn accepted(header: &str) -> Vec<Locale> {
    let mut wanted: Vec<_> = header.split(',').take(MOST).filter_map(weighted).collect();
    wanted.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    wanted.into_iter().map(|(_, locale)| locale).collect()
}

/// A range and its weight in thousandths. Neither tags nor `q` depend on case.
fn weighted(range: &str) -> Option<(u32, Locale)> {
    let (tag, weight) = match range.split_once(';') {
        None => (range, 1000),
        Some((tag, parameter)) => {
            let (name, weight) = parameter.split_once('=')?;
            (tag, thousandths(weight.trim()).filter(|_| name.trim().eq_ignore_ascii_case("q"))?)
        }
    };
    Locale::parse(tag.trim()).ok().filter(|_| weight > 0).map(|locale| (weight, locale))
}

/// A weight from 0 to 1 with at most three decimals (RFC 9110, section 12.4.2).
fn thousandths(text: &str) -> Option<u32> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if decimals.len() > 3 || !decimals.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let decimals: u32 = format!("{decimals:0<3}").parse().ok()?;
    match whole {
        "0" => Some(decimals),
        "1" if decimals == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_come_by_weight() {
        for (header, expected) in [
            ("de-CH, de;q=0.9, en;q=0.8", "de-CH de en"),
            ("en;Q=0.1, de", "de en"),
            ("en ; q=0.1 , DE-at ; q = 0.2", "DE-at en"),
            ("de_DE", "de-DE"),
            ("en, de", "en de"),
            ("fr;q=0.2, pt;q=1.000, *;q=0.1", "pt fr"),
            ("de;q=0, fr", "fr"),
            ("de;q=nan, de;q=-1, de;q=1.5, de;q=0.1234, de;q=+0.5, de;q=.5, de;level=1, fr", "fr"),
            ("", ""),
            ("*", ""),
            (";;;,,,q=x, de;q", ""),
        ] {
            let tags: Vec<_> = accepted(header).iter().map(ToString::to_string).collect();
            assert_eq!(tags.join(" "), expected, "{header}");
        }
        assert_eq!(accepted(&"de,".repeat(1000)).len(), 50);
    }
}
