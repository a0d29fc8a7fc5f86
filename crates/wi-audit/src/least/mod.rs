//! Least privilege: what a grant gives, what was used of it, and what is enough.
//!
//! What was used is seen in audit logs. What they cannot show is never taken for not used: permissions of services whose
//! reads and writes of data are not logged are kept, too short a time says nothing, and nothing is taken away before a
//! quarter of a year has passed without use.

mod choose;
pub mod edit;
mod needless;

use std::collections::{BTreeMap, BTreeSet};

use wi_core::address::BindingKey;
use wi_core::live::Seen;
use wi_core::names::{Member, ProjectId};
use wi_core::resource::Resource;
use wi_core::spec::model::SourceLine;
use wi_core::wire::iam::RoleDefinition;
use wi_core::wire::policy::Policy;

pub use choose::{Smaller, weight};
pub use needless::{Needless, needless};

use crate::world::{Live, World};

/// With fewer days of logs nothing is proposed.
pub const LEAST_DAYS: u32 = 30;
/// What was not used for so many days may go.
pub const DAYS_TO_REMOVE: u32 = 90;

/// A permission that was used, and granted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Use {
    /// How often.
    pub calls: u64,
    /// On what, as logs have it: `projects/_/buckets/B`.
    pub on: BTreeSet<String>,
    /// Whether it was on more than is kept.
    pub is_more: bool,
}

/// What logs say of one principal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// By permission.
    pub used: BTreeMap<String, Use>,
    /// Services (`storage`) whose reads by it are in the logs: they are logged, whatever policies say. Of writes that says nothing.
    pub read: BTreeSet<String>,
}

/// What is proposed for a grant of the spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// The grant.
    pub grant: BindingKey,
    /// Where the spec has it.
    pub place: SourceLine,
    /// What is proposed.
    pub advice: Advice,
    /// What was used of the role.
    pub used: BTreeMap<String, Use>,
    /// Services of the role whose use logs do not show: their permissions are kept.
    pub unseen: BTreeSet<String>,
}

/// What is proposed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Advice {
    /// Write this; on another resource, where all use was of that one.
    Smaller(Smaller, Option<Resource>),
    /// Nothing of it was used for long enough: it may go, and denials are to be watched for.
    Remove,
    /// Leave it, and why.
    Keep(String),
}

/// What is proposed for each grant of the spec to its own identities, by what logs say of their members. Who is not in `usage`
/// is in no entry; `days` says how many days the logs of each project are of.
pub fn suggest(
    world: &World,
    catalogue: &BTreeMap<String, RoleDefinition>,
    usage: &BTreeMap<Member, Usage>,
    days: &BTreeMap<ProjectId, u32>,
) -> Vec<Suggestion> {
    let Some(live) = world.live() else {
        return Vec::new();
    };
    let grants = world.desired.bindings.iter();
    let grants = grants.filter(|(key, _)| !key.is_impersonation() && world.is_of_spec(&key.member));
    let none = Usage::default();
    let all = grants
        .map(|(key, place)| {
            let usage = usage.get(&key.member).unwrap_or(&none);
            let of_live = || live.iam.roles.get(key.role.as_str()).and_then(Seen::found);
            let role = catalogue.get(key.role.as_str()).or_else(of_live);
            let mut suggestion = Suggestion {
                grant: key.clone(),
                place: place.clone(),
                advice: Advice::Keep("what the role permits could not be read".to_owned()),
                used: BTreeMap::new(),
                unseen: BTreeSet::new(),
            };
            if let Some(role) = role {
                judge(live, role, catalogue, usage, days, &mut suggestion);
            }
            suggestion
        })
        .collect();
    agreed(all)
}

/// A line of the spec may be several grants: what is proposed is for all of them, or it is left alone.
fn agreed(mut all: Vec<Suggestion>) -> Vec<Suggestion> {
    let mut by_line: BTreeMap<(String, usize, String), Vec<Advice>> = BTreeMap::new();
    let line = |s: &Suggestion| (s.place.file.clone(), s.place.line, s.grant.role.to_string());
    for suggestion in &all {
        by_line
            .entry(line(suggestion))
            .or_default()
            .push(suggestion.advice.clone());
    }
    for suggestion in &mut all {
        let others = &by_line[&line(suggestion)];
        if others.iter().any(|advice| *advice != suggestion.advice)
            && !matches!(suggestion.advice, Advice::Keep(_))
        {
            let why = "the line is several grants, and not all of them were used alike";
            suggestion.advice = Advice::Keep(why.to_owned());
        }
    }
    all.sort_by_key(|s| (s.place.file.clone(), s.place.line, s.grant.clone()));
    all
}

