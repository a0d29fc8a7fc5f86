//! A cluster's workload pool is turned on.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Edit, Kind, Phase};
use crate::address::Address;
use crate::desired::Desired;
use crate::names::Member;
use crate::plan::integrity::{Checked, Forged, holds};
use crate::plan::observe::Reader;
use crate::plan::permissions::Permission;
use crate::plan::right::Right;
use crate::plan::terraform::{Terraform, of_cluster};
use crate::plan::touches::Scope;
use crate::plan::{Action, Attribute};

/// Workload Identity on a cluster.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClusterPool {
    /// The spec's name of the cluster.
    pub cluster: String,
    /// The pool that it has; empty for none.
    pub before: String,
    /// The pool to set, its project's own.
    pub after: String,
}

impl Kind for ClusterPool {
    fn address(&self) -> Address {
        Address::cluster_pool(&self.cluster)
    }

    fn action(&self) -> Action {
        Action::Update
    }

    fn cluster(&self) -> Option<&str> {
        Some(&self.cluster)
    }

    fn attributes(&self, _owner: &str) -> Vec<Attribute> {
        let name = "workloadIdentityConfig.workloadPool";
        vec![Attribute::new(name, Some(&self.before), Some(&self.after))]
    }

    fn rank(&self) -> u8 {
        0
    }

    fn phase(&self) -> Phase {
        Phase::Cluster
    }

    fn access(&self) -> Option<(bool, Member, Right)> {
        None
    }

    fn permissions(&self, desired: &Desired) -> Vec<Permission> {
        Permission::to_update(desired, &self.cluster)
    }

    fn terraform(&self, _owner: &str, desired: &Desired) -> Terraform {
        let values = |pool: &str| {
            let mut values = of_cluster(desired, &self.cluster);
            let config = match pool {
                "" => json!([]),
                pool => json!([{ "workload_pool": pool }]),
            };
            values.insert("workload_identity_config".to_owned(), config);
            values
        };
        Terraform::update(
            "google_container_cluster",
            values(&self.before),
            values(&self.after),
        )
    }

    fn scope(&self, scope: &mut Scope) {
        scope.cluster(&self.cluster);
    }

    fn observe(&self, reader: &mut Reader<'_>) {
        reader.cluster(&self.cluster);
    }

    fn seen(&self) -> Option<serde_json::Value> {
        None
    }

    fn timeless(&self) -> Edit {
        Edit::ClusterPool(self.clone())
    }

    fn check(&self, plan: &Checked<'_>) -> Result<(), Forged> {
        let path = plan.cluster(&self.cluster)?;
        holds(self.after == path.project.workload_pool(), Forged::Unknown)
    }
}
