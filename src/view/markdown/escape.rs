//! Text from specs and servers, put into Markdown so that it stays text: no mention, no HTML, no
//! end of a fence, no column. Whoever opens a pull request chooses these texts.

use wi_core::words::safe;

/// Longer texts are cut: nobody reads them in a table.
const LONGEST: usize = 300;

fn cut(text: &str) -> String {
    let text = safe(text);
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// The longest run of backticks.
fn backticks(text: &str) -> usize {
    let mut longest = 0;
    let mut run = 0;
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

/// As inline code: nothing in it is Markdown, a mention or HTML.
pub(super) fn code(text: &str) -> String {
    let text = cut(text);
    let fence = "`".repeat(backticks(&text) + 1);
    // Spaces keep backticks at the ends apart from the fence, and are taken off again.
    let pad = if text.is_empty() || text.starts_with('`') || text.ends_with('`') {
        " "
    } else {
        ""
    };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// As inline code in a cell of a table, which a bar would end even there.
pub(in crate::view) fn cell(text: &str) -> String {
    code(text).replace('|', "\\|")
}

/// As code within HTML.
pub(super) fn html(text: &str) -> String {
    let mut out = String::from("<code>");
    for c in cut(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '@' => out.push_str("&#64;"),
            c => out.push(c),
        }
    }
    out.push_str("</code>");
    out
}

/// A fence that no line of these ends.
pub(super) fn fence<'a>(lines: impl IntoIterator<Item = &'a str>) -> String {
    let longest = lines.into_iter().map(backticks).max().unwrap_or(0);
    "`".repeat(longest.max(2) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_outlives_its_backticks() {
        assert_eq!(code("a"), "`a`");
        assert_eq!(code("a``b"), "```a``b```");
        assert_eq!(code("`a"), "`` `a ``");
        assert_eq!(cell("a|b"), "`a\\|b`");
        assert_eq!(code("a\nb"), "`a\\u{a}b`");
    }

    #[test]
    fn fences_are_longer_than_what_they_hold() {
        assert_eq!(fence(["a", "b"]), "```");
        assert_eq!(fence(["a", "````"]), "`````");
    }
}
