//! Texts as movements of keys, with Selenium's names of keys in them: `${KEY_ENTER}`.

use gauntlet_core::flow::{Key, special_key};

/// One movement of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stroke {
    Down(Key),
    Up(Key),
}

/// Returns the key presses and releases that type `text`, in which nothing is the name of a key.
pub(crate) fn plain(text: &str) -> Vec<Stroke> {
    text.chars().filter_map(typed).map(Key::of).flat_map(press).collect()
}

fn press(key: Key) -> [Stroke; 2] {
    [Stroke::Down(key.clone()), Stroke::Up(key)]
}

/// Returns the `WebDriver` value to type one character.
fn typed(c: char) -> Option<char> {
    match c {
        '\r' => None,
        '\n' => Some('\u{E006}'),
        '\t' => Some('\u{E004}'),
        other => Some(other),
    }
}

/// Returns the key presses and releases that type `text`, in which `${KEY_NAME}` names a key. As in Selenium, a modifier
/// stays down until `${KEY_NULL}` or the end.
///
/// # Errors
/// The name of a key that does not exist.
pub(crate) fn strokes(text: &str) -> Result<Vec<Stroke>, String> {
    let (mut strokes, mut held) = (Vec::new(), Vec::new());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let key = match key_name(rest) {
            Some(name) => {
                rest = &rest[NAME_START.len() + name.len() + 1..];
                Some(special_key(name).ok_or_else(|| name.to_owned())?)
            }
            None => {
                rest = &rest[c.len_utf8()..];
                typed(c)
            }
        };
        match key {
            None => {}
            Some(RELEASE_ALL) => strokes.extend(held.drain(..).rev().map(Stroke::Up)),
            Some(key) if is_modifier(key) => {
                strokes.push(Stroke::Down(Key::of(key)));
                held.push(Key::of(key));
            }
            Some(key) => strokes.extend(press(Key::of(key))),
        }
    }
    strokes.extend(held.drain(..).rev().map(Stroke::Up));
    Ok(strokes)
}

const NAME_START: &str = "${KEY_";
/// Releases every modifier.
const RELEASE_ALL: char = '\u{E000}';

fn key_name(text: &str) -> Option<&str> {
    let rest = text.strip_prefix(NAME_START)?;
    let name = &rest[..rest.find('}')?];
    name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_').then_some(name)
}

fn is_modifier(key: char) -> bool {
    matches!(key, '\u{E008}'..='\u{E00A}' | '\u{E03D}' | '\u{E050}'..='\u{E053}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_may_name_keys_and_modifiers_stay_down() {
        use Stroke::{Down, Up};
        let [control, a, b, one] = ['\u{E009}', 'a', 'b', '\u{E01B}'].map(Key::of);
        assert_eq!(
            strokes("a${KEY_CONTROL}b${KEY_NULL}${KEY_NUMPAD1}"),
            Ok(vec![
                Down(a.clone()),
                Up(a),
                Down(control.clone()),
                Down(b.clone()),
                Up(b),
                Up(control),
                Down(one.clone()),
                Up(one)
            ])
        );
        assert_eq!(strokes("${KEY_SHIFT}x").map(|all| all.len()), Ok(4), "released at the end");
        assert_eq!(strokes("${KEY_ZENKAKU_HANKAKU}").map(|all| all.len()), Ok(2));
        assert_eq!(strokes("${KEY_NOPE}"), Err("NOPE".to_owned()));
        assert_eq!(strokes("${other}").map(|all| all.len()), Ok(16), "no key: typed as it is");
    }
}
