//! The findings as one self-contained page: tables and plots, readable in light and dark mode.

use super::{Findings, Report, Table, chart, text};
use std::fmt::Write as _;

const HEAD: &str = r#"<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Two-step signup: measurements</title>
<style>
:root { color-scheme: light dark; --ink: #1c1e21; --paper: #fff; --faint: #d9dce1; --c0: #0b62c4; --c1: #c2410c; --c2: #15803d; --c3: #7e22ce; --c4: #a16207; --c5: #be123c; --c6: #0e7490; --c7: #525252; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e6ea; --paper: #15171a; --faint: #3a3f47; --c0: #7ab8ff; --c1: #ff9d66; --c2: #6ee7a0; --c3: #d8a6ff; --c4: #f2cf63; --c5: #ff8fa3; --c6: #67e0f0; --c7: #b5b5b5; }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 76rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 0.5rem 0 1.5rem; display: block; overflow-x: auto; }
caption { text-align: left; font-weight: 600; padding: 0.3rem 0; }
th, td { padding: 0.2rem 0.8rem; border-bottom: 1px solid var(--faint); text-align: right; font-variant-numeric: tabular-nums; }
td { white-space: nowrap; } th { max-width: 9rem; vertical-align: bottom; font-weight: 500; }
th:first-child, td:first-child { text-align: left; }
figure { margin: 1.5rem 0; } figcaption { font-weight: 600; }
svg { width: 100%; height: auto; } svg text { font: 12px system-ui, sans-serif; fill: var(--ink); }
.axis { stroke: var(--faint); stroke-width: 1; } .line { fill: none; stroke-width: 2; }
</style></head><body>
<h1>Two-step signup: measurements</h1>
"#;

/// The page.
pub(super) fn of(report: &Report<'_>) -> String {
    let mut out = HEAD.to_owned();
    let _ = writeln!(
        out,
        "<p>{}. Figures: median (min–max) over the rounds.</p>",
        escape(&report.machine.to_string())
    );
    for findings in report.scenarios {
        write_findings(&mut out, findings);
    }
    out.push_str("</body></html>\n");
    out
}

/// Escapes text for any place of the page.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn write_findings(out: &mut String, findings: &Findings) {
    let _ = writeln!(out, "<h2>{}</h2>", escape(findings.scenario));
    for table in &findings.tables {
        write_table(out, table);
    }
    if !findings.goals.is_empty() {
        write_table(out, &text::goals(findings));
    }
    for note in &findings.notes {
        let _ = writeln!(out, "<p>{}</p>", escape(note));
    }
    for chart in &findings.charts {
        let (caption, plot) = (escape(&chart.title), chart::svg(chart));
        let _ = writeln!(out, "<figure><figcaption>{caption}</figcaption>{plot}</figure>");
    }
}

fn write_table(out: &mut String, table: &Table) {
    let _ = write!(out, "<table><caption>{}</caption><tr><th></th>", escape(&table.title));
    for column in &table.columns {
        let _ = write!(out, "<th>{}</th>", escape(column));
    }
    for (name, cells) in &table.rows {
        let _ = write!(out, "</tr>\n<tr><td>{}</td>", escape(name));
        for cell in cells {
            let _ = write!(out, "<td>{}</td>", escape(&text::cell(cell)));
        }
    }
    out.push_str("</tr></table>\n");
}
