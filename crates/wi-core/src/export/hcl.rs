//! Texts of HCL, and the form that `terraform fmt` gives them.

use std::fmt::Write as _;

/// A text of HCL, in which nothing is replaced.
pub(super) fn text(text: &str) -> String {
    let mut out = String::from("\"");
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '$' | '%' if characters.peek() == Some(&'{') => {
                out.push(c);
                out.push(c);
            }
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Lines up the `=` of arguments that follow each other, as `terraform fmt` does.
pub(super) fn aligned(hcl: &str) -> String {
    let mut out = String::with_capacity(hcl.len());
    let mut group: Vec<(&str, &str)> = Vec::new();
    let flush = |group: &mut Vec<(&str, &str)>, out: &mut String| {
        let widest = group.iter().map(|(name, _)| name.chars().count()).max();
        for (name, value) in group.drain(..) {
            let _ = writeln!(out, "{name:0$} = {value}", widest.unwrap_or_default());
        }
    };
    for line in hcl.lines() {
        let argument = line.split_once(" = ").filter(|(name, value)| {
            // What goes over several lines stands for itself.
            !name.trim_start().starts_with('#') && !value.ends_with('{')
        });
        match argument {
            Some((name, value)) => {
                let name = name.trim_end();
                let indent = |name: &str| name.len() - name.trim_start().len();
                if group
                    .last()
                    .is_some_and(|(last, _)| indent(last) != indent(name))
                {
                    flush(&mut group, &mut out);
                }
                group.push((name, value));
            }
            None => {
                flush(&mut group, &mut out);
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    flush(&mut group, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::{aligned, text};

    #[test]
    fn texts_of_hcl_mean_themselves() {
        assert_eq!(
            text("a \"b\" ${c} %{d} $e\n"),
            r#""a \"b\" $${c} %%{d} $e\n""#
        );
    }

    #[test]
    fn arguments_that_follow_each_other_are_lined_up() {
        let given =
            "a {\n  b = 1\n  long = \"x = y\"\n\n  c = 2\n  m = {\n    d = 3\n  }\n}\n# e = 4\n";
        let formed =
            "a {\n  b    = 1\n  long = \"x = y\"\n\n  c = 2\n  m = {\n    d = 3\n  }\n}\n# e = 4\n";
        assert_eq!(aligned(given), formed);
    }
}
