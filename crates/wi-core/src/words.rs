//! Words on their way to people: escaping, counts, durations. The ground that everything stands on.

/// Whether a character does something to a terminal instead of being seen: control characters, those
/// that reorder text or break lines, and those that are not seen at all, so that two names look the same.
///
/// The last are what Unicode calls `Default_Ignorable_Code_Point` (`DerivedCoreProperties.txt`), and the
/// Braille pattern that is blank.
pub fn misleads(c: char) -> bool {
    let breaks = matches!(c, '\u{2028}' | '\u{2029}' | '\u{fff9}'..='\u{fffb}');
    let is_unseen = matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}');
    c.is_control() || breaks || is_unseen
}

/// Text that came from a spec or a server, safe on a terminal: escape sequences and whatever else
/// misleads is shown as `\u{…}`.
pub fn safe(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if misleads(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// A word of a command that people copy into a shell: it means itself, whatever is in it.
pub fn shell_word(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/@=,+%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// As [`safe`], with line breaks kept.
pub fn safe_lines(text: &str) -> String {
    text.lines().map(safe).collect::<Vec<_>>().join("\n")
}

/// `1 cluster`, `2 clusters`.
pub fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// `90s` as `1 min 30 s`.
pub fn duration(duration: std::time::Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3600, seconds % 3600 / 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, 0) => format!("{m} min"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, 0, _) => format!("{h} h"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn words_of_commands_mean_themselves() {
        assert_eq!(super::shell_word("acme-prod"), "acme-prod");
        assert_eq!(super::shell_word("x$(id)"), "'x$(id)'");
        assert_eq!(super::shell_word("it's"), "'it'\\''s'");
    }

    #[test]
    fn escapes_and_bidi_are_shown_not_obeyed() {
        assert_eq!(
            super::safe("a\u{1b}[31m\u{202e}b"),
            "a\\u{1b}[31m\\u{202e}b"
        );
        assert_eq!(super::safe("sh\u{200b}op\u{61c}"), "sh\\u{200b}op\\u{61c}");
        for unseen in "\u{180e}\u{115f}\u{1160}\u{3164}\u{ffa0}\u{34f}\u{2028}\u{fe0f}".chars() {
            let shown = super::safe(&format!("shop{unseen}"));
            assert_eq!(shown, format!("shop{}", unseen.escape_unicode()));
        }
        assert_eq!(super::safe("Zürich ☕ 東京"), "Zürich ☕ 東京");
    }
}
