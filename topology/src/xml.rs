//! Text within XML.

/// `text` for an element or an attribute. XML holds hardly any control character: `control` says what becomes of each.
pub fn escaped(text: &str, control: impl Fn(char) -> &'static str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            character if character.is_control() => escaped.push_str(control(character)),
            character => escaped.push(character),
        }
    }
    escaped
}
