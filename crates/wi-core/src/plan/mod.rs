//! The difference between the desired and the live state, and the order in which to remove it.
//!
//! Pure: values in, a [`Plan`] out.

mod access;
mod acting;
mod again;
mod authority;
pub mod bound;
mod checks;
mod diff;
mod digest;
mod edit;
mod ends;
#[cfg(test)]
pub(crate) mod fixture;
mod impact;
mod integrity;
mod leaving;
mod left;
mod losses;
mod observe;
mod order;
mod other_account;
mod own_shadows;
pub mod ownership;
mod permissions;
mod preconditions;
mod readiness;
mod reliance;
mod restarts;
mod right;
pub mod saved;
mod scope;
mod staying;
mod target;
mod terraform;
mod tokens;
mod touches;
mod users;
pub mod waves;

use checks::{
    brakes, conditional, cut_over, keys, leftovers, own_grants, two_owners, unmanaged_clusters,
};
use diff::{accounts, bindings, clusters, keys as off_keys, kubernetes, shadows, templates};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

pub use access::AccessChange;
pub use again::{relied_on, rests_on};
pub use brakes::check_removals;
pub use checks::risk::Risks;
pub use checks::self_lockout::{Caller, protect, takes_from_accounts};
pub use diff::bindings::Managed;
pub use diff::clusters::meant as meant_cluster;
pub use diff::keys::stands_against;
pub use edit::{
    Account, AccountAfter, AccountState, Binding, ClusterPool, Edit, Key, KeyAfter, Kind, Ksa,
    KsaAfter, Namespace, NodePool, Phase, RestoreSettings, RunSettings, Secret, Shadow, Template,
    Was,
};
pub use impact::{HeldBack, HoldReason, IdentityEffect, Impact, NodeRoles, Workload};
pub use left::Left;
pub use losses::IdentityLoss;
pub use permissions::Permission;
pub use preconditions::{Compared, Preconditions, StaleObject};
pub use restarts::Restart;
pub use right::{OtherAccount, Right};
pub use scope::{Part, touched, with_chains};
pub use target::{addresses, restrict_to, restrict_to_clusters};
pub use terraform::{Terraform, iam_member};
pub use tokens::pods_to_read;
pub use users::{User, Users};

use crate::address::Address;
use crate::desired::{Desired, Waves};
use crate::graph::Graph;
use crate::live::Live;
use crate::reason::Reason;
use crate::spec::model::SourceLine;

/// What would change, and all that the reader must know before saying yes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Plan {
    /// The spec's name.
    #[serde(deserialize_with = "crate::names::label")]
    pub owner: String,
    /// By the address of each edit.
    #[serde(with = "edit")]
    pub changes: BTreeMap<Address, Change>,
    /// What moving each node pool means for the workloads on it, by the node pool's address.
    pub impact: BTreeMap<Address, Impact>,
    /// Node pools that are not moved, what is not taken away, and why.
    pub held_back: Vec<HeldBack>,
    /// Grants whose conditions hold at no time any more: they neither give nor take anything.
    #[serde(default)]
    pub ended: BTreeSet<Address>,
    /// Kubernetes service accounts that lose the Google one that they act as, and get nothing in its place, by
    /// their addresses.
    #[serde(default)]
    pub losing_identity: BTreeMap<Address, IdentityLoss>,
    /// Kubernetes service accounts that come to act as another account, with what that gives and takes, by their
    /// addresses.
    #[serde(default)]
    pub other_accounts: BTreeMap<Address, OtherAccount>,
    /// What the spec does not ask for and what somebody relies on still: it is removed by a later plan.
    #[serde(default)]
    pub staying: BTreeSet<Address>,
    /// Workloads that see their new identity for sure once they are restarted.
    pub restarts: Vec<Restart>,
    /// In how many clusters of the spec the identities of a workload pool are the same ones.
    pub sharing: BTreeMap<String, usize>,
    /// Things to know; nothing stops because of them.
    pub warnings: Vec<String>,
    /// What is likely to be so for ever, and right: it is told in a line.
    #[serde(default)]
    pub notes: Vec<String>,
    /// What must be fixed before anything is applied.
    pub errors: Vec<Problem>,
    /// What could not be read: the plan says nothing about it and removes nothing there.
    pub unseen: Vec<Unseen>,
    /// How many live things this spec has authority over: what removals are measured against.
    pub owned: usize,
    /// How many changes were left out, because only a part was chosen.
    pub left_out: usize,
    /// The flags that left them out.
    #[serde(default)]
    pub left_out_by: BTreeSet<String>,
    /// In which order clusters are changed; `None`: all at once.
    #[serde(default)]
    pub waves: Option<Waves>,
}

