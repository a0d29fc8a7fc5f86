//! Text in XML 1.0.

/// Escaped; what XML cannot hold is shown as terminals are shown it.
pub(super) fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in wi_core::words::safe_lines(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}
