//! The colours of Terraform's users. Written always; what prints strips them where none is wanted.

use anstyle::{AnsiColor, Style};
use wi_core::plan::Action;

/// Headings.
pub const BOLD: Style = Style::new().bold();
/// Side remarks.
pub const DIM: Style = Style::new().dimmed();
/// What is added or gained.
pub const GREEN: Style = AnsiColor::Green.on_default();
/// What changes, and warnings.
pub const YELLOW: Style = AnsiColor::Yellow.on_default();
/// What is removed or lost, and errors.
pub const RED: Style = AnsiColor::Red.on_default();

/// `text` in a style.
pub fn paint(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// The symbol of an action, coloured.
pub fn symbol(action: Action) -> String {
    match action {
        Action::Create => paint(GREEN, "+"),
        Action::Update => paint(YELLOW, "~"),
        Action::Delete => paint(RED, "-"),
    }
}
