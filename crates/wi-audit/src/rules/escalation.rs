//! What the rules about escalation have in common: whom the spec's identities become, step by step.

use std::collections::BTreeSet;

use wi_core::access::{Grant, Unseen};
use wi_core::findings::Severity;
use wi_core::names::Member;
use wi_core::resource::Resource;

use super::common::basic;
use crate::out::{Out, Read};
use crate::reach::{Edge, Graph, How, Node, Path, of};
use crate::world::World;

/// How many steps are followed.
const DEPTH: usize = 4;

/// An identity of the spec, and what it is called there.
pub struct Identity {
    /// Who.
    pub node: Node,
    /// As a policy has it.
    pub member: Member,
}

/// The spec's accounts, and its Kubernetes service accounts, each once however many clusters it is on.
fn identities(world: &World) -> Vec<Identity> {
    let accounts = world.desired.accounts.values().map(|a| Identity {
        node: Node::Account(a.email.clone()),
        member: Member::ServiceAccount(a.email.clone()),
    });
    let mut all: Vec<Identity> = accounts.collect();
    let mut told = BTreeSet::new();
    for (key, ksa) in &world.desired.ksas {
        if told.insert(&ksa.identity) {
            all.push(Identity {
                node: Node::Ksa {
                    cluster: key.cluster.clone(),
                    namespace: key.namespace.to_string(),
                    name: key.name.to_string(),
                },
                member: Member::Ksa(ksa.identity.clone()),
            });
        }
    }
    all
}

/// Asks of each identity of the spec. Where policies were not seen, nothing passes.
pub fn each(world: &World, out: &mut Out, mut look: impl FnMut(&Graph<'_>, &Identity, &mut Out)) {
    let Some(live) = world.live() else { return };
    // What is not seen could give anything.
    world.policies(out);
    world.wherever(out);
    let graph = Graph::of(world, live, world.now);
    for identity in identities(world) {
        look(&graph, &identity, out);
    }
}

/// Tells of each step by which an identity of the spec becomes somebody whom the spec does not let it be, where it is one
/// of these ways.
pub fn steps(world: &World, out: &mut Out, is_meant: fn(How) -> bool) {
    each(world, out, |graph, identity, out| {
        for edge in &graph.edges(&identity.node).to {
            if !is_meant(edge.how) || is_declared(world, identity, &edge.to) {
                continue;
            }
            if !edge.because.is_empty() {
                untold(out, &edge.because);
                continue;
            }
            let Some(grant) = edge.by.last() else {
                continue;
            };
            let subject = format!("{} to {}", identity.node, edge.to);
            let what = format!("{} {} {}", identity.node, edge.how.words(), edge.to);
            let place = world.place(None, &["policy", &grant.on.to_string()]);
            let (severity, lines) = worst(graph, &identity.node, edge);
            let found = out.found(&subject, what, place);
            found.severity = severity;
            found.evidence = lines;
            found.fix = Some(take_away(grant));
        }
    });
}

/// The way out.
pub fn take_away(grant: &Grant) -> String {
    format!("take {} on {} from {}", grant.role, grant.on, grant.member)
}

/// What was not seen and decides about a step.
pub fn untold(out: &mut Out, because: &[Unseen]) {
    for unseen in because {
        let takes = match unseen {
            Unseen::Role(..) => Read::Roles,
            Unseen::Number(..) => Read::Numbers,
            _ => Read::Policies,
        };
        out.unseen(unseen, takes);
    }
}

/// The bindings of a step, in words.
pub fn by(grants: &[Grant]) -> String {
    let all: Vec<String> = grants
        .iter()
        .map(|g| format!("{g} for {}", g.member))
        .collect();
    all.join(" and ")
}

/// A step in words: `a can make tokens of b by roles/x on y for z`.
fn step(from: &Node, edge: &Edge) -> String {
    let by = match edge.by.is_empty() {
        true => String::new(),
        false => format!(", by {}", by(&edge.by)),
    };
    format!("{from} {} {}{by}", edge.how.words(), edge.to)
}

/// Where it leads: how bad that is, and the steps to the worst that is reached by the account that this step gives.
fn worst(graph: &Graph<'_>, from: &Node, edge: &Edge) -> (Severity, Vec<String>) {
    let mut lines = vec![step(from, edge)];
    let reached = of(graph, &edge.to, DEPTH - 1);
    let rules_all = |node: &Node| {
        let powers = &graph.edges(node).powers;
        let power = powers
            .iter()
            .find(|p| p.how == How::Policy && p.because.is_empty());
        power.map(|p| format!("{node} {} {}, by {}", p.how.words(), p.on, by(&p.by)))
    };
    let mut best: Option<(usize, &Path, String)> = None;
    for (node, path) in reached.iter().filter(|(_, p)| p.is_sure()) {
        if let Some(end) = rules_all(node).or_else(|| owns(graph, node))
            && best
                .as_ref()
                .is_none_or(|(steps, ..)| path.steps.len() < *steps)
        {
            best = Some((path.steps.len(), path, end));
        }
    }
    match best {
        Some((_, path, end)) => {
            lines.extend(path.steps.iter().map(|(from, edge)| step(from, edge)));
            lines.push(end);
            (Severity::Critical, lines)
        }
        None => (Severity::High, lines),
    }
}

/// Whether somebody can change everything in a project or above, in words.
fn owns(graph: &Graph<'_>, node: &Node) -> Option<String> {
    let roles = graph.roles_of(node).into_iter();
    let mut strong = roles.filter(|(grant, holds)| {
        *holds == Some(true) && grant.on.is_of_hierarchy() && basic(&grant.role) == 2
    });
    strong
        .next()
        .map(|(grant, _)| format!("{node} has {grant}"))
}

/// Whether the spec itself asks that this identity be that account.
fn is_declared(world: &World, identity: &Identity, to: &Node) -> bool {
    match to {
        Node::Account(email) => {
            world.declares(&Resource::ServiceAccount(email.clone()), &identity.member)
        }
        _ => false,
    }
}
