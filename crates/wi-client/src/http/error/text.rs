//! Texts in the answers of servers.

use serde_json::Value;

/// The prefix of an organization policy's constraint.
pub(super) const CONSTRAINT: &str = "constraints/";

/// The longest text of a server's that is kept, in characters: it is shown, and saved in plans.
const LONGEST: usize = 1000;

pub(super) fn text(value: &Value) -> String {
    shown(value.as_str().unwrap_or_default())
}

/// A server's text, safe to show and of a length that somebody reads.
pub(super) fn shown(text: &str) -> String {
    let mut start: String = text.chars().take(LONGEST).collect();
    if start.len() < text.len() {
        start.push('…');
    }
    wi_core::words::safe(&start)
}
