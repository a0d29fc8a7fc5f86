//! A simulated Kubernetes API server for one cluster: real TLS, real HTTP, kubectl speaks to it.
//!
//! Namespaces, service accounts, pods, their disruption budgets and nodes, with the parts that planners trip over: paging with
//! expiring tokens, optimistic locks, server-side apply with field managers and conflicts.

mod admission;
mod api;
mod attempt;
mod budget;
mod changes;
mod clockwork;
mod controllers;
mod custom;
mod decode;
mod deletion;
mod discovery;
mod disruption;
mod field_set;
mod fields;
mod http;
mod identity;
mod kind;
mod list;
mod lists;
mod manifest;
mod names;
mod nodes;
mod objects;
mod openapi;
mod patch;
mod protobuf;
mod representation;
mod request;
mod response;
mod saved;
mod schedule;
mod selector;
mod serve;
mod state;
mod status;
mod store;
mod strategic;
mod subresources;
mod tls;
mod uid;
mod validation;
mod watching;
mod webhook;
mod workloads;

use std::collections::{BTreeMap, HashMap};
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use api::Api;
pub use budget::{
    IntOrPercent, LabelOperator, LabelRequirement, LabelSelector, PodDisruptionBudgetState, budgets,
};
pub use clockwork::{Controllers, Health, Healths, Maker, Order, Owner};
pub use nodes::NodeServer;
pub use serve::Served;
pub use state::{KubeState, NamespaceState, NodeSpec, PodOwner, PodState, ServiceAccountState};
pub use webhook::Webhook;

pub(crate) use custom::names as custom_names;
pub(crate) use manifest::{kept, name_of_secret, pod_state, volume_sources};
pub(crate) use nodes::{is_selected, is_tolerated};
pub(crate) use selector::means_pod;

use kind::Kind;
use objects::Key;
use store::Store;
use tokio::sync::watch;

/// One cluster. Clones share it.
#[derive(Debug, Clone)]
pub struct KubeCluster {
    store: Arc<Mutex<Store>>,
    /// The revision, for those who wait for the next.
    revision: Arc<watch::Sender<u64>>,
}

/// The store, while nobody else has it. What was written is told when it is given back.
struct Locked<'a> {
    store: MutexGuard<'a, Store>,
    before: u64,
    told: &'a watch::Sender<u64>,
}

impl Deref for Locked<'_> {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut Store {
        &mut self.store
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        if self.store.revision != self.before {
            self.told.send_replace(self.store.revision);
        }
    }
}

impl KubeCluster {
    pub fn new(state: KubeState) -> Self {
        Self {
            store: Arc::new(Mutex::new(Store::load(state))),
            revision: Arc::new(watch::Sender::new(0)),
        }
    }

    /// The whole state; `KubeCluster::new` of it gives the same cluster again.
    pub fn state(&self) -> KubeState {
        self.lock().to_state()
    }

    /// Its API.
    ///
    /// `accept_token` decides on bearer tokens. `on_change` is called after each request that changed
    /// the state, without a lock held; the methods of this type do not call it. `judge` says what the
    /// faults make of a request.
    pub fn api(
        &self,
        accept_token: Arc<dyn Fn(&str) -> bool + Send + Sync>,
        on_change: Arc<dyn Fn() + Send + Sync>,
        judge: api::Judge,
    ) -> Api {
        Api {
            cluster: self.clone(),
            accept_token,
            on_change,
            judge,
            handshake: Arc::new(|| None),
            on_call: Arc::new(|_, _, _, _| {}),
            issue: Arc::new(|_| String::new()),
            ahead: jiff::SignedDuration::ZERO,
        }
    }

    /// Makes `nodes` the nodes of `pool`: creates, relabels, and removes those that are not named.
    pub fn set_nodes(&self, pool: &str, nodes: &[NodeSpec]) {
        self.lock().set_nodes(pool, nodes);
    }

    /// The nodes of `pool`, by name.
    pub fn nodes_of(&self, pool: &str) -> Vec<NodeSpec> {
        self.lock().nodes_of(pool)
    }

    /// What pods get from the metadata address, by the name of the node.
    pub fn node_servers(&self) -> HashMap<String, NodeServer> {
        self.lock().node_servers()
    }

    /// All pods, by namespace and name, without containers, volumes and what else is in their manifests.
    pub fn pods(&self) -> Vec<PodState> {
        self.lock().pods()
    }

