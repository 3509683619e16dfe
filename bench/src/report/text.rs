//! The findings as text for a terminal, and the format of a figure in all outputs.

use super::{Bound, Cell, Findings, Goal, Report, Table};
use crate::spread::Spread;
use std::fmt::Write as _;

/// All findings.
pub(super) fn of(report: &Report<'_>) -> String {
    let mut out = format!("{}\n", report.machine);
    for findings in report.scenarios {
        let _ = write!(out, "\n== {} ==\n", findings.scenario);
        for table in &findings.tables {
            write_table(&mut out, table);
        }
        if !findings.goals.is_empty() {
            write_table(&mut out, &goals(findings));
        }
        for note in &findings.notes {
            let _ = writeln!(out, "  {note}");
        }
    }
    out
}

/// The goals as a table.
pub(super) fn goals(findings: &Findings) -> Table {
    let mut table = Table::new("Goals", &["figure", "goal", ""]);
    for goal in &findings.goals {
        let figure = format!("{} {}", spread(goal.figure), goal.unit);
        let met = if goal.is_met() { "met" } else { "missed" };
        table.row(&goal.name, [Cell::from(figure.trim()), bound(goal).as_str().into(), met.into()]);
    }
    table
}

/// A cell as text.
pub(super) fn cell(cell: &Cell) -> String {
    match cell {
        Cell::Figure(figure) => number(*figure),
        Cell::Spread(figure) => spread(*figure),
        Cell::Text(text) => text.clone(),
    }
}

fn bound(goal: &Goal) -> String {
    let (relation, bound) = match goal.bound {
        Bound::AtLeast(bound) => ("≥", bound),
        Bound::AtMost(bound) => ("≤", bound),
    };
    format!("{relation} {} {}", number(bound), goal.unit).trim_end().to_owned()
}

fn spread(Spread { min, median, max }: Spread) -> String {
    if min.total_cmp(&max).is_eq() {
        return number(median);
    }
    format!("{} ({}–{})", number(median), number(min), number(max))
}

/// Three significant digits, at most three decimals, thousands grouped.
fn number(figure: f64) -> String {
    let decimals = match figure.abs() {
        size if size >= 100.0 || size == 0.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    if !figure.is_finite() {
        return "–".to_owned();
    }
    let text = format!("{figure:.decimals$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let (sign, digits) = whole.split_at(whole.len() - whole.trim_start_matches('-').len());
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    format!("{sign}{}{rest}", groups.join(","))
}

fn write_table(out: &mut String, table: &Table) {
    let heads = std::iter::once("").chain(table.columns.iter().copied()).map(str::to_owned);
    let mut lines = vec![heads.collect::<Vec<_>>()];
    for (name, cells) in &table.rows {
        lines.push(std::iter::once(name.clone()).chain(cells.iter().map(cell)).collect());
    }
    let width = |column: usize| {
        lines.iter().filter_map(|line| line.get(column)).map(|text| text.chars().count()).max()
    };
    let _ = writeln!(out, "\n{}", table.title);
    for line in &lines {
        for (column, text) in line.iter().enumerate() {
            let padding = " ".repeat(width(column).unwrap_or(0) - text.chars().count());
            let _ =
                if column == 0 { write!(out, "  {text}{padding}") } else { write!(out, "  {padding}{text}") };
        }
        let _ = writeln!(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_keep_three_digits_and_group_thousands() {
        let cases = [
            (1_234_567.8, "1,234,568"),
            (999.6, "1,000"),
            (123.4, "123"),
            (12.34, "12.3"),
            (1.234, "1.23"),
            (0.0344, "0.034"),
            (0.0, "0"),
            (-1234.0, "-1,234"),
            (f64::NAN, "–"),
        ];
        for (figure, text) in cases {
            assert_eq!(number(figure), text);
        }
        assert_eq!(spread(Spread { min: 1.0, median: 2.0, max: 3000.0 }), "2.00 (1.00–3,000)");
    }
}
