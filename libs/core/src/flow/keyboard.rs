//! The keys of a US keyboard, by the names that recordings give them and by the characters that `WebDriver` knows them by.
//!
//! Names are those of `KeyboardEvent.key` and `KeyboardEvent.code` (W3C UI Events), numbers and places as Puppeteer's keyboard
//! has them; characters are those of the W3C's `WebDriver`, "Keyboard actions".

use std::sync::LazyLock;

/// Where on a keyboard a key is: among the digits at the right.
pub const KEYPAD: u8 = 3;

/// A key of a keyboard.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// `KeyboardEvent.key`.
    pub name: String,
    /// `KeyboardEvent.code`; empty for a character that a US keyboard does not have.
    pub code: String,
    /// `KeyboardEvent.keyCode`; 0 for a key that has none.
    pub number: u32,
    /// `KeyboardEvent.location`.
    pub location: u8,
    /// The character that `WebDriver` knows it by, if it does.
    pub value: Option<char>,
    /// `KeyboardEvent.key` and `keyCode` while Shift is held, where that differs.
    shifted: Option<(String, u32)>,
}

impl Key {
    /// Returns the key of a character that `WebDriver` may be given: one of its own for special keys, or one to type, which
    /// Shift changes as on a keyboard.
    #[must_use]
    pub fn of(value: char) -> Self {
        let value = match value {
            '\u{E00D}' => ' ',
            '\u{E018}' => ';',
            '\u{E019}' => '=',
            other => other,
        };
        let same = KEYS.iter().find(|key| key.value == Some(value)).cloned();
        same.unwrap_or_else(|| Self::on_shift(value))
    }

    /// Returns the key as it is while Shift is held.
    #[must_use]
    pub fn with_shift(mut self) -> Self {
        if let Some((name, number)) = self.shifted.take() {
            (self.name, self.number) = (name, number);
        }
        self
    }

    /// Returns what it types; `None` for a key that only does something.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        let mut chars = self.name.chars();
        match (chars.next(), chars.next()) {
            (Some(_), None) => Some(&self.name),
            _ => (self.name == "Enter").then_some("\r"),
        }
    }

    /// Returns the key that types a character only with Shift, as it is then; or one that no US keyboard has.
    fn on_shift(c: char) -> Self {
        let name = c.to_string();
        let is_it = |key: &&Self| key.shifted.as_ref().is_some_and(|(shifted, _)| *shifted == name);
        let (code, number, location) = KEYS
            .iter()
            .find(is_it)
            .map_or_else(Default::default, |key| (key.code.clone(), key.number, key.location));
        Self { name, code, number, location, value: Some(c), shifted: None }
    }

    /// Returns the key of a name: of its place on the keyboard (`KeyA`, `NumpadEnter`), or of what it does or types (`Enter`,
    /// `a`), which it then does with Shift, too.
    fn named(name: &str) -> Option<Self> {
        if let Some(key) = KEYS.iter().find(|key| !name.is_empty() && key.code == name) {
            return Some(key.clone());
        }
        let mut chars = name.chars();
        let key = KEYS.iter().find(|key| key.name == name).cloned();
        let key = key.map(|key| Self { shifted: None, ..key });
        key.or_else(|| match (chars.next(), chars.next()) {
            (Some('\r' | '\n'), None) => Self::named("Enter"),
            (Some(c), None) => (c != '\0').then(|| Self::on_shift(c)),
            _ => None,
        })
    }
}

/// The name of a key that there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyName {
    name: String,
    key: Key,
}

impl KeyName {
    /// Reads what a key types or does (`a`, `Enter`), or its place on a US keyboard (`KeyA`, `NumpadEnter`). `None` if no key is
    /// called so.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        Key::named(name).map(|key| Self { name: name.to_owned(), key })
    }

    /// Returns every name that is more than one character.
    pub fn known() -> impl Iterator<Item = &'static str> {
        let names = KEYS.iter().flat_map(|key| [key.code.as_str(), key.name.as_str()]);
        names.filter(|name| name.chars().count() > 1)
    }

    /// Returns the name as it was read.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// Returns the key.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }
}

