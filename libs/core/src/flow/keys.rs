//! Keys by the names that recordings give them in texts: `${KEY_ENTER}`.

/// Returns the character that `WebDriver` knows a special key by; `name` is what follows `KEY_`.
#[must_use]
pub fn special_key(name: &str) -> Option<char> {
    const FIRST: u32 = 0xE000;
    let function = |number: &str| number.parse::<u32>().ok().filter(|n| (1..=12).contains(n));
    let digit = |number: &str| number.parse::<u32>().ok().filter(|n| *n <= 9 && number.len() == 1);
    let offset = match name {
        "NULL" => 0x00,
        "CANCEL" => 0x01,
        "HELP" => 0x02,
        "BACK_SPACE" | "BACKSPACE" | "BKSP" => 0x03,
        "TAB" => 0x04,
        "CLEAR" => 0x05,
        "RETURN" => 0x06,
        "ENTER" => 0x07,
        "SHIFT" => 0x08,
        "CONTROL" | "CTRL" => 0x09,
        "ALT" => 0x0A,
        "PAUSE" => 0x0B,
        "ESCAPE" | "ESC" => 0x0C,
        "SPACE" => 0x0D,
        "PAGE_UP" | "PGUP" => 0x0E,
        "PAGE_DOWN" | "PGDN" => 0x0F,
        "END" => 0x10,
        "HOME" => 0x11,
        "ARROW_LEFT" | "LEFT" => 0x12,
        "ARROW_UP" | "UP" => 0x13,
        "ARROW_RIGHT" | "RIGHT" => 0x14,
        "ARROW_DOWN" | "DOWN" => 0x15,
        "INSERT" | "INS" => 0x16,
        "DELETE" | "DEL" => 0x17,
        "SEMICOLON" => 0x18,
        "EQUALS" => 0x19,
        "MULTIPLY" | "MUL" => 0x24,
        "ADD" | "PLUS" => 0x25,
        "SEPARATOR" | "SEP" => 0x26,
        "SUBTRACT" | "MINUS" => 0x27,
        "DECIMAL" | "PERIOD" => 0x28,
        "DIVIDE" | "DIV" => 0x29,
        "COMMAND" | "META" => 0x3D,
        "ZENKAKU_HANKAKU" => 0x40,
        _ => match name.strip_prefix("NUMPAD").or(name.strip_prefix('N')) {
            Some(number) => 0x1A + digit(number)?,
            None => 0x30 + function(name.strip_prefix('F')?)?,
        },
    };
    char::from_u32(FIRST + offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_characters_that_webdriver_knows() {
        let known = [
            ("ENTER", '\u{e007}'),
            ("F12", '\u{e03c}'),
            ("NUMPAD9", '\u{e023}'),
            ("N9", '\u{e023}'),
        ];
        for (name, key) in known {
            assert_eq!(special_key(name), Some(key));
        }
        for unknown in ["", "F0", "F13", "NUMPAD10", "enter", "F"] {
            assert_eq!(special_key(unknown), None, "{unknown}");
        }
    }
}
