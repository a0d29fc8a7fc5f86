//! The lines where YAML's parser stopped, read as a person reads them: it often stops a line or more
//! after the slip.

use super::diagnostics::Source;

/// A text, and where its parser stopped.
pub struct Text<'s> {
    pub source: &'s Source,
    /// The byte.
    pub at: usize,
}

/// A place, what it is, and the way out.
pub type Explained = (usize, String, Option<String>);

impl<'s> Text<'s> {
    /// The place of a line's first byte, and the line.
    fn line(&self, number: usize) -> Option<(usize, &'s str)> {
        let text = &self.source.text;
        let start = self.source.byte_at(u64::try_from(number).ok()?, 1);
        let line = text.get(start..)?.lines().next()?;
        Some((start, line))
    }

    /// The line where the parser stopped, and the one before it that says something.
    fn lines(&self) -> impl Iterator<Item = (usize, usize, &'s str)> {
        let here = self.source.line(self.at);
        (1..=here)
            .rev()
            .filter_map(|n| self.line(n).map(|(start, line)| (n, start, line)))
            .filter(move |(n, _, line)| {
                let line = line.trim_start();
                *n == here || !(line.is_empty() || line.starts_with('#'))
            })
            .take(2)
    }

    /// Merges that are not settled, and templates.
    pub fn not_yaml_at_all(&self) -> Option<Explained> {
        let mut start = 0;
        for line in self.source.text.split_inclusive('\n') {
            if line.starts_with("<<<<<<< ") || line.starts_with(">>>>>>> ") {
                let help = "Take one side of it, and take out the lines with <<<<<<<, ======= and >>>>>>>.";
                return Some((
                    start,
                    "a merge that is not settled".to_owned(),
                    Some(help.to_owned()),
                ));
            }
            start += line.len();
        }
        let (_, start, line) = self.lines().next()?;
        let template = line.find("{{")?;
        let help = "wi reads YAML, not templates: render it first (helm template …), and give wi what comes out.";
        Some((
            start + template,
            "a template".to_owned(),
            Some(help.to_owned()),
        ))
    }

    /// A `-` or a `:` without the space that makes it one: the parser stops only later.
    pub fn no_space(&self) -> Option<Explained> {
        self.lines().find_map(|(_, start, line)| {
            let entry = line.trim_start();
            let indent = line.len() - entry.len();
            let after_dash = entry.strip_prefix('-').and_then(|rest| rest.chars().next());
            if after_dash.is_some_and(|c| c != '-' && !c.is_whitespace()) {
                let help = format!("Write - {}", &entry[1..]);
                return Some((
                    start + indent,
                    "a space is missing after this `-`".to_owned(),
                    Some(help),
                ));
            }
            let (key, value) = entry.split_once(':')?;
            let is_key = !key.is_empty()
                && key
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
            let sticks = value.chars().next().is_some_and(|c| !c.is_whitespace())
                && !value.starts_with("//");
            (is_key && sticks).then(|| {
                let place = start + indent + key.len();
                (
                    place,
                    "a space is missing after this `:`".to_owned(),
                    Some(format!("Write {key}: {value}")),
                )
            })
        })
    }

    pub fn unknown_anchor(&self) -> Explained {
        let rest = &self.source.text[self.at..];
        let rest = rest.strip_prefix('*').unwrap_or(rest);
        let end = rest.find(|c: char| c.is_whitespace() || ",]}".contains(c));
        let name = &rest[..end.unwrap_or(rest.len())];
        let label = format!("there is no `&{name}` above");
        let help = format!(
            "A text that begins with `*` needs quotes: \"*{name}\". As a reference it needs its `&{name}` further up in the file."
        );
        (self.at, label, Some(help))
    }

