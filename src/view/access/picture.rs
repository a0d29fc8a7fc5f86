//! Nodes and edges of an answer, each once, for the forms that draw them.

use std::collections::BTreeMap;

use wi_audit::reach::{Edge, How, Node};
use wi_core::access::Grant;

use crate::audit::reach::{Beyond, Of, To};

/// An answer as a graph. Ids are those that commands take.
#[derive(Debug, Default)]
pub struct Picture {
    /// Who was asked for; empty where a resource was.
    pub subjects: Vec<String>,
    /// The resource and the permission that were asked for.
    pub resource: Option<(String, Option<String>)>,
    /// By id.
    pub nodes: BTreeMap<String, Drawn>,
    /// From, to, how; with what gives it.
    pub edges: BTreeMap<(String, String, How), Step>,
    /// People and groups, with what they have.
    pub people: BTreeMap<String, Vec<(Grant, bool)>>,
    /// What nothing is said about.
    pub beyond: Beyond,
}

/// Somebody of a picture.
#[derive(Debug, Default)]
pub struct Drawn {
    /// `service_account`, `kubernetes_service_account`, `node_pool` or `cluster`.
    pub kind: &'static str,
    /// Whether it was seen that he is reached, or reaches.
    pub certain: bool,
    /// What he has: its class, the binding, whether it holds for certain, where the spec asks for it.
    pub roles: Vec<(&'static str, Grant, bool, Option<String>)>,
}

/// A step of a picture.
#[derive(Debug)]
pub struct Step {
    /// The bindings that give it.
    pub by: Vec<Grant>,
    /// Whether it was seen to be so.
    pub certain: bool,
}

/// What kind of node it is.
fn kind(node: &Node) -> &'static str {
    match node {
        Node::Ksa { .. } => "kubernetes_service_account",
        Node::Account(_) => "service_account",
        Node::NodePool { .. } => "node_pool",
        Node::Cluster(_) => "cluster",
    }
}

impl Picture {
    /// Of what some reach.
    pub fn of(answers: &[Of]) -> Self {
        let mut all = Self::default();
        for of in answers {
            all.subjects.push(of.subject.to_string());
            for reached in &of.reached {
                let drawn = all.nodes.entry(reached.node.to_string()).or_default();
                drawn.kind = kind(&reached.node);
                drawn.certain |= reached.sure;
                if drawn.roles.is_empty() {
                    let roles = reached.roles.iter();
                    drawn.roles = roles
                        .map(|r| {
                            let place = r.place.as_ref().map(ToString::to_string);
                            (r.class, r.grant.clone(), r.holds == Some(true), place)
                        })
                        .collect();
                }
                all.steps(&reached.steps);
            }
            let lists = [
                (&of.beyond.unread, &mut all.beyond.unread),
                (&of.beyond.not_evaluated, &mut all.beyond.not_evaluated),
            ];
            for (from, to) in lists {
                let new: Vec<String> = from.iter().filter(|t| !to.contains(t)).cloned().collect();
                to.extend(new);
            }
        }
        all
    }

    /// Of who reaches a resource.
    pub fn to(to: &To) -> Self {
        let mut all = Self {
            resource: Some((to.resource.to_string(), to.permission.clone())),
            beyond: to.beyond.clone(),
            ..Self::default()
        };
        for (node, holder) in &to.who.nodes {
            let drawn = all.nodes.entry(node.to_string()).or_default();
            drawn.kind = kind(node);
            drawn.certain = holder.because.is_empty();
            if holder.steps.is_empty() {
                let certain = drawn.certain;
                let by = holder.by.iter();
                drawn.roles = by.map(|g| ("", g.clone(), certain, None)).collect();
            }
            all.steps(&holder.steps);
        }
        for (member, grants) in &to.who.people {
            let grants = grants
                .iter()
                .map(|(g, sure)| (g.clone(), *sure == Some(true)));
            all.people.insert(member.clone(), grants.collect());
        }
        all
    }

    fn steps(&mut self, steps: &[(Node, Edge)]) {
        for (from, edge) in steps {
            let key = (from.to_string(), edge.to.to_string(), edge.how);
            let step = Step {
                by: edge.by.clone(),
                certain: edge.because.is_empty(),
            };
            self.edges.entry(key).or_insert(step);
        }
    }
}
