//! Writes findings into a document: each scenario's tables between its two markers. The rest stays unchanged.

use super::{Findings, Report, Table, text};
use anyhow::Context as _;
use std::fmt::Write as _;

/// The document with the tables of these findings.
///
/// # Errors
/// When a scenario's markers are missing.
pub(super) fn refill(document: &str, report: &Report<'_>) -> anyhow::Result<String> {
    report.scenarios.iter().try_fold(document.to_owned(), |document, findings| {
        let (begin, end) = (format!("<!-- bench {} -->\n", findings.scenario), "<!-- end -->");
        let missing = || format!("it has no {} … {end}", begin.trim_end());
        let (before, rest) = document.split_once(&begin).with_context(missing)?;
        let (_, after) = rest.split_once(end).with_context(missing)?;
        Ok(format!("{before}{begin}{}\nMeasured {}.\n\n{end}{after}", tables(findings), report.machine))
    })
}

fn tables(findings: &Findings) -> String {
    let mut out = String::new();
    for table in &findings.tables {
        write_table(&mut out, table);
    }
    if !findings.goals.is_empty() {
        write_table(&mut out, &text::goals(findings));
    }
    for note in &findings.notes {
        let _ = writeln!(out, "\n{note}");
    }
    out
}

fn write_table(out: &mut String, table: &Table) {
    let _ = write!(out, "\n{}:\n\n| |", table.title);
    for column in &table.columns {
        let _ = write!(out, " {column} |");
    }
    let _ = write!(out, "\n|---|{}\n", "---:|".repeat(table.columns.len()));
    for (name, cells) in &table.rows {
        // Names of threads may contain the character that ends a cell.
        let _ = write!(out, "| {} |", name.replace('|', "\\|"));
        for cell in cells {
            let _ = write!(out, " {} |", text::cell(cell));
        }
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::machine::Machine;

    fn report(scenarios: &[Findings]) -> Report<'_> {
        Report { machine: Machine::here(), scenarios }
    }

    #[test]
    fn only_what_stands_between_the_markers_changes() {
        let mut findings = Findings::of("drain");
        let mut table = Table::new("Rates", &["per second"]);
        table.row("a|b", [1234.0.into()]);
        findings.tables.push(table);
        let old = "a\n<!-- bench drain -->\nold\n<!-- end -->\nb\n<!-- bench other -->\nkept\n<!-- end -->\n";
        let scenarios = [findings];
        let new = refill(old, &report(&scenarios)).expect("the markers are there");
        assert!(new.starts_with("a\n<!-- bench drain -->\n") && new.contains("| a\\|b | 1,234 |"), "{new}");
        assert!(new.ends_with("<!-- end -->\nb\n<!-- bench other -->\nkept\n<!-- end -->\n"), "{new}");
        assert!(!new.contains("old"), "{new}");
    }

    #[test]
    fn a_document_without_the_markers_is_left_alone() {
        let scenarios = [Findings::of("drain")];
        assert!(refill("<!-- bench other -->\n<!-- end -->\n", &report(&scenarios)).is_err());
        assert!(refill("<!-- bench drain -->\n", &report(&scenarios)).is_err());
    }
}
