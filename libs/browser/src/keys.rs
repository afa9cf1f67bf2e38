//! Names of keys as `WebDriver` key values: Puppeteer's (`Enter`, `KeyA`) and Selenium's (`${KEY_ENTER}` inside a text).

/// Returns the `WebDriver` value of a key by Puppeteer's name for it, or `None` if there is no such key.
pub(crate) fn value_of(key: &str) -> Option<char> {
    let mut chars = key.chars();
    if let (Some(one), None) = (chars.next(), chars.next()) {
        return Some(match one {
            '\r' | '\n' => '\u{E007}',
            '\0' => return None,
            other => other,
        });
    }
    named(key).or_else(|| coded(key))
}

/// Returns the `WebDriver` value to type one character.
pub(crate) fn typed(c: char) -> Option<char> {
    match c {
        '\r' => None,
        '\n' => Some('\u{E007}'),
        '\t' => Some('\u{E004}'),
        other => Some(other),
    }
}

fn named(key: &str) -> Option<char> {
    let code = match key {
        "Cancel" | "Abort" => 0xE001,
        "Help" => 0xE002,
        "Backspace" => 0xE003,
        "Tab" => 0xE004,
        "Clear" => 0xE005,
        "Enter" => 0xE007,
        "NumpadEnter" => 0xE007,
        "Shift" | "ShiftLeft" => 0xE008,
        "Control" | "ControlLeft" => 0xE009,
        "Alt" | "AltLeft" => 0xE00A,
        "Pause" => 0xE00B,
        "Escape" => 0xE00C,
        "Space" => 0x20,
        "PageUp" | "Numpad9" => 0xE00E,
        "PageDown" | "Numpad3" => 0xE00F,
        "End" | "Numpad1" => 0xE010,
        "Home" | "Numpad7" => 0xE011,
        "ArrowLeft" | "Numpad4" => 0xE012,
        "ArrowUp" | "Numpad8" => 0xE013,
        "ArrowRight" | "Numpad6" => 0xE014,
        "ArrowDown" | "Numpad2" => 0xE015,
        "Insert" | "Numpad0" => 0xE016,
        "Delete" | "NumpadDecimal" => 0xE017,
        "NumpadMultiply" => 0xE024,
        "NumpadAdd" => 0xE025,
        "NumpadSubtract" => 0xE027,
        "NumpadDivide" => 0xE029,
        "Meta" | "MetaLeft" | "OS" => 0xE03D,
        "ShiftRight" => 0xE050,
        "ControlRight" => 0xE051,
        "AltRight" | "AltGraph" => 0xE052,
        "MetaRight" => 0xE053,
        _ => return function(key),
    };
    char::from_u32(code)
}

fn function(key: &str) -> Option<char> {
    let number: u32 = key.strip_prefix('F')?.parse().ok()?;
    (1..=12).contains(&number).then(|| char::from_u32(0xE030 + number)).flatten()
}

/// Keys named by their place on a US keyboard: `KeyA`, `Digit1`, `Semicolon`.
fn coded(key: &str) -> Option<char> {
    if let Some(letter) = key.strip_prefix("Key").and_then(single) {
        return letter.is_ascii_uppercase().then(|| letter.to_ascii_lowercase());
    }
    if let Some(digit) = key.strip_prefix("Digit").and_then(single) {
        return digit.is_ascii_digit().then_some(digit);
    }
    Some(match key {
        "Backquote" => '`',
        "Minus" => '-',
        "Equal" => '=',
        "BracketLeft" => '[',
        "BracketRight" => ']',
        "Backslash" => '\\',
        "Semicolon" => ';',
        "Quote" => '\'',
        "Comma" => ',',
        "Period" => '.',
        "Slash" => '/',
        _ => return None,
    })
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
                Some(selenium(name).ok_or_else(|| name.to_owned())?)
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
                strokes.push(Stroke::Down(key));
                held.push(key);
            }
            Some(key) => strokes.extend([Stroke::Down(key), Stroke::Up(key)]),
        }
    }
    strokes.extend(held.drain(..).rev().map(Stroke::Up));
    Ok(strokes)
}

