//! A node pool gets its own upgrade settings back, which an interrupted run left changed.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::node_pool::{check_name, in_short};
use super::{Edit, Kind, Phase};
use crate::address::Address;
use crate::desired::Desired;
use crate::names::Member;
use crate::plan::integrity::{Checked, Forged};
use crate::plan::observe::Reader;
use crate::plan::permissions::Permission;
use crate::plan::right::Right;
use crate::plan::terraform::{Terraform, of_node_pool};
use crate::plan::touches::Scope;
use crate::plan::{Action, Attribute};
use crate::wire::upgrade::UpgradeSettings;

/// Upgrade settings that are put back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RestoreSettings {
    /// The spec's name of the cluster.
    pub cluster: String,
    /// The node pool.
    pub node_pool: String,
    /// Those of the interrupted run.
    pub before: UpgradeSettings,
    /// Its own.
    pub after: UpgradeSettings,
}

impl Kind for RestoreSettings {
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
        let (before, after) = (in_short(&self.before), in_short(&self.after));
        vec![Attribute::new(
            "upgradeSettings",
            Some(&before),
            Some(&after),
        )]
    }

    fn rank(&self) -> u8 {
        6
    }

    fn phase(&self) -> Phase {
        Phase::NodePools
    }

    fn access(&self) -> Option<(bool, Member, Right)> {
        None
    }

    fn permissions(&self, desired: &Desired) -> Vec<Permission> {
        Permission::to_update(desired, &self.cluster)
    }

    fn terraform(&self, _owner: &str, desired: &Desired) -> Terraform {
        let before = of_node_pool(desired, &self.cluster, &self.node_pool);
        let mut after = before.clone();
        let settings = json!([{
            "strategy": self.after.strategy,
            "max_surge": self.after.max_surge,
            "max_unavailable": self.after.max_unavailable,
        }]);
        after.insert("upgrade_settings".to_owned(), settings);
        Terraform::update("google_container_node_pool", before, after)
    }

    fn scope(&self, scope: &mut Scope) {
        scope.cluster(&self.cluster);
    }

    fn observe(&self, reader: &mut Reader<'_>) {
        reader.node_pool(self.address(), &self.cluster, &self.node_pool);
    }

    fn seen(&self) -> Option<Value> {
        None
    }

    fn timeless(&self) -> Edit {
        Edit::RestoreSettings(self.clone())
    }

    fn check(&self, plan: &Checked<'_>) -> Result<(), Forged> {
        check_name(plan, &self.cluster, &self.node_pool)
    }
}
