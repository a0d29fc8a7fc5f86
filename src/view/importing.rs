//! `wi import`: how far it is, what it wrote, and what it left out.

use std::collections::BTreeMap;
use std::time::Duration;

use wi_core::import::{Imported, LeftOut, LeftOutKind, Owners, Proof, Tool};
use wi_core::words::{counted, safe, shell_word};

use super::print;

/// How often the line is drawn.
const EVERY: Duration = Duration::from_millis(100);

/// One line on a terminal, on standard error, and nothing elsewhere; it is gone with this.
#[derive(Debug)]
pub struct Progress(Option<print::Shown>);

impl Progress {
    /// Begins to show.
    pub fn start() -> Self {
        let bar = print::draws().then(print::Shown::spinner);
        if let Some(bar) = &bar {
            bar.enable_steady_tick(EVERY);
        }
        Self(bar)
    }

    /// What is done now.
    pub fn tell(&self, text: &str) {
        if let Some(bar) = &self.0 {
            bar.set_message(safe(text));
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
                "Left out: {} (list: wi import --explain-left-out).\n",
                counted_.join(", ")
            )
        }
        (false, false) => format!(
            "Left out: {} (list: wi import --explain-left-out). Of these:\n\n{text}",
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

/// What other tools own: what they are to let go of, what fights, keys, and what was not understood.
pub fn other_tools(imported: &Imported, owners: &Owners) -> Option<String> {
    let mut parts: Vec<String> = Vec::new();
    let lines = |owners: &mut dyn Iterator<Item = String>| -> String {
        owners.map(|line| format!("  {line}\n")).collect()
    };
    let terraform = imported
        .to_release
        .iter()
        .filter(|o| o.tool == Tool::Terraform);
    let terraform = lines(
        &mut terraform.map(|o| format!("terraform state rm {}", shell_word(&safe(&o.address)))),
    );
    if !terraform.is_empty() {
        parts.push(format!(
            "Terraform has these, and would undo what this spec changes. Before its next apply, take them out of its configuration and its state:\n\n{terraform}"
        ));
    }
    let connector = imported
        .to_release
        .iter()
        .filter(|o| o.tool == Tool::ConfigConnector);
    let connector = lines(&mut connector.map(|o| {
        let (kind, name) = o.address.split_once(' ').unwrap_or_default();
        let (namespace, name) = name.split_once('/').unwrap_or_default();
        let word = |text: &str| shell_word(&safe(text));
        let object = format!("{} {} -n {}", word(kind), word(name), word(namespace));
        format!("kubectl annotate {object} cnrm.cloud.google.com/deletion-policy=abandon && kubectl delete {object}")
    }));
    if !connector.is_empty() {
        parts.push(format!(
            "Config Connector has these, and writes them again every few minutes. It lets go of them so, without deleting anything at Google:\n\n{connector}"
        ));
    }
    let whole = lines(&mut imported.whole.iter().map(|o| safe(&o.address)));
    if !whole.is_empty() {
        parts.push(format!(
            "These decide about whole roles or policies with members of this spec in them, and take away what it adds. Make them one resource for each member (`_iam_member`, IAMPolicyMember):\n\n{whole}"
        ));
    }
    let keys = lines(&mut owners.keys.iter().map(|o| safe(&o.address)));
    if !keys.is_empty() {
        parts.push(format!("Static keys, which are not read and not copied (`wi scan --live` says who uses them):\n\n{keys}"));
    }
    let not_understood = owners.not_understood.iter();
    let not_understood =
        lines(&mut not_understood.map(|(o, why)| format!("{}: {}", safe(&o.address), safe(why))));
    if !not_understood.is_empty() {
        parts.push(format!(
            "Not understood, and left alone:\n\n{not_understood}"
        ));
    }
    (!parts.is_empty()).then(|| parts.join("\n"))
}
