//! The findings of a scenario: tables, goals and charts. One model, three forms of output; only JSON has the charts' points.

mod machine;
mod markdown;
mod text;

use crate::{arguments::Options, spread::Spread};
use anyhow::Context as _;
use machine::Machine;
use serde::Serialize;
use std::{fs, io::Write as _};

/// The findings of one scenario.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Findings {
    pub(crate) scenario: &'static str,
    pub(crate) tables: Vec<Table>,
    pub(crate) goals: Vec<Goal>,
    pub(crate) charts: Vec<Chart>,
    /// Notes on the method that a reader needs.
    pub(crate) notes: Vec<String>,
}

/// Rows of figures.
#[derive(Debug, Serialize)]
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) columns: Vec<&'static str>,
    pub(crate) rows: Vec<(String, Vec<Cell>)>,
}

/// One figure.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub(crate) enum Cell {
    Figure(f64),
    Spread(Spread),
    Text(String),
}

/// A figure and its bound.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Goal {
    pub(crate) name: String,
    pub(crate) figure: Spread,
    pub(crate) bound: Bound,
    pub(crate) unit: &'static str,
}

/// The side of a number on which a median has to be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// Lines over one pair of axes.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Chart {
    pub(crate) title: String,
    pub(crate) x: &'static str,
    pub(crate) y: &'static str,
    pub(crate) series: Vec<Series>,
}

/// One line of a chart.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// All findings of a run, and the machine.
#[derive(Debug, Serialize)]
struct Report<'a> {
    machine: Machine,
    scenarios: &'a [Findings],
}

impl Findings {
    /// No findings yet.
    pub(crate) fn of(scenario: &'static str) -> Self {
        Self { scenario, ..Self::default() }
    }

    /// Adds a goal.
    pub(crate) fn goal(&mut self, name: &str, figure: Spread, bound: Bound, unit: &'static str) {
        self.goals.push(Goal { name: name.to_owned(), figure, bound, unit });
    }

    /// Adds a chart.
    pub(crate) fn chart(&mut self, title: &str, x: &'static str, y: &'static str, series: Vec<Series>) {
        self.charts.push(Chart { title: title.to_owned(), x, y, series });
    }
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(title: &str, columns: &[&'static str]) -> Self {
        Self { title: title.to_owned(), columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, name: &str, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push((name.to_owned(), cells.into_iter().collect()));
    }
}

impl Goal {
    /// Whether the median is on the right side of the bound.
    pub(crate) fn is_met(&self) -> bool {
        match self.bound {
            Bound::AtLeast(bound) => self.figure.median >= bound,
            Bound::AtMost(bound) => self.figure.median <= bound,
        }
    }
}

impl From<f64> for Cell {
    fn from(figure: f64) -> Self {
        Self::Figure(figure)
    }
}

impl From<Spread> for Cell {
    fn from(spread: Spread) -> Self {
        Self::Spread(spread)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// Shows the findings of a run in each requested form.
///
/// # Errors
/// When a file can't be read or written.
pub(crate) fn show(findings: &[Findings], options: &Options) -> anyhow::Result<()> {
    let report = Report { machine: Machine::here(), scenarios: findings };
    let mut out = std::io::stdout();
    if options.json {
        serde_json::to_writer_pretty(&mut out, &report)?;
        writeln!(out)?;
    } else {
        write!(out, "{}", text::of(&report))?;
    }
    if let Some(path) = &options.markdown {
        let context = || format!("{} can't be refilled", path.display());
        let document = fs::read_to_string(path).with_context(context)?;
        fs::write(path, markdown::refill(&document, &report).with_context(context)?)?;
    }
    Ok(())
}

/// Prints why there are no findings.
#[expect(clippy::print_stderr, reason = "the program's own error output")]
pub(crate) fn complain(error: &anyhow::Error) {
    eprintln!("bench: {error:#}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_without_a_figure_is_not_met() {
        let goal = |figure, bound| Goal { name: String::new(), figure: Spread::of(figure), bound, unit: "" };
        assert!(goal(vec![0.7], Bound::AtLeast(0.7)).is_met());
        assert!(!goal(vec![0.69], Bound::AtLeast(0.7)).is_met());
        assert!(!goal(vec![2.1], Bound::AtMost(2.0)).is_met());
        assert!(!goal(vec![], Bound::AtMost(2.0)).is_met());
        assert!(!goal(vec![], Bound::AtLeast(0.0)).is_met());
    }
}
