//! What edits rest on, read from a live state.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::address::{Address, KsaKey, NamespaceKey, SecretKey, WorkloadKey};
use crate::desired::GSA_ANNOTATION;
use crate::live::keys::SecretSeen;
use crate::live::templates::TemplateSeen;
use crate::live::{Live, Objects, Seen};
use crate::migrate::shadow::{MARK, Mark, name_of};
use crate::names::{Email, ProjectId};
use crate::resource::Resource;
use crate::wire::container::Cluster;
use crate::wire::iam::ServiceAccount;
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

/// Reads what changes rest on.
#[derive(Debug)]
pub struct Reader<'a> {
    live: &'a Live,
    pub(super) observed: BTreeMap<Precondition, Observation>,
    pub(super) unread: Vec<(Precondition, String)>,
}

impl<'a> Reader<'a> {
    pub(super) fn of(live: &'a Live) -> Self {
        Self {
            live,
            observed: BTreeMap::new(),
            unread: Vec::new(),
        }
    }

    pub(super) fn seen(&mut self, basis: Precondition, version: &str, state: Value) {
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

    /// `state` is what counts of it.
    pub(super) fn account(
        &mut self,
        address: Address,
        project: &ProjectId,
        email: &Email,
        state: impl Fn(&ServiceAccount) -> Value,
    ) {
        let basis = Precondition::Resource(address);
        match self.live.accounts.get(project) {
            Some(Seen::Found(accounts)) => {
                let state = accounts.get(email).map_or(Value::Null, state);
                self.seen(basis, "", state);
            }
            Some(Seen::Unknown(why)) => self.unread(basis, why),
            Some(Seen::Absent) | None => self.unread(basis, "its project's list was not read"),
        }
    }

    /// `state` makes what counts of it of whether it is disabled.
    pub(super) fn key(
        &mut self,
        address: Address,
        email: &Email,
        id: &str,
        state: impl Fn(bool) -> Value,
    ) {
        let basis = Precondition::Resource(address);
        match self.live.keys.get(email) {
            Some(Seen::Found(keys)) => {
                let key = keys.iter().find(|k| k.id() == id);
                self.seen(basis, "", key.map_or(Value::Null, |k| state(k.disabled)));
            }
            Some(Seen::Unknown(why)) => self.unread(basis, why),
            Some(Seen::Absent) | None => self.unread(basis, "its account's keys were not read"),
        }
    }

    /// `state` makes what counts of it of its uid.
    pub(super) fn secret(&mut self, key: &SecretKey, email: &Email, state: impl Fn(&str) -> Value) {
        let basis = Precondition::Resource(key.address());
        let Some(of) = self.live.off_keys.values().find(|of| of.email == *email) else {
            return self.unread(basis, "it was not looked for");
        };
        let is_it = |s: &&SecretSeen| {
            (s.cluster.as_str(), s.namespace.as_str(), s.name.as_str())
                == (&*key.cluster, key.namespace.as_str(), key.name.as_str())
        };
        let found = of.secrets.iter().find(is_it);
        self.seen(basis, "", found.map_or(Value::Null, |s| state(&s.uid)));
    }

    /// `state` makes what counts of it of its uid and of the digest of its template.
    pub(super) fn template(
        &mut self,
        key: &WorkloadKey,
        email: &Email,
        state: impl Fn(&str, &str) -> Value,
    ) {
        let basis = Precondition::Resource(key.template());
        let mut all = self.live.off_keys.values();
        let Some(all) = all
            .find(|of| of.email == *email)
            .and_then(|of| of.templates.as_ref())
        else {
            return self.unread(basis, "it was not looked for (--read-secrets)");
        };
        match all.iter().find(|t| is_of(t, key)).map(|t| (t, &t.object)) {
            Some((seen, Ok(object))) => {
                let uid = object.0["metadata"]["uid"].as_str().unwrap_or_default();
                self.seen(basis, "", state(uid, &seen.digest()));
            }
            Some((_, Err(why))) => self.unread(basis, why),
            None => self.seen(basis, "", Value::Null),
        }
    }

    /// `state` makes what counts of it of its uid, its mark, and the digest of the template that it is made of.
    pub(super) fn shadow(
        &mut self,
        key: &WorkloadKey,
        email: &Email,
        with_template: bool,
        state: impl Fn(&str, &str, &str) -> Value,
    ) {
        let basis = Precondition::Resource(key.shadow());
        let all = match self.live.shadows.get(&key.cluster) {
            Some(Ok(all)) => all,
            Some(Err(why)) => return self.unread(basis, why),
            None => return self.unread(basis, "it was not looked for"),
        };
        let found = all.iter().map(|shadow| shadow.meta()).find(|meta| {
            meta.namespace == key.namespace.as_str() && meta.name == name_of(key.name.as_str())
        });
        let found = found.filter(|meta| Mark::of(meta).is_some());
        let mark = found.as_ref().and_then(|meta| meta.annotations.get(MARK));
        let uid = found.as_ref().map(|meta| meta.uid.as_str());
        let mut of = self.live.off_keys.values();
        let of = of.find(|of| of.email == *email && with_template);
        let mut templates = of.into_iter().flat_map(|of| of.templates.iter().flatten());
        let template = templates.find(|t| is_of(t, key));
        let digest = template.map(TemplateSeen::digest).unwrap_or_default();
        let mark = mark.map(String::as_str);
        let state = state(uid.unwrap_or_default(), mark.unwrap_or_default(), &digest);
        self.seen(basis, "", state);
    }

    pub(super) fn policy(&mut self, resource: &Resource) {
        let basis = Precondition::Policy(resource.clone());
        match self.live.policies.get(resource) {
            Some(Seen::Found(policy)) => self.seen(basis, &policy.etag, policy_state(policy)),
            Some(Seen::Absent) | None => self.seen(basis, "", Value::Null),
            Some(Seen::Unknown(why)) => self.unread(basis, why),
        }
    }

    /// `state` is what counts of it.
    pub(super) fn namespace(&mut self, key: &NamespaceKey, state: impl Fn(&ObjectMeta) -> Value) {
        if let Some(objects) = self.objects(&key.cluster) {
            let there = objects.namespaces.get(key.namespace.as_str());
            let basis = Precondition::Resource(key.address());
            self.seen(basis, "", there.map_or(Value::Null, state));
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

    /// `state` is what counts of it.
    pub(super) fn service_account(&mut self, key: &KsaKey, state: impl Fn(&ObjectMeta) -> Value) {
        let name = (key.namespace.to_string(), key.name.to_string());
        if let Some(objects) = self.objects(&key.cluster) {
            let there = objects.service_accounts.get(&name);
            let basis = Precondition::Resource(key.address());
            self.seen(basis, "", there.map_or(Value::Null, state));
        }
    }

    /// The annotation of a service account that others write, where it `counts`; it may not be there yet.
    pub(super) fn annotation_of_others(
        &mut self,
        key: &KsaKey,
        counts: impl Fn(Option<&str>) -> bool,
    ) {
        let name = (key.namespace.to_string(), key.name.to_string());
        if let Some(objects) = self.objects(&key.cluster) {
            let there = objects.service_accounts.get(&name);
            let account = there.and_then(|meta| meta.annotations.get(GSA_ANNOTATION));
            let account = account.map(String::as_str);
            let shown = match (there, account) {
                (Some(_), account) if counts(account) => account.unwrap_or_default(),
                _ => "none of those that lose something",
            };
            let basis = Precondition::Resource(key.address());
            self.seen(basis, "", json!({ GSA_ANNOTATION: shown }));
        }
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

fn is_of(seen: &TemplateSeen, key: &WorkloadKey) -> bool {
    let place = (seen.kind, &*seen.namespace, &*seen.name);
    seen.cluster == key.cluster && place == (&*key.kind, key.namespace.as_str(), key.name.as_str())
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
