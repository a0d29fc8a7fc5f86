//! A page of the documentation, from Markdown to a terminal of any width: paragraphs and lists are filled, a
//! table that is too wide is a list, links are their text, and code stays as it is.

use std::fmt::Write;

use super::style::{BOLD, paint};

/// Wider lines are hard to read.
const WIDEST: usize = 100;

/// Stand for the start and the end of bold words until lines are filled: they take no place.
const ON: char = '\u{1}';
const OFF: char = '\u{2}';

/// The page in lines of at most `width` columns, where its words allow it.
pub fn page(markdown: &str, width: usize) -> String {
    let width = width.min(WIDEST);
    let mut out = String::new();
    let mut lines = markdown.lines().peekable();
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            for code in lines.by_ref().take_while(|l| !l.starts_with("```")) {
                let _ = writeln!(out, "{}", format!("    {code}").trim_end());
            }
        } else if line.starts_with('|') {
            let mut table = vec![cells(line)];
            while let Some(row) = lines.next_if(|l| l.starts_with('|')) {
                table.push(cells(row));
            }
            // The line of dashes below the headings.
            if table.len() > 1 {
                table.remove(1);
            }
            rows(&table, width, &mut out);
        } else if let Some((level, title)) = heading(line) {
            let title = inline(title);
            fill(&format!("{ON}{title}{OFF}"), width, "", "", &mut out);
            if let Some(rule) = ["=", "-"].get(level - 1) {
                let _ = writeln!(out, "{}", rule.repeat(visible(&title).min(width)));
            }
        } else if line.trim().is_empty() {
            out.push('\n');
        } else {
            let (first, text) = start(line);
            let mut text = text.to_owned();
            while let Some(more) = lines.next_if(|l| goes_on(l)) {
                text.push(' ');
                text.push_str(more.trim_start());
            }
            let rest = " ".repeat(first.chars().count());
            fill(&inline(&text), width, first, &rest, &mut out);
        }
    }
    out
}

fn heading(line: &str) -> Option<(usize, &str)> {
    let title = line.trim_start_matches('#');
    let level = line.len() - title.len();
    let title = title.strip_prefix(' ')?;
    (level > 0).then_some((level, title))
}

/// The mark of an item of a list with its indentation, and what follows it.
fn start(line: &str) -> (&str, &str) {
    let words = line.trim_start_matches(' ');
    let indent = line.len() - words.len();
    let digits = words.bytes().take_while(u8::is_ascii_digit).count();
    let mark = match words {
        item if item.starts_with("- ") => 2,
        item if digits > 0 && item[digits..].starts_with(". ") => digits + 2,
        _ => return ("", words),
    };
    line.split_at(indent + mark)
}

/// Whether a line belongs to the paragraph or the item before it.
fn goes_on(line: &str) -> bool {
    let is_start = line.starts_with("```") || line.starts_with('|') || heading(line).is_some();
    !line.trim().is_empty() && !is_start && start(line).0.is_empty()
}

/// The cells of a row of a table, as they are shown.
fn cells(row: &str) -> Vec<String> {
    const BAR: &str = "\u{3}";
    let row = row.trim().trim_matches('|').replace("\\|", BAR);
    row.split('|')
        .map(|cell| inline(cell.trim()).replace(BAR, "|"))
        .collect()
}

/// A table side by side where it fits, else each row by itself.
fn rows(table: &[Vec<String>], width: usize, out: &mut String) {
    let columns = table.iter().map(Vec::len).max().unwrap_or(0);
    let widest = |column: usize| {
        let cells = table.iter().filter_map(|row| row.get(column));
        cells.map(|cell| visible(cell)).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(widest).collect();
    let headings = &table[0];
    if widths.iter().sum::<usize>() + 2 * columns.saturating_sub(1) <= width {
        for (at, row) in table.iter().enumerate() {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                let pad = " ".repeat(width - visible(cell) + 2);
                line.push_str(&match at {
                    0 => format!("{ON}{cell}{OFF}{pad}"),
                    _ => format!("{cell}{pad}"),
                });
            }
            let _ = writeln!(out, "{}", painted(line.trim_end(), &mut false));
            if at == 0 {
                let rules: Vec<String> = widths.iter().map(|w| "-".repeat(*w)).collect();
                let _ = writeln!(out, "{}", rules.join("  "));
            }
        }
        return;
    }
    for row in &table[1..] {
        let mut cells = row.iter().zip(headings);
        let label = |heading: &str| match heading {
            "" => String::new(),
            heading => format!("{heading}: "),
        };
        if let Some((first, heading)) = cells.next() {
            let text = format!("{}{ON}{first}{OFF}", label(heading));
            fill(&text, width, "- ", "  ", out);
        }
        for (cell, heading) in cells.filter(|(cell, _)| !cell.is_empty()) {
            let text = format!("{}{cell}", label(heading));
            fill(&text, width, "    ", "      ", out);
        }
    }
}

