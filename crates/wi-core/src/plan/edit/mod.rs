//! What a change edits, one file a kind: an edit holds what is there and what is to be, once, and answers
//! everything else about itself. How it is carried out is in `apply/edit`, one file a kind again.

mod account;
mod binding;
mod cluster_pool;
mod key;
mod ksa;
mod namespace;
mod node_pool;
mod object;
mod restore_settings;
mod secret;
mod shadow;
mod template;

use std::collections::BTreeMap;
use std::ops::Deref;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use account::{Account, AccountAfter, AccountState};
pub use binding::Binding;
pub use cluster_pool::ClusterPool;
pub use key::{Key, KeyAfter};
pub use ksa::{Ksa, KsaAfter};
pub use namespace::Namespace;
pub use node_pool::{NodePool, RunSettings};
pub use object::Was;
pub(super) use object::annotation_managers;
pub use restore_settings::RestoreSettings;
pub use secret::Secret;
pub use shadow::Shadow;
pub use template::Template;

use super::integrity::{Checked, Forged};
use super::observe::Reader;
use super::permissions::Permission;
use super::right::Right;
use super::terraform::Terraform;
use super::touches::Scope;
use super::{Action, Attribute, Change};
use crate::address::Address;
use crate::desired::Desired;
use crate::names::Member;

/// All that carrying a change out takes, and all that is known of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Edit {
    /// A cluster's workload pool.
    ClusterPool(ClusterPool),
    /// A node pool's metadata server.
    NodePool(NodePool),
    /// A node pool's own upgrade settings, which an interrupted run left changed.
    RestoreSettings(RestoreSettings),
    /// A Google service account.
    Account(Account),
    /// A member of a binding of a policy.
    Binding(Binding),
    /// A namespace.
    Namespace(Namespace),
    /// A Kubernetes service account.
    Ksa(Ksa),
    /// A static key of a Google service account.
    Key(Key),
    /// A Secret that held such keys.
    Secret(Secret),
    /// The pod template of a workload.
    Template(Template),
    /// A second Deployment beside one that has a key.
    Shadow(Shadow),
}

impl Deref for Edit {
    type Target = dyn Kind;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::ClusterPool(edit) => edit,
            Self::NodePool(edit) => edit,
            Self::RestoreSettings(edit) => edit,
            Self::Account(edit) => edit,
            Self::Binding(edit) => edit,
            Self::Namespace(edit) => edit,
            Self::Ksa(edit) => edit,
            Self::Key(edit) => edit,
            Self::Secret(edit) => edit,
            Self::Template(edit) => edit,
            Self::Shadow(edit) => edit,
        }
    }
}

/// What is done to a cluster, in the order in which it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Workload Identity on the cluster.
    Cluster,
    /// Namespaces and service accounts.
    Kubernetes,
    /// Node pools.
    NodePools,
}

/// What an edit says about itself: all views and checks of a plan ask it, and keep nothing of their own.
pub trait Kind {
    /// The name of what is edited.
    fn address(&self) -> Address;

    /// Whether it is made, changed or removed.
    fn action(&self) -> Action;

    /// The spec's name of the cluster that it is in; `None` for what clusters share.
    fn cluster(&self) -> Option<&str>;

    /// Attributes that change, in the order in which they are shown. `owner` is the name of the spec.
    fn attributes(&self, owner: &str) -> Vec<Attribute>;

    /// The place of its section in a plan, which is the order of carrying it out.
    fn rank(&self) -> u8;

    /// Which phase of its cluster's change it belongs to.
    fn phase(&self) -> Phase;

    /// What happens, as `will be created`.
    fn verb(&self) -> &'static str {
        match self.action() {
            Action::Create => "will be created",
            Action::Update => "will be updated in-place",
            Action::Delete => "will be destroyed",
        }
    }

    /// Whose access it gives or takes: whether it is gained, by whom, and which.
    fn access(&self) -> Option<(bool, Member, Right)>;

    /// What the caller must be allowed to do for it. `desired` knows where the clusters are.
    fn permissions(&self, desired: &Desired) -> Vec<Permission>;

    /// The resource that Terraform's providers know, before and after.
    fn terraform(&self, owner: &str, desired: &Desired) -> Terraform;

    /// Adds what has to be read again before it is carried out later.
    fn scope(&self, scope: &mut Scope);

    /// Reads what it rests on.
    fn observe(&self, reader: &mut Reader<'_>);

    /// The state that it rests on, of its own object, where the edit holds all of it; `null` for one that
    /// was not there.
    fn seen(&self) -> Option<serde_json::Value>;

    /// Without what differs between two plans that would do the same: versions and counts.
    fn timeless(&self) -> Edit;

    /// Whether `wi` can have planned it, in a plan that comes from a file; an error says what not.
    fn check(&self, plan: &Checked<'_>) -> Result<(), Forged>;
}

/// Changes as a list: an edit knows its address.
pub(super) fn serialize<S: Serializer>(
    changes: &BTreeMap<Address, Change>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(changes.values())
}

/// Refuses two changes of one address.
pub(super) fn deserialize<'de, D>(deserializer: D) -> Result<BTreeMap<Address, Change>, D::Error>
where
    D: Deserializer<'de>,
{
    let mut changes = BTreeMap::new();
    for change in Vec::<Change>::deserialize(deserializer)? {
        let address = change.edit.address();
        if changes.insert(address.clone(), change).is_some() {
            let message = format!("{address} is changed twice");
            return Err(serde::de::Error::custom(message));
        }
    }
    Ok(changes)
}