/// Every key. The first one of several with the same name is meant by it: Enter is not that of the keypad, but `+` is, as in
/// Puppeteer.
static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| {
    let single = |&(name, code, number, location, value): &Special| Key {
        name: name.to_owned(),
        code: code.to_owned(),
        number,
        location,
        value: char::from_u32(value).filter(|value| *value != '\0'),
        shifted: None,
    };
    let keypad = |&(name, digit, number, value): &(&str, u32, u32, u32)| Key {
        shifted: Some((digit.to_string(), 96 + digit)),
        ..single(&(name, &format!("Numpad{digit}"), number, KEYPAD, value))
    };
    let typing = |plain: char, shifted: char, code: &str, number| Key {
        name: plain.to_string(),
        code: code.to_owned(),
        number,
        location: 0,
        value: Some(plain),
        shifted: Some((shifted.to_string(), number)),
    };
    let letter = |upper: char| {
        typing(upper.to_ascii_lowercase(), upper, &format!("Key{upper}"), u32::from(upper))
    };
    let function = |nth: u32| {
        let name = format!("F{nth}");
        // `WebDriver` knows twelve.
        let value = if nth <= 12 { 0xE030 + nth } else { 0 };
        single(&(&name, &name, 111 + nth, 0, value))
    };
    let digit = |nth: u32| {
        single(&(&nth.to_string(), &format!("Numpad{nth}"), 96 + nth, KEYPAD, 0xE01A + nth))
    };
    let mut keys: Vec<_> = SPECIAL.iter().map(single).collect();
    keys.extend(MOVING.iter().map(keypad));
    keys.extend(
        TYPING.iter().map(|&(plain, shifted, code, number)| typing(plain, shifted, code, number)),
    );
    keys.extend(('A'..='Z').map(letter).chain((1..=24).map(function)).chain((0..=9).map(digit)));
    keys.extend(LAST.iter().map(single));
    keys
});

/// Name, code, number, location, and `WebDriver`'s character or 0.
type Special<'s> = (&'s str, &'s str, u32, u8, u32);