/// What a problem is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Subject {
    /// One resource.
    Resource(Address),
    /// The plan as a whole: it counts whatever is targeted.
    Whole,
    /// All that is removed, which is counted again where a part is chosen.
    Removals,
}

impl From<Address> for Subject {
    fn from(address: Address) -> Self {
        Self::Resource(address)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resource(address) => address.fmt(f),
            Self::Whole | Self::Removals => f.write_str("the plan as a whole"),
        }
    }
}

/// A resource that cannot be planned, or a plan that must not be carried out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Problem {
    /// What it is about.
    pub subject: Subject,
    /// What is wrong and what to do.
    pub message: String,
    /// Where the spec asks for it.
    pub place: Option<SourceLine>,
}

/// Something that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Unseen {
    /// The object.
    pub what: String,
    /// What came back.
    pub why: Reason,
}

/// What happens to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Action {
    /// It is not there.
    Create,
    /// It is there and differs.
    Update,
    /// It is there and should not be.
    Delete,
}

/// One change of one resource. Much of it is told by its [`Edit`]: see [`Kind`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Change {
    /// What is there, and what is to be.
    pub edit: Edit,
    /// Why, and what it means, where that is not obvious.
    pub notes: Vec<String>,
    /// Where the spec asks for it; nothing for what left the spec.
    pub place: Option<SourceLine>,
    /// Addresses of changes that must be done before.
    pub needs: BTreeSet<Address>,
    /// The index of the wave that it is carried out in.
    #[serde(default)]
    pub wave: usize,
}

impl Change {
    fn new(edit: Edit, notes: Vec<String>, place: Option<&SourceLine>) -> Self {
        Self {
            edit,
            notes,
            place: place.cloned(),
            needs: BTreeSet::new(),
            wave: 0,
        }
    }

    /// Whether the resource is made, changed or removed.
    pub fn action(&self) -> Action {
        self.edit.action()
    }

    /// The spec's name of the cluster that it is in; `None` for what clusters share.
    pub fn cluster(&self) -> Option<&str> {
        self.edit.cluster()
    }
}

/// An attribute's value before and after.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Attribute {
    /// As it is called in the API.
    pub name: String,
    /// `None`: not set.
    pub before: Option<String>,
    /// `None`: not set afterwards.
    pub after: Option<String>,
}

impl Attribute {
    fn new(name: &str, before: Option<&str>, after: Option<&str>) -> Self {
        let text = |v: Option<&str>| v.filter(|v| !v.is_empty()).map(str::to_owned);
        Self {
            name: name.to_owned(),
            before: text(before),
            after: text(after),
        }
    }
}

/// Choices of the user that change the plan.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Options {
    /// Move node pools although workloads on them lose the node's identity.
    pub accept_loss: bool,
    /// Names of specs whose marks are taken over.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub adopt_from: BTreeSet<String>,
    /// Take fields over from other field managers.
    pub force_conflicts: bool,
    /// Move node pools within their clusters' maintenance exclusions, too.
    pub ignore_exclusions: bool,
    /// Remove more than a fifth of what the spec owns.
    pub allow_mass_removal: bool,
    /// How nodes are recreated in this run.
    pub upgrade: UpgradeOverride,
    /// The time, for maintenance exclusions.
    pub now: Option<jiff::Timestamp>,
}

