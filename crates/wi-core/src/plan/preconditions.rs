//! What a plan rests on: the objects that its changes write, as they were when they were read. A
//! saved plan is carried out if they still are so.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::edit::{AccountState, Was};
use super::{HoldReason, IdentityEffect, Impact, Options, Plan};
use crate::address::{Address, KsaKey, NamespaceKey};
use crate::desired::Desired;
use crate::live::{Live, Objects, Seen};
use crate::names::{Email, ProjectId};
use crate::resource::Resource;
use crate::wire::container::Cluster;
use crate::wire::kubernetes::ObjectMeta;
use crate::wire::policy::Policy;
use crate::wire::upgrade::RESTORE_LABEL;

/// Something that a plan rests on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Precondition {
    /// What has this address.
    Resource(Address),
    /// The namespace at this address takes objects, and is no other one of that name.
    Namespace(Address),
    /// The policy of this.
    Policy(Resource),
    /// Which workloads on this node pool lose its identity.
    Workloads(Address),
}

impl fmt::Display for Precondition {
    /// As users know it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resource(address) | Self::Namespace(address) => address.fmt(f),
            Self::Policy(resource) => write!(f, "the policy of {resource}"),
            Self::Workloads(address) => write!(f, "the workloads on {address}"),
        }
    }
}

/// An object as the plan saw it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// The server's version of it (an etag): the same one is the same object. Another one can be, too: a
    /// cluster has a new etag whenever its autoscaler adds a node.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// What `wi` looks at, `null` for an object that is not there. Lists are sets.
    pub state: Value,
}

/// What a plan rests on beside what its edits hold themselves: clusters, node pools and policies.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Preconditions(#[serde(with = "crate::serde_pairs")] BTreeMap<Precondition, Observation>);

/// An object that is not as the plan saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaleObject {
    /// The object.
    pub object: String,
    /// What is other than it was, a line each.
    pub how: Vec<String>,
}

/// What became of a plan's preconditions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compared {
    /// Objects that are not as they were.
    pub stale: Vec<StaleObject>,
    /// Objects that could not be read, and why.
    pub unread: Vec<(String, String)>,
}

impl Preconditions {
    /// What `plan` rests on beside its edits, as it is in `live`.
    pub(super) fn of(plan: &Plan, live: &Live) -> Self {
        let mut all = Reader::all(plan, live).observed;
        let told = told_by(plan);
        all.retain(|basis, _| !told.contains_key(basis));
        Self(all)
    }
}

/// What a plan's edits, and its workloads, say themselves of what it rests on.
fn told_by(plan: &Plan) -> BTreeMap<Precondition, Observation> {
    let told = |state| Observation {
        version: String::new(),
        state,
    };
    let of_edits = plan.changes.iter().filter_map(|(address, change)| {
        let state = change.edit.seen()?;
        Some((Precondition::Resource(address.clone()), told(state)))
    });
    let moved = plan
        .impact
        .iter()
        .filter(|(a, _)| plan.changes.contains_key(*a));
    let of_workloads = moved.map(|(address, impact)| {
        let workloads = Precondition::Workloads(address.clone());
        (workloads, told(losers(impact)))
    });
    of_edits.chain(of_workloads).collect()
}

/// What is other than it was. What `before` does not tell of is, too: a file that leaves something out is
/// not believed.
fn stale(
    before: &BTreeMap<Precondition, Observation>,
    now: &BTreeMap<Precondition, Observation>,
) -> Vec<StaleObject> {
    let stale = now.iter().filter_map(|(basis, after)| {
        if let Precondition::Namespace(namespace) = basis
            && now.contains_key(&Precondition::Resource(namespace.clone()))
        {
            return None; // told of with all that it is
        }
        let how = match before.get(basis) {
            None => vec!["the plan does not say what it was".to_owned()],
            Some(before) => {
                let same_version = !before.version.is_empty() && before.version == after.version;
                if same_version || before.state == after.state {
                    return None;
                }
                let mut how = Vec::new();
                differences("", &before.state, &after.state, &mut how);
                how
            }
        };
        let object = basis.to_string();
        Some(StaleObject { object, how })
    });
    stale.collect()
}