const SPECIAL: [Special<'_>; 68] = [
    ("Cancel", "Abort", 3, 0, 0xE001),
    ("Help", "Help", 47, 0, 0xE002),
    ("Backspace", "Backspace", 8, 0, 0xE003),
    ("Tab", "Tab", 9, 0, 0xE004),
    ("Enter", "Enter", 13, 0, 0xE006),
    ("Enter", "NumpadEnter", 13, KEYPAD, 0xE007),
    ("Shift", "ShiftLeft", 16, 1, 0xE008),
    ("Shift", "ShiftRight", 16, 2, 0xE050),
    ("Control", "ControlLeft", 17, 1, 0xE009),
    ("Control", "ControlRight", 17, 2, 0xE051),
    ("Alt", "AltLeft", 18, 1, 0xE00A),
    ("Alt", "AltRight", 18, 2, 0xE052),
    ("Meta", "MetaLeft", 91, 1, 0xE03D),
    ("Meta", "MetaRight", 92, 2, 0xE053),
    ("AltGraph", "AltGraph", 225, 0, 0),
    ("Pause", "Pause", 19, 0, 0xE00B),
    ("CapsLock", "CapsLock", 20, 0, 0),
    ("Escape", "Escape", 27, 0, 0xE00C),
    (" ", "Space", 32, 0, 0x20),
    ("PageUp", "PageUp", 33, 0, 0xE00E),
    ("PageDown", "PageDown", 34, 0, 0xE00F),
    ("End", "End", 35, 0, 0xE010),
    ("Home", "Home", 36, 0, 0xE011),
    ("ArrowLeft", "ArrowLeft", 37, 0, 0xE012),
    ("ArrowUp", "ArrowUp", 38, 0, 0xE013),
    ("ArrowRight", "ArrowRight", 39, 0, 0xE014),
    ("ArrowDown", "ArrowDown", 40, 0, 0xE015),
    ("Insert", "Insert", 45, 0, 0xE016),
    ("Delete", "Delete", 46, 0, 0xE017),
    ("Delete", "NumpadDecimal", 46, KEYPAD, 0xE05D),
    ("*", "NumpadMultiply", 106, KEYPAD, 0xE024),
    ("+", "NumpadAdd", 107, KEYPAD, 0xE025),
    ("-", "NumpadSubtract", 109, KEYPAD, 0xE027),
    ("/", "NumpadDivide", 111, KEYPAD, 0xE029),
    ("ContextMenu", "ContextMenu", 93, 0, 0),
    ("NumLock", "NumLock", 144, 0, 0),
    ("ScrollLock", "ScrollLock", 145, 0, 0),
    ("PrintScreen", "PrintScreen", 44, 0, 0),
    ("Print", "", 42, 0, 0),
    ("Select", "Select", 41, 0, 0),
    ("Execute", "Open", 43, 0, 0),
    ("Convert", "Convert", 28, 0, 0),
    ("NonConvert", "NonConvert", 29, 0, 0),
    ("Accept", "", 30, 0, 0),
    ("ModeChange", "", 31, 0, 0),
    ("ZenkakuHankaku", "", 244, 0, 0xE040),
    ("AudioVolumeMute", "AudioVolumeMute", 173, 0, 0),
    ("AudioVolumeDown", "AudioVolumeDown", 174, 0, 0),
    ("AudioVolumeUp", "AudioVolumeUp", 175, 0, 0),
    ("MediaTrackNext", "MediaTrackNext", 176, 0, 0),
    ("MediaTrackPrevious", "MediaTrackPrevious", 177, 0, 0),
    ("MediaStop", "MediaStop", 178, 0, 0),
    ("MediaPlayPause", "MediaPlayPause", 179, 0, 0),
    ("Attn", "", 246, 0, 0),
    ("CrSel", "Props", 247, 0, 0),
    ("ExSel", "", 248, 0, 0),
    ("EraseEof", "", 249, 0, 0),
    ("Play", "", 250, 0, 0),
    ("ZoomOut", "", 251, 0, 0),
    ("Power", "Power", 0, 0, 0),
    ("Eject", "Eject", 0, 0, 0),
    ("SoftLeft", "SoftLeft", 0, 4, 0),
    ("SoftRight", "SoftRight", 0, 4, 0),
    ("Camera", "Camera", 44, 4, 0),
    ("Call", "Call", 0, 4, 0),
    ("EndCall", "EndCall", 95, 4, 0),
    ("VolumeDown", "VolumeDown", 182, 4, 0),
    ("VolumeUp", "VolumeUp", 183, 4, 0),
];

/// Keys of the keypad that move, and are digits with Shift: name, digit, number, `WebDriver`'s character.
const MOVING: [(&str, u32, u32, u32); 10] = [
    ("Insert", 0, 45, 0xE05C),
    ("End", 1, 35, 0xE056),
    ("ArrowDown", 2, 40, 0xE05B),
    ("PageDown", 3, 34, 0xE055),
    ("ArrowLeft", 4, 37, 0xE058),
    ("Clear", 5, 12, 0xE005),
    ("ArrowRight", 6, 39, 0xE05A),
    ("Home", 7, 36, 0xE057),
    ("ArrowUp", 8, 38, 0xE059),
    ("PageUp", 9, 33, 0xE054),
];

