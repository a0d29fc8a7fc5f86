//! Where accounts stand on their way off static keys, for a terminal.

pub mod json;

use std::fmt::Write;

use wi_core::migrate::state::{Next, Rung, Standing};
use wi_core::spec::migration::Until;
use wi_core::words::{counted, safe};

use crate::migrate::emit::Emitted;
use crate::migrate::{Account, End, KeyReport, WorkloadReport};
use crate::view::style::{BOLD, DIM, GREEN, RED, YELLOW, paint};
use crate::view::wrap::wrap;

/// All of them.
pub fn accounts(accounts: &[Account], width: usize) -> String {
    let mut page = Page {
        out: String::new(),
        width,
    };
    for account in accounts {
        page.account(account);
    }
    page.out
}

/// What was written for those who keep templates elsewhere.
pub fn emitted(emitted: &[Emitted]) -> String {
    let mut out = String::new();
    for patches in emitted {
        let directory = safe(&patches.directory.display().to_string());
        // Writing to a String cannot fail.
        let _ = writeln!(out, "Wrote {directory}: {}", safe(&patches.workload));
        if let Some(command) = &patches.kubectl {
            let _ = writeln!(out, "  {}", safe(command));
        }
    }
    if emitted.is_empty() {
        out.push_str("No template is to be changed just now: no patch was written.\n");
    } else {
        out.push_str(
            "Take each directory in as a Kustomize component (components: [DIRECTORY]), or make the same change where the template is kept.\n",
        );
    }
    out
}

struct Page {
    out: String,
    width: usize,
}

impl Page {
    fn line(&mut self, indent: usize, style: anstyle::Style, text: &str) {
        let lines = wrap(&safe(text), self.width.saturating_sub(indent + 2));
        for (at, line) in lines.iter().enumerate() {
            let indent = " ".repeat(indent + if at == 0 { 0 } else { 2 });
            let _ = writeln!(self.out, "{indent}{}", paint(style, line));
        }
    }

    fn account(&mut self, account: &Account) {
        let _ = writeln!(self.out, "{}", paint(BOLD, safe(account.email.as_str())));
        let asked = match &account.migration {
            Some(migration) => format!("until {}", migration.until.name()),
            None => "not in `migrate:` of the spec".to_owned(),
        };
        let (style, standing) = match account.standing {
            Standing::Reached => (GREEN, "reached"),
            Standing::Waits => (YELLOW, "waits for what comes next below"),
            Standing::Held => (RED, "held up by what is below"),
            Standing::CannotSay => (RED, "cannot say: not all could be looked at"),
        };
        self.line(2, style, &format!("{asked}: {standing}"));
        for key in &account.keys {
            self.key(account, key);
        }
        for end in &account.ends {
            self.end(end);
        }
        if account.keys.is_empty() {
            self.line(2, DIM, "no user-managed key was listed");
        }
        let until = account
            .migration
            .as_ref()
            .map_or(Until::Cutover, |m| m.until);
        for report in &account.workloads {
            self.workload(report, until);
        }
        for other in &account.others {
            self.line(2, YELLOW, &format!("has a key: {other}"));
        }
        for revision in &account.revisions {
            let text =
                format!("{revision} has the key still: an undo to it ends when the key does");
            self.line(2, DIM, &text);
        }
        for cluster in &account.outside {
            self.line(
                2,
                YELLOW,
                &format!("not looked at: {cluster}, which the spec does not mention"),
            );
        }
        for unseen in &account.unseen {
            self.line(2, RED, &format!("not looked at: {unseen}"));
        }
        let done = account.workloads.iter();
        let done = done.filter(|w| w.state.rung() == Rung::CutOver).count();
        let total = counted(account.workloads.len(), "workload");
        self.line(
            2,
            anstyle::Style::new(),
            &format!("{done} of {total} without a key"),
        );
        self.out.push('\n');
    }

