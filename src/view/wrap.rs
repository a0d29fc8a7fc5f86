//! Text in the width of a terminal.

use std::fmt::Write;

use super::style::paint;

/// A boxed diagnostic.
pub(super) fn block(kind: &str, style: anstyle::Style, text: &str, width: usize, out: &mut String) {
    let bar = paint(style, "│");
    let _ = writeln!(out, "{}", paint(style, "╷"));
    let mut head = Some(paint(style, format!("{kind}: ")));
    let head_len = kind.len() + 2;
    for paragraph in text.lines() {
        if paragraph.starts_with("    ") {
            let _ = writeln!(out, "{bar} {paragraph}"); // lines to copy stay as they are
            continue;
        }
        let indent = if head.is_some() { head_len } else { 0 };
        for line in wrap_with(paragraph, width.saturating_sub(2), indent) {
            let _ = writeln!(out, "{bar} {}{line}", head.take().unwrap_or_default());
        }
        if paragraph.is_empty() {
            let _ = writeln!(out, "{bar}");
        }
    }
    let _ = writeln!(out, "{}\n", paint(style, "╵"));
}

/// A remark in lines of at most `width` columns.
pub fn filled(text: &str, width: usize) -> String {
    wrap(text, width).join("\n")
}

pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    wrap_with(text, width, 0)
}

/// Words to lines of at most `width`, the first one `indent` shorter; a long word has its own line. Where in the spec a thing stands
/// (`# wi.yaml:9`) is one word.
fn wrap_with(text: &str, width: usize, indent: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut words = text.split(' ');
    while let Some(word) = words.next() {
        let place = (word == "#").then(|| words.next()).flatten();
        let word = &place.map_or_else(|| word.to_owned(), |place| format!("# {place}"));
        let used = if lines.is_empty() { indent } else { 0 } + line.chars().count();
        if !line.is_empty() && used + 1 + word.chars().count() > width {
            lines.push(std::mem::take(&mut line).trim_end().to_owned());
            if text.starts_with("- ") {
                line.push_str("  ");
            }
        } else if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_the_spec_is_not_torn() {
        let text = "there is no Kubernetes service account  # examples/wi.yaml:13";
        let lines = wrap(text, 45);
        assert_eq!(
            lines,
            [
                "there is no Kubernetes service account",
                "# examples/wi.yaml:13"
            ]
        );
        assert_eq!(wrap(text, 80), [text]);
        assert_eq!(wrap("ends with #", 80), ["ends with #"]);
    }
}