    /// A `: ` where a text goes on, or where a line is indented otherwise than its neighbours.
    pub fn colon(&self) -> Explained {
        let line = self.lines().next();
        let before = line.and_then(|(_, start, _)| self.source.text.get(start..self.at));
        if let (Some((_, _, line)), Some((key, _))) =
            (line, before.and_then(|b| b.split_once(": ")))
            && self.open_above().is_none()
        {
            let value = line.get(key.len() + 2..).unwrap_or_default().trim();
            let quoted = if value.contains('"') {
                format!("'{}'", value.replace('\'', "''"))
            } else {
                format!("\"{value}\"")
            };
            let key = key.trim_start();
            let help = format!("A text with `: ` in it needs quotes: {key}: {quoted}");
            return (self.at, "a second `:` in one line".to_owned(), Some(help));
        }
        self.indentation()
    }

    /// A line that does not fit to what is above.
    pub fn indentation(&self) -> Explained {
        if let Some(open) = self.open_above() {
            let is_map = self.source.text[open..].starts_with('{');
            let help = format!("Close it with `{}`.", if is_map { '}' } else { ']' });
            let label = "here at the latest it should be closed".to_owned();
            return (self.at, label, Some(help));
        }
        let mut lines = self.lines();
        let label = "this does not go on with what is above".to_owned();
        let here = lines.next().map_or("", |(_, _, line)| line);
        let (number, above) = lines.next().map_or((0, here), |(n, _, line)| (n, line));
        let indent = |line: &str| line.len() - line.trim_start().len();
        let is_entry = |line: &str| line.trim_start().starts_with("- ");
        let has_key = |line: &str| line.contains(": ") || line.trim_end().ends_with(':');
        let each = "Each line of a map is a `KEY: VALUE`";
        let help = if is_entry(here) && !is_entry(above) {
            format!(
                "{each}, as line {number} is: an entry of a list, with its `- `, cannot be among them."
            )
        } else if !has_key(here) && !is_entry(here) {
            format!("{each}, and this one has no `:`.")
        } else if !has_key(above) && !is_entry(above) {
            format!("{each}, and line {number} has no `:`.")
        } else if indent(here) != indent(above) {
            format!(
                "What belongs together begins in one column: this line has {} spaces before it, line {number} has {}.",
                indent(here),
                indent(above)
            )
        } else {
            format!("{each}.")
        };
        (self.at, label, Some(help))
    }

    /// The place of a bracket on an earlier line that is still open.
    pub fn open_above(&self) -> Option<usize> {
        let open = unclosed(&self.source.text, self.at)?;
        (self.source.line(open) < self.source.line(self.at)).then_some(open)
    }
}

/// The innermost bracket that is open before a place. Texts in quotes and comments are skipped; a
/// bracket counts where a value begins, or within another one.
fn unclosed(text: &str, end: usize) -> Option<usize> {
    let mut open: Vec<usize> = Vec::new();
    let mut before = '\n';
    let mut characters = text.char_indices().take_while(|(at, _)| *at < end);
    while let Some((at, c)) = characters.next() {
        let begins = "\n:-,[{".contains(before);
        match c {
            '"' | '\'' if begins => {
                while let Some((_, inner)) = characters.next() {
                    if inner == '\\' && c == '"' {
                        characters.next();
                    } else if inner == c {
                        break;
                    }
                }
            }
            '#' if text[..at].ends_with(char::is_whitespace) || at == 0 => {
                characters.find(|(_, c)| *c == '\n');
                before = '\n';
                continue;
            }
            '{' | '[' if begins || !open.is_empty() => open.push(at),
            '}' | ']' => {
                open.pop();
            }
            _ => {}
        }
        if !matches!(c, ' ' | '\t' | '\r') {
            before = c;
        }
    }
    open.pop()
}

#[cfg(test)]
mod tests {
    use super::unclosed;

    #[test]
    fn the_open_bracket_is_found_past_texts_and_comments() {
        let text = "a: {b: ']', c: \"}\"} # }\nd: it's [no list\ne: [x, # ]\n  {y: 1}\nf: 2";
        assert_eq!(unclosed(text, text.len()), text.find("[x"));
        assert_eq!(unclosed(text, text.find("e:").expect("there")), None);
    }
}
