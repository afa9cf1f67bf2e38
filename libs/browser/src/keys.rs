//! Puppeteer's key names as `WebDriver` key values.

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
}
