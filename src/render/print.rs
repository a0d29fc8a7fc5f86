//! The only place that writes to standard output and standard error (progress apart).

use std::io::Write;

use super::style::{RED, paint};

/// Data, on standard output. Colours are stripped unless it is a terminal or they are forced.
pub fn data(text: &str) {
    let mut out = anstream::stdout().lock();
    // A reader that went away (`wi plan | head`) is no failure of ours.
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

/// A remark, on standard error.
pub fn note(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{}", text.trim_end_matches('\n'));
}

/// An error, on standard error.
pub fn error(message: &str) {
    note(&format!(
        "{} {}",
        paint(RED, "Error:"),
        super::safe_lines(message)
    ));
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
