//! An apply as a stream: one JSON object a line, in the form of Terraform's machine-readable UI.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use wi_core::desired::Desired;
use wi_core::plan::{Action, Plan};
use wi_core::spec::model::SourceLine;

use super::plan::action;
use crate::apply::{Outcome, Status};

/// The version of the form.
const UI: &str = "1.2";

/// The resources of one apply. Lines go to standard output.
#[derive(Debug)]
pub struct Stream {
    resources: BTreeMap<String, (Value, &'static str)>,
    /// Why a line is missing. It stops no apply half-way; the command fails at its end.
    unwritten: Mutex<Option<io::Error>>,
}

impl Stream {
    /// Says what is going to be done. Where that cannot be said nothing should be.
    pub fn begin(plan: &Plan, desired: &Desired) -> io::Result<Self> {
        let resources: BTreeMap<String, (Value, &'static str)> = plan
            .changes
            .iter()
            .map(|(address, change)| {
                let kind = change.edit.terraform(&plan.owner, desired).kind;
                let provider = kind.split('_').next().unwrap_or_default().to_owned();
                let value = json!({
                    "addr": address,
                    "module": "",
                    "resource": address,
                    "implied_provider": provider,
                    "resource_type": kind,
                    "resource_name": address.name(),
                    "resource_key": null,
                });
                (address.to_string(), (value, action(change.action())))
            })
            .collect();
        let stream = Self {
            resources,
            unwritten: Mutex::default(),
        };
        let version = env!("CARGO_PKG_VERSION");
        line(
            "info",
            &format!("wi {version}"),
            "version",
            json!({ "wi": version, "ui": UI }),
        )?;
        for (address, (resource, action)) in &stream.resources {
            line(
                "info",
                &format!("{address}: Plan to {action}"),
                "planned_change",
                json!({ "change": { "resource": resource, "action": action } }),
            )?;
        }
        for warning in &plan.warnings {
            diagnostic("warning", warning, "", None, None)?;
        }
        let counts = plan.counts();
        summary("plan", counts.add, counts.change, counts.destroy)?;
        Ok(stream)
    }

    /// Takes note of a line that could not be written.
    fn keep(&self, written: io::Result<()>) {
        if let Err(e) = written {
            let mut first = self
                .unwritten
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert(e);
        }
    }

    /// A change begins.
    pub fn start(&self, address: &str) {
        self.hook("info", address, "apply_start", "started", None);
    }

    /// A change goes on.
    pub fn still(&self, address: &str, elapsed: Duration) {
        self.hook("info", address, "apply_progress", "goes on", Some(elapsed));
    }

    /// A change is done.
    pub fn done(&self, address: &str, elapsed: Duration) {
        self.hook("info", address, "apply_complete", "complete", Some(elapsed));
    }

    /// A change failed.
    pub fn failed(&self, address: &str, elapsed: Duration) {
        self.hook("error", address, "apply_errored", "failed", Some(elapsed));
    }

    /// A wave of clusters goes on.
    pub fn wave(&self, name: &str, what: &str) {
        self.keep(line(
            "info",
            &format!("Wave {name}: {what}"),
            "wave",
            json!({ "wave": { "name": name, "state": what } }),
        ));
    }

    /// Something that the user should see while it happens.
    pub fn notice(&self, text: &str) {
        self.keep(line("info", text, "log", json!({})));
    }

    /// How it ended: a diagnostic for all that failed or was not started, and the counts. The error is
    /// that of the first line which is missing.
    pub fn end(&self, plan: &Plan, outcome: &Outcome) -> io::Result<()> {
        for (address, end) in outcome {
            let place = plan.changes.get(address).and_then(|c| c.place.as_ref());
            match end {
                Status::Done => {}
                Status::Failed(why) => {
                    diagnostic("error", "The change failed", why, Some(address), place)?;
                }
                Status::NotStarted(because) => {
                    let why = super::super::outcome::because(because);
                    diagnostic("error", "Not started", &why, Some(address), place)?;
                }
            }
        }
        let count = |action: Action| {
            plan.changes
                .iter()
                .filter(|(address, change)| {
                    change.action() == action && outcome.get(*address) == Some(&Status::Done)
                })
                .count()
        };
        summary(
            "apply",
            count(Action::Create),
            count(Action::Update),
            count(Action::Delete),
        )?;
        let mut first = self
            .unwritten
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        first.take().map_or(Ok(()), Err)
    }

    fn hook(&self, level: &str, address: &str, kind: &str, verb: &str, elapsed: Option<Duration>) {
        let Some((resource, action)) = self.resources.get(address) else {
            return;
        };
        let mut hook = json!({ "resource": resource, "action": action });
        let mut message = format!("{address}: {action} {verb}");
        if let Some(elapsed) = elapsed {
            hook["elapsed_seconds"] = elapsed.as_secs().into();
            message.push_str(&format!(" after {}s", elapsed.as_secs()));
        }
        if kind == "apply_complete" {
            hook["id_key"] = "address".into();
            hook["id_value"] = address.into();
        }
        self.keep(line(level, &message, kind, json!({ "hook": hook })));
    }
}

/// An error or a warning, outside of an apply too.
pub fn diagnostic(
    severity: &str,
    summary: &str,
    detail: &str,
    address: Option<&str>,
    place: Option<&SourceLine>,
) -> io::Result<()> {
    let mut diagnostic = json!({ "severity": severity, "summary": summary, "detail": detail });
    if let Some(address) = address {
        diagnostic["address"] = address.into();
    }
    if let Some(place) = place {
        let at = json!({ "line": place.line, "column": 1, "byte": 0 });
        diagnostic["range"] = json!({ "filename": place.file, "start": at, "end": at });
    }
    let level = if severity == "error" { "error" } else { "warn" };
    let message = if detail.is_empty() {
        summary.to_owned()
    } else {
        format!("{summary}: {detail}")
    };
    line(
        level,
        &message,
        "diagnostic",
        json!({ "diagnostic": diagnostic }),
    )
}

fn summary(operation: &str, add: usize, change: usize, remove: usize) -> io::Result<()> {
    let message = match operation {
        "apply" => {
            format!("Apply: Resources: {add} added, {change} changed, {remove} destroyed.")
        }
        _ => format!("Plan: {add} to add, {change} to change, {remove} to destroy."),
    };
    line(
        "info",
        &message,
        "change_summary",
        json!({ "changes": {
            "add": add, "change": change, "import": 0, "remove": remove, "operation": operation,
        }}),
    )
}

/// One line. JSON escapes what a terminal would obey.
fn line(level: &str, message: &str, kind: &str, mut rest: Value) -> io::Result<()> {
    rest["@level"] = level.into();
    rest["@message"] = wi_core::words::safe_lines(message).into();
    rest["@module"] = "wi.ui".into();
    rest["@timestamp"] = jiff::Timestamp::now().to_string().into();
    rest["type"] = kind.into();
    super::super::print::data(&super::line(&rest))
}
