//! Patches for those who keep templates elsewhere: a Kustomize component for each workload that could do
//! without its key and whose template nothing stands against.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use wi_core::migrate::patch::{self, Patches};
use wi_core::migrate::state::{self, Next};
use wi_core::percent;
use wi_core::spec::migration::Until;

use super::{Account, WorkloadReport};

/// The first line of each file: others' files are not written over.
const HEADER: &str = "# Written by wi migrate\n";

/// The patches of one workload.
#[derive(Debug)]
pub struct Emitted {
    /// `Deployment shop/checkout in cluster.main`.
    pub workload: String,
    /// Where they are.
    pub directory: PathBuf,
    /// How `kubectl` makes the change at once, where that is all that it takes.
    pub kubectl: Option<String>,
}

/// Writes the patches of these accounts below a directory.
///
/// # Errors
/// A file could not be written, or is not ours.
pub fn write(accounts: &[Account], below: &Path) -> Result<Vec<Emitted>, String> {
    let mut emitted = Vec::new();
    for report in accounts.iter().flat_map(|a| &a.workloads) {
        if !is_ready(report) {
            continue;
        }
        let Some(patches) = patches(report) else {
            continue;
        };
        let workload = &report.workload;
        let kind = workload.kind.to_lowercase();
        let directory = below
            .join(segment(&workload.cluster))
            .join(segment(&workload.namespace))
            .join(format!("{kind}-{}", segment(&workload.name)));
        std::fs::create_dir_all(&directory).map_err(|e| failed(&directory, &e))?;
        for (name, value) in files(report, &patches) {
            put(&directory.join(name), &value)?;
        }
        let file = directory.join(PATCH);
        emitted.push(Emitted {
            workload: format!("{} in cluster.{}", workload.object(), workload.cluster),
            kubectl: is_done_live(report, &patches).then(|| {
                let file = wi_core::words::shell_word(&file.display().to_string()).to_string();
                format!(
                    "kubectl patch {kind} {} -n {} --type strategic --patch-file {file}",
                    workload.name, workload.namespace
                )
            }),
            directory,
        });
    }
    Ok(emitted)
}

/// Whether a workload's template is what is to be changed next, and its own. Whoever asks for the patch of one that
/// `wi apply` would change gets it, too.
fn is_ready(report: &WorkloadReport) -> bool {
    let by_hand = state::Workload {
        by_wi: None,
        shadow: state::Shadow::default(),
        ..report.state.clone()
    };
    by_hand.next(Until::Cutover) == Next::Change && !report.is_made
}

/// Whether a live change is all that it takes: nobody would undo it, the kind takes it, and it is in one
/// patch, since variable and file belong together.
fn is_done_live(report: &WorkloadReport, patches: &Patches) -> bool {
    report.owner.is_none() && report.workload.kind != "Job" && patches.json.is_empty()
}

fn patches(report: &WorkloadReport) -> Option<Patches> {
    let workload = &report.workload;
    let edited = report.edited.as_ref()?;
    let (namespace, name) = (&workload.namespace, &workload.name);
    let (version, kind) = (&report.api_version, workload.kind);
    Some(patch::patches(
        version,
        kind,
        namespace,
        name,
        &edited.steps,
    ))
}

const PATCH: &str = "patch.yaml";
const ARGUMENTS: &str = "arguments.yaml";

fn files(report: &WorkloadReport, patches: &Patches) -> Vec<(&'static str, Value)> {
    let workload = &report.workload;
    let target = json!({
        "kind": workload.kind,
        "name": workload.name,
        "namespace": workload.namespace,
    });
    let mut list = Vec::new();
    let mut files = Vec::new();
    // The arguments first: they are counted as they are now.
    if !patches.json.is_empty() {
        list.push(json!({"path": ARGUMENTS, "target": target}));
        files.push((ARGUMENTS, Value::Array(patches.json.clone())));
    }
    if let Some(merge) = &patches.merge {
        list.push(json!({"path": PATCH, "target": target}));
        files.push((PATCH, merge.clone()));
    }
    let component = json!({
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "patches": list,
    });
    files.push(("kustomization.yaml", component));
    files
}

/// A name as a part of a path: never one that leads elsewhere.
fn segment(name: &str) -> String {
    match name {
        "" | "." | ".." => "_".to_owned(),
        name => percent::segment(name),
    }
}

fn put(file: &Path, value: &Value) -> Result<(), String> {
    let yaml = serde_saphyr::to_string(value).map_err(|e| format!("{}: {e}", file.display()))?;
    match std::fs::read_to_string(file) {
        Ok(there) if !there.starts_with(HEADER) => {
            return Err(format!(
                "{} is there and not of wi: it is not written over",
                file.display()
            ));
        }
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(failed(file, &e)),
    }
    std::fs::write(file, format!("{HEADER}{yaml}")).map_err(|e| failed(file, &e))
}

fn failed(file: &Path, e: &io::Error) -> String {
    format!("cannot write {}: {e}", file.display())
}