/// The keys with characters, letters aside: both characters, code and number.
const TYPING: [(char, char, &str, u32); 21] = [
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

/// Keys of the keypad with the characters of others, which come first.
const LAST: [Special<'_>; 3] = [
    (",", "NumpadComma", 108, KEYPAD, 0xE026),
    (".", "NumpadDecimal", 110, KEYPAD, 0xE028),
    ("=", "NumpadEqual", 187, KEYPAD, '=' as u32),
];

#[cfg(test)]
mod tests {
    use super::*;

    type Facts = (String, String, u32, Option<String>);

    fn facts(key: &Key) -> Facts {
        let text = key.text().map(str::to_owned);
        (key.name.clone(), key.code.clone(), key.number, text)
    }

    fn expected(name: &str, code: &str, number: u32, text: Option<&str>) -> Facts {
        (name.to_owned(), code.to_owned(), number, text.map(str::to_owned))
    }

    #[test]
    fn a_character_of_webdriver_is_a_key_that_shift_changes() {
        let of = |value, shift| {
            let key = Key::of(value);
            facts(&if shift { key.with_shift() } else { key })
        };
        assert_eq!(of('a', false), expected("a", "KeyA", 65, Some("a")));
        assert_eq!(of('a', true), expected("A", "KeyA", 65, Some("A")));
        assert_eq!(of('A', false), expected("A", "KeyA", 65, Some("A")));
        assert_eq!(of('2', true), expected("@", "Digit2", 50, Some("@")));
        assert_eq!(of('@', false), expected("@", "Digit2", 50, Some("@")));
        assert_eq!(of('-', false), expected("-", "Minus", 189, Some("-")));
        assert_eq!(of('\u{E006}', false), expected("Enter", "Enter", 13, Some("\r")));
        assert_eq!(of('\u{E007}', false), expected("Enter", "NumpadEnter", 13, Some("\r")));
        assert_eq!(of('\u{E03C}', false), expected("F12", "F12", 123, None));
        assert_eq!(of('\u{E01B}', false), expected("1", "Numpad1", 97, Some("1")));
        assert_eq!(of('\u{E018}', false), expected(";", "Semicolon", 186, Some(";")));
        assert_eq!(of('é', false), expected("é", "", 0, Some("é")));
    }

    #[test]
    fn a_name_is_a_place_or_what_the_key_does() {
        let of = |name: &str, shift| {
            let key = KeyName::new(name).unwrap_or_else(|| panic!("{name}")).key().clone();
            facts(&if shift { key.with_shift() } else { key })
        };
        assert_eq!(of("KeyA", false), expected("a", "KeyA", 65, Some("a")));
        assert_eq!(of("KeyA", true), expected("A", "KeyA", 65, Some("A")), "a place");
        assert_eq!(of("a", true), expected("a", "KeyA", 65, Some("a")), "a character");
        assert_eq!(of("A", false), expected("A", "KeyA", 65, Some("A")));
        assert_eq!(of("Digit7", true), expected("&", "Digit7", 55, Some("&")));
        assert_eq!(of("7", false), expected("7", "Digit7", 55, Some("7")));
        assert_eq!(of("+", false), expected("+", "NumpadAdd", 107, Some("+")));
        assert_eq!(of("Numpad7", false), expected("Home", "Numpad7", 36, None));
        assert_eq!(of("Numpad7", true), expected("7", "Numpad7", 103, Some("7")));
        assert_eq!(of("Clear", false), expected("Clear", "Numpad5", 12, None));
        assert_eq!(of("Enter", false), expected("Enter", "Enter", 13, Some("\r")));
        assert_eq!(of("\n", false), expected("Enter", "Enter", 13, Some("\r")));
        assert_eq!(of("NumpadEnter", false), expected("Enter", "NumpadEnter", 13, Some("\r")));
        assert_eq!(of("CapsLock", false), expected("CapsLock", "CapsLock", 20, None));
        assert_eq!(of("F24", false), expected("F24", "F24", 135, None));
        assert_eq!(of("é", false), expected("é", "", 0, Some("é")));
        for name in ["", "F0", "F25", "Keya", "KeyAB", "Nope", "\0"] {
            assert_eq!(KeyName::new(name), None, "{name}");
        }
    }

    #[test]
    fn a_key_has_a_character_of_webdriver_or_none() {
        let of = |name: &str| KeyName::new(name).unwrap().key().value;
        for (name, value) in [("Home", '\u{E011}'), ("Numpad7", '\u{E057}'), ("a", 'a'), ("é", 'é')]
        {
            assert_eq!(of(name), Some(value), "{name}");
        }
        for name in ["CapsLock", "F13", "ContextMenu", "MediaStop"] {
            assert_eq!(of(name), None, "{name}");
        }
    }
}