    /// Objects of a kind that are kept as they are written: `Deployment`, `ConfigMap`.
    pub fn objects_of(&self, kind: &str) -> Vec<Arc<serde_json::Value>> {
        let store = self.lock();
        let kind = Kind::named(kind).filter(|kind| kind.is_kept_as_written());
        let objects = kind.into_iter().flat_map(|kind| store.of_kind(kind));
        objects.map(|(_, object)| object.clone()).collect()
    }

    /// An object of a kind, by its namespace and name.
    pub fn object(
        &self,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Option<Arc<serde_json::Value>> {
        let key = Key::new(Kind::named(kind)?, namespace, name);
        self.lock().get(&key).ok()
    }

    /// All pods as the API serves them.
    pub fn pod_objects(&self) -> Vec<Arc<serde_json::Value>> {
        let store = self.lock();
        store
            .of_kind(Kind::Pod)
            .map(|(_, pod)| pod.clone())
            .collect()
    }

    /// All NetworkPolicies of a namespace.
    pub fn network_policies(&self, namespace: &str) -> Vec<Arc<serde_json::Value>> {
        let store = self.lock();
        store
            .of_kind(Kind::NetworkPolicy)
            .filter(|(key, _)| key.namespace == namespace)
            .map(|(_, policy)| policy.clone())
            .collect()
    }

    /// Creates a node, or relabels the one of that name.
    pub fn add_node(&self, node: NodeSpec) {
        self.lock().add_node(node);
    }

    /// Removes a node. Its pods become Pending under new names when a controller owns them; pods of
    /// DaemonSets and pods without a controller are gone, and a new node has its own of each DaemonSet.
    pub fn remove_node(&self, name: &str) {
        self.lock().remove_node(name);
    }

    /// Binds Pending pods to ready nodes that their node selector admits, and runs them.
    pub fn schedule(&self) {
        self.lock().schedule();
    }

    /// `NAMESPACE/NAME` of a PodDisruptionBudget that can never admit the eviction of a pod that runs
    /// on `node`: it wants as many healthy pods as there are.
    pub fn blocks_eviction(&self, node: &str) -> Option<String> {
        self.lock().blocks_eviction(node)
    }

    /// When its controllers have something to do, simulated: 0 for at once. `all`: by schedules, too. `None`: they rest,
    /// or there are none.
    pub fn next_due(&self, all: bool) -> Option<crate::clock::Millis> {
        self.lock().next_due(all)
    }

    /// Whether controllers run.
    pub fn has_controllers(&self) -> bool {
        self.lock().clockwork.is_some()
    }

    /// Tells its kubelets how the programs in its pods are, and says whether that is anything new.
    pub fn hear(&self, healths: Healths) -> bool {
        self.lock().hear(healths)
    }

    /// Lets its controllers and kubelets do what there is to do at a time.
    pub fn reconcile(&self, now: crate::clock::Millis, healths: Healths) {
        self.lock().reconcile(now, healths);
    }

    /// The keys that makers have asked for since the last time, and the id of the key that each one's Secret holds.
    pub fn take_orders(&self) -> Vec<(Order, Option<String>)> {
        let mut store = self.lock();
        let orders = store.take_orders().into_iter();
        orders
            .map(|order| {
                let id = store.ordered_key(&order);
                (order, id)
            })
            .collect()
    }

    /// Writes a key file into an order's Secret.
    pub fn deliver(&self, order: &Order, file: &serde_json::Value) {
        self.lock().deliver(order, file);
    }

    /// The annotations and the uid of a service account, `None` when there is no such account.
    pub fn account(
        &self,
        namespace: &str,
        ksa: &str,
    ) -> Option<(BTreeMap<String, String>, String)> {
        let key = Key::new(Kind::ServiceAccount, namespace, ksa);
        let account = self.lock().get(&key).ok()?;
        let uid = manifest::text(&account, "/metadata/uid").unwrap_or_default();
        Some((manifest::labels_of(&account, "annotations"), uid))
    }

    /// Forgets the snapshots behind running lists: their continue tokens answer 410 Expired.
    pub fn compact(&self) {
        self.lock().compact();
    }

    /// Is told of each change.
    fn changes(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    /// The store is whole after each write, so a panic elsewhere does not spoil it.
    fn lock(&self) -> Locked<'_> {
        let store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        Locked {
            before: store.revision,
            store,
            told: &self.revision,
        }
    }
}