fn judge(
    live: &Live,
    role: &RoleDefinition,
    catalogue: &BTreeMap<String, RoleDefinition>,
    usage: &Usage,
    days: &BTreeMap<ProjectId, u32>,
    told: &mut Suggestion,
) {
    let permissions = &role.included_permissions;
    let used = usage.used.iter().filter(|(p, _)| permissions.contains(*p));
    told.used = used.map(|(p, u)| (p.clone(), u.clone())).collect();
    let services: BTreeSet<&str> = permissions.iter().map(|p| choose::service(p)).collect();
    let chain = live.iam.chain(&told.grant.resource).resources;
    let unseen = services.into_iter().filter(|service| {
        let logged = logged(live, &chain, service);
        let reads = logged.contains("DATA_READ") || usage.read.contains(*service);
        // To see that a project is there is in nearly every role, and no reason to keep one.
        *service != "resourcemanager" && !(reads && logged.contains("DATA_WRITE"))
    });
    told.unseen = unseen.map(str::to_owned).collect();
    // What was used of a role is in the logs of the project that the resource is in.
    let project = chain.iter().find_map(|on| match on {
        Resource::Project(project) => Some(project),
        _ => None,
    });
    let Some(days) = project.and_then(|p| days.get(p)).copied() else {
        let of = project.map_or_else(
            || told.grant.resource.to_string(),
            |p| format!("project/{p}"),
        );
        told.advice = Advice::Keep(format!("there is no entry of {of} in the logs"));
        return;
    };
    if days < LEAST_DAYS {
        told.advice = Advice::Keep(format!(
            "the logs are of {days} days: {LEAST_DAYS} are needed"
        ));
        return;
    }
    let kept = permissions
        .iter()
        .filter(|p| told.unseen.contains(choose::service(p)));
    let needed: BTreeSet<String> = told.used.keys().chain(kept).cloned().collect();
    told.advice = if needed.is_empty() {
        match days >= DAYS_TO_REMOVE {
            true => Advice::Remove,
            false => Advice::Keep(format!(
                "nothing of it was used in {days} days: after {DAYS_TO_REMOVE} it may go"
            )),
        }
    } else {
        let narrower =
            narrower(live, &told.grant.resource, &told.used).filter(|_| told.unseen.is_empty());
        match choose::choose(&needed, role, catalogue) {
            Some(smaller) => Advice::Smaller(smaller, narrower),
            None if !told.unseen.is_empty() => {
                let services: Vec<&str> = told.unseen.iter().map(String::as_str).collect();
                let some = match services.len() {
                    0..=3 => services.join(", "),
                    n => format!("{} and {} more services", services[..3].join(", "), n - 3),
                };
                Advice::Keep(format!(
                    "use of {some} is not logged (DATA_READ, DATA_WRITE)"
                ))
            }
            None => match narrower {
                // The role fits, and was used in one place alone.
                Some(on) => Advice::Smaller(Smaller::Roles(vec![role.name.clone()]), Some(on)),
                None => Advice::Keep("no smaller role covers what was used".to_owned()),
            },
        }
    };
}

/// What of a service is logged, by what audit configurations say of it there or above; not what is for some an exception.
fn logged(live: &Live, chain: &[Resource], service: &str) -> BTreeSet<String> {
    let api = format!("{service}.googleapis.com");
    let found = chain
        .iter()
        .filter_map(|on| live.iam.policies.get(on)?.found());
    let mut on: BTreeSet<String> = BTreeSet::new();
    for policy in found {
        on.extend(kinds(policy, &api));
    }
    on
}

