//! Plans and applies for programs, with the field names of Terraform's formats.

mod plan;
pub mod stream;

use std::fmt::Write;

use serde::Serialize;
use wi_core::words::misleads;

pub use plan::{plan, schema};

/// One line of JSON.
pub(in crate::view) fn line(value: &impl Serialize) -> String {
    let text = serde_json::to_string(value);
    escaped(&text.expect("no key of these maps is anything but text"))
}

/// JSON that people read, too: a field a line.
pub fn document(value: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(value);
    escaped(&text.expect("no key of these maps is anything but text"))
}

/// JSON in which nothing misleads a terminal: such characters are escaped, as JSON can, so that programs
/// read the same. They are nowhere but in strings, line breaks between the fields apart.
fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len() + 1);
    for (at, c) in json.char_indices() {
        // `##[error]` is a command wherever it stands in a line of a job's log.
        let acts = misleads(c) && c != '\n' || c == '#' && json[at..].starts_with("##");
        if !acts {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a String cannot fail.
            let _ = write!(out, "\\u{unit:04x}");
        }
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn nothing_misleads_and_programs_read_the_same() {
        let value =
            serde_json::json!({ "a\u{202e}": "x\u{1b}[2J\u{9b}\u{2028}é \u{1f600}\n##[error]" });
        let line = super::line(&value);
        assert_eq!(
            line,
            "{\"a\\u202e\":\"x\\u001b[2J\\u009b\\u2028é \u{1f600}\\n\\u0023#[error]\"}\n"
        );
        let document = super::document(&value);
        assert_eq!(
            document,
            format!(
                "{{\n  {}\n}}\n",
                line[1..line.len() - 2].replacen("\":", "\": ", 1)
            )
        );
        for text in [line, document] {
            let read: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            assert_eq!(read, value);
        }
    }
}
