//! What a plan rests on: the objects that its changes write, as they were when they were read. A
//! saved plan is carried out if they still are so.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::marks::{ADOPTED, MANAGED_BY, OWNER};
use super::{Fate, Impact, KubeChange, Options, Plan, What};
use crate::address::Address;
use crate::desired::{Desired, GSA_ANNOTATION};
use crate::digest::sha256;
use crate::live::{Live, Seen};
use crate::names::{Email, ProjectId};
use crate::resource::Resource;
use crate::wire::container::Cluster;
use crate::wire::kubernetes::ObjectMeta;
use crate::wire::policy::Policy;
use crate::wire::upgrade::RESTORE_LABEL;

/// Labels and annotations whose values are told; of all others only that they changed.
const TOLD: [&str; 4] = [MANAGED_BY, OWNER, ADOPTED, GSA_ANNOTATION];

/// What the fact about the workloads on a node pool begins with; its address follows.
const WORKLOADS: &str = "the workloads on ";

/// What the fact about the workloads on a node pool is called.
pub(super) fn workloads_fact(address: &str) -> String {
    format!("{WORKLOADS}{address}")
}

/// Those of labels or annotations whose values are told.
pub(super) fn told(values: &Value) -> Vec<(&str, Option<&str>)> {
    let value = |key| (key, values.get(key).and_then(Value::as_str));
    TOLD.into_iter().map(value).collect()
}

/// An object as the plan saw it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fact {
    /// The server's version of it (etag, resourceVersion): the same one is the same object. Another
    /// one can be, too: a cluster has a new etag whenever its autoscaler adds a node.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// What `wi` looks at, `null` for an object that is not there. Lists are sets.
    pub state: Value,
}

/// What a plan rests on, by the names that users know the objects by.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Basis(pub BTreeMap<String, Fact>);

/// An object that is not as the plan saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The object.
    pub object: String,
    /// What is other than it was, a line each.
    pub how: Vec<String>,
}

/// What became of a plan's basis.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compared {
    /// Objects that are not as they were.
    pub moved: Vec<Moved>,
    /// Objects that could not be read, and why.
    pub unread: Vec<(String, String)>,
}

impl Basis {
    /// What `plan` rests on, as it is in `live`. The second value is what could not be read.
    pub fn of(plan: &Plan, live: &Live) -> (Self, Vec<(String, String)>) {
        let mut reader = Reader {
            live,
            facts: BTreeMap::new(),
            unread: Vec::new(),
        };
        for (address, change) in &plan.changes {
            match &change.what {
                What::ClusterPool { cluster, .. } => reader.cluster(cluster, None),
                What::NodePool {
                    cluster, node_pool, ..
                }
                | What::RestoreSettings {
                    cluster, node_pool, ..
                } => reader.cluster(cluster, Some((address, node_pool))),
                What::Account { project, email, .. } => reader.account(address, project, email),
                What::Binding { key, .. } => reader.policy(&key.resource),
                What::Namespace(write) => reader.object(address, write, None),
                What::Ksa { change: write, .. } => {
                    reader.object(address, write, Some(write.object_name()));
                }
            }
        }
        for (address, impact) in &plan.impact {
            if plan.changes.contains_key(address) {
                let fact = Fact {
                    version: String::new(),
                    state: losers(impact),
                };
                reader.facts.insert(workloads_fact(address), fact);
            }
        }
        (Self(reader.facts), reader.unread)
    }

    /// Compares with what is there now. What this does not tell of moved, too: a file that leaves
    /// something out is not believed.
    fn compare(&self, now: &Self) -> Vec<Moved> {
        now.0
            .iter()
            .filter_map(|(object, after)| {
                let Some(before) = self.0.get(object) else {
                    return Some(Moved {
                        object: object.clone(),
                        how: vec!["the plan does not say what it was".to_owned()],
                    });
                };
                let same_version = !before.version.is_empty() && before.version == after.version;
                if same_version || before.state == after.state {
                    return None;
                }
                let mut how = Vec::new();
                differences("", &before.state, &after.state, &mut how);
                Some(Moved {
                    object: object.clone(),
                    how,
                })
            })
            .collect()
    }
}

/// Whether `plan`, which rests on `basis`, is what would be done now: `live` was read anew for
/// `desired`, that is what is needed of it ([`super::part::needed`]).
pub fn compare(
    plan: &Plan,
    basis: &Basis,
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
    let (mut now, mut unread) = Basis::of(&now, live);
    if options.accept_loss {
        // Pods that could not be read then are accepted unseen.
        now.0
            .retain(|object, _| basis.0.contains_key(object) || !object.starts_with(WORKLOADS));
    }
    let mut moved = basis.compare(&now);
    for held in fresh.held_back {
        if let super::Why::Exclusion { name, until } = held.why
            && plan.changes.contains_key(&held.address)
        {
            moved.push(Moved {
                object: held.address.to_string(),
                how: vec![format!(
                    "the maintenance exclusion {name} holds until {until}"
                )],
            });
        }
    }
    if moved.is_empty() && unread.is_empty() {
        // Pods of a node pool that could be read then, and cannot be now.
        let gone = basis.0.keys().filter(|o| !now.0.contains_key(*o));
        unread.extend(gone.map(|object| (object.clone(), "it was not read".to_owned())));
    }
    Compared { moved, unread }
}

struct Reader<'a> {
    live: &'a Live,
    facts: BTreeMap<String, Fact>,
    unread: Vec<(String, String)>,
}