/// Whether `plan`, which rests on `recorded` and what its edits hold, is what would be done now: `live` was
/// read anew for `desired`, the part of it that the changes touch ([`super::scope::touched`]).
pub(super) fn compare(
    plan: &Plan,
    recorded: &Preconditions,
    desired: &Desired,
    live: &Live,
    options: &Options,
) -> Compared {
    // Who loses the node's identity is for the planner to say, by what runs on the node pools now.
    let fresh = super::plan(desired, live, options);
    let now = Plan {
        changes: plan.changes.clone(),
        impact: fresh.impact,
        ..Plan::default()
    };
    let mut before = recorded.0.clone();
    before.extend(told_by(plan));
    let Reader {
        observed: mut now,
        unread,
        ..
    } = Reader::all(&now, live);
    if options.accept_loss {
        // Pods that could not be read then are accepted unseen.
        now.retain(|basis, _| {
            before.contains_key(basis) || !matches!(basis, Precondition::Workloads(_))
        });
    }
    let mut stale = stale(&before, &now);
    for held in fresh.held_back {
        let how = match held.why {
            HoldReason::Exclusion { name, until } => {
                vec![format!(
                    "the maintenance exclusion {name} holds until {until}"
                )]
            }
            HoldReason::Users(users) => users.in_words(),
            _ => continue,
        };
        if plan.changes.contains_key(&held.address) {
            let object = held.address.to_string();
            stale.push(StaleObject { object, how });
        }
    }
    let mut unread: Vec<(String, String)> = unread
        .into_iter()
        .map(|(b, why)| (b.to_string(), why))
        .collect();
    if stale.is_empty() && unread.is_empty() {
        // Pods of a node pool that could be read then, and cannot be now.
        let gone = before.keys().filter(|b| !now.contains_key(*b));
        unread.extend(gone.map(|basis| (basis.to_string(), "it was not read".to_owned())));
    }
    Compared { stale, unread }
}

/// Reads what changes rest on.
#[derive(Debug)]
pub struct Reader<'a> {
    live: &'a Live,
    observed: BTreeMap<Precondition, Observation>,
    unread: Vec<(Precondition, String)>,
}

impl<'a> Reader<'a> {
    /// All that `plan` rests on.
    fn all(plan: &Plan, live: &'a Live) -> Self {
        let mut reader = Self {
            live,
            observed: BTreeMap::new(),
            unread: Vec::new(),
        };
        for change in plan.changes.values() {
            change.edit.observe(&mut reader);
        }
        for (address, impact) in &plan.impact {
            if plan.changes.contains_key(address) {
                reader.seen(Precondition::Workloads(address.clone()), "", losers(impact));
            }
        }
        reader
    }

    fn seen(&mut self, basis: Precondition, version: &str, state: Value) {
        let version = version.to_owned();
        self.observed.insert(basis, Observation { version, state });
    }

    fn unread(&mut self, basis: Precondition, why: &str) {
        let unread = (basis, why.to_owned());
        if !self.unread.contains(&unread) {
            self.unread.push(unread);
        }
    }