fn kinds(policy: &Policy, api: &str) -> Vec<String> {
    let mut kinds = Vec::new();
    let configs = policy.rest.get("auditConfigs").and_then(|c| c.as_array());
    for config in configs.into_iter().flatten() {
        let of = config
            .get("service")
            .and_then(|s| s.as_str())
            .unwrap_or_default();
        if of != "allServices" && of != api {
            continue;
        }
        let logs = config.get("auditLogConfigs").and_then(|c| c.as_array());
        for log in logs.into_iter().flatten() {
            let exempted = log.get("exemptedMembers").and_then(|m| m.as_array());
            let kind = log.get("logType").and_then(|k| k.as_str());
            if exempted.is_none_or(|m| m.is_empty()) {
                kinds.extend(kind.map(str::to_owned));
            }
        }
    }
    kinds
}

/// The one resource below a project that all use was of.
fn narrower(live: &Live, on: &Resource, used: &BTreeMap<String, Use>) -> Option<Resource> {
    let Resource::Project(project) = on else {
        return None;
    };
    let number = live
        .iam
        .numbers
        .get(project)
        .and_then(|n| n.found().copied());
    let mut all = BTreeSet::new();
    for of in used.values() {
        if of.is_more || of.on.is_empty() {
            return None;
        }
        for text in &of.on {
            all.insert(below(project, number, text)?);
        }
    }
    (all.len() == 1).then(|| all.pop_first()).flatten()
}

