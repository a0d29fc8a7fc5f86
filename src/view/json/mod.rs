//! Plans and applies for programs, with the field names of Terraform's formats.

mod plan;
pub mod stream;

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

pub use plan::{plan, schema};

/// One line of JSON in which nothing misleads a terminal: such characters are escaped, as JSON can, so
/// that programs read the same.
pub(in crate::view) fn line(value: &impl Serialize) -> String {
    let mut text = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut text, Escaped);
    let written = value.serialize(&mut serializer);
    written.expect("no key of these maps is anything but text");
    text.push(b'\n');
    String::from_utf8(text).expect("JSON of text is UTF-8")
}

/// Compact, and escaped.
struct Escaped;

impl Formatter for Escaped {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        // `##[error]` is a command wherever it stands in a line of a job's log.
        let acts = |at: usize, c: char, rest: &str| {
            wi_core::words::misleads(c) || (c == '#' && rest[at..].starts_with("##"))
        };
        while let Some((at, c)) = rest.char_indices().find(|(at, c)| acts(*at, *c, rest)) {
            writer.write_all(&rest.as_bytes()[..at])?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = &rest[at + c.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }
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
        let read: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(read, value);
    }
}