    /// A cluster's own state; answers with it.
    fn read_cluster(&mut self, name: &str) -> Option<&'a Cluster> {
        let basis = Precondition::Resource(Address::cluster_pool(name));
        match self.live.clusters.get(name) {
            Some(Seen::Found(cluster)) => {
                self.seen(basis, &cluster.etag, cluster_state(cluster));
                return Some(cluster);
            }
            Some(Seen::Absent) => self.seen(basis, "", Value::Null),
            Some(Seen::Unknown(why)) => self.unread(basis, why),
            None => self.unread(basis, "it was not read"),
        }
        None
    }

    pub(super) fn cluster(&mut self, name: &str) {
        self.read_cluster(name);
    }

    pub(super) fn node_pool(&mut self, address: Address, cluster: &str, name: &str) {
        let Some(cluster) = self.read_cluster(cluster) else {
            return;
        };
        let basis = Precondition::Resource(address);
        let Some(pool) = cluster.node_pools.iter().find(|p| p.name == name) else {
            return self.seen(basis, "", Value::Null);
        };
        let state = json!({
            "mode": pool.config.workload_metadata_config.mode,
            "serviceAccount": pool.config.service_account,
            "upgradeSettings": pool.upgrade_settings,
        });
        self.seen(basis, &pool.etag, state);
    }

    pub(super) fn account(&mut self, address: Address, project: &ProjectId, email: &Email) {
        let basis = Precondition::Resource(address);
        match self.live.accounts.get(project) {
            Some(Seen::Found(accounts)) => {
                let account = accounts.get(email).map(AccountState::from);
                let state = account.map_or(Value::Null, |account| account.state());
                self.seen(basis, "", state);
            }
            Some(Seen::Unknown(why)) => self.unread(basis, why),
            Some(Seen::Absent) | None => self.unread(basis, "its project's list was not read"),
        }
    }

    pub(super) fn policy(&mut self, resource: &Resource) {
        let basis = Precondition::Policy(resource.clone());
        match self.live.policies.get(resource) {
            Some(Seen::Found(policy)) => self.seen(basis, &policy.etag, policy_state(policy)),
            Some(Seen::Absent) | None => self.seen(basis, "", Value::Null),
            Some(Seen::Unknown(why)) => self.unread(basis, why),
        }
    }

    pub(super) fn namespace(&mut self, key: &NamespaceKey) {
        if let Some(objects) = self.objects(&key.cluster) {
            self.object(
                key.address(),
                objects.namespaces.get(key.namespace.as_str()),
            );
        }
    }

    /// The namespace that a service account is written in. Its labels are of no account for that.
    pub(super) fn namespace_of(&mut self, key: &KsaKey) {
        let namespace = key.namespace_key();
        if let Some(objects) = self.objects(&key.cluster) {
            let there = objects.namespaces.get(key.namespace.as_str());
            let state = there.map_or(
                Value::Null,
                |meta| json!({ "uid": meta.uid, "beingDeleted": !meta.deletion_timestamp.is_empty() }),
            );
            self.seen(Precondition::Namespace(namespace.address()), "", state);
        }
    }

    pub(super) fn service_account(&mut self, key: &KsaKey) {
        let name = (key.namespace.to_string(), key.name.to_string());
        if let Some(objects) = self.objects(&key.cluster) {
            self.object(key.address(), objects.service_accounts.get(&name));
        }
    }

    fn object(&mut self, address: Address, meta: Option<&ObjectMeta>) {
        let state = meta.map_or(Value::Null, |meta| Was::from(meta).state());
        self.seen(Precondition::Resource(address), "", state);
    }

    fn objects(&mut self, cluster: &str) -> Option<&'a Objects> {
        let basis = Precondition::Resource(Address::cluster_pool(cluster));
        if let Some(Seen::Found(found)) = self.live.clusters.get(cluster)
            && !self.observed.contains_key(&basis)
        {
            // Objects of a cluster that was made anew under the same name are other ones.
            self.seen(basis.clone(), "", json!({ "id": found.id }));
        }
        match self.live.kubernetes.get(cluster) {
            Some(Seen::Found(objects)) => return Some(objects),
            Some(Seen::Unknown(why)) => self.unread(basis, why),
            Some(Seen::Absent) | None => self.unread(basis, "it was not read"),
        }
        None
    }
}

