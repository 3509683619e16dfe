//! The template engine, confined: what a template can do is fill places, ask whether something is there, and have blocks.
//!
//! minijinja can do far more. A template of the folder must neither stop a service nor write a mail that nobody checked, so
//! everything else is refused by a list of what is allowed, over the engine's own tokens: no loop, no filter, no function,
//! no arithmetic, no list, no other file. What a place may be is checked by name, also where no mail leads.

use crate::{fault::Faults, html::escape};
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};
use std::{
    collections::BTreeMap,
    io::{self, Write},
};

mod tags;

use tags::{ALLOWED, Word, each_tag, is_allowed, names_of, words};

/// The largest text that a template may become, in octets. Gmail cuts a mail off at 102 KB.
pub const LARGEST: usize = 100_000;
/// The most instructions of one rendering. A file of the largest size needs fewer.
const FUEL: u64 = 100_000;
/// The most templates and blocks inside one another: the engine goes into itself for each.
const DEPTH: usize = 20;
/// The most conditions and blocks inside one another in one file.
const NESTED: usize = 10;

/// Templates that may extend one another.
pub struct Engine(Environment<'static>);

/// What stands at the places of a template, by names such as `brand.name`. What is missing is empty.
#[derive(Default)]
pub struct Places(BTreeMap<String, Value>);

impl Places {
    /// Sets a place to a text, which is escaped in HTML.
    pub fn set(&mut self, name: &str, text: impl Into<String>) {
        self.0.insert(name.to_owned(), Value::from(text.into()));
    }

    /// Sets a place to HTML.
    pub fn set_html(&mut self, name: &str, html: impl Into<String>) {
        self.0.insert(name.to_owned(), Value::from_safe_string(html.into()));
    }

    /// Whether there is a place of this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The names of all places.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    fn value(&self) -> Value {
        let mut groups: BTreeMap<&str, BTreeMap<&str, Value>> = BTreeMap::new();
        let mut values: BTreeMap<&str, Value> = BTreeMap::new();
        for (name, value) in &self.0 {
            match name.split_once('.') {
                Some((group, name)) => {
                    groups.entry(group).or_default().insert(name, value.clone());
                }
                None => {
                    values.insert(name, value.clone());
                }
            }
        }
        values.extend(groups.into_iter().map(|(name, group)| (name, Value::from_pairs(group))));
        Value::from_pairs(values)
    }
}

impl Default for Engine {
    fn default() -> Self {
        let mut engine = Environment::empty();
        engine.set_undefined_behavior(UndefinedBehavior::Strict);
        engine.set_fuel(Some(FUEL));
        engine.set_recursion_limit(DEPTH);
        engine.set_auto_escape_callback(|name| {
            if name.ends_with(".html") { AutoEscape::Html } else { AutoEscape::None }
        });
        // The engine's own escaping writes each slash of an address as `&#x2f;`.
        engine.set_formatter(|out, state, value| {
            let text = value.to_string();
            let is_html = matches!(state.auto_escape(), AutoEscape::Html) && !value.is_safe();
            Ok(out.write_str(&if is_html { escape(&text) } else { text })?)
        });
        Self(engine)
    }
}

