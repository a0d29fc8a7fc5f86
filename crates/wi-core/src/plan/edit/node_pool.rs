//! A node pool is moved to the GKE metadata server: its nodes are recreated.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Edit, Kind, Phase};
use crate::address::Address;
use crate::desired::Desired;
use crate::names::{KubeName, Member};
use crate::plan::integrity::{Checked, Forged, holds};
use crate::plan::observe::Reader;
use crate::plan::permissions::Permission;
use crate::plan::right::Right;
use crate::plan::terraform::{Terraform, of_node_pool};
use crate::plan::touches::Scope;
use crate::plan::{Action, Attribute};
use crate::wire::container::GKE_METADATA;
use crate::wire::upgrade::UpgradeSettings;

/// A node pool's metadata server, which is to be GKE's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NodePool {
    /// The spec's name of the cluster.
    pub cluster: String,
    /// The node pool.
    pub node_pool: String,
    /// The mode that it has; empty for none.
    pub before: String,
    /// How many nodes are recreated.
    pub nodes: u64,
    /// Upgrade settings of this run alone.
    pub settings: Option<Box<RunSettings>>,
}

/// Upgrade settings that a node pool has while it is moved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSettings {
    /// Its own, which it gets back.
    pub own: UpgradeSettings,
    /// Those of this run.
    pub during: UpgradeSettings,
}

/// Upgrade settings as they are shown.
pub(super) fn in_short(settings: &UpgradeSettings) -> String {
    if !settings.is_surge() {
        return settings.strategy.clone();
    }
    format!(
        "SURGE, maxSurge {}, maxUnavailable {}",
        settings.max_surge, settings.max_unavailable
    )
}

/// A node pool of a cluster of the spec, under a name that GKE allows.
pub(super) fn check_name(plan: &Checked<'_>, cluster: &str, node_pool: &str) -> Result<(), Forged> {
    plan.cluster(cluster)?;
    holds(KubeName::label(node_pool).is_ok(), Forged::Other)
}

impl Kind for NodePool {
    fn address(&self) -> Address {
        Address::node_pool(&self.cluster, &self.node_pool)
    }

    fn action(&self) -> Action {
        Action::Update
    }

    fn cluster(&self) -> Option<&str> {
        Some(&self.cluster)
    }

    fn attributes(&self, _owner: &str) -> Vec<Attribute> {
        let name = "config.workloadMetadataConfig.mode";
        let mut attributes = vec![Attribute::new(name, Some(&self.before), Some(GKE_METADATA))];
        if let Some(RunSettings { own, during }) = self.settings.as_deref()
            && during != own
        {
            let name = "upgradeSettings, for this run";
            let (own, during) = (in_short(own), in_short(during));
            attributes.push(Attribute::new(name, Some(&own), Some(&during)));
        }
        attributes
    }

    fn rank(&self) -> u8 {
        6
    }

    fn phase(&self) -> Phase {
        Phase::NodePools
    }

    fn verb(&self) -> &'static str {
        "will be updated in-place, its nodes recreated"
    }

    /// What its workloads lose with the node's identity is [`crate::plan::Impact`].
    fn access(&self) -> Option<(bool, Member, Right)> {
        None
    }

    fn permissions(&self, desired: &Desired) -> Vec<Permission> {
        Permission::to_update(desired, &self.cluster)
    }

    fn terraform(&self, _owner: &str, desired: &Desired) -> Terraform {
        let values = |mode: &str| {
            let mut values = of_node_pool(desired, &self.cluster, &self.node_pool);
            let config = match mode {
                "" => json!([{ "workload_metadata_config": [] }]),
                mode => json!([{ "workload_metadata_config": [{ "mode": mode }] }]),
            };
            values.insert("node_config".to_owned(), config);
            values
        };
        let (before, after) = (values(&self.before), values(GKE_METADATA));
        Terraform::update("google_container_node_pool", before, after)
    }

    /// All identities of the cluster: pods on it may use any of them.
    fn scope(&self, scope: &mut Scope) {
        scope.whole_cluster(&self.cluster);
    }

    fn observe(&self, reader: &mut Reader<'_>) {
        reader.node_pool(self.address(), &self.cluster, &self.node_pool);
    }

    fn seen(&self) -> Option<serde_json::Value> {
        None
    }

    fn timeless(&self) -> Edit {
        Edit::NodePool(Self {
            nodes: 0,
            ..self.clone()
        })
    }

    fn check(&self, plan: &Checked<'_>) -> Result<(), Forged> {
        check_name(plan, &self.cluster, &self.node_pool)
    }
}
