//! Puppeteer's own syntax within CSS: `>>>` and `>>>>` look into shadow trees, `::-p-text(…)` and its like find in their own way.
//!
//! What the parts of a chain can say is translated. The rest is refused: as CSS it would never find anything.

use gauntlet_core::flow::Selector;

use super::selectors::{aria, not_empty};

const LIST: &str =
    "with `>>>` or `::-p-…` a list cannot be one selector; give its members as alternatives";
const GAP: &str = "must name an element before and after each `>>>` and `>>>>`";

/// A piece of a selector.
#[derive(Clone, Copy)]
enum Piece<'t> {
    Css(&'t str),
    /// `::-p-NAME(ARGUMENT)`
    Own(&'t str, &'t str),
    /// `>>>`, any number of shadow trees down.
    Deep,
    /// `>>>>`, in the shadow tree of what was found, if it has one.
    Child,
    Comma,
}

/// Reads a selector without a prefix as the parts of a chain.
pub(super) fn parts(text: &str) -> Result<Vec<Selector>, &'static str> {
    let pieces = cut(text)?;
    if !pieces.iter().any(|piece| matches!(piece, Piece::Own(..) | Piece::Deep | Piece::Child)) {
        return Ok(vec![Selector::Css(not_empty(text)?)]);
    }
    let mut parts = Vec::new();
    // What stands before in the same compound, and by which combinator it is found.
    let (mut before, mut combinator) = (None, None);
    for piece in pieces {
        match piece {
            Piece::Css(css) => match (before, combinator, css.trim()) {
                (_, _, "") => continue,
                (Some(_), ..) => return Err("no CSS can follow `::-p-…()` without `>>>`"),
                (None, None, ":scope") => {}
                (None, Some(Piece::Deep), css) => parts.push(Selector::Pierce(css.to_owned())),
                (None, _, css) => parts.push(Selector::Css(css.to_owned())),
            },
            Piece::Own("xpath", _)
                if before.is_none() && matches!(combinator, Some(Piece::Deep)) =>
            {
                return Err("an XPath cannot follow `>>>`: it sees one tree only");
            }
            Piece::Own(name, argument) => parts.push(own(name, &unquoted(argument))?),
            Piece::Deep | Piece::Child => {
                if before.is_none() && combinator.is_some() {
                    return Err(GAP);
                }
                (before, combinator) = (None, Some(piece));
                continue;
            }
            Piece::Comma => return Err(LIST),
        }
        before = Some(piece);
    }
    if before.is_none() { Err(GAP) } else { Ok(parts) }
}

fn own(name: &str, argument: &str) -> Result<Selector, &'static str> {
    match name {
        "text" => not_empty(argument).map(Selector::Text),
        "xpath" => not_empty(argument).map(Selector::XPath),
        "aria" => aria(argument),
        _ => Err("the only pseudo-elements of this kind are text, xpath and aria"),
    }
}

/// Takes quotes around a text and its backslashes away.
fn unquoted(text: &str) -> String {
    let quoted = |quote| text.strip_prefix(quote)?.strip_suffix(quote);
    let mut plain = String::with_capacity(text.len());
    let mut chars = quoted('"').or_else(|| quoted('\'')).unwrap_or(text).chars();
    while let Some(c) = chars.next() {
        plain.push(if c == '\\' { chars.next().unwrap_or(c) } else { c });
    }
    plain
}

/// Cuts a selector where Puppeteer's own syntax stands outside of quotes and brackets.
fn cut(text: &str) -> Result<Vec<Piece<'_>>, &'static str> {
    let mut pieces = Vec::new();
    // Where the CSS begins, how many brackets are open, and the name and beginning of an argument.
    let (mut start, mut open, mut argument) = (0, 0_u32, None);
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let (here, next) = (at, at + token(rest));
        at = next;
        match &rest[..next - here] {
            "(" => open += 1,
            ")" => {
                open = open.saturating_sub(1);
                if open == 0
                    && let Some((name, from)) = argument.take()
                {
                    pieces.push(Piece::Own(name, &text[from..here]));
                    start = next;
                }
            }
            "[" if argument.is_none() => open += 1,
            "]" if argument.is_none() => open = open.saturating_sub(1),
            _ if open > 0 => {}
            _ => {
                let Some((piece, length)) = special(rest) else { continue };
                pieces.push(Piece::Css(&text[start..here]));
                at = here + length;
                start = at;
                match piece {
                    Piece::Own(name, _) if text[at..].starts_with('(') => {
                        argument = Some((name, at + 1));
                    }
                    other => pieces.push(other),
                }
            }
        }
    }
    if argument.is_some() {
        return Err("the bracket after `::-p-…` is not closed");
    }
    pieces.push(Piece::Css(&text[start..]));
    Ok(pieces)
}

/// Reads what is Puppeteer's own at the start of a text, but for an argument; and how long it is.
fn special(text: &str) -> Option<(Piece<'_>, usize)> {
    if text.starts_with(">>>>") {
        return Some((Piece::Child, 4));
    }
    if text.starts_with(">>>") {
        return Some((Piece::Deep, 3));
    }
    if text.starts_with(',') {
        return Some((Piece::Comma, 1));
    }
    let after = text.strip_prefix("::-p-")?;
    let end = after.find(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_'));
    let name = &after[..end.unwrap_or(after.len())];
    Some((Piece::Own(name, ""), text.len() - after.len() + name.len()))
}

/// Returns the length of the first character; one that is escaped and a quoted text count as one.
fn token(text: &str) -> usize {
    let mut chars = text.char_indices().map(|(at, c)| (at + c.len_utf8(), c));
    let Some((first, c)) = chars.next() else { return 0 };
    match c {
        '\\' => chars.next().map_or(first, |(end, _)| end),
        '"' | '\'' => {
            while let Some((end, inner)) = chars.next() {
                if inner == c {
                    return end;
                }
                if inner == '\\' {
                    chars.next();
                }
            }
            // An apostrophe.
            first
        }
        _ => first,
    }
}
