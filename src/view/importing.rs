//! `wi import`: how far it is, what it wrote, and what it left out.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use wi_core::import::{Imported, LeftOut, LeftOutKind, Proof};
use wi_core::words::{counted, safe};

/// How often the line is drawn.
const EVERY: Duration = Duration::from_millis(100);

/// One line on a terminal, on standard error, and nothing elsewhere.
#[derive(Debug)]
pub struct Progress(Option<ProgressBar>);

impl Progress {
    /// Begins to show.
    pub fn start() -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|t| t == "dumb");
        if dumb || !std::io::stderr().is_terminal() {
            return Self(None);
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(EVERY);
        Self(Some(bar))
    }

    /// What is done now.
    pub fn tell(&self, text: &str) {
        if let Some(bar) = &self.0 {
            bar.set_message(safe(text));
        }
    }

    /// Nothing is shown any more.
    pub fn end(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// What is not in the spec: counted, what is to be done about with its reason, and all of it where that is asked for.
pub fn left_out(imported: &Imported, all: bool) -> String {
    let mut text = String::new();
    let mut counts: BTreeMap<LeftOutKind, usize> = BTreeMap::new();
    for LeftOut { kind, what, why } in &imported.left_out {
        *counts.entry(*kind).or_default() += 1;
        let to_know = matches!(kind, LeftOutKind::Cluster | LeftOutKind::Ksa);
        if all || to_know {
            let why = match why.as_str() {
                "" => String::new(),
                why => format!(": {}", safe(why)),
            };
            text.push_str(&format!("- {} {}{why}\n", kind.word(), safe(what)));
        }
    }
    let mut counted_: Vec<String> = counts
        .iter()
        .map(|(kind, n)| match kind {
            LeftOutKind::Member => counted(*n, "grant") + " of others",
            kind => counted(*n, kind.word()),
        })
        .collect();
    if imported.plain > 0 {
        counted_
            .push(counted(imported.plain, "Kubernetes service account") + " without an identity");
    }
    match (counted_.is_empty(), all) {
        (true, _) => "Left out: nothing.\n".to_owned(),
        (false, true) => format!("Left out: {}:\n\n{text}", counted_.join(", ")),
        (false, false) if text.is_empty() => {
            format!(
                "Left out: {} (list: --explain-left-out).\n",
                counted_.join(", ")
            )
        }
        (false, false) => format!(
            "Left out: {} (list: --explain-left-out). Of these:\n\n{text}",
            counted_.join(", ")
        ),
    }
}

/// What could not be read.
pub fn unseen(unseen: &BTreeMap<String, String>) -> String {
    let lines = unseen
        .iter()
        .map(|(what, why)| format!("- {}: {}\n", safe(what), safe(why)));
    let lines: String = lines.collect();
    format!("Could not be read, and nothing is said of it:\n\n{lines}")
}

/// Why the spec has another name than the marks that are there.
pub fn instead_of(imported: &Imported) -> Option<String> {
    let (name, what) = imported.instead_of.as_ref()?;
    Some(format!(
        "The spec is called {}, not {}, whose marks are there: {} has that mark and could not be taken in as it is (see below). What is marked stays that spec's.\n",
        safe(&imported.name),
        safe(name),
        safe(what)
    ))
}

/// What is in the spec.
pub fn summary(imported: &Imported) -> String {
    let (managed, referred) = imported.accounts;
    let referred = match referred {
        0 => String::new(),
        n => format!(" ({n} more by their email)"),
    };
    format!(
        "{}: {}{referred}, {}, {}, on {}",
        counted(imported.files.len(), "file"),
        counted(managed, "Google service account"),
        counted(imported.ksas, "Kubernetes service account"),
        counted(imported.grants, "grant"),
        counted(imported.clusters, "cluster"),
    )
}

/// What a plan of it does.
pub fn proof(proof: &Proof) -> String {
    if proof.holds() {
        return match proof.adopted.len() {
            0 => "A plan of it: no changes.\n".to_owned(),
            n => format!(
                "A plan of it: no changes but {} adopted, which get this spec's mark.\n",
                n
            ),
        };
    }
    let rows: String = proof
        .against
        .iter()
        .map(|row| format!("  {}\n", safe(row)))
        .collect();
    format!("A plan of it is not empty:\n\n{rows}")
}