/// Links as their text, with the address of those that lead out of the documentation; bold as such. What is in
/// backticks is code, and stays.
fn inline(text: &str) -> String {
    let mut out = String::new();
    let mut bold = false;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some((code, after)) = rest.strip_prefix('`').and_then(|r| r.split_once('`')) {
            let _ = write!(out, "`{code}`");
            rest = after;
        } else if let Some(after) = rest.strip_prefix("**") {
            bold = !bold;
            out.push(if bold { ON } else { OFF });
            rest = after;
        } else if let Some((text, address, after)) = link(rest) {
            out.push_str(&inline(text));
            if address.contains("://") && text != address {
                let _ = write!(out, " ({address})");
            }
            rest = after;
        } else if let Some((text, after)) = emphasis(rest) {
            out.push_str(&inline(text));
            rest = after;
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

/// `[text](address)`: its parts, and what follows.
fn link(text: &str) -> Option<(&str, &str, &str)> {
    let (words, rest) = text.strip_prefix('[')?.split_once("](")?;
    let (address, after) = rest.split_once(')')?;
    (!words.contains('[')).then_some((words, address, after))
}

/// `*words*`: what is in it, and what follows.
fn emphasis(text: &str) -> Option<(&str, &str)> {
    let (words, after) = text.strip_prefix('*')?.split_once('*')?;
    let is_one = !words.is_empty() && !words.starts_with(' ') && !words.ends_with(' ');
    is_one.then_some((words, after))
}

fn is_mark(c: char) -> bool {
    matches!(c, ON | OFF)
}

/// How many columns a text takes.
fn visible(text: &str) -> usize {
    text.chars().filter(|c| !is_mark(*c)).count()
}

/// Writes the words in lines of at most `width`; a longer word has a line of its own.
fn fill(text: &str, width: usize, first: &str, rest: &str, out: &mut String) {
    let mut bold = false;
    let mut line = first.to_owned();
    let mut is_empty = true;
    for word in text.split_whitespace() {
        if !is_empty && visible(&line) + 1 + visible(word) > width {
            let _ = writeln!(out, "{}", painted(&line, &mut bold));
            rest.clone_into(&mut line);
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    let _ = writeln!(out, "{}", painted(&line, &mut bold));
}

/// A line with its bold words; `bold`: whether it begins with such, and then whether the next one does.
fn painted(line: &str, bold: &mut bool) -> String {
    let mut out = String::new();
    for part in line.split_inclusive(is_mark) {
        let words = part.trim_end_matches(is_mark);
        match *bold && !words.trim().is_empty() {
            true => out.push_str(&paint(BOLD, words)),
            false => out.push_str(words),
        }
        match part.chars().next_back() {
            Some(ON) => *bold = true,
            Some(OFF) => *bold = false,
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::page;

    fn plain(markdown: &str, width: usize) -> String {
        anstream::adapter::strip_str(&page(markdown, width)).to_string()
    }

    #[test]
    fn paragraphs_and_lists_are_filled_and_code_is_left() {
        let text = "# One\n\nA [link](x.md#y), **bold words** and\n`a [b](c)` *so*.\n\n- first of\n  two\n  1. inner\n\n```console\n$ wi plan  | a very long line that stays as it is\n```\n";
        assert_eq!(
            plain(text, 20),
            "One\n===\n\nA link, bold words\nand `a [b](c)` so.\n\n- first of two\n  1. inner\n\n    $ wi plan  | a very long line that stays as it is\n"
        );
        assert_eq!(
            plain("See [it](https://x.example/).\n", 80),
            "See it (https://x.example/).\n"
        );
    }

    #[test]
    fn a_table_is_side_by_side_where_it_fits_and_a_list_elsewhere() {
        let table =
            "| A | Of what |\n|---|---|\n| `x\\|y` | one |\n| **b** | [two](t.md) words |\n";
        assert_eq!(
            plain(table, 40),
            "A      Of what\n-----  ---------\n`x|y`  one\nb      two words\n"
        );
        assert_eq!(
            plain(table, 14),
            "- A: `x|y`\n    Of what:\n      one\n- A: b\n    Of what:\n      two\n      words\n"
        );
    }

    #[test]
    fn bold_words_are_bold_on_every_line_that_they_take() {
        let bold = |text: &str| super::paint(super::BOLD, text);
        assert_eq!(
            page("**one two** three\n", 4),
            format!("{}\n{}\nthree\n", bold("one"), bold("two"))
        );
    }
}
