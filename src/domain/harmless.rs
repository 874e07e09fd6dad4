//! Text from elsewhere, made harmless to show: names of files and of backups may hold anything.

use std::borrow::Cow;

/// Characters that change how what stands around them is shown, or that are not seen at all.
const fn is_hidden(char: char) -> bool {
    matches!(char,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// The text with what would control a terminal, turn the order of letters or not be seen written as `escaped` says.
/// New lines and tabs stay.
pub fn harmless(text: &str, escaped: fn(char) -> String) -> Cow<'_, str> {
    let is_harmful =
        |char: char| is_hidden(char) || char.is_control() && char != '\n' && char != '\t';
    if !text.contains(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len().saturating_add(16));
    for char in text.chars() {
        if is_harmful(char) {
            shown.push_str(&escaped(char));
        } else {
            shown.push(char);
        }
    }
    Cow::Owned(shown)
}

/// `\u{202e}`, for people.
pub fn for_people(char: char) -> String {
    char.escape_default().to_string()
}

/// `\u202e`, inside of a string of a JSON document. None of these characters is longer than that.
pub fn for_json(char: char) -> String {
    format!("\\u{:04x}", u32::from(char))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_controls_a_terminal_or_turns_letters_is_shown_as_an_escape_and_languages_stay() {
        for (text, shown) in [
            ("a\u{1b}[31m\r\u{9b}ü\tb\nc", "a\\u{1b}[31m\\r\\u{9b}ü\tb\nc"),
            ("shop\u{202e}gpj.exe", "shop\\u{202e}gpj.exe"),
            ("\u{2066}x\u{2069}\u{200b}", "\\u{2066}x\\u{2069}\\u{200b}"),
            ("שלום, 世界, नमस्ते", "שלום, 世界, नमस्ते"),
        ] {
            assert_eq!(harmless(text, for_people), shown);
        }
        let json = serde_json::json!({ "name": "a\u{202e}\u{9b}\u{1b}\u{7f}b" });
        let shown = harmless(&json.to_string(), for_json).into_owned();
        assert!(shown.is_ascii(), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), json);
    }
}
