//! The command that goes on from here, as it would be typed: with the paths and the choices of this one.

use std::path::{Path, PathBuf};

use wi_core::words::shell_word;

use super::choice::ChoiceArgs;
use super::connect::ConnectArgs;

/// `wi apply PATH... --target ... --sandbox`.
pub(super) fn apply(paths: &[PathBuf], choice: &ChoiceArgs, connect: &ConnectArgs) -> String {
    let mut words = vec!["wi".to_owned(), "apply".to_owned()];
    if paths != [Path::new(".")] {
        words.extend(paths.iter().map(|p| p.display().to_string()));
    }
    words.extend(choice.words());
    words.extend(connect.words());
    let words: Vec<String> = words.iter().map(|w| shell_word(w)).collect();
    words.join(" ")
}
