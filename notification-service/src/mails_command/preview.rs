//! Samples as files, and a page that shows them side by side.

use super::Sample;
use std::{
    fmt::Write as _,
    fs, io,
    path::{self, Path},
};
use texts::escape;

const HEAD: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Mails</title>
<style>
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 24px; }
section { display: grid; grid-template-columns: repeat(auto-fit, minmax(320px, 1fr)); gap: 16px; margin-bottom: 40px; }
h2, h3 { grid-column: 1 / -1; margin: 0; }
iframe { width: 100%; height: 620px; border: 1px solid #888; border-radius: 6px; }
.light { color-scheme: light; background: #fff; }
.dark { color-scheme: dark; background: #121212; }
</style>
</head>
<body>
<h1>Mails</h1>
<p>Each mail in light, in dark, and as text. A mail program may show it in another way: send samples with
<code>notification-service mails send ADDRESS</code>.</p>
"#;

/// Whether a path is a folder or lies in it. The path need not exist yet.
pub(super) fn lies_in(path: &Path, folder: &Path) -> bool {
    let canonical = |path: &Path| fs::canonicalize(path).ok();
    // What does not exist yet lies where the nearest folder above it does.
    let place = path::absolute(path).ok().and_then(|path| path.ancestors().find_map(canonical));
    place.zip(canonical(folder)).is_some_and(|(place, folder)| place.starts_with(folder))
}

/// Writes all files, over what is there.
pub(super) fn write(out: &Path, samples: &[Sample]) -> io::Result<()> {
    fs::create_dir_all(out)?;
    let mut page = HEAD.to_owned();
    for sample in samples {
        let name = format!("{}.{}", sample.kind.name(), sample.language);
        fs::write(out.join(format!("{name}.html")), &sample.html)?;
        fs::write(out.join(format!("{name}.txt")), &sample.text)?;
        fs::write(out.join(format!("{name}.eml")), &sample.email.text)?;
        fs::write(out.join(format!("{name}.dark.html")), dark(&sample.html))?;
        let Sample { language, language_name, direction, subject, text, .. } = sample;
        let [language_name, subject, text] = [language_name, subject, text].map(|text| escape(text));
        // Writing to a string does not fail.
        let _ = write!(
            page,
            "<section>\n<h2 lang=\"{language}\">{language_name} ({language}): {kind}</h2>\n\
             <h3><a href=\"{name}.eml\"><bdi lang=\"{language}\">{subject}</bdi></a></h3>\n\
             <iframe class=\"light\" sandbox src=\"{name}.html\" title=\"{kind}, {language}, light\"></iframe>\n\
             <iframe class=\"dark\" sandbox src=\"{name}.dark.html\" title=\"{kind}, {language}, dark\"></iframe>\n\
             <pre lang=\"{language}\" dir=\"{direction}\" style=\"white-space: pre-wrap\">{text}</pre>\n</section>\n",
            kind = sample.kind.name(),
        );
    }
    page.push_str("</body>\n</html>\n");
    fs::write(out.join("index.html"), page)
}

/// The mail as a mail program shows it that prefers dark: its rules for dark hold, whatever the browser prefers.
fn dark(html: &str) -> String {
    html.replace("color-scheme: light dark", "color-scheme: dark")
        .replace("content=\"light dark\"", "content=\"dark\"")
        .replace("(prefers-color-scheme: dark)", "all")
}
