//! The formats of metrics: OpenMetrics 1.0, or Prometheus' older text format 0.0.4 for clients that ask for it.
//!
//! The two differ in the names of families, and in lines that the older one does not have. The samples are the same.

use std::fmt::Write;

/// A text format for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsFormat {
    /// `application/openmetrics-text`.
    OpenMetrics,
    /// `text/plain; version=0.0.4`.
    Prometheus,
}

impl MetricsFormat {
    /// The format that an `Accept` header prefers; OpenMetrics where it prefers none.
    #[must_use]
    pub fn accepted_by(accept: Option<&str>) -> Self {
        let accept = accept.unwrap_or("*/*");
        let older = quality(accept, "text/plain", "0.0.4");
        let newer = quality(accept, "application/openmetrics-text", "1.0.0");
        if older > newer { Self::Prometheus } else { Self::OpenMetrics }
    }

    /// The media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// Converts text in the OpenMetrics format to this one.
    #[must_use]
    pub fn from_open_metrics(self, text: String) -> String {
        match self {
            Self::OpenMetrics => text,
            Self::Prometheus => to_prometheus(&text),
        }
    }
}

/// The quality of a media type, from 0 to 1, by the most specific range (RFC 9110, 12.5.1).
fn quality(accept: &str, media_type: &str, version: &str) -> f32 {
    let any_subtype = media_type.split('/').next().unwrap_or_default();
    let of_range = |range: &str| {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next()?.to_ascii_lowercase();
        let (mut quality, mut is_version_named) = (1.0, false);
        for part in parts {
            let (key, value) = part.split_once('=')?;
            let value = value.trim().trim_matches('"');
            match key.trim().to_ascii_lowercase().as_str() {
                "q" => quality = value.parse().ok().filter(|q| (0.0..=1.0).contains(q))?,
                "version" if value != version => return None,
                "version" => is_version_named = true,
                _ => {}
            }
        }
        let specificity = match name.as_str() {
            name if name == media_type => 2 + u8::from(is_version_named),
            "*/*" => 0,
            name if name.strip_suffix("/*") == Some(any_subtype) => 1,
            _ => return None,
        };
        Some((specificity, quality))
    };
    let best = accept.split(',').filter_map(of_range).max_by(|one, other| one.0.cmp(&other.0));
    best.map_or(0.0, |(_, quality)| quality)
}

/// In the older format a counter's family has the name of its samples,
/// there are no units and no end marker, and an unknown type is `untyped`.
fn to_prometheus(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut help = None;
    for line in text.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("EOF" | "UNIT"), ..) => {}
            (Some("#"), Some("HELP"), Some(name), text) => help = Some((name, text.unwrap_or_default())),
            (Some("#"), Some("TYPE"), Some(name), Some(of)) => {
                let (suffix, of) = match of {
                    "counter" => ("_total", "counter"),
                    "info" => ("_info", "gauge"),
                    "stateset" => ("", "gauge"),
                    "unknown" => ("", "untyped"),
                    of => ("", of),
                };
                if let Some((_, text)) = help.take().filter(|(of, _)| *of == name) {
                    let _ = writeln!(out, "# HELP {name}{suffix} {text}");
                }
                let _ = writeln!(out, "# TYPE {name}{suffix} {of}");
            }
            _ => {
                let _ = writeln!(out, "{line}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_format_is_for_clients_that_prefer_it() {
        use MetricsFormat::{OpenMetrics, Prometheus};
        for (accept, expected) in [
            ("text/plain;version=0.0.4", Prometheus),
            ("text/plain", Prometheus),
            ("Text/Plain; Version=\"0.0.4\"; q=0.3", Prometheus),
            ("text/*", Prometheus),
            ("application/openmetrics-text;version=1.0.0;q=0.2, text/plain;version=0.0.4;q=0.5", Prometheus),
            ("application/openmetrics-text;q=0, */*;q=0.1", Prometheus),
            ("*/*", OpenMetrics),
            ("text/html, */*;q=0.8", OpenMetrics),
            ("application/json", OpenMetrics),
            ("", OpenMetrics),
            // What Prometheus 3 sends: a version of OpenMetrics that is not ours comes first.
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;\
                 version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;\
                 q=0.2,*/*;q=0.1",
                OpenMetrics,
            ),
            ("text/plain;version=0.0.4;q=2", OpenMetrics),
        ] {
            assert_eq!(MetricsFormat::accepted_by(Some(accept)), expected, "{accept}");
        }
        assert_eq!(MetricsFormat::accepted_by(None), OpenMetrics);
    }

    #[test]
    fn families_are_called_as_the_older_format_calls_them() {
        let text = "# HELP hits Requests, all.\n# TYPE hits counter\n# UNIT hits seconds\nhits_total{a=\"b c\"} 1\n\
                    # HELP ready Now\n# TYPE ready gauge\nready 1\n# TYPE odd unknown\nodd 2\n# EOF\n";
        let older = "# HELP hits_total Requests, all.\n# TYPE hits_total counter\nhits_total{a=\"b c\"} 1\n\
                     # HELP ready Now\n# TYPE ready gauge\nready 1\n# TYPE odd untyped\nodd 2\n";
        assert_eq!(MetricsFormat::Prometheus.from_open_metrics(text.to_owned()), older);
        assert_eq!(MetricsFormat::OpenMetrics.from_open_metrics(text.to_owned()), text);
    }
}
