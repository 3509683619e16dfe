//! The tags of a template, as words, and which of them are allowed.

use crate::fault::Faults;
use minijinja::{
    machinery::{Token, tokenize},
    syntax::SyntaxConfig,
};

/// The most tags of one file, and words of one tag: the engine's parser goes into itself for some of them.
const MOST_TAGS: usize = 300;
const MOST_WORDS: usize = 25;
/// What [`is_allowed`] allows, for people.
pub(super) const ALLOWED: &str = "expected {{ NAME }}, {% if NAME %} with `not`, `and`, `or`, {% elif %}, {% else %}, {% endif %}, \
                       {% block NAME %}, {% endblock %} or {% extends \"FILE\" %}";

/// A word of a tag, as far as what is allowed goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word<'a> {
    Place,
    Block,
    Name(&'a str),
    Text(&'a str),
    Dot,
    Other,
}

/// Calls `look` with the words of each tag of a template and its line. A template that is no template is a fault.
pub(super) fn each_tag(
    file: &str,
    source: &str,
    faults: &mut Faults,
    mut look: impl FnMut(&[Word<'_>], usize, &mut Faults),
) {
    let mut tag: Option<(usize, Vec<Word<'_>>)> = None;
    let mut count = 0;
    for token in tokenize(source, false, SyntaxConfig::default()) {
        let (token, span) = match token {
            Ok(token) => token,
            Err(error) => {
                return faults.add(file, error.line(), format!("is no valid template: {}", words(&error)));
            }
        };
        let word = match token {
            Token::TemplateData(_) => continue,
            Token::VariableStart | Token::BlockStart => {
                count += 1;
                if count > MOST_TAGS {
                    return faults.add(
                        file,
                        Some(span.start_line.into()),
                        format!("has more than {MOST_TAGS} tags"),
                    );
                }
                let kind = if matches!(token, Token::BlockStart) { Word::Block } else { Word::Place };
                tag = Some((span.start_line.into(), vec![kind]));
                continue;
            }
            Token::VariableEnd | Token::BlockEnd => {
                if let Some((line, words)) = tag.take() {
                    look(&words, line, faults);
                }
                continue;
            }
            Token::Ident(name) => Word::Name(name),
            Token::Str(text) => Word::Text(text),
            Token::Dot => Word::Dot,
            _ => Word::Other,
        };
        if let Some((line, words)) = &mut tag {
            if words.len() > MOST_WORDS {
                return faults.add(file, Some(*line), format!("this tag has more than {MOST_WORDS} words"));
            }
            words.push(word);
        }
    }
    if let Some((line, _)) = tag {
        faults.add(file, Some(line), "this tag has no end");
    }
}

/// Whether templates may have this tag.
pub(super) fn is_allowed(tag: &[Word<'_>]) -> bool {
    match tag {
        [Word::Place, place @ ..] => name(place).is_some_and(|(_, rest)| rest.is_empty()),
        [Word::Block, Word::Name("if" | "elif"), condition @ ..] => is_condition(condition),
        [Word::Block, Word::Name("else" | "endif" | "endblock")]
        | [Word::Block, Word::Name("block" | "endblock"), Word::Name(_)] => true,
        _ => false,
    }
}

/// `a.b`, `not a and b.c or d`
fn is_condition(mut words: &[Word<'_>]) -> bool {
    loop {
        if let [Word::Name("not"), rest @ ..] = words {
            words = rest;
        }
        match name(words) {
            Some((_, [])) => return true,
            Some((_, [Word::Name("and" | "or"), rest @ ..])) => words = rest,
            _ => return false,
        }
    }
}

/// The name that some words begin with, and the words behind it.
fn name<'a, 'b>(words: &'b [Word<'a>]) -> Option<(String, &'b [Word<'a>])> {
    let reserved =
        ["not", "and", "or", "in", "is", "if", "else", "true", "false", "none", "loop", "self", "super"];
    match words {
        [Word::Name(first), ..] if reserved.contains(&first.to_ascii_lowercase().as_str()) => None,
        [Word::Name(first), Word::Dot, Word::Name(second), rest @ ..] => {
            Some((format!("{first}.{second}"), rest))
        }
        [Word::Name(first), rest @ ..] => Some(((*first).to_owned(), rest)),
        _ => None,
    }
}

/// The names of the places in an allowed tag.
pub(super) fn names_of(tag: &[Word<'_>]) -> Vec<String> {
    let mut words = match tag {
        [Word::Place, words @ ..] | [Word::Block, Word::Name("if" | "elif"), words @ ..] => words,
        _ => return Vec::new(),
    };
    let mut names = Vec::new();
    while let Some(first) = words.first() {
        match name(words) {
            Some((name, rest)) => {
                names.push(name);
                words = rest;
            }
            None if matches!(first, Word::Name(_)) => words = &words[1..],
            None => break,
        }
    }
    names
}

/// What the engine says, without its own name of the place.
pub(super) fn words(error: &minijinja::Error) -> String {
    error.detail().map_or_else(|| error.kind().to_string(), str::to_owned)
}
