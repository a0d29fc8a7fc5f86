//! What was read.

use std::collections::{BTreeMap, BTreeSet};

use crate::live::{Objects, Seen};
use crate::names::{ClusterPath, Email, KubeName, ProjectId};
use crate::resource::Resource;
use crate::spec::model::Access;
use crate::wire::container::Cluster;
use crate::wire::iam::ServiceAccount;
use crate::wire::policy::Policy;

/// What was read of some projects.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The clusters that are to be imported.
    pub clusters: BTreeMap<ClusterPath, FoundCluster>,
    /// Projects of which not all clusters are among them: some were not asked for, or GKE did not hear from a zone.
    pub partial: BTreeSet<ProjectId>,
    /// The Google service accounts of the projects.
    pub accounts: BTreeMap<ProjectId, Seen<BTreeMap<Email, ServiceAccount>>>,
    /// Policies: of the projects, of accounts, and of what a search found.
    pub policies: BTreeMap<Resource, Seen<Policy>>,
    /// Whether buckets with members that need it have uniform access; those that were not asked are not in it.
    pub uniform: BTreeMap<String, bool>,
}

impl Facts {
    /// Buckets whose policies have what is of no use without uniform access.
    pub fn buckets_to_ask(&self) -> BTreeSet<String> {
        let needs = |policy: &Policy| {
            let mut bindings = policy.bindings.iter();
            bindings.any(|b| {
                b.condition.is_some() || b.members.iter().any(|m| m.starts_with("principal"))
            })
        };
        let policies = self.policies.iter();
        policies
            .filter(|(_, policy)| policy.found().is_some_and(needs))
            .filter_map(|(resource, _)| resource.bucket().map(str::to_owned))
            .collect()
    }
}

/// A cluster, and what is in it.
#[derive(Debug, Clone)]
pub struct FoundCluster {
    /// What GKE says of it.
    pub cluster: Cluster,
    /// How its Kubernetes API was reached.
    pub access: Access,
    /// Its namespaces and service accounts.
    pub objects: Seen<Objects>,
}

/// Clusters whose objects count.
pub(super) type Usable<'a> = BTreeMap<&'a ClusterPath, &'a Objects>;

/// Namespace and name.
pub(super) type KsaName = (KubeName, KubeName);
