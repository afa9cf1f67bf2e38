//! Names of keys as `WebDriver` key values: Puppeteer's (`Enter`, `KeyA`) and Selenium's (`${KEY_ENTER}` inside a text).

use gauntlet_core::flow::special_key;

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
fn typed(c: char) -> Option<char> {
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
    US.iter().find(|(.., code, _)| *code == key).map(|(plain, ..)| *plain)
}

/// Returns the key presses and releases that type `text`, in which nothing is the name of a key.
pub(crate) fn plain(text: &str) -> Vec<Stroke> {
    let typed = text.chars().filter_map(typed);
    typed.flat_map(|key| [Stroke::Down(key), Stroke::Up(key)]).collect()
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

fn single(text: &str) -> Option<char> {
    let mut chars = text.chars();
    chars.next().filter(|_| chars.next().is_none())
}

/// Where on a keyboard a key is: among the digits at the right.
pub(crate) const KEYPAD: u8 = 3;

/// A key as the browser's input takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    /// `KeyboardEvent.key`.
    pub(crate) name: String,
    /// `KeyboardEvent.code`; empty for a character that a US keyboard does not have.
    pub(crate) code: String,
    /// `KeyboardEvent.keyCode`.
    pub(crate) number: u32,
    /// `KeyboardEvent.location`.
    pub(crate) location: u8,
    /// What it types.
    pub(crate) text: Option<String>,
}

impl Key {
    fn new(name: &str, code: &str, number: u32, location: u8) -> Self {
        Self { name: name.to_owned(), code: code.to_owned(), number, location, text: None }
    }

    fn types(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }
}

/// Returns the key of a `WebDriver` value on a US keyboard, as it is while Shift is held or not.
pub(crate) fn describe(value: char, shift: bool) -> Key {
    let plain = |name, number| Key::new(name, name, number, 0);
    match u32::from(value) {
        0xE001 => plain("Cancel", 3),
        0xE002 => plain("Help", 47),
        0xE003 => plain("Backspace", 8),
        0xE004 => plain("Tab", 9),
        0xE005 => plain("Clear", 12),
        0xE006 | 0xE007 => plain("Enter", 13).types("\r"),
        0xE008 => Key::new("Shift", "ShiftLeft", 16, 1),
        0xE009 => Key::new("Control", "ControlLeft", 17, 1),
        0xE00A => Key::new("Alt", "AltLeft", 18, 1),
        0xE00B => plain("Pause", 19),
        0xE00C => plain("Escape", 27),
        0xE00D | 0x20 => Key::new(" ", "Space", 32, 0).types(" "),
        0xE00E => plain("PageUp", 33),
        0xE00F => plain("PageDown", 34),
        0xE010 => plain("End", 35),
        0xE011 => plain("Home", 36),
        0xE012 => plain("ArrowLeft", 37),
        0xE013 => plain("ArrowUp", 38),
        0xE014 => plain("ArrowRight", 39),
        0xE015 => plain("ArrowDown", 40),
        0xE016 => plain("Insert", 45),
        0xE017 => plain("Delete", 46),
        0xE018 => describe(';', shift),
        0xE019 => describe('=', shift),
        digit @ 0xE01A..=0xE023 => {
            let (digit, number) = (digit - 0xE01A, digit - 0xE01A + 96);
            Key::new(&digit.to_string(), &format!("Numpad{digit}"), number, KEYPAD)
                .types(digit.to_string())
        }
        0xE024 => Key::new("*", "NumpadMultiply", 106, KEYPAD).types("*"),
        0xE025 => Key::new("+", "NumpadAdd", 107, KEYPAD).types("+"),
        0xE026 => Key::new(",", "NumpadComma", 108, KEYPAD).types(","),
        0xE027 => Key::new("-", "NumpadSubtract", 109, KEYPAD).types("-"),
        0xE028 => Key::new(".", "NumpadDecimal", 110, KEYPAD).types("."),
        0xE029 => Key::new("/", "NumpadDivide", 111, KEYPAD).types("/"),
        function @ 0xE031..=0xE03C => {
            let nth = function - 0xE030;
            plain(&format!("F{nth}"), 111 + nth)
        }
        0xE03D => Key::new("Meta", "MetaLeft", 91, 1),
        0xE040 => plain("ZenkakuHankaku", 244),
        0xE050 => Key::new("Shift", "ShiftRight", 16, 2),
        0xE051 => Key::new("Control", "ControlRight", 17, 2),
        0xE052 => Key::new("Alt", "AltRight", 18, 2),
        0xE053 => Key::new("Meta", "MetaRight", 92, 2),
        _ => on_us_keyboard(value, shift)
            .unwrap_or_else(|| Key::new(&value.to_string(), "", 0, 0).types(value)),
    }
}