/// How nodes are recreated in this run, instead of by each node pool's own settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpgradeOverride {
    /// `SURGE` or `BLUE_GREEN`.
    pub strategy: Option<String>,
    /// Nodes more than now, at any time.
    pub max_surge: Option<u32>,
    /// Nodes fewer than now, at any time.
    pub max_unavailable: Option<u32>,
}

impl Plan {
    /// What `--expect-plan-hash` compares: the same for two plans of `desired`, with these choices, that
    /// would do the same.
    pub fn hash(&self, desired: &Desired, options: &Options) -> String {
        digest::hash(self, &scope::kept(desired, self), options)
    }

    /// Adds a change. Two changes of one address are a mistake of `wi`: it is told, and neither is lost
    /// without a word.
    fn insert(&mut self, change: Change) {
        match self.changes.entry(change.edit.address()) {
            Entry::Vacant(free) => {
                free.insert(change);
            }
            Entry::Occupied(taken) => {
                let message = format!(
                    "two changes have this one address, which is a mistake of wi: {:?} and {:?}",
                    taken.get().edit,
                    change.edit
                );
                debug_assert!(false, "{}: {message}", taken.key());
                let subject = taken.key().clone();
                self.error(subject, None, message);
            }
        }
    }

    /// Leaves out all other changes, as `flag` asks for.
    fn keep_only(&mut self, flag: &str, keep: impl Fn(&Address, &Change) -> bool) {
        let all = self.changes.len();
        self.changes.retain(|address, change| keep(address, change));
        let left_out = all - self.changes.len();
        if left_out > 0 {
            self.left_out += left_out;
            self.left_out_by.insert(flag.to_owned());
        }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Whether something of it was planned by what is in Secrets.
    pub fn rests_on_secrets(&self) -> bool {
        let mut edits = self.changes.values().map(|change| &change.edit);
        edits.any(|edit| match edit {
            Edit::Template(_) | Edit::Secret(_) => true,
            Edit::Shadow(shadow) => shadow.rests_on_template(),
            _ => false,
        })
    }

    /// How many resources are added, changed and destroyed.
    pub fn counts(&self) -> Counts {
        let count = |action| {
            self.changes
                .values()
                .filter(|c| c.action() == action)
                .count()
        };
        Counts {
            add: count(Action::Create),
            change: count(Action::Update),
            destroy: count(Action::Delete),
        }
    }
}

/// Changes by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Created.
    pub add: usize,
    /// Updated in place.
    pub change: usize,
    /// Removed.
    pub destroy: usize,
}

