//! Texts as YAML has them.

use crate::words::{misleads, safe};

/// A value or a key: plain where nothing else could be meant by it, in quotes otherwise.
pub(super) fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./@".contains(c);
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let is_word = matches!(
        text.to_ascii_lowercase().as_str(),
        "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n"
    );
    if begins && text.chars().all(plain) && !is_word {
        text.to_owned()
    } else {
        quoted(text)
    }
}

/// In double quotes. What misleads is escaped, and read back as it was.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if misleads(c) => out.push_str(&format!("\\U{:08X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// `{ a: b, c: d }`, of entries that are YAML already.
pub(super) fn map(entries: &[String]) -> String {
    match entries {
        [] => "{}".to_owned(),
        entries => format!("{{ {} }}", entries.join(", ")),
    }
}

/// `[a, b]`, of texts.
pub(super) fn list<'a>(texts: impl IntoIterator<Item = &'a String>) -> String {
    let texts: Vec<String> = texts.into_iter().map(|t| scalar(t)).collect();
    format!("[{}]", texts.join(", "))
}

/// A comment at the end of a line; nothing where there is nothing to say.
pub(super) fn remark(text: Option<&str>) -> String {
    text.map_or_else(String::new, |text| format!("   # {}", safe(text)))
}

#[cfg(test)]
mod tests {
    use super::{quoted, scalar};

    #[test]
    fn texts_are_read_back_as_they_were() {
        for text in [
            "checkout",
            "roles/cloudsql.client",
            "",
            "true",
            "No",
            "12",
            "1e3",
            "2027-01-01",
            "a: b",
            "a #b",
            "- x",
            "~",
            "*a",
            "&a",
            "!a",
            "%a",
            "@a",
            "`a`",
            "[a]",
            "{a}",
            "a, b",
            "it's",
            "say \"x\"",
            "back\\slash",
            "line\nbreak",
            "tab\there",
            "\u{202e}x",
            "\u{1b}[31m",
            "Zürich ☕",
            "null",
            "0x1f",
            "1_000",
            "a:b",
            ".5",
        ] {
            for yaml in [scalar(text), quoted(text)] {
                let read: std::collections::BTreeMap<String, String> =
                    serde_saphyr::from_str(&format!("key: {{ k: {yaml} }}\n"))
                        .map(
                            |read: std::collections::BTreeMap<
                                String,
                                std::collections::BTreeMap<String, String>,
                            >| read["key"].clone(),
                        )
                        .unwrap_or_else(|e| panic!("{text:?} as {yaml}: {e}"));
                assert_eq!(read["k"], text, "{yaml}");
            }
        }
    }
}
