//! The only place that writes to standard output and standard error (bars of progress apart).
//!
//! Whoever runs a job reads its log for commands: GitHub's runner obeys lines that begin with `::`, and
//! `##[` anywhere, as Azure Pipelines does `##vso[`. Words of servers and of specs are no commands, so
//! these are shown in another way, whatever they come from.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, PoisonError};

use indicatif::{ProgressBar, ProgressStyle};

use super::style::{RED, paint};
use super::wrap::filled;

/// Whether standard error is a terminal that can draw lines again.
pub(super) fn draws() -> bool {
    let dumb = std::env::var_os("TERM").is_some_and(|t| t == "dumb");
    !dumb && io::stderr().is_terminal()
}

/// The line of progress that is shown now, beside which nothing is written.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// A line of progress; it is gone with this.
#[derive(Debug)]
pub(super) struct Shown(ProgressBar);

impl Shown {
    /// A spinner, and what is said beside it in the width of the terminal.
    pub fn spinner() -> Self {
        let bar = ProgressBar::new_spinner();
        let bar = match ProgressStyle::with_template("{spinner} {wide_msg}") {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        };
        *shown() = Some(bar.clone());
        Self(bar)
    }
}

impl Deref for Shown {
    type Target = ProgressBar;

    fn deref(&self) -> &ProgressBar {
        &self.0
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        *shown() = None;
        self.0.finish_and_clear();
    }
}

fn shown() -> MutexGuard<'static, Option<ProgressBar>> {
    // It is put and taken whole, so that a poisoned one is still right.
    SHOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes with the line of progress out of the way.
fn beside<T>(write: impl FnOnce() -> T) -> T {
    match &*shown() {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

/// Data, on standard output. Colours are stripped unless it is a terminal or they are forced.
///
/// The error is for the user: the disk is full, say. A reader that went away (`wi plan | head`) is no
/// failure of ours.
pub fn data(text: &str) -> io::Result<()> {
    beside(|| written(anstream::stdout().lock(), disarmed(text).as_bytes()))
}

/// As [`data`], byte for byte: what a program reads may hold what looks like a colour.
pub fn bytes(bytes: &[u8]) -> io::Result<()> {
    beside(|| written(io::stdout().lock(), bytes))
}

fn written(mut out: impl Write, bytes: &[u8]) -> io::Result<()> {
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(unwritten(&e)),
        _ => Ok(()),
    }
}

/// What is wrong with standard output, for the user.
pub fn unwritten(e: &io::Error) -> io::Error {
    io::Error::new(e.kind(), format!("cannot write to standard output: {e}"))
}

/// A remark, on standard error. One that cannot be written stops nothing.
pub fn note(text: &str) {
    let text = disarmed(text.trim_end_matches('\n'));
    let _ = beside(|| writeln!(anstream::stderr().lock(), "{text}"));
}

/// The log, on standard error. An event that cannot be written is lost: nothing else is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Log;

impl Write for Log {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let _ = beside(|| io::stderr().lock().write_all(disarmed(&text).as_bytes()));
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The same text, in which no line is a command to whoever runs the job.
pub(super) fn disarmed(text: &str) -> Cow<'_, str> {
    if !text.contains("::") && !text.contains("##") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for line in text.split_inclusive(['\n', '\r']) {
        let (lead, words) = line.split_at(lead(line));
        out.push_str(lead);
        let words = match words.strip_prefix(':') {
            Some(rest) if rest.starts_with(':') => {
                out.extend(':'.escape_unicode());
                rest
            }
            _ => words,
        };
        for (at, c) in words.char_indices() {
            if c == '#' && is_logging_command(&words[at..]) {
                out.extend(c.escape_unicode());
            } else {
                out.push(c);
            }
        }
    }
    Cow::Owned(out)
}

/// `##[error]`, `##vso[task.complete]`, `##teamcity[…]`.
fn is_logging_command(text: &str) -> bool {
    text.strip_prefix("##").is_some_and(|rest| {
        rest.trim_start_matches(|c: char| c.is_ascii_alphabetic())
            .starts_with('[')
    })
}

/// How much of a line is blanks and colours, in bytes.
fn lead(line: &str) -> usize {
    let mut rest = line;
    loop {
        let trimmed = rest.trim_start();
        let after = trimmed.strip_prefix("\u{1b}[").and_then(|sequence| {
            let end = sequence.find(|c: char| !c.is_ascii_digit() && c != ';')?;
            Some(&sequence[end + sequence[end..].chars().next()?.len_utf8()..])
        });
        match after {
            Some(after) => rest = after,
            None => return line.len() - trimmed.len(),
        }
    }
}

/// An error, on standard error.
pub fn error(message: &str) {
    let head = "Error: ";
    let message = format!("{head}{}", wi_core::words::safe_lines(message));
    let width = match io::stderr().is_terminal() {
        true => width(),
        // Whoever searches a log looks for a whole line.
        false => usize::MAX,
    };
    let lines = message.lines().map(|line| match line.starts_with(' ') {
        true => line.to_owned(), // to copy
        false => filled(line, width),
    });
    let lines: Vec<String> = lines.collect();
    let text = lines.join("\n");
    note(&text.replacen(head, &format!("{} ", paint(RED, head.trim_end())), 1));
}

/// A question, on standard error; answers with the line that was typed.
pub fn ask(question: &str) -> std::io::Result<String> {
    let mut err = anstream::stderr().lock();
    err.write_all(question.as_bytes())?;
    err.flush()?;
    drop(err);
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(answer)
}

/// The width of the terminal that standard output is, or 80 columns.
pub fn width() -> usize {
    let columns = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
    let term = console_width();
    columns.or(term).unwrap_or(80).clamp(40, 200)
}

fn console_width() -> Option<usize> {
    let term = console::Term::stdout();
    let (_rows, columns) = term.size_checked()?;
    Some(usize::from(columns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_a_command_to_a_runner() {
        for command in [
            "::error::x",
            "::stop-commands::t",
            "\u{1b}[1m::add-mask::x",
            " \u{1b}[0;31m\u{a0}::error::x",
            "fine\n  ::error::x",
            "fine\r::error::x",
            "in the ##[error] middle",
            "##vso[task.complete]",
        ] {
            let shown = disarmed(command);
            let plain = anstream::adapter::strip_str(&shown).to_string();
            for line in plain.split(['\n', '\r']) {
                assert!(!line.trim_start().starts_with("::"), "{shown}");
                assert!(!line.contains("##[") && !line.contains("##vso["), "{shown}");
            }
        }
        assert_eq!(disarmed("::error::x"), "\\u{3a}:error::x");
        for plain in ["a::b", "## Plan", "gs://b", "C##", ""] {
            assert!(matches!(disarmed(plain), Cow::Borrowed(_)) || disarmed(plain) == plain);
            assert_eq!(disarmed(plain), plain);
        }
    }
}
