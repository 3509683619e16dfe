//! What the service shows and says to people: texts, and the page's files in each language.
//!
//! They are made when the texts are loaded, and again when these change, so that a fault shows before anybody sees it.
//!
//! ```text
//!   texts ──► document ──► file     index.html and form.html, compressed
//!         ──► style ─────►          page.css with the brand's colours and the folder's own rules
//!             headers ───►          what browsers may do with each file
//!   return_url                      where the page may lead people after the signup
//! ```

mod document;
mod file;
mod headers;
mod return_url;
mod style;

use contract::locale::Locale;
pub(crate) use file::File;
pub(crate) use headers::{Headers, of_asset};
pub(crate) use return_url::{ReturnUrl, return_urls};
use std::{collections::BTreeMap, sync::Arc};
use texts::{Faults, Folder, Language, Texts};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";

/// What of the configuration the page depends on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Setting {
    /// Where people may be led after the signup.
    pub(crate) return_urls: Vec<ReturnUrl>,
    /// Whether pages of other origins may have the form in them.
    pub(crate) is_embeddable: bool,
}

/// The texts, and the page in each of their languages.
pub struct Pages {
    texts: Texts,
    /// By the tags of the languages.
    pages: BTreeMap<String, Page>,
}

/// The files of one language.
pub(crate) struct Page {
    /// The page itself.
    pub(crate) document: File,
    /// Its form alone, for pages of other origins.
    pub(crate) form: File,
    pub(crate) style: File,
}

impl Pages {
    /// Makes all files. What is wrong with the folder, or with what becomes of it, goes to `faults`.
    pub(crate) fn build(texts: &Texts, folder: &Folder, setting: &Setting, faults: &mut Faults) -> Self {
        let style = style::Style::read(folder, faults);
        let before = faults.count();
        let Some(templates) = document::Templates::built_in(faults) else {
            return Self { texts: texts.clone(), pages: BTreeMap::new() };
        };
        let mut pages = BTreeMap::new();
        for language in texts.languages() {
            // Each language would repeat the same fault.
            if faults.count() > before {
                break;
            }
            let Some((document, form)) = templates.fill(language, texts, setting, faults) else { continue };
            let part = || headers::of_part(language, setting.is_embeddable);
            let page = Page {
                document: File::new(HTML, document.as_bytes(), headers::of_document(language)),
                form: File::new(HTML, form.as_bytes(), part()),
                style: File::new(CSS, style.of(language.brand()).as_bytes(), part()),
            };
            pages.insert(language.tag().to_owned(), page);
        }
        Self { texts: texts.clone(), pages }
    }

    /// The texts.
    pub(crate) fn texts(&self) -> &Texts {
        &self.texts
    }

    /// The language of an answer: the first of these that there is, else English.
    pub(crate) fn language(&self, wanted: &[Locale]) -> &Arc<Language> {
        self.texts.choose(wanted.iter().map(Locale::as_str))
    }

    /// The page in this language.
    pub(crate) fn page(&self, wanted: &[Locale]) -> Option<&Page> {
        self.pages.get(self.language(wanted).tag())
    }
}
