//! What the mails, the page and the API say: the sentences of each language, the brand, and the folder that replaces them.
//!
//! ```text
//!   folder ──► source ──► file          the files of TEXTS_DIR, read whole; TOML with line numbers
//!   fault                               what is wrong with them: file, line, what was expected
//!   sentence, plural ──► language       a sentence and its places; its forms by number (CLDR); all of a language
//!   accept, tag                         what a reader wants; language tags
//!   brand                               name, logo, colours, help, footer
//!   texts                               all languages with their brand; which one a reader gets (RFC 4647)
//!   html ──► template                   the confined template engine
//!   kept                                the texts in use, and the change of the folder while a service runs
//! ```

mod fault;
mod folder;
mod file;
mod sentence;
mod plural;
mod language;
mod brand;
mod colour;
mod accept;
mod tag;
mod texts;
mod html;
mod template;
mod kept;

pub use accept::accepted;
pub use brand::Brand;
pub use fault::{Fault, Faults, FaultyTexts};
pub use file::unseen;
pub use folder::Folder;
pub use html::escape;
pub use kept::{Checked, Kept};
pub use language::{Direction, Language};
pub use sentence::{Part, Sentence};
pub use template::{Engine, LARGEST, Places};
pub use texts::{Settings, Texts};
