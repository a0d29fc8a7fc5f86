//! Rights on whole projects, folders and organizations, and whom they make one.

use std::collections::BTreeSet;

use wi_core::access::Principal;
use wi_core::resource::Resource;

use super::edges::{ACT_AS, BECOMES, Graph, RUNS, Says};
use super::index::Entry;
use super::step::{Edge, Edges, How, Node, Power};
use crate::world::Cluster;

/// Permissions on containers that are about all in them.
const POWERS: [(&str, How); 14] = [
    ("resourcemanager.projects.setIamPolicy", How::Policy),
    ("resourcemanager.folders.setIamPolicy", How::Policy),
    ("resourcemanager.organizations.setIamPolicy", How::Policy),
    ("iam.roles.update", How::RoleEdit),
    ("cloudbuild.builds.create", How::Build),
    ("container.serviceAccounts.createToken", How::KsaToken),
    ("container.pods.create", How::RunPods),
    ("container.deployments.create", How::RunPods),
    ("container.daemonSets.create", How::RunPods),
    ("container.jobs.create", How::RunPods),
    ("container.cronJobs.create", How::RunPods),
    ("container.pods.exec", How::RunPods),
    ("container.clusterRoles.escalate", How::ClusterAdmin),
    ("container.clusterRoles.bind", How::ClusterAdmin),
];

/// Whether who has a permission may become somebody by it, alone or with others.
pub fn makes_one_somebody_else(permission: &str) -> bool {
    let also = [
        "iam.serviceAccounts.getOpenIdToken",
        "iam.serviceAccounts.implicitDelegation",
        ACT_AS,
    ];
    BECOMES.iter().any(|(p, _)| *p == permission)
        || also.contains(&permission)
        || RUNS.contains(&permission)
        || POWERS.iter().any(|(p, _)| *p == permission)
}

impl Graph<'_> {
    pub(super) fn powers(
        &self,
        principal: &Principal,
        candidates: &[Entry<'_>],
        edges: &mut Edges,
    ) {
        let mut asked: BTreeSet<(Resource, &'static str)> = BTreeSet::new();
        for entry in candidates {
            let given = POWERS
                .iter()
                .filter(|(p, _)| self.may_give(&entry.binding.role, p));
            for (permission, _) in given {
                match permission.split('.').nth(1) {
                    Some("folders") if entry.on.kind().short == "folder" => {
                        _ = asked.insert((entry.on.clone(), permission))
                    }
                    Some("organizations") if entry.on.kind().short == "organization" => {
                        _ = asked.insert((entry.on.clone(), permission))
                    }
                    Some("folders" | "organizations") => {}
                    _ => {
                        let below = self
                            .projects
                            .iter()
                            .filter(|(_, chain)| chain.contains(entry.on));
                        asked.extend(
                            below.map(|(project, _)| {
                                (Resource::Project(project.clone()), *permission)
                            }),
                        );
                    }
                }
            }
        }
        for (on, permission) in asked {
            let how = POWERS
                .iter()
                .find(|(p, _)| *p == permission)
                .map_or(How::Policy, |(_, how)| *how);
            if how == How::RoleEdit && !self.has_custom_role(candidates, &on) {
                continue;
            }
            let (by, because, unless) = match self.ask(principal, permission, &on) {
                Says::Yes(by, unless) => (by, Vec::new(), unless),
                Says::Perhaps(because) => (Vec::new(), because, Vec::new()),
                Says::No => continue,
            };
            if edges.powers.iter().any(|p| {
                p.how == how && p.on == on && (p.because.is_empty() || !because.is_empty())
            }) {
                continue;
            }
            edges.powers.push(Power {
                how,
                on,
                permission,
                by,
                because,
                unless,
            });
        }
    }

    /// Whether one has a custom role of a project, which one could make permit more.
    fn has_custom_role(&self, candidates: &[Entry<'_>], project: &Resource) -> bool {
        let Resource::Project(project) = project else {
            return false;
        };
        let start = format!("projects/{project}/roles/");
        candidates
            .iter()
            .any(|e| e.binding.role.starts_with(&start))
    }

    /// Whom rights on whole containers make one.
    pub(super) fn by_powers(&self, node: &Node, edges: &mut Edges) {
        let powers = edges.powers.clone();
        for power in powers {
            let edge = |to: Node, how: How| Edge {
                to,
                how,
                by: power.by.clone(),
                because: power.because.clone(),
                unless: power.unless.clone(),
            };
            match power.how {
                How::Policy => {
                    let below = self
                        .accounts
                        .iter()
                        .filter(|(_, chain)| chain.contains(&power.on));
                    let others = below
                        .map(|(email, _)| Node::Account(email.clone()))
                        .filter(|to| to != node);
                    edges.to.extend(others.map(|to| edge(to, How::Policy)));
                }
                How::KsaToken | How::RunPods | How::ClusterAdmin => {
                    let of_project =
                        |c: &Cluster| Resource::Project(c.path.project.clone()) == power.on;
                    let clusters = self.live.clusters.iter().filter(|(_, c)| of_project(c));
                    edges.to.extend(
                        clusters.map(|(name, _)| edge(Node::Cluster(name.clone()), power.how)),
                    );
                }
                _ => {}
            }
        }
    }
}