fn cluster_state(cluster: &Cluster) -> Value {
    let exclusions: Map<String, Value> = cluster
        .maintenance_policy
        .window
        .maintenance_exclusions
        .iter()
        .map(|(name, e)| {
            let scope = &e.maintenance_exclusion_options.scope;
            let text = format!("{} to {} {scope}", e.start_time, e.end_time);
            (name.clone(), text.trim_end().into())
        })
        .collect();
    let labels: Map<String, Value> = cluster
        .resource_labels
        .iter()
        .filter(|(label, _)| label.starts_with(RESTORE_LABEL))
        .map(|(label, value)| (label.clone(), value.clone().into()))
        .collect();
    json!({
        "id": cluster.id,
        "workloadPool": cluster.workload_identity_config.workload_pool,
        "autopilot": cluster.autopilot.enabled,
        "nodeAutoprovisioning": cluster.autoscaling.enable_node_autoprovisioning,
        "maintenanceExclusions": exclusions,
        "resourceLabels": labels,
        "nodePools": cluster.node_pools.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(),
    })
}

/// By role and condition, so that a difference names them.
fn policy_state(policy: &Policy) -> Value {
    let mut bindings: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for binding in &policy.bindings {
        let role = match &binding.condition {
            Some(c) => format!("{} if {} ({})", binding.role, c.title, c.expression),
            None => binding.role.clone(),
        };
        let members = binding.members.iter().map(String::as_str);
        bindings.entry(role).or_default().extend(members);
    }
    let mut state = Map::new();
    state.insert("bindings".to_owned(), json!(bindings));
    if let Some(audit) = policy.rest.get("auditConfigs") {
        state.insert("auditConfigs".to_owned(), audit.clone());
    }
    Value::Object(state)
}

/// What moving a node pool takes from whom: new replicas of a workload are no news.
fn losers(impact: &Impact) -> Value {
    let mut losers: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (fate, workloads) in &impact.workloads {
        let fate = match fate {
            IdentityEffect::Loses(_) | IdentityEffect::LosesAccepted => "lose the node's identity",
            IdentityEffect::Gets(_) | IdentityEffect::Keeps(_) => continue,
        };
        let names = workloads
            .iter()
            .map(|w| format!("{} {}/{}", w.kind, w.namespace, w.name));
        losers.entry(fate).or_default().extend(names);
    }
    json!(losers)
}

/// What is other than it was, a line each: `labels.team: "a" -> "b"`, `bindings.ROLE: + MEMBER`.
fn differences(at: &str, before: &Value, after: &Value, out: &mut Vec<String>) {
    let below = |key: &str| {
        if at.is_empty() {
            key.to_owned()
        } else {
            format!("{at}.{key}")
        }
    };
    match (before, after) {
        (Value::Object(b), Value::Object(a)) => {
            let keys: BTreeSet<&String> = b.keys().chain(a.keys()).collect();
            for key in keys {
                let (b, a) = (b.get(key), a.get(key));
                if b != a {
                    let none = Value::Null;
                    differences(&below(key), b.unwrap_or(&none), a.unwrap_or(&none), out);
                }
            }
        }
        (Value::Array(_) | Value::Null, Value::Array(_) | Value::Null)
            if before.is_array() || after.is_array() =>
        {
            let empty = Vec::new();
            let (b, a) = (
                before.as_array().unwrap_or(&empty),
                after.as_array().unwrap_or(&empty),
            );
            for gone in b.iter().filter(|v| !a.contains(v)) {
                out.push(format!("{at}: - {}", short(gone)));
            }
            for new in a.iter().filter(|v| !b.contains(v)) {
                out.push(format!("{at}: + {}", short(new)));
            }
        }
        (Value::Null, _) if at.is_empty() => {
            out.push("it was not there, and is now".to_owned());
        }
        (_, Value::Null) if at.is_empty() => out.push("it is gone".to_owned()),
        _ => out.push(format!("{at}: {} -> {}", short(before), short(after))),
    }
}

fn short(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) if text.is_empty() => "none".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
