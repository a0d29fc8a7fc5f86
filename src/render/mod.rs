//! Turns values into what people and programs read. Nothing else prints.

mod cause;
pub mod doctor;
pub mod graph;
mod impact;
pub mod json;
pub mod markdown;
mod matrix;
pub mod outcome;
pub mod print;
pub mod progress;
pub mod style;
pub mod text;

/// Whether a character does something to a terminal instead of being seen: control characters, those
/// that reorder text or break lines, and those that are not seen at all, so that two names look the same.
///
/// The last are what Unicode calls `Default_Ignorable_Code_Point` (`DerivedCoreProperties.txt`), and the
/// Braille pattern that is blank.
fn misleads(c: char) -> bool {
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

/// How the Kubernetes APIs of clusters were reached: each one, or how many of each kind.
pub fn reached_by(clusters: &std::collections::BTreeMap<String, String>) -> Option<String> {
    if clusters.is_empty() {
        return None;
    }
    if clusters.len() <= 3 {
        let each = clusters
            .iter()
            .map(|(cluster, by)| format!("cluster.{} by its {}", safe(cluster), safe(by)));
        return Some(format!("Read {}.\n", each.collect::<Vec<_>>().join(", ")));
    }
    let mut kinds = std::collections::BTreeMap::new();
    for by in clusters.values() {
        // `public endpoint 34.1.2.3`, `context kind-dev of FILE`
        let kind = if by.starts_with("context ") {
            "kubeconfig"
        } else {
            by.rsplit_once(' ').map_or(by.as_str(), |(kind, _)| kind)
        };
        *kinds.entry(kind).or_insert(0) += 1;
    }
    let each = kinds
        .iter()
        .map(|(kind, count)| format!("{count} by their {kind}"));
    Some(format!(
        "Read {} clusters: {}.\n",
        clusters.len(),
        each.collect::<Vec<_>>().join(", ")
    ))
}

/// What a saved plan is, in two lines.
pub fn saved(file: &crate::plan::file::PlanFile) -> String {
    let made_on = file
        .made_on
        .as_ref()
        .map(|on| format!(" on {}", safe(on)))
        .unwrap_or_default();
    format!(
        "Plan of `{}`, made {} by wi {}{made_on}.\nHash: {}\n",
        safe(&file.plan.owner),
        file.made_at.strftime("%Y-%m-%d %H:%M UTC"),
        safe(&file.wi_version),
        file.hash()
    )
}

/// As [`safe`], with line breaks kept.
pub fn safe_lines(text: &str) -> String {
    text.lines().map(safe).collect::<Vec<_>>().join("\n")
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
