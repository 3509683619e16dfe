//! Colours and whether text in them can be read (WCAG 2.2, 1.4.3: a contrast of 4.5).

use std::fmt;

/// The page's ground behind text, in light and in dark.
pub(crate) const LIGHT_GROUND: Colour = Colour([0xff, 0xff, 0xff]);
pub(crate) const DARK_GROUND: Colour = Colour([0x17, 0x1b, 0x22]);
/// The least contrast of text.
const LEAST: f64 = 4.5;

/// A colour of the screen (sRGB).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Colour([u8; 3]);

impl Colour {
    /// Parses `#1a56db`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6)?;
        let octet = |at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
        digits.bytes().all(|b| b.is_ascii_hexdigit()).then_some(())?;
        Some(Self([octet(0)?, octet(2)?, octet(4)?]))
    }

    /// Whether text of this colour can be read on the ground.
    pub(crate) fn reads_on(self, ground: Self) -> bool {
        self.contrast(ground) >= LEAST
    }

    /// The contrast, from 1 to 21.
    pub(crate) fn contrast(self, other: Self) -> f64 {
        let (a, b) = (self.luminance(), other.luminance());
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// The nearest that can be read on the ground: darker on a light one, lighter on a dark one.
    pub(crate) fn made_readable_on(self, ground: Self) -> Self {
        let end = if ground.luminance() > 0.5 { 0.0 } else { 255.0 };
        let mixed = |step: u32| {
            let share = f64::from(step) / 50.0;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 255")]
            Self(self.0.map(|part| f64::from(part).mul_add(1.0 - share, end * share).round() as u8))
        };
        (0..=50).map(mixed).find(|colour| colour.reads_on(ground)).unwrap_or(mixed(50))
    }

    /// Black or white, whichever reads better on this one; one of them always does.
    pub(crate) fn text_on_it(self) -> Self {
        let (white, black) = (Self([255; 3]), Self([0; 3]));
        if self.contrast(white) >= self.contrast(black) { white } else { black }
    }

    /// Relative luminance (WCAG 2.2, glossary).
    fn luminance(self) -> f64 {
        let [red, green, blue] = self.0.map(|part| {
            let part = f64::from(part) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        });
        0.2126f64.mul_add(red, 0.7152f64.mul_add(green, 0.0722 * blue))
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn contrasts_are_those_of_wcag() {
        let colour = |text| Colour::parse(text).unwrap();
        assert!((colour("#000000").contrast(colour("#ffffff")) - 21.0).abs() < 0.001);
        // The example of many guides: the lightest grey that may stand on white.
        assert!(colour("#767676").reads_on(LIGHT_GROUND) && !colour("#777777").reads_on(LIGHT_GROUND));
        for text in ["1a56db", "#1a56d", "#1a56dg", "#+1a56d", "red", "#1a56dbff", "#éé"] {
            assert_eq!(Colour::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_colour_is_made_readable(parts: [u8; 3]) {
            let colour = Colour(parts);
            for ground in [LIGHT_GROUND, DARK_GROUND] {
                prop_assert!(colour.made_readable_on(ground).reads_on(ground));
            }
            prop_assert!(colour.text_on_it().reads_on(colour));
        }
    }
}
