//! The answers of `wi access`, as values for the views.

use std::collections::BTreeSet;

use jiff::Timestamp;
use wi_audit::reach::{self, Edge, Graph, Node, Who};
use wi_audit::{Live, NOT_READ, World};
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
    /// What nothing is said about.
    pub beyond: Beyond,
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
    /// What nothing is said about.
    pub beyond: Beyond,
}

/// What an answer says nothing about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Beyond {
    /// What could not be read, and why: with it there may be more.
    pub unread: Vec<String>,
    /// What is not looked at, whoever asks.
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
        let mut doubts: BTreeSet<Unseen> = all.values().flat_map(reach::doubts).collect();
        let mut reached: Vec<Reached> = all
            .into_iter()
            .map(|(node, path)| Reached {
                sure: path.is_sure(),
                roles: roles(world, live, &graph, &node),
                steps: path.steps,
                node,
            })
            .collect();
        doubts.extend(
            reached
                .iter()
                .flat_map(|r| &r.roles)
                .filter_map(|r| unread_role(live, r)),
        );
        reached.sort_by_key(|r| (r.steps.len(), !r.sure, r.node.clone()));
        Of {
            subject: subject.clone(),
            reached,
            beyond: beyond(live, &doubts),
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
        beyond: beyond(live, &doubts),
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

/// A role that somebody has, of which it is not known what it permits.
fn unread_role(live: &Live, role: &RoleOn) -> Option<Unseen> {
    let name = role.grant.role.clone();
    match live.iam.roles.get(&name) {
        Some(Seen::Found(_) | Seen::Absent) => None,
        Some(Seen::Unknown(why)) => Some(Unseen::Role(name, why.to_string())),
        None => Some(Unseen::Role(name, NOT_READ.to_owned())),
    }
}

/// What nothing is said about: what was refused, and what nobody asked for.
fn beyond(live: &Live, doubts: &BTreeSet<Unseen>) -> Beyond {
    let mut unread = BTreeSet::new();
    let mut never = BTreeSet::new();
    let mut of_others = BTreeSet::new();
    for doubt in doubts {
        match doubt {
            // Of an account of a project that is not the spec's.
            Unseen::Policy(Resource::ServiceAccount(email), why) if why == NOT_READ => {
                of_others.insert(email.to_string());
            }
            Unseen::Condition(..) | Unseen::Members(_) => _ = never.insert(doubt.to_string()),
            _ => _ = unread.insert(doubt.to_string()),
        }
    }
    for (resource, policy) in &live.iam.policies {
        if let Seen::Unknown(why) = policy {
            unread.insert(format!("the policy of {resource}: {why}"));
        }
    }
    for (project, above) in &live.iam.ancestors {
        if let Seen::Unknown(why) = above {
            unread.insert(format!("what is above project/{project}: {why}"));
        }
    }
    let told = |(what, why): (String, &String)| format!("{what}: {why}");
    unread.extend(World::unsearched(live).map(told));
    unread.extend(
        live.unlisted
            .iter()
            .map(|(what, why)| told((what.clone(), why))),
    );
    for (name, cluster) in &live.clusters {
        if let Seen::Unknown(why) = &cluster.gke {
            unread.insert(format!("cluster {name}: {why}"));
        }
        if let Seen::Unknown(why) = &cluster.ksas {
            unread.insert(format!("the service accounts of cluster {name}: {why}"));
        }
        if !cluster.declared {
            never.insert("pods and nodes of clusters that the spec does not have".to_owned());
            continue;
        }
        if let Seen::Unknown(why) = &cluster.pods {
            unread.insert(format!("the pods of cluster {name}: {why}"));
        }
        if let Seen::Unknown(why) = &cluster.nodes {
            unread.insert(format!("the nodes of cluster {name}: {why}"));
        }
    }
    for (project, why) in &live.more_clusters {
        unread.insert(format!("all clusters of project/{project}: {why}"));
    }
    let found = live.iam.policies.values().filter_map(Seen::found);
    let members = found.flat_map(|p| &p.bindings).flat_map(|b| &b.members);
    let groups: BTreeSet<&String> = members.filter(|m| m.starts_with("group:")).collect();
    let mut not_evaluated: Vec<String> = never.into_iter().collect();
    if !of_others.is_empty() {
        let all: Vec<String> = of_others.into_iter().collect();
        not_evaluated.push(format!(
            "who may act as accounts of other projects ({})",
            all.join(", ")
        ));
    }
    match groups.len() {
        0 => {}
        1 => not_evaluated.push("who is in 1 group".to_owned()),
        n => not_evaluated.push(format!("who is in {n} groups")),
    }
    let searched: Vec<String> = live.searched.iter().map(ToString::to_string).collect();
    if !searched.is_empty() {
        let searched = searched.join(", ");
        not_evaluated.push(format!("roles outside of what was searched ({searched})"));
    }
    not_evaluated
        .push("VPC Service Controls, RBAC inside of clusters, where pods could run".to_owned());
    Beyond {
        unread: unread.into_iter().collect(),
        not_evaluated,
    }
}
