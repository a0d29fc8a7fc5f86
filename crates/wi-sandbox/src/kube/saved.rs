//! A cluster as the world file has it: read into a store, and written from it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde_json::Value;

use super::changes::Changes;
use super::clockwork::Clockwork;
use super::fields::{self, Manager};
use super::kind::Kind;
use super::manifest;
use super::objects::{Key, Objects};
use super::state::KubeState;
use super::store::Store;
use super::validation;
use super::workloads;

impl Store {
    pub fn load(state: KubeState) -> Self {
        let mut store = Self {
            objects: Objects::default(),
            revision: state.resource_version,
            snapshots: VecDeque::new(),
            changes: Changes::default(),
            cluster_id: state.cluster_id,
            denied: state.denied,
            custom: Arc::new(state.custom_objects),
            webhooks: state.webhooks,
            daemons: BTreeMap::new(),
            dry_run: false,
            clockwork: state.controllers.map(Clockwork::new).map(Arc::new),
        };
        let mut loaded = Vec::new();
        for (name, namespace) in &state.namespaces {
            let object = manifest::namespace(name, namespace);
            let applied_by = namespace.applied_by.as_deref();
            let unsaid = namespace.managed_fields.is_none();
            let object = managed(Kind::Namespace, object, unsaid, applied_by);
            loaded.push((Key::new(Kind::Namespace, "", name), object));
            for (account, accounts_state) in &namespace.service_accounts {
                let object = manifest::service_account(name, account, accounts_state);
                let unsaid = accounts_state.managed_fields.is_none();
                let applied_by = accounts_state.applied_by.as_deref();
                let object = managed(Kind::ServiceAccount, object, unsaid, applied_by);
                loaded.push((Key::new(Kind::ServiceAccount, name, account), object));
            }
        }
        for pod in &state.pods {
            loaded.push((
                Key::new(Kind::Pod, &pod.namespace, &pod.name),
                manifest::pod(pod),
            ));
        }
        for budget in &state.pod_disruption_budgets {
            let object = manifest::disruption_budget(budget);
            let unsaid = budget.managed_fields.is_none();
            loaded.push((
                Key::new(Kind::PodDisruptionBudget, &budget.namespace, &budget.name),
                managed(Kind::PodDisruptionBudget, object, unsaid, None),
            ));
        }
        for node in &state.nodes {
            loaded.push((Key::new(Kind::Node, "", &node.name), manifest::node(node)));
        }
        for object in &state.objects {
            let Ok((key, mut object)) = manifest::kept(object) else {
                continue;
            };
            if store.clockwork.is_some() && object["metadata"]["managedFields"].is_null() {
                object = workloads::loaded(&key, validation::tidied(object));
                object = managed(key.kind, object, true, None);
            }
            loaded.push((key, object));
        }
        // Given versions count first, so that none is handed out twice.
        for (_, object) in &loaded {
            let version = manifest::text(object, "/metadata/resourceVersion");
            let version = version
                .and_then(|version| version.parse().ok())
                .unwrap_or(0);
            store.revision = store.revision.max(version);
        }
        for (key, object) in loaded {
            store.adopt(key, object);
        }
        for namespace in store.used_namespaces() {
            store.ensure_namespace(&namespace);
        }
        let namespaces: Vec<String> = store
            .of_kind(Kind::Namespace)
            .map(|(key, _)| key.name.clone())
            .collect();
        for namespace in &namespaces {
            store.ensure_default_account(namespace);
        }
        store.changes = Changes::from(store.revision);
        store
    }

    pub fn to_state(&self) -> KubeState {
        let mut state = KubeState {
            cluster_id: self.cluster_id.clone(),
            denied: self.denied.clone(),
            custom_objects: self.custom.to_vec(),
            webhooks: self.webhooks.clone(),
            controllers: self.clockwork.as_deref().map(Clockwork::settings),
            resource_version: self.revision,
            ..KubeState::default()
        };
        for (key, object) in self.objects.iter() {
            match key.kind {
                Kind::Namespace => {
                    let namespace = manifest::namespace_state(object);
                    state.namespaces.insert(key.name.clone(), namespace);
                }
                Kind::Node => state.nodes.push(manifest::node_spec(object)),
                Kind::Pod => state.pods.push(manifest::pod_state(object)),
                Kind::PodDisruptionBudget => {
                    let budget = manifest::disruption_budget_state(object);
                    state.pod_disruption_budgets.push(budget);
                }
                Kind::ServiceAccount => {
                    // Namespaces sort before accounts, so theirs is there already.
                    let namespace = state.namespaces.entry(key.namespace.clone()).or_default();
                    let account = manifest::service_account_state(object);
                    namespace.service_accounts.insert(key.name.clone(), account);
                }
                _ => state.objects.push((**object).clone()),
            }
        }
        state
    }

    /// Those that Kubernetes makes, and those that anything is in.
    fn used_namespaces(&self) -> BTreeSet<String> {
        let keys = self.objects.iter().map(|(key, _)| key);
        let used = keys.filter(|key| key.kind.namespaced());
        let always = ["default", "kube-system"].map(str::to_owned);
        used.map(|key| key.namespace.clone())
            .chain(always)
            .collect()
    }
}

/// Whoever wrote what the world file has, where that does not say.
const SOMEBODY: &str = "kubectl-client-side-apply";

fn managed(kind: Kind, mut object: Value, unsaid: bool, applied_by: Option<&str>) -> Value {
    if let Some(manager) = applied_by.filter(|_| unsaid) {
        let manager = Manager(manager.to_owned());
        if let Ok(mut applied) = fields::apply(kind, None, &object, &manager, false) {
            object["metadata"]["managedFields"] = applied["metadata"]["managedFields"].take();
        }
        return object;
    }
    if unsaid {
        return fields::record_update(kind, None, object, &Manager(SOMEBODY.to_owned()));
    }
    object
}