    fn key(&mut self, account: &Account, key: &KeyReport) {
        let (id, verdict) = (&key.id, &key.verdict);
        self.line(2, anstyle::Style::new(), &format!("key {id}: {verdict}"));
        for source in &key.last_use {
            self.line(6, DIM, source);
        }
        let ends = account
            .migration
            .as_ref()
            .is_some_and(|m| m.until.ends_keys());
        if key.is_disabled || ends {
            return;
        }
        for why in &key.not_yet {
            self.line(6, DIM, &format!("not to be disabled yet: {why}"));
        }
        if key.not_yet.is_empty() {
            let text =
                "nothing that was looked at has it: with `until: disabled` wi apply disables it";
            self.line(6, GREEN, text);
        }
    }

    fn end(&mut self, end: &End) {
        let address = &end.address;
        match &end.next {
            Ok(verb) => {
                let text = format!("{address} {verb} by the next wi apply");
                self.line(2, GREEN, &text);
            }
            Err(why) => {
                let (style, how) = match end.passes {
                    true => (YELLOW, "waits"),
                    false => (RED, "is held back"),
                };
                self.line(2, style, &format!("{address} {how}:"));
                for line in why {
                    self.line(6, anstyle::Style::new(), line);
                }
            }
        }
    }

    fn workload(&mut self, report: &WorkloadReport, until: Until) {
        let workload = &report.workload;
        let (style, rung) = match report.state.rung() {
            Rung::CannotSay => (RED, "? cannot say"),
            Rung::Holds => (RED, "holds"),
            Rung::Bound => (YELLOW, "bound"),
            Rung::Shadow => (YELLOW, "shadow"),
            Rung::Canary => (YELLOW, "canary"),
            Rung::CutOver => (GREEN, "cut over"),
        };
        let rung = match report.state.is_excluded {
            true => format!("{rung} (excluded)"),
            false => rung.to_owned(),
        };
        let (kind, namespace, name) = (workload.kind, &workload.namespace, &workload.name);
        let (cluster, ksa) = (&workload.cluster, &workload.service_account);
        let head = format!("{rung}: {kind} {namespace}/{name} in cluster.{cluster}, as {ksa}");
        self.line(2, style, &head);
        for used in report.state.uses.iter().chain(&report.state.shadow.shows) {
            self.line(6, DIM, used);
        }
        for step in self::next(report, until) {
            self.line(6, anstyle::Style::new(), &step);
        }
    }
}

/// What comes next, in words.
fn next(report: &WorkloadReport, until: Until) -> Vec<String> {
    let workload = &report.workload;
    match report.state.next(until) {
        Next::Nothing => Vec::new(),
        Next::Declare if report.is_default => vec![
            "next: a Kubernetes service account of its own: it runs as `default`, as others may"
                .to_owned(),
        ],
        Next::Declare => vec![format!(
            "next: say in the spec that {}/{} impersonates the account",
            workload.namespace, workload.service_account
        )],
        Next::Apply(changes) => {
            let changes: Vec<&str> = changes.iter().map(|a| &**a).collect();
            vec![format!("next: wi apply ({})", changes.join(", "))]
        }
        Next::Wait(why, passes) => {
            let how = if passes { "waits" } else { "held" };
            why.iter().map(|line| format!("{how}: {line}")).collect()
        }
        Next::Settle(traps) => {
            let lines = traps.iter().map(|trap| match trap.accept() {
                Some(accept) => format!("held: {trap} (accept: [{}])", accept.name()),
                None => format!("held: {trap}"),
            });
            lines.collect()
        }
        Next::Change => {
            let kept = report
                .owner
                .as_ref()
                .map(|owner| format!("; it is kept by {owner}"));
            let patch = match report.is_made {
                true => "",
                false => ", --emit DIR writes the patch",
            };
            let kept = kept.unwrap_or_default();
            vec![format!(
                "next: take the key out of its template{patch}{kept}"
            )]
        }
        Next::Replace(pods) => {
            let pods: Vec<String> = pods.into_iter().collect();
            vec![format!(
                "next: its template is free of the key, and these pods are not yet: {}",
                pods.join(", ")
            )]
        }
        Next::Look(why) => vec![format!("not known: {why}")],
    }
}