/// Compares what is asked for with what is there.
pub fn plan(desired: &Desired, live: &Live, options: &Options) -> Plan {
    let mut plan = Plan {
        owner: desired.owner.clone(),
        sharing: sharing(desired),
        ..Plan::default()
    };
    let node_pools = clusters::diff(desired, live, options, &mut plan);
    let staying = staying::Staying::of(desired, live, options);
    let reliance = reliance::Reliance::of(desired, live, options, &staying);
    let mut kept = reliance::Kept::default();
    accounts::diff(desired, live, options, &reliance, &mut kept, &mut plan);
    let left = Left::of(desired, live);
    let relies = (&reliance, &mut kept);
    let held = bindings::diff(desired, live, options, relies, &left, &mut plan);
    kept.tell(&mut plan);
    leaving::hold(held, desired, &mut plan);
    leaving::hold_used(desired, live, options, &mut plan);
    two_owners::check(desired, live, options, &mut plan);
    bindings::note_inherited(live, &mut plan);
    bindings::note_ended(options.now, &mut plan);
    kubernetes::diff(desired, live, options, &staying, &mut plan);
    left.hold(desired, live, options, &staying, &mut plan);
    off_keys::diff(desired, live, options, &mut plan);
    for (place, why) in &live.unlisted {
        plan.unseen(place, why.clone());
    }
    let sight = readiness::Sight::of(desired, live);
    // Built only for something: a fleet is large, and most plans are empty.
    let graph = std::cell::OnceCell::new();
    let set_needs = |plan: &mut Plan| {
        if !plan.is_empty() {
            let graph = graph.get_or_init(|| Graph::of(desired, &node_pools));
            order::set_needs(graph, desired, live, plan);
        }
    };
    let moves = |c: &Change| matches!(c.edit, Edit::NodePool(_));
    if sight.is_partial() || plan.changes.values().any(moves) {
        // What waits for something that is held is held, too.
        set_needs(&mut plan);
    }
    if sight.is_partial() {
        readiness::hold(&sight, &mut plan);
    }
    impact::hold_back(desired, live, options, &mut plan);
    if sight.is_partial() {
        readiness::hold_what_waits_for_pods(desired, &mut plan);
    }
    readiness::keep_what_held_node_pools_live_on(desired, &mut plan);
    templates::diff(desired, live, options, &mut plan);
    shadows::diff(desired, live, options, &mut plan);
    let rests = cut_over::check(desired, live, options, &mut plan);
    if rests.holds() {
        set_needs(&mut plan);
        rests.hold(desired, &mut plan);
    }
    plan.losing_identity = losses::find(desired, live, options.now, &plan);
    plan.other_accounts = other_account::find(desired, live, &plan);
    restarts::list(live, &mut plan);
    set_needs(&mut plan);
    rests.order(&mut plan);
    waves::assign(desired, &mut plan);
    leftovers::warn(desired, live, &left, &mut plan);
    keys::check(desired, live, options, &mut plan);
    unmanaged_clusters::warn(live, &mut plan);
    unmanaged_clusters::tell_dropped(desired, live, &mut plan);
    brakes::check(desired, live, options, &mut plan);
    own_grants::tell(desired, &mut plan);
    conditional::check(desired, options, &mut plan);
    plan.errors.sort();
    plan.unseen.sort();
    plan.unseen.dedup();
    plan
}

impl Plan {
    /// How much of what the spec says is not planned yet, since somebody would lose by it.
    pub fn waiting(&self) -> usize {
        self.held_back.len() + self.staying.len()
    }

    /// Whether all was read, and all that the spec says is planned or there.
    pub fn is_whole(&self) -> bool {
        self.unseen.is_empty()
            && self.errors.is_empty()
            && self.left_out == 0
            && self.waiting() == 0
    }

    /// Whether it says what becomes of something: it changes, is held back, or stays for now.
    fn tells_of(&self, address: &Address) -> bool {
        self.changes.contains_key(address)
            || self.staying.contains(address)
            || self.held_back.iter().any(|held| held.address == *address)
    }

    /// Something that stays for now, and why.
    fn stays(&mut self, address: &Address, told: String) {
        self.staying.insert(address.clone());
        self.warnings.push(told);
    }

    fn error(&mut self, subject: impl Into<Subject>, place: Option<&SourceLine>, message: String) {
        self.errors.push(Problem {
            subject: subject.into(),
            message,
            place: place.cloned(),
        });
    }

    fn unseen(&mut self, what: impl ToString, why: impl Into<Reason>) {
        self.unseen.push(Unseen {
            what: what.to_string(),
            why: why.into(),
        });
    }
}

/// In how many clusters of the spec the identities of each pool are the same ones.
fn sharing(desired: &Desired) -> BTreeMap<String, usize> {
    let mut sharing = BTreeMap::new();
    for cluster in desired.clusters.values() {
        *sharing
            .entry(cluster.path.project.workload_pool())
            .or_insert(0) += 1;
    }
    sharing
}