impl Engine {
    /// Takes a template, unless it has something that templates may not have. `file` is where its faults are. Returns the
    /// file that it extends, and the line that says so.
    pub fn add(
        &mut self,
        name: &str,
        file: &str,
        source: &str,
        faults: &mut Faults,
    ) -> Option<(String, usize)> {
        let (before, mut extends, mut count, mut depth) = (faults.count(), None, 0, 0_usize);
        each_tag(file, source, faults, |tag, line, faults| {
            count += 1;
            match tag {
                [Word::Block, Word::Name("if" | "block"), ..] => depth += 1,
                [Word::Block, Word::Name("endif" | "endblock"), ..] => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth > NESTED {
                return faults.add(
                    file,
                    Some(line),
                    format!("has more than {NESTED} tags inside one another"),
                );
            }
            match tag {
                [Word::Block, Word::Name("extends"), Word::Text(name)] if count == 1 => {
                    extends = Some(((*name).to_owned(), line));
                }
                [Word::Block, Word::Name("extends"), ..] => {
                    faults.add(
                        file,
                        Some(line),
                        "expected {% extends \"FILE\" %} as the first tag of the file",
                    );
                }
                tag if !is_allowed(tag) => {
                    faults.add(file, Some(line), format!("this tag is not allowed; {ALLOWED}"));
                }
                _ => {}
            }
        });
        if faults.count() > before {
            return None;
        }
        if let Err(error) = self.0.add_template_owned(name.to_owned(), source.to_owned()) {
            faults.add(file, error.line(), format!("is no valid template: {}", words(&error)));
        }
        extends
    }

    /// Checks the names of a template's placeholders: `has` says which there are, `names` lists them for people.
    pub fn check(file: &str, source: &str, has: impl Fn(&str) -> bool, names: &str, faults: &mut Faults) {
        each_tag(file, source, faults, |tag, line, faults| {
            for name in names_of(tag) {
                if !has(&name) {
                    faults.add(
                        file,
                        Some(line),
                        format!("there is no placeholder {name}; expected one of {names}"),
                    );
                }
            }
        });
    }

    /// Fills a template; `file` is where its faults are. `None` if it can't be filled.
    pub fn render(&self, name: &str, file: &str, places: &Places, faults: &mut Faults) -> Option<String> {
        let mut text = Bounded(Vec::new());
        let rendered = self
            .0
            .get_template(name)
            .and_then(|template| template.render_captured_to(places.value(), &mut text));
        match rendered {
            Ok(_) => String::from_utf8(text.0).ok(),
            Err(_) if text.0.len() >= LARGEST => {
                faults.add(
                    file,
                    None,
                    format!("becomes larger than {LARGEST} octets; mail programs would cut it off"),
                );
                None
            }
            Err(error) => {
                faults.add(file, error.line(), format!("can't be filled: {}", words(&error)));
                None
            }
        }
    }
}

/// A text that takes no more than [`LARGEST`].
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let room = LARGEST.saturating_sub(self.0.len());
        self.0.extend_from_slice(&octets[..octets.len().min(room)]);
        if octets.len() > room { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(octets.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(sources: &[(&str, &str)]) -> Result<String, Vec<String>> {
        let (mut faults, mut engine, mut places) = (Faults::default(), Engine::default(), Places::default());
        places.set("code", "<123>");
        places.set("brand.name", "A & B");
        places.set("brand.logo", "");
        places.set("long", "x".repeat(4000));
        for (name, source) in sources {
            engine.add(name, name, source, &mut faults);
            if faults.count() > 0 {
                continue;
            }
            Engine::check(name, source, |name| places.has(name), "code, long, brand.name", &mut faults);
        }
        let (name, _) = sources[0];
        let text = if faults.count() == 0 { engine.render(name, name, &places, &mut faults) } else { None };
        faults
            .finish()
            .map(|_| text.unwrap())
            .map_err(|faulty| faulty.faults().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn places_conditions_and_blocks_work_and_html_is_escaped() {
        let layout = "<b>{% block content %}nothing{% endblock %}</b>{% if brand.logo %}logo{% elif not code %}-{% else %}{{ brand.name }}{% endif %}";
        let mail = "{% extends \"layout.html\" %}{# a {{ comment }} {% for #}{% block content %}{{ code }}{% raw %}{{ x }}{% endraw %}{% endblock content %}";
        assert_eq!(
            render(&[("mail.html", mail), ("layout.html", layout)]).unwrap(),
            "<b>&lt;123&gt;{{ x }}</b>A &amp; B"
        );
        assert_eq!(
            render(&[("mail.txt", "{{- code }} {% if code and not brand.logo or long -%} y {% endif %}")])
                .unwrap(),
            "<123> y "
        );
    }

    #[test]
    fn everything_else_is_refused_with_its_line() {
        for (source, expected) in [
            ("{% for x in code %}{% endfor %}", "this tag is not allowed"),
            ("{% set x = 1,1 %}", "this tag is not allowed"),
            ("{{ (1,) }}", "this tag is not allowed"),
            ("{{ [code] }}", "this tag is not allowed"),
            ("{{ code * 15000 }}", "this tag is not allowed"),
            ("{{ code ~ code }}", "this tag is not allowed"),
            ("{{ code|safe }}", "this tag is not allowed"),
            ("{{ code.upper() }}", "this tag is not allowed"),
            ("{{ super() }}", "this tag is not allowed"),
            ("{{ 'text' }}", "this tag is not allowed"),
            ("{{ code if code else long }}", "this tag is not allowed"),
            ("{{ a.b.c }}", "this tag is not allowed"),
            ("{{ }}", "this tag is not allowed"),
            ("{% if code == '1' %}{% endif %}", "this tag is not allowed"),
            ("{% if not not code %}{% endif %}", "this tag is not allowed"),
            ("{% if code is defined %}{% endif %}", "this tag is not allowed"),
            ("{% autoescape false %}{% endautoescape %}", "this tag is not allowed"),
            ("{% include 'x' %}", "this tag is not allowed"),
            ("{% macro x() %}{% endmacro %}", "this tag is not allowed"),
            ("{% with x = code %}{% endwith %}", "this tag is not allowed"),
            (
                "{{ first_name }}",
                "there is no placeholder first_name; expected one of code, long, brand.name",
            ),
            ("{% if brand.logo %}{{ brand.nam }}{% endif %}", "there is no placeholder brand.nam"),
            ("{% if code %}", "is no valid template: unexpected end of input"),
            ("{{ code", "this tag has no end"),
            ("{{ code }", "this tag has no end"),
            ("{% extends \"nothing.html\" %}", "can't be filled: "),
            ("{% extends \"mail.html\" %}", "can't be filled: "),
            ("{{ code }}{% extends \"x\" %}", "expected {% extends \"FILE\" %} as the first tag"),
            (
                "{% if code %}{% extends \"x\" %}{% endif %}",
                "expected {% extends \"FILE\" %} as the first tag",
            ),
            ("{% extends code %}", "expected {% extends \"FILE\" %} as the first tag"),
        ] {
            let faults = render(&[("mail.html", &format!("\n{source}"))]).unwrap_err();
            assert!(
                faults[0].starts_with("mail.html") && faults[0].contains(expected),
                "{source}: {faults:?}"
            );
        }
    }

    #[test]
    fn no_template_of_the_largest_size_stops_the_program() {
        let fill = |piece: &str| piece.repeat(64 * 1024 / piece.len());
        let nested = format!("{}{}", "{% if code %}".repeat(10), "{% endif %}".repeat(10));
        assert_eq!(render(&[("mail.html", &nested)]).unwrap(), "");
        let blocks = |count: usize| -> String {
            let begin: String = (0..count).map(|n| format!("{{% block b{n} %}}")).collect();
            begin + &"{% endblock %}".repeat(count)
        };
        assert_eq!(render(&[("mail.html", &blocks(10))]).unwrap(), "");
        for source in [
            fill("{% if code %}"),
            fill("{%if code%}{%elif code%}"),
            format!("{{% if {} %}}", fill("not ")),
            format!("{{{{ {} }}}}", fill("-")),
            format!("{{% if {}code %}}{{% endif %}}", fill("code and ")),
            format!("{{{{ {} }}}}", fill("(")),
            format!("{{{{ code{} }}}}", fill(".a")),
            "{{ long }}".repeat(30),
            blocks(149),
        ] {
            // As small as the stack of a thread may be.
            let thread = std::thread::Builder::new().stack_size(512 * 1024);
            let faults =
                thread.spawn(move || render(&[("mail.html", &source)]).unwrap_err()).unwrap().join().unwrap();
            assert!(!faults.is_empty());
        }
    }
}
