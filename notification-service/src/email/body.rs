//! The text of a mail as its template has left it: words, and places that each mail fills.
//!
//! A template is filled once for each language, when the texts are loaded. What differs from mail to mail is then a mark:
//! a private character, which no text of the folder may have. A mail costs a few copies, and no template can choose its
//! words by a code or a name.

/// What differs from mail to mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Code,
    Link,
    Greeting,
    Lasts,
}

const PLACES: [(char, Place); 4] = [
    ('\u{e000}', Place::Code),
    ('\u{e001}', Place::Link),
    ('\u{e002}', Place::Greeting),
    ('\u{e003}', Place::Lasts),
];

/// A body with places.
pub(super) struct Body(Vec<Piece>);

enum Piece {
    Words(Box<str>),
    Place(Place),
}

impl Place {
    /// What stands for it while a template is filled.
    pub(super) fn mark(self) -> String {
        PLACES.iter().filter(|(_, place)| *place == self).map(|(mark, _)| *mark).collect()
    }
}

impl Body {
    /// Takes a filled template apart.
    pub(super) fn new(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut begin = 0;
        for (at, c) in text.char_indices() {
            let Some((_, place)) = PLACES.iter().find(|(mark, _)| *mark == c) else { continue };
            pieces.push(Piece::Words(text[begin..at].into()));
            pieces.push(Piece::Place(*place));
            begin = at.saturating_add(c.len_utf8());
        }
        pieces.push(Piece::Words(text[begin..].into()));
        Self(pieces)
    }

    pub(super) fn has(&self, wanted: Place) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Place(place) if *place == wanted))
    }

    /// Whether the code stands first, alone in its line.
    pub(super) fn begins_with_the_code(&self) -> bool {
        match self.0.as_slice() {
            [Piece::Words(before), Piece::Place(Place::Code), Piece::Words(after), ..] => {
                before.is_empty() && (after.is_empty() || after.starts_with('\n'))
            }
            _ => false,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|piece| matches!(piece, Piece::Words(words) if words.trim().is_empty()))
    }

    /// Whether the link stands by itself somewhere in a text: what touches it would become a part of it.
    pub(super) fn has_a_whole_link(&self) -> bool {
        self.0.windows(3).enumerate().any(|(at, pieces)| match pieces {
            [Piece::Words(before), Piece::Place(Place::Link), Piece::Words(after)] => {
                let is_first = at == 0 && before.is_empty();
                let is_last = after.is_empty() && at.saturating_add(3) == self.0.len();
                (is_first || before.ends_with(char::is_whitespace))
                    && (is_last || after.starts_with(char::is_whitespace))
            }
            _ => false,
        })
    }

    /// Whether a place stands in HTML where a reader can see it or, with `in_tag`, use it: outside comments and, unless it
    /// may stand in a tag as a link does, between tags.
    pub(super) fn shows_in_html(&self, wanted: Place, in_tag: bool) -> bool {
        let marked = self.fill(|place| if place == wanted { "\u{e000}" } else { "" });
        let mut rest = marked.as_str();
        let mut seen = String::new();
        while let Some((before, comment)) = rest.split_once("<!--") {
            seen.push_str(before);
            rest = comment.split_once("-->").map_or("", |(_, after)| after);
        }
        seen.push_str(rest);
        if in_tag {
            return seen.contains('\u{e000}');
        }
        seen.split('<').enumerate().any(|(at, piece)| {
            let words = if at == 0 { piece } else { piece.split_once('>').map_or("", |(_, words)| words) };
            words.contains('\u{e000}')
        })
    }

    pub(super) fn fill<'a>(&'a self, value: impl Fn(Place) -> &'a str) -> String {
        let text = |piece: &'a Piece| match piece {
            Piece::Words(words) => words,
            Piece::Place(place) => value(*place),
        };
        let mut filled = String::with_capacity(self.0.iter().map(|piece| text(piece).len()).sum());
        filled.extend(self.0.iter().map(text));
        filled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_and_what_fills_them_is_left_as_it_is() {
        let body =
            Body::new(&format!("{}\n{}{}.", Place::Code.mark(), Place::Link.mark(), Place::Lasts.mark()));
        let link = Place::Code.mark();
        let filled = body.fill(|place| match place {
            Place::Code => "123456",
            Place::Link => &link,
            _ => "",
        });
        assert_eq!(filled, format!("123456\n{link}."));
        assert!(body.has(Place::Link) && !body.has(Place::Greeting) && body.begins_with_the_code());
        for not in [" \u{e000}", "x\u{e000}", "\u{e000} x", "x"] {
            assert!(!Body::new(not).begins_with_the_code(), "{not:?}");
        }
    }
}