impl Reader<'_> {
    fn fact(&mut self, object: String, version: &str, state: Value) {
        let version = version.to_owned();
        self.facts.insert(object, Fact { version, state });
    }

    fn unread(&mut self, object: &str, why: &str) {
        let unread = (object.to_owned(), why.to_owned());
        if !self.unread.contains(&unread) {
            self.unread.push(unread);
        }
    }

    fn cluster(&mut self, name: &str, node_pool: Option<(&str, &str)>) {
        let address = Address::cluster_pool(name).to_string();
        match self.live.clusters.get(name) {
            Some(Seen::Found(cluster)) => {
                self.fact(address, &cluster.etag, cluster_state(cluster));
                if let Some((address, node_pool)) = node_pool {
                    self.node_pool(address, cluster, node_pool);
                }
            }
            Some(Seen::Absent) => self.fact(address, "", Value::Null),
            Some(Seen::Unknown(why)) => self.unread(&address, why),
            None => self.unread(&address, "it was not read"),
        }
    }

    fn node_pool(&mut self, address: &str, cluster: &Cluster, name: &str) {
        let Some(pool) = cluster.node_pools.iter().find(|p| p.name == name) else {
            return self.fact(address.to_owned(), "", Value::Null);
        };
        let state = json!({
            "mode": pool.config.workload_metadata_config.mode,
            "serviceAccount": pool.config.service_account,
            "upgradeSettings": pool.upgrade_settings,
        });
        self.fact(address.to_owned(), &pool.etag, state);
    }

    fn account(&mut self, address: &str, project: &ProjectId, email: &Email) {
        match self.live.accounts.get(project) {
            Some(Seen::Found(accounts)) => {
                let state = accounts.get(email).map_or(Value::Null, |a| {
                    json!({
                        "uniqueId": a.unique_id,
                        "displayName": a.display_name,
                        "description": a.description,
                        "disabled": a.disabled,
                    })
                });
                self.fact(address.to_owned(), "", state);
            }
            Some(Seen::Unknown(why)) => {
                self.unread(address, why);
            }
            Some(Seen::Absent) | None => self.unread(address, "its project's list was not read"),
        }
    }

    fn policy(&mut self, resource: &Resource) {
        let object = format!("the policy of {resource}");
        match self.live.policies.get(resource) {
            Some(Seen::Found(policy)) => self.fact(object, &policy.etag, policy_state(policy)),
            Some(Seen::Absent) | None => self.fact(object, "", Value::Null),
            Some(Seen::Unknown(why)) => self.unread(&object, why),
        }
    }

    /// `name`: of a service account; a namespace is its own.
    fn object(&mut self, address: &str, write: &KubeChange, name: Option<&str>) {
        let cluster = Address::cluster_pool(&write.cluster).to_string();
        if let Some(Seen::Found(found)) = self.live.clusters.get(&write.cluster)
            && !self.facts.contains_key(&cluster)
        {
            // Objects of a cluster that was made anew under the same name are other ones.
            self.fact(cluster.clone(), "", json!({ "id": found.id }));
        }
        let objects = match self.live.kubernetes.get(&write.cluster) {
            Some(Seen::Found(objects)) => objects,
            Some(Seen::Unknown(why)) => return self.unread(&cluster, why),
            Some(Seen::Absent) | None => return self.unread(&cluster, "it was not read"),
        };
        let namespace = write.namespace();
        let meta = match name {
            Some(name) => objects
                .service_accounts
                .get(&(namespace.to_owned(), name.to_owned())),
            None => objects.namespaces.get(namespace),
        };
        match meta {
            Some(meta) => {
                let version = meta.resource_version.clone();
                self.fact(address.to_owned(), &version, object_state(meta));
            }
            None => self.fact(address.to_owned(), "", Value::Null),
        }
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

fn object_state(meta: &ObjectMeta) -> Value {
    let told = |values: &BTreeMap<String, String>| -> Map<String, Value> {
        values
            .iter()
            .map(|(key, value)| {
                let shown = if TOLD.contains(&key.as_str()) {
                    value.clone()
                } else {
                    // Anything can be in there, a secret too.
                    format!("value {}", &sha256(value.as_bytes())[..12])
                };
                (key.clone(), shown.into())
            })
            .collect()
    };
    json!({
        "uid": meta.uid,
        "labels": told(&meta.labels),
        "annotations": told(&meta.annotations),
    })
}

/// What moving a node pool takes from whom: new replicas of a workload are no news.
pub(super) fn losers(impact: &Impact) -> Value {
    let mut losers: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (fate, workloads) in &impact.workloads {
        let fate = match fate {
            Fate::Loses(_) | Fate::LosesAccepted => "lose the node's identity",
            Fate::Gets(_) | Fate::Keeps(_) => continue,
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

impl KubeChange {
    /// The object's name.
    fn object_name(&self) -> &str {
        self.field("name")
    }

    /// The namespace that it is in; a namespace is in itself.
    pub fn namespace(&self) -> &str {
        match self.field("namespace") {
            "" => self.field("name"),
            namespace => namespace,
        }
    }

    fn field(&self, name: &str) -> &str {
        let of_object = || self.object.as_ref()?["metadata"][name].as_str();
        let before = self.before.as_ref().map(|meta| match name {
            "name" => meta.name.as_str(),
            _ => meta.namespace.as_str(),
        });
        before.or_else(of_object).unwrap_or_default()
    }
}
