//! The answers of `wi access`, as values for the views.

use std::collections::BTreeSet;

use jiff::Timestamp;
use wi_audit::reach::{self, Edge, Graph, Node, Who};
use wi_audit::{Live, World};
use wi_core::access::{Grant, Unseen};
use wi_core::live::Seen;
use wi_core::names::Member;
use wi_core::resource::Resource;
use wi_core::spec::model::SourceLine;

/// What somebody reaches.
#[derive(Debug, Clone)]
pub struct Of {
    /// Who.
    pub subject: Node,
    /// Himself first, then whom he can become, with fewer steps first.
    pub reached: Vec<Reached>,
    /// What was not seen, or not looked at.
    pub not_evaluated: Vec<String>,
}

/// Somebody who is reached.
#[derive(Debug, Clone)]
pub struct Reached {
    /// Who.
    pub node: Node,
    /// Whether each step was seen to be so.
    pub sure: bool,
    /// The steps from the subject on.
    pub steps: Vec<(Node, Edge)>,
    /// The roles that it has.
    pub roles: Vec<RoleOn>,
}

/// A role on something.
#[derive(Debug, Clone)]
pub struct RoleOn {
    /// The binding.
    pub grant: Grant,
    /// Whether its condition holds; `None`: that cannot be told.
    pub holds: Option<bool>,
    /// What it lets one do: `admin`, `secrets`, `impersonates`, `writes`, `reads`, or `?`.
    pub class: &'static str,
    /// Where the spec asks for it; `None`: it does not.
    pub place: Option<SourceLine>,
}

/// Who reaches something.
#[derive(Debug, Clone)]
pub struct To {
    /// What.
    pub resource: Resource,
    /// The permission; `None`: some role.
    pub permission: Option<String>,
    /// Whether no role that was read has the permission: nobody can have it, or it is no permission at all.
    pub in_no_role: bool,
    /// Who.
    pub who: Who,
    /// What was not seen, or not looked at.
    pub not_evaluated: Vec<String>,
}

/// What these reach.
pub fn of(world: &World, subjects: &[Node], at: Option<Timestamp>, depth: usize) -> Vec<Of> {
    let Some(live) = world.live() else {
        return Vec::new();
    };
    let graph = Graph::of(world, live, at);
    let of_one = |subject: &Node| {
        let all = reach::of(&graph, subject, depth);
        let doubts: BTreeSet<Unseen> = all.values().flat_map(reach::doubts).collect();
        let mut reached: Vec<Reached> = all
            .into_iter()
            .map(|(node, path)| Reached {
                sure: path.is_sure(),
                roles: roles(world, live, &graph, &node),
                steps: path.steps,
                node,
            })
            .collect();
        reached.sort_by_key(|r| (r.steps.len(), !r.sure, r.node.clone()));
        Of {
            subject: subject.clone(),
            reached,
            not_evaluated: not_evaluated(live, &doubts),
        }
    };
    subjects.iter().map(of_one).collect()
}

/// Who reaches a resource.
pub fn to(
    world: &World,
    resource: &Resource,
    permission: Option<&str>,
    at: Option<Timestamp>,
    depth: usize,
) -> Option<To> {
    let live = world.live()?;
    let graph = Graph::of(world, live, at);
    let who = graph.who_can(permission, resource, depth);
    let holders = who.nodes.values();
    let mut doubts: BTreeSet<Unseen> = holders
        .flat_map(|h| h.because.iter().chain(&h.unless))
        .cloned()
        .collect();
    doubts.extend(who.unseen.iter().cloned());
    let mut roles = live.iam.roles.values().filter_map(Seen::found);
    let in_no_role =
        permission.is_some_and(|p| !roles.any(|role| role.included_permissions.contains(p)));
    Some(To {
        in_no_role,
        resource: resource.clone(),
        permission: permission.map(str::to_owned),
        who,
        not_evaluated: not_evaluated(live, &doubts),
    })
}

