//! One figure over several rounds.

use serde::Serialize;

/// The median of the rounds, with the smallest and the largest figure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// The spread of these figures; NaN if there are none.
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut figures: Vec<f64> = figures.into_iter().collect();
        figures.sort_unstable_by(f64::total_cmp);
        let at = |index: usize| figures.get(index).copied().unwrap_or(f64::NAN);
        let last = figures.len().saturating_sub(1);
        Self { min: at(0), median: f64::midpoint(at(last / 2), at(figures.len() / 2)), max: at(last) }
    }

    /// The spread of each round's quotient of two figures. A drift of the machine affects both and cancels out.
    pub(crate) fn of_ratios(rounds: impl IntoIterator<Item = (f64, f64)>) -> Self {
        Self::of(rounds.into_iter().map(|(figure, reference)| figure / reference))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert_eq!(Spread::of([4.0, 1.0, 3.0, 2.0]), Spread { min: 1.0, median: 2.5, max: 4.0 });
        assert_eq!(Spread::of([5.0, 1.0, 2.0]), Spread { min: 1.0, median: 2.0, max: 5.0 });
        assert_eq!(Spread::of([7.0]), Spread { min: 7.0, median: 7.0, max: 7.0 });
        assert!(Spread::of([]).median.is_nan());
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        // A machine that is ten times slower in the second round changes nothing.
        let ratios = Spread::of_ratios([(50.0, 100.0), (5.0, 10.0)]);
        assert_eq!(ratios, Spread { min: 0.5, median: 0.5, max: 0.5 });
    }
}
