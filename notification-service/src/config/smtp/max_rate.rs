//! The rate that a provider allows, as its documentation says it: mails per second or per minute.

use runtime::env;
use std::time::Duration;

const EXPECTED: &str =
    "off, mails per second such as 5 or 5/s, or mails per minute such as 30/min; the number from 1 to 100000";

/// Parses `5`, `5/s` or `30/min` as the time from one mail to the next, and `off` as `None`.
pub(super) fn interval(text: &str) -> Result<Option<Duration>, &'static str> {
    if text == "off" {
        return Ok(None);
    }
    let (number, unit) = text.split_once('/').unwrap_or((text, "s"));
    let unit = match unit {
        "s" => Duration::from_secs(1),
        "min" => Duration::from_mins(1),
        _ => return Err(EXPECTED),
    };
    let number: u32 = env::number(1..=100_000)(number).map_err(|_| EXPECTED)?;
    Ok(Some(unit / number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_has_a_unit_and_a_bare_number_is_mails_per_second() {
        for (text, micros) in [
            ("20", 50_000),
            ("5/s", 200_000),
            ("1/s", 1_000_000),
            ("30/min", 2_000_000),
            ("1/min", 60_000_000),
            ("100000", 10),
            ("100000/min", 600),
        ] {
            assert_eq!(interval(text), Ok(Some(Duration::from_micros(micros))), "{text}");
        }
        assert_eq!(interval("off"), Ok(None));
    }

    #[test]
    fn another_form_is_refused_with_the_allowed_ones() {
        for wrong in [
            "0", "0/min", "100001", "0.5", "-1/min", "30/m", "30/1m", "30/h", "30/", "/min", "30 / min",
            "1/s/s", "on",
        ] {
            let expected = interval(wrong).expect_err(wrong);
            assert!(
                ["off", "5/s", "30/min", "100000"].iter().all(|form| expected.contains(form)),
                "{expected}"
            );
        }
    }
}
