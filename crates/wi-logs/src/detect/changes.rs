//! What was changed of what identities rest on, and who entered pods: L10, L11.

use std::collections::BTreeMap;

use super::{Context, Detector, Severity, numbers};
use crate::facts::{Kind, Name, Stat};
use crate::name;

pub(super) fn look(context: &mut Context<'_>) {
    let facts = context.facts;
    // By who, what and of what: the details together.
    let mut all: BTreeMap<(Name, Name, String), (Stat, Vec<String>)> = BTreeMap::new();
    let mut own: BTreeMap<&str, u64> = BTreeMap::new();
    for kind in [Kind::Change, Kind::OwnChange] {
        for (row, stat) in facts.of(kind) {
            if context.is_wi(&row.who, kind == Kind::OwnChange) {
                *own.entry(&row.who).or_default() += stat.calls;
                continue;
            }
            let target = facts.email(&row.b).to_owned();
            let Some(target) = declared(context, &row.a, &target, &row.c) else {
                continue;
            };
            let detail = row.c.to_string();
            let (known, details) = all
                .entry((row.who.clone(), row.a.clone(), target))
                .or_insert((*stat, Vec::new()));
            if !details.is_empty() {
                known.add(*stat);
            }
            details.push(detail);
        }
    }
    for (who, count) in own {
        let how = match &context.expected.wi {
            Some(_) => "as you told",
            None => "by its program's name",
        };
        context.notes.insert(format!(
            "{} by {who}, which is wi {how}: expected.",
            super::calls(count).replace("call", "change")
        ));
    }
    for ((who, method, target), (stat, details)) in all {
        let what = format!(
            "{} did {method} on {}, and is not wi",
            context.shown(&who),
            context.shown(&target)
        );
        let mut evidence = vec![numbers(&stat)];
        let more = details.len().saturating_sub(5);
        evidence.extend(details.into_iter().filter(|d| !d.is_empty()).take(5));
        if more > 0 {
            evidence.push(format!("{more} more"));
        }
        let about = format!("{method} by {who}");
        let rule = (Detector::L10, Severity::High);
        context.find(rule, &target, &about, what, evidence, Some(stat.first));
    }
    entered(context);
}

/// What of the spec a change is about, if it is about any.
fn declared(context: &Context<'_>, method: &str, target: &str, detail: &str) -> Option<String> {
    let expected = context.expected;
    if expected.identity(target).is_some() {
        return Some(target.to_owned());
    }
    let in_project = |text: &str| {
        let named = text.split('/').any(|part| expected.projects.contains(part));
        named || expected.projects.contains(text)
    };
    let is_policy = method.eq_ignore_ascii_case("SetIamPolicy") || method == "setIamPermissions";
    if is_policy {
        // A role of a declared principal, or less in the audit logs.
        let mut words = detail.split(' ');
        let (action, second, member) = (words.next()?, words.next()?, words.next()?);
        if second == "audit" {
            return (action == "REMOVE" && in_project(target)).then(|| target.to_owned());
        }
        let member = name::principal(member);
        return expected.identity(&member).map(|_| member);
    }
    (in_project(target) || in_project(detail)).then(|| target.to_owned())
}

/// Pods that somebody entered, and tokens that somebody made by hand. Kubelets and controllers make tokens of
/// pods all the time.
fn entered(context: &mut Context<'_>) {
    let facts = context.facts;
    for (row, stat) in facts.of(Kind::Cluster) {
        let namespace = row.b.split('/').next().unwrap_or_default();
        if row.who.starts_with("system:") || !context.expected.namespaces.contains(namespace) {
            continue;
        }
        let did = match &*row.a {
            "exec" => "entered the pod",
            "token" => "made a token of the Kubernetes service account",
            _ => "put a container into the pod",
        };
        let what = format!("{} {did} {}", context.shown(&row.who), row.b);
        let evidence = vec![numbers(stat), format!("a cluster of project {}", row.c)];
        let about = format!("{} {}", row.a, row.b);
        let rule = (Detector::L11, Severity::Medium);
        context.find(rule, &row.who, &about, what, evidence, Some(stat.first));
    }
}
