//! Turns values into what people and programs read. Nothing else prints.

pub mod graph;
pub mod outcome;
pub mod print;
pub mod progress;
pub mod style;
pub mod text;

/// Text that came from a spec or a server, safe on a terminal: control characters, escape
/// sequences and characters that reorder text are shown as `\u{…}`.
pub fn safe(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let reorders = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || reorders {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// As [`safe`], with line breaks kept.
pub fn safe_lines(text: &str) -> String {
    text.lines().map(safe).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    #[test]
    fn escapes_and_bidi_are_shown_not_obeyed() {
        assert_eq!(
            super::safe("a\u{1b}[31m\u{202e}b"),
            "a\\u{1b}[31m\\u{202e}b"
        );
    }
}
