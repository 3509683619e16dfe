//! A chart as SVG. Its colours are variables of the page, so that it follows light and dark mode.

use super::{Chart, html::escape};
use std::fmt::Write as _;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 190.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 44.0;
/// The number of colours of the page.
const COLOURS: usize = 8;

/// One axis: from 0 to a round number, in equal steps.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Axis {
    step: f64,
    steps: u8,
}

impl Axis {
    /// The axis for these figures: four to ten steps of 1, 2 or 5 times a power of ten.
    fn over(figures: impl Iterator<Item = f64>) -> Self {
        let greatest = figures.filter(|figure| figure.is_finite()).fold(f64::MIN_POSITIVE, f64::max);
        let power = 10_f64.powf((greatest / 5.0).log10().floor());
        let fits = |step: &f64| greatest / step <= 5.0 + 1e-9;
        let step =
            [1.0, 2.0, 5.0].map(|factor| factor * power).into_iter().find(fits).unwrap_or(10.0 * power);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "one to five")]
        let steps = (greatest / step - 1e-9).ceil().clamp(1.0, 5.0) as u8;
        Self { step, steps }
    }

    fn end(self) -> f64 {
        self.step * f64::from(self.steps)
    }

    fn marks(self) -> impl Iterator<Item = f64> {
        (0..=self.steps).map(move |mark| f64::from(mark) * self.step)
    }
}

/// Draws a chart.
pub(super) fn svg(chart: &Chart) -> String {
    let points = || chart.series.iter().flat_map(|series| &series.points);
    let (x_axis, y_axis) =
        (Axis::over(points().map(|point| point.0)), Axis::over(points().map(|point| point.1)));
    let x_at = |x: f64| LEFT + x / x_axis.end() * (WIDTH - LEFT - RIGHT);
    let y_at = |y: f64| HEIGHT - BOTTOM - y / y_axis.end() * (HEIGHT - TOP - BOTTOM);
    let (right, floor) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    let mut out =
        format!(r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{}">"#, escape(&chart.title));
    for mark in y_axis.marks() {
        let y = y_at(mark);
        let _ = write!(out, r#"<line class="axis" x1="{LEFT}" x2="{right}" y1="{y:.1}" y2="{y:.1}"/>"#);
        let _ = write!(
            out,
            r#"<text x="{}" y="{:.1}" text-anchor="end">{}</text>"#,
            LEFT - 6.0,
            y + 4.0,
            label(mark)
        );
    }
    for mark in x_axis.marks() {
        let (x, y) = (x_at(mark), floor + 16.0);
        let _ = write!(out, r#"<text x="{x:.1}" y="{y}" text-anchor="middle">{}</text>"#, label(mark));
    }
    let middle = f64::midpoint(LEFT, right);
    let _ = write!(
        out,
        r#"<text x="{middle}" y="{}" text-anchor="middle">{}</text>"#,
        HEIGHT - 8.0,
        escape(chart.x)
    );
    let height = f64::midpoint(TOP, floor);
    let y_title = escape(chart.y);
    let _ = write!(
        out,
        r#"<text transform="translate(14 {height}) rotate(-90)" text-anchor="middle">{y_title}</text>"#
    );
    let mut legend = TOP + 10.0;
    for (index, series) in chart.series.iter().enumerate() {
        let colour = index % COLOURS;
        let line: Vec<_> =
            series.points.iter().map(|(x, y)| format!("{:.1},{:.1}", x_at(*x), y_at(*y))).collect();
        let _ = write!(
            out,
            r#"<polyline class="line" style="stroke:var(--c{colour})" points="{}"/>"#,
            line.join(" ")
        );
        if let ([dot], 1) = (series.points.as_slice(), line.len()) {
            let (x, y) = (x_at(dot.0), y_at(dot.1));
            let _ = write!(out, r#"<circle cx="{x:.1}" cy="{y:.1}" r="3" style="fill:var(--c{colour})"/>"#);
        }
        let (name, x) = (escape(&series.name), right + 12.0);
        let _ = write!(out, r#"<text x="{x}" y="{legend}" style="fill:var(--c{colour})">{name}</text>"#);
        legend += 18.0;
    }
    out.push_str("</svg>");
    out
}

fn label(mark: f64) -> String {
    match mark {
        mark if mark >= 1e6 => format!("{} M", tidy(mark / 1e6)),
        mark if mark >= 1e3 => format!("{} k", tidy(mark / 1e3)),
        mark => tidy(mark),
    }
}

/// Formats a number without the trailing digits of binary fractions.
fn tidy(mark: f64) -> String {
    let text = format!("{mark:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_ends_at_a_round_number_that_is_not_exceeded() {
        for (greatest, end) in
            [(0.9, 1.0), (1.0, 1.0), (1.1, 1.5), (7.0, 8.0), (99.0, 100.0), (12_345.0, 15_000.0)]
        {
            let axis = Axis::over([greatest].into_iter());
            assert!((axis.end() - end).abs() < 1e-9, "{greatest}: {axis:?}");
        }
        assert!(Axis::over([0.0, f64::NAN].into_iter()).end() > 0.0);
    }

    #[test]
    fn marks_are_read_easily() {
        assert_eq!([0.0, 0.3, 500.0, 1500.0, 2e6].map(label), ["0", "0.3", "500", "1.5 k", "2 M"]);
    }
}
