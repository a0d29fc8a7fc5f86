//! Who makes tokens is not logged.

use super::prelude::*;
use wi_core::names::ProjectId;

pub static RULE: Audited = Audited {
    rule: Rule {
        id: "WI701",
        severity: Severity::Medium,
        title: "Data access logs of tokens are off",
        help: "Who made a token of an account, and who exchanged one, is logged only where ADMIN_READ and DATA_READ of iam.googleapis.com and sts.googleapis.com are on. wi logs has nothing to read without.",
        can_be_accepted: true,
    },
    reads: &[Read::Policies],
    offline: false,
    decides: "The audit configurations of a project of the spec, and of what is above it, lack ADMIN_READ or DATA_READ for iam.googleapis.com or sts.googleapis.com (allServices counts for both).",
    references: &["CIS GCP 5.0.0: 2.1", "trivy AVD-GCP-0079", "prowler iam_audit_logs_enabled", "OWASP Kubernetes Top 10 2025: K10"],
    check,
};

const SERVICES: [&str; 2] = ["iam.googleapis.com", "sts.googleapis.com"];
const KINDS: [&str; 2] = ["ADMIN_READ", "DATA_READ"];

fn check(world: &World, out: &mut Out) {
    let Some(live) = world.live() else { return };
    let clusters = world.desired.clusters.values().map(|c| &c.path.project);
    let accounts = world.desired.accounts.values().filter(|a| a.managed).map(|a| &a.project);
    let projects: BTreeSet<&ProjectId> = clusters.chain(accounts).collect();
    for project in projects {
        let own = Resource::Project(project.clone());
        let chain = live.iam.chain(&own);
        let mut on: BTreeSet<(&str, &str)> = BTreeSet::new();
        let mut unseen = chain.unseen.map(|u| ("what is above project/".to_owned() + project.as_str(), u.to_string()));
        for resource in &chain.resources {
            match live.iam.policies.get(resource) {
                Some(Seen::Found(policy)) => on.extend(logged(policy)),
                Some(Seen::Absent) => {}
                Some(Seen::Unknown(why)) => unseen = Some((format!("the policy of {resource}"), why.to_string())),
                None => unseen = Some((format!("the policy of {resource}"), "it was not read".to_owned())),
            }
        }
        let mut missing = Vec::new();
        for service in SERVICES {
            for kind in KINDS {
                if !on.contains(&(service, kind)) {
                    missing.push(format!("{kind} of {service}"));
                }
            }
        }
        if missing.is_empty() {
            continue;
        }
        if let Some((what, why)) = unseen {
            out.unchecked(what, why, Read::Policies);
            continue;
        }
        let subject = format!("project/{project}");
        let place = world.place(None, &["project", project.as_str()]);
        let found = out.found(&subject, format!("off: {}", missing.join(", ")), place);
        found.fix = Some(format!("With auditConfigs for both services put into the file between the two: gcloud projects get-iam-policy {project} --format=json > policy.json && ${{EDITOR:-vi}} policy.json && gcloud projects set-iam-policy {project} policy.json"));
    }
}

/// Which of the logs that are asked for a policy turns on.
fn logged(policy: &wi_core::wire::policy::Policy) -> Vec<(&'static str, &'static str)> {
    let mut on = Vec::new();
    let configs = policy.rest.get("auditConfigs").and_then(|c| c.as_array());
    for config in configs.into_iter().flatten() {
        let service = config.get("service").and_then(|s| s.as_str()).unwrap_or_default();
        let kinds = config.get("auditLogConfigs").and_then(|c| c.as_array());
        for kind in kinds.into_iter().flatten() {
            let kind = kind.get("logType").and_then(|k| k.as_str()).unwrap_or_default();
            let services = SERVICES.iter().filter(|s| service == "allServices" || service == **s);
            for service in services {
                on.extend(KINDS.iter().filter(|k| **k == kind).map(|k| (*service, *k)));
            }
        }
    }
    on
}

#[cfg(test)]
mod tests {
    use crate::fixture::*;
    use serde_json::json;
    use wi_core::live::Seen;

    #[test]
    fn fires_just_does_not_and_cannot_tell() {
        let config = |on: &'static str, services: &'static [&'static str]| {
            move |w: &mut crate::World| {
                let configs: Vec<_> = services.iter().map(|s| json!({ "service": s,
                    "auditLogConfigs": [{ "logType": "ADMIN_READ" }, { "logType": "DATA_READ" }] })).collect();
                for (place, configs) in [("project/acme-prod", json!([])), (on, json!(configs))] {
                    match w.there().iam.policies.get_mut(&resource(place)) {
                        Some(Seen::Found(policy)) => _ = policy.rest.insert("auditConfigs".to_owned(), configs),
                        other => panic!("{other:?}"),
                    }
                }
            }
        };
        let both = &["iam.googleapis.com", "sts.googleapis.com"];
        three(
            &super::RULE,
            config("project/acme-prod", &["iam.googleapis.com"]),
            // What is above counts.
            config("organization/9", both),
            |w| {
                config("project/acme-prod", &["iam.googleapis.com"])(w);
                w.refuse("organization/9");
            },
        );
    }
}
