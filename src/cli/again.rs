//! The command that goes on from here, as it would be typed: with the paths and the choices of this one.

use std::path::{Path, PathBuf};

use wi_core::plan::saved::PlanFile;
use wi_core::words::shell_word;

use super::choice::ChoiceArgs;
use super::connect::ConnectArgs;
use super::secrets::{OpenArgs, Secrets};
use crate::view::explain::Hints;
use crate::view::outcome::GoOn;

/// `wi apply PATH... --target ... --sandbox`.
pub(super) fn apply(
    paths: &[PathBuf],
    choice: &ChoiceArgs,
    secrets: &OpenArgs,
    connect: &ConnectArgs,
) -> String {
    let words = choice.words().into_iter().chain(secrets.words());
    typed("apply", paths, words.chain(connect.words()))
}

/// The command that carries out a plan that was saved just now.
pub(super) fn saved_just_now(path: &Path, secrets: &OpenArgs, connect: &ConnectArgs) -> String {
    let words = secrets.words().into_iter().chain(connect.words());
    typed("apply", &[path.to_owned()], words)
}

/// The command that carries out a saved plan, and opens the Secrets that something names.
pub(super) fn with_secrets(path: &Path, connect: &ConnectArgs) -> String {
    let secrets = OpenArgs {
        read_secrets: Secrets::Referenced,
    };
    format!("`{}`", saved_just_now(path, &secrets, connect))
}

/// The command that would make a saved plan anew and carry it out.
pub(super) fn saved(file: &PlanFile) -> String {
    typed("apply", &file.spec, file.choices.iter().cloned())
}

/// How to go on after a saved plan that has begun.
pub(super) fn anew(
    file: &PlanFile,
    path: &Path,
    secrets: &OpenArgs,
    connect: &ConnectArgs,
) -> GoOn {
    let path = match path.as_os_str() == "-" {
        true => Path::new("wi.plan"),
        false => path,
    };
    let out = ["--out".to_owned(), path.display().to_string()];
    let choices = file.choices.iter().cloned().chain(connect.words());
    GoOn::Anew {
        plan: typed("plan", &file.spec, choices.chain(out)),
        apply: saved_just_now(path, secrets, connect),
    }
}

/// What goes on from a link of a chain.
pub(super) fn hints(paths: &[PathBuf], connect: &ConnectArgs) -> Hints {
    let end = connect.words();
    let end = end.iter().map(|w| format!(" {}", shell_word(w)));
    let of = |command| typed(command, paths, std::iter::empty());
    Hints {
        apply: of("apply"),
        explain: of("explain"),
        end: end.collect(),
    }
}

fn typed(command: &str, paths: &[PathBuf], choices: impl Iterator<Item = String>) -> String {
    let mut words = vec!["wi".to_owned(), command.to_owned()];
    if paths != [Path::new(".")] {
        words.extend(paths.iter().map(|p| p.display().to_string()));
    }
    words.extend(choices);
    let words: Vec<String> = words.iter().map(|w| shell_word(w)).collect();
    words.join(" ")
}