/// One movement of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stroke {
    Down(char),
    Up(char),
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

fn selenium(name: &str) -> Option<char> {
    let code = match name {
        "NULL" => 0xE000,
        "CANCEL" => 0xE001,
        "HELP" => 0xE002,
        "BACK_SPACE" | "BACKSPACE" | "BKSP" => 0xE003,
        "TAB" => 0xE004,
        "CLEAR" => 0xE005,
        "RETURN" => 0xE006,
        "ENTER" => 0xE007,
        "SHIFT" => 0xE008,
        "CONTROL" | "CTRL" => 0xE009,
        "ALT" => 0xE00A,
        "PAUSE" => 0xE00B,
        "ESCAPE" | "ESC" => 0xE00C,
        "SPACE" => 0xE00D,
        "PAGE_UP" | "PGUP" => 0xE00E,
        "PAGE_DOWN" | "PGDN" => 0xE00F,
        "END" => 0xE010,
        "HOME" => 0xE011,
        "ARROW_LEFT" | "LEFT" => 0xE012,
        "ARROW_UP" | "UP" => 0xE013,
        "ARROW_RIGHT" | "RIGHT" => 0xE014,
        "ARROW_DOWN" | "DOWN" => 0xE015,
        "INSERT" | "INS" => 0xE016,
        "DELETE" | "DEL" => 0xE017,
        "SEMICOLON" => 0xE018,
        "EQUALS" => 0xE019,
        "MULTIPLY" | "MUL" => 0xE024,
        "ADD" | "PLUS" => 0xE025,
        "SEPARATOR" | "SEP" => 0xE026,
        "SUBTRACT" | "MINUS" => 0xE027,
        "DECIMAL" | "PERIOD" => 0xE028,
        "DIVIDE" | "DIV" => 0xE029,
        "COMMAND" | "META" => 0xE03D,
        _ => {
            return match name.strip_prefix("NUMPAD").or_else(|| name.strip_prefix('N')) {
                Some(digit) => {
                    single(digit)?.to_digit(10).and_then(|digit| char::from_u32(0xE01A + digit))
                }
                None => function(name),
            };
        }
    };
    char::from_u32(code)
}

fn single(text: &str) -> Option<char> {
    let mut chars = text.chars();
    chars.next().filter(|_| chars.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_places_and_characters_are_known_and_others_are_not() {
        for (key, value) in [
            ("Enter", '\u{E007}'),
            ("a", 'a'),
            ("KeyA", 'a'),
            ("Digit7", '7'),
            ("F12", '\u{E03C}'),
            ("é", 'é'),
        ] {
            assert_eq!(value_of(key), Some(value), "{key}");
        }
        for key in ["", "F13", "Keya", "KeyAB", "Nope"] {
            assert_eq!(value_of(key), None, "{key}");
        }
    }

    #[test]
    fn a_text_may_name_keys_and_modifiers_stay_down() {
        use Stroke::{Down, Up};
        let control = '\u{E009}';
        assert_eq!(
            strokes("a${KEY_CONTROL}b${KEY_NULL}${KEY_N1}"),
            Ok(vec![
                Down('a'),
                Up('a'),
                Down(control),
                Down('b'),
                Up('b'),
                Up(control),
                Down('\u{E01B}'),
                Up('\u{E01B}')
            ])
        );
        assert_eq!(strokes("${KEY_SHIFT}x").map(|all| all.len()), Ok(4), "released at the end");
        assert_eq!(strokes("${KEY_NOPE}"), Err("NOPE".to_owned()));
        assert_eq!(strokes("${other}").map(|all| all.len()), Ok(16), "no key: typed as it is");
    }
}