fn roles(world: &World, live: &Live, graph: &Graph<'_>, node: &Node) -> Vec<RoleOn> {
    let all = graph.roles_of(node).into_iter();
    let mut all: Vec<RoleOn> = all
        .filter(|(_, holds)| *holds != Some(false))
        .map(|(grant, holds)| RoleOn {
            class: class(live, &grant.role),
            place: declared(world, &grant),
            grant,
            holds,
        })
        .collect();
    all.sort_by(|a, b| {
        let key = |r: &RoleOn| (weight(r.class), r.grant.clone());
        key(a).cmp(&key(b))
    });
    all
}

fn declared(world: &World, grant: &Grant) -> Option<SourceLine> {
    let member = Member::parse(&grant.member);
    let mut all = world.desired.bindings.iter();
    let found = all.find(|(key, _)| {
        key.resource == grant.on && key.role.as_str() == grant.role && key.member == member
    });
    found.map(|(_, place)| place.clone())
}

/// What a role lets one do, by the strongest of its permissions.
fn class(live: &Live, role: &str) -> &'static str {
    let Some(Seen::Found(found)) = live.iam.roles.get(role) else {
        return "?";
    };
    let has = |fits: &dyn Fn(&str) -> bool| found.included_permissions.iter().any(|p| fits(p));
    let becomes = [
        "iam.serviceAccounts.getAccessToken",
        "iam.serviceAccounts.signBlob",
        "iam.serviceAccounts.actAs",
        "iam.serviceAccountKeys.create",
    ];
    if has(&|p| p.ends_with(".setIamPolicy")) {
        "admin"
    } else if has(&|p| p == "secretmanager.versions.access" || p.contains("useToDecrypt")) {
        "secrets"
    } else if has(&|p| becomes.contains(&p)) {
        "impersonates"
    } else if has(&|p| {
        let verb = p.rsplit('.').next().unwrap_or_default();
        !verb.starts_with("get") && !verb.starts_with("list") && verb != "testIamPermissions"
    }) {
        "writes"
    } else {
        "reads"
    }
}

fn weight(class: &str) -> usize {
    let order = ["admin", "secrets", "impersonates", "writes", "?", "reads"];
    order
        .iter()
        .position(|c| *c == class)
        .unwrap_or(order.len())
}

/// What nothing is said about.
fn not_evaluated(live: &Live, doubts: &BTreeSet<Unseen>) -> Vec<String> {
    let mut all: BTreeSet<String> = doubts.iter().map(ToString::to_string).collect();
    for (resource, policy) in &live.iam.policies {
        if let Seen::Unknown(why) = policy {
            all.insert(format!("the policy of {resource}: {why}"));
        }
    }
    all.extend(World::unsearched(live).map(|(what, why)| format!("{what}: {why}")));
    for (name, cluster) in &live.clusters {
        if let Seen::Unknown(why) = &cluster.ksas {
            all.insert(format!("the service accounts of cluster {name}: {why}"));
        }
        if let (true, Seen::Unknown(why)) = (cluster.declared, &cluster.pods) {
            all.insert(format!("the pods of cluster {name}: {why}"));
        }
    }
    for (project, why) in &live.more_clusters {
        all.insert(format!("all clusters of project/{project}: {why}"));
    }
    let found = live.iam.policies.values().filter_map(Seen::found);
    let members = found.flat_map(|p| &p.bindings).flat_map(|b| &b.members);
    let groups: BTreeSet<&String> = members.filter(|m| m.starts_with("group:")).collect();
    let mut all: Vec<String> = all.into_iter().collect();
    if !groups.is_empty() {
        all.push(match groups.len() {
            1 => "who is in 1 group".to_owned(),
            n => format!("who is in {n} groups"),
        });
    }
    let searched: Vec<String> = live.searched.iter().map(ToString::to_string).collect();
    if !searched.is_empty() {
        let searched = searched.join(", ");
        all.push(format!("roles outside of what was searched ({searched})"));
    }
    all.push("VPC Service Controls, RBAC inside of clusters, where pods could run".to_owned());
    all
}
