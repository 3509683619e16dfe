//! `page.css`: the built-in rules, the brand's colours, and the folder's own rules behind them.

use texts::{Brand, Faults, Folder};

const BUILT_IN: &str = include_str!("templates/page.css");

/// The rules of all languages.
pub(super) struct Style {
    own: String,
}

impl Style {
    /// Takes the folder's rules. What they may load is up to the policy of the page that they are in: ours allows this
    /// service and the logo's origin. A page of another origin has a policy of its own, or none.
    pub(super) fn read(folder: &Folder, faults: &mut Faults) -> Self {
        Self { own: folder.page_style(faults).unwrap_or_default().to_owned() }
    }

    /// The rules with these colours. The parser of `brand.toml` has made sure that they are colours.
    pub(super) fn of(&self, brand: &Brand) -> String {
        let [on_accent, on_accent_dark] = brand.on_accent();
        let colours = |accent: &str, on_accent: &str| {
            format!(":root, :host {{ --accent: {accent}; --on-accent: {on_accent}; }}")
        };
        format!(
            "{BUILT_IN}\n{}\n@media (prefers-color-scheme: dark) {{ {} }}\n{}",
            colours(&brand.accent, &on_accent),
            colours(&brand.accent_dark, &on_accent_dark),
            self.own
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn colours_and_the_folders_rules_come_behind_the_built_in_ones() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("page")).unwrap();
        fs::write(root.path().join("page/page.css"), "h1 { font-weight: 800 }").unwrap();
        let style = Style::read(&Folder::read(root.path()), &mut Faults::default());
        let brand =
            Brand { accent: "#7a1f5c".to_owned(), accent_dark: "#aa7097".to_owned(), ..Brand::default() };
        let rules = style.of(&brand);
        let at = |text: &str| rules.find(text).unwrap_or_else(|| panic!("{text} in {rules}"));
        let light = at("{ --accent: #7a1f5c; --on-accent: #ffffff; }");
        let dark = at("{ :root, :host { --accent: #aa7097; --on-accent: #000000; } }");
        assert!(at("#signup {") < light && light < dark && dark < at("h1 { font-weight: 800 }"));
    }
}