/// `projects/_/buckets/B`, `projects/P/secrets/S`: as logs have it, the project by its id or its number.
fn below(project: &ProjectId, number: Option<u64>, text: &str) -> Option<Resource> {
    let parts: Vec<&str> = text.split('/').collect();
    let ["projects", of, kind, name] = parts.as_slice() else {
        return None;
    };
    let kind = match *kind {
        "buckets" if *of == "_" => "bucket",
        _ if *of != project.as_str() && number.is_none_or(|n| n.to_string() != *of) => return None,
        "secrets" => "secret",
        "topics" => "topic",
        "subscriptions" => "subscription",
        "datasets" => "dataset",
        _ => return None,
    };
    Resource::parse(&format!("{kind}/{name}"), Some(project)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::*;
    use serde_json::json;

    const BIG: &str = "roles/storage.admin";

    /// Changes what is logged.
    type Break<'a> = &'a dyn Fn(&mut serde_json::Value);

    fn catalogue() -> BTreeMap<String, RoleDefinition> {
        let role = |name: &str, permissions: &[&str]| {
            let role = RoleDefinition {
                name: name.to_owned(),
                stage: "GA".to_owned(),
                included_permissions: permissions.iter().map(|p| (*p).to_owned()).collect(),
                ..RoleDefinition::default()
            };
            (name.to_owned(), role)
        };
        BTreeMap::from([
            role(
                BIG,
                &[
                    "resourcemanager.projects.get",
                    "storage.objects.get",
                    "storage.objects.list",
                    "storage.objects.delete",
                    "storage.buckets.setIamPolicy",
                ],
            ),
            role(
                "roles/storage.objectViewer",
                &[
                    "resourcemanager.projects.get",
                    "storage.objects.get",
                    "storage.objects.list",
                ],
            ),
        ])
    }

    fn world_of(grant: &str) -> World {
        let mut world = world();
        let own = "{ role: roles/storage.objectViewer, resource: bucket/acme-b }";
        world.desired = desired(&SPEC.replace(own, grant));
        world
    }

    fn usage(permissions: &[(&str, &str)]) -> BTreeMap<Member, Usage> {
        let used = permissions.iter().map(|(permission, on)| {
            let on = BTreeSet::from([(*on).to_owned()]);
            (
                (*permission).to_owned(),
                Use {
                    calls: 3,
                    on,
                    is_more: false,
                },
            )
        });
        let usage = Usage {
            used: used.collect(),
            read: BTreeSet::new(),
        };
        BTreeMap::from([(Member::ServiceAccount(email("webapp")), usage)])
    }

    fn advice(world: &World, usage: &BTreeMap<Member, Usage>, days: u32) -> Advice {
        let days = BTreeMap::from([(project(), days)]);
        let all = suggest(world, &catalogue(), usage, &days);
        assert_eq!(
            all.len(),
            1,
            "the right to be the account is no grant: {all:#?}"
        );
        all[0].advice.clone()
    }

    fn viewer() -> Smaller {
        Smaller::Roles(vec!["roles/storage.objectViewer".to_owned()])
    }

    #[test]
    fn a_smaller_role_covers_what_was_used_where_it_was_used() {
        let world = world_of(BIG);
        let in_one = usage(&[("storage.objects.get", "projects/_/buckets/acme-b")]);
        let bucket = resource("bucket/acme-b");
        assert_eq!(
            advice(&world, &in_one, 42),
            Advice::Smaller(viewer(), Some(bucket))
        );
        let in_two = usage(&[
            ("storage.objects.get", "projects/_/buckets/acme-b"),
            ("storage.objects.list", "projects/_/buckets/acme-c"),
        ]);
        assert_eq!(advice(&world, &in_two, 42), Advice::Smaller(viewer(), None));
        // All of the weight is in what was used.
        let all = usage(&[("storage.buckets.setIamPolicy", "projects/_/buckets/acme-b")]);
        let on = Some(resource("bucket/acme-b"));
        assert_eq!(
            advice(&world, &all, 42),
            Advice::Smaller(Smaller::Roles(vec![BIG.to_owned()]), on)
        );
        // A use of what the role does not have says nothing of it.
        let other = usage(&[("pubsub.topics.publish", "projects/acme-prod/topics/t")]);
        assert_eq!(advice(&world, &other, 120), Advice::Remove);
    }

    #[test]
    fn what_logs_cannot_show_is_kept() {
        let used = usage(&[("storage.objects.get", "projects/_/buckets/acme-b")]);
        let without = |change: &dyn Fn(&mut serde_json::Value)| {
            let mut world = world_of(BIG);
            let mut log = json!([{ "service": "storage.googleapis.com", "auditLogConfigs": [
                { "logType": "DATA_READ" }, { "logType": "DATA_WRITE" }] }]);
            change(&mut log);
            let of_project = Seen::Found(wire(json!({ "bindings": [], "auditConfigs": log })));
            world
                .there()
                .iam
                .policies
                .insert(resource("project/acme-prod"), of_project);
            world
        };
        let smaller = |world: &World, usage: &BTreeMap<Member, Usage>| {
            matches!(advice(world, usage, 42), Advice::Smaller(..))
        };
        assert!(smaller(&without(&|_| ()), &used));
        let exempted = |log: &mut serde_json::Value| {
            log[0]["auditLogConfigs"][0]["exemptedMembers"] = json!([WEB_ACCOUNT]);
        };
        let other =
            |log: &mut serde_json::Value| log[0]["service"] = json!("pubsub.googleapis.com");
        let half = |log: &mut serde_json::Value| {
            log[0]["auditLogConfigs"] = json!([{ "logType": "DATA_READ" }])
        };
        let all: [(Break<'_>, bool); 3] = [(&exempted, true), (&other, false), (&half, false)];
        for (change, writes) in all {
            let world = without(change);
            assert!(!smaller(&world, &used));
            // Nor is what is not logged not used.
            assert!(
                matches!(advice(&world, &BTreeMap::new(), 120), Advice::Keep(why) if why.contains("storage"))
            );
            // Reads that are in the logs are logged; writes need not be.
            let mut seen = used.clone();
            for usage in seen.values_mut() {
                usage.read.insert("storage".to_owned());
            }
            assert_eq!(smaller(&world, &seen), writes);
        }
    }

    #[test]
    fn a_short_time_says_nothing_and_a_quarter_without_use_does() {
        let world = world_of(BIG);
        let keeps = |days| matches!(advice(&world, &BTreeMap::new(), days), Advice::Keep(_));
        assert!(keeps(29) && keeps(30) && keeps(89));
        assert_eq!(advice(&world, &BTreeMap::new(), 90), Advice::Remove);
        let used = usage(&[("storage.objects.get", "projects/_/buckets/acme-b")]);
        assert!(matches!(advice(&world, &used, 29), Advice::Keep(why) if why.contains("29 days")));
        // Logs of another project show nothing of it.
        let other = BTreeMap::from([(ProjectId::parse("acme-two").expect("a project"), 120)]);
        let all = suggest(&world, &catalogue(), &BTreeMap::new(), &other);
        assert!(
            matches!(&all[0].advice, Advice::Keep(why) if why.contains("no entry of project/acme-prod"))
        );
        let unknown = world_of("roles/unknown.role");
        assert!(
            matches!(advice(&unknown, &used, 120), Advice::Keep(why) if why.contains("could not be read"))
        );
    }
}