/// The keys with characters on a US keyboard: both characters, code and number.
const US: [(char, char, &str, u32); 21] = [
    ('0', ')', "Digit0", 48),
    ('1', '!', "Digit1", 49),
    ('2', '@', "Digit2", 50),
    ('3', '#', "Digit3", 51),
    ('4', '$', "Digit4", 52),
    ('5', '%', "Digit5", 53),
    ('6', '^', "Digit6", 54),
    ('7', '&', "Digit7", 55),
    ('8', '*', "Digit8", 56),
    ('9', '(', "Digit9", 57),
    (';', ':', "Semicolon", 186),
    ('=', '+', "Equal", 187),
    (',', '<', "Comma", 188),
    ('-', '_', "Minus", 189),
    ('.', '>', "Period", 190),
    ('/', '?', "Slash", 191),
    ('`', '~', "Backquote", 192),
    ('[', '{', "BracketLeft", 219),
    ('\\', '|', "Backslash", 220),
    (']', '}', "BracketRight", 221),
    ('\'', '"', "Quote", 222),
];

fn on_us_keyboard(value: char, shift: bool) -> Option<Key> {
    let key = |typed: char, code: &str, number| {
        Key::new(&typed.to_string(), code, number, 0).types(typed)
    };
    if value.is_ascii_alphabetic() {
        let upper = value.to_ascii_uppercase();
        let typed = if shift { upper } else { value };
        return Some(key(typed, &format!("Key{upper}"), u32::from(upper)));
    }
    US.iter().find(|(plain, shifted, ..)| [*plain, *shifted].contains(&value)).map(
        |(plain, shifted, code, number)| {
            let typed = if shift && value == *plain { *shifted } else { value };
            key(typed, code, *number)
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_a_place_and_a_text() {
        let of = |value, shift| {
            let key = describe(value, shift);
            (key.name, key.code, key.number, key.text)
        };
        let expected = |name: &str, code: &str, number, text: Option<&str>| {
            (name.to_owned(), code.to_owned(), number, text.map(str::to_owned))
        };
        assert_eq!(of('a', false), expected("a", "KeyA", 65, Some("a")));
        assert_eq!(of('a', true), expected("A", "KeyA", 65, Some("A")));
        assert_eq!(of('A', false), expected("A", "KeyA", 65, Some("A")));
        assert_eq!(of('2', true), expected("@", "Digit2", 50, Some("@")));
        assert_eq!(of('@', false), expected("@", "Digit2", 50, Some("@")));
        assert_eq!(of('\u{E007}', false), expected("Enter", "Enter", 13, Some("\r")));
        assert_eq!(of('\u{E03C}', false), expected("F12", "F12", 123, None));
        assert_eq!(of('\u{E01B}', false), expected("1", "Numpad1", 97, Some("1")));
        assert_eq!(of('é', false), expected("é", "", 0, Some("é")));
    }

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
        assert_eq!(strokes("${KEY_ZENKAKU_HANKAKU}").map(|all| all.len()), Ok(2));
        assert_eq!(strokes("${KEY_NOPE}"), Err("NOPE".to_owned()));
        assert_eq!(strokes("${other}").map(|all| all.len()), Ok(16), "no key: typed as it is");
    }
}
