//! Nodes come and go; their pods are evicted, recreated and scheduled again.

use serde_json::json;

use super::kind::Kind;
use super::manifest;
use super::state::{NodeSpec, PodState};
use super::store::{Key, Store};
use super::uid;

impl Store {
    /// Makes `nodes` the nodes of `pool`: others of the pool are removed, pods evicted.
    pub fn set_nodes(&mut self, pool: &str, nodes: &[NodeSpec]) {
        for former in self.nodes_of(pool) {
            if !nodes.iter().any(|node| node.name == former.name) {
                self.remove_node(&former.name);
            }
        }
        for node in nodes {
            self.add_node(NodeSpec {
                pool: pool.to_owned(),
                ..node.clone()
            });
        }
    }

    pub fn nodes_of(&self, pool: &str) -> Vec<NodeSpec> {
        self.of_kind(Kind::Node)
            .map(|(_, object)| manifest::node_spec(object))
            .filter(|node| node.pool == pool)
            .collect()
    }

    pub fn pods(&self) -> Vec<PodState> {
        self.of_kind(Kind::Pod)
            .map(|(_, object)| manifest::pod_state(object))
            .collect()
    }

    /// Creates a node, or replaces one of that name: its uid and its pods stay.
    pub fn add_node(&mut self, mut node: NodeSpec) {
        let key = Key::new(Kind::Node, "", &node.name);
        if let Some(live) = self.objects.get(&key) {
            let live = manifest::node_spec(live);
            node.uid = node.uid.or(live.uid);
            node.creation_timestamp = node.creation_timestamp.or(live.creation_timestamp);
            // What the node status and kubectl (cordon) say beside the labels stays as well.
            for (field, value) in live.extra {
                node.extra.entry(field).or_insert(value);
            }
        }
        node.resource_version = None;
        self.adopt(key, manifest::node(&node));
    }

    /// Removes a node and evicts its pods. A pod with a controller becomes a new Pending pod; pods
    /// of a DaemonSet belong to the node and go with it, and so do pods without a controller.
    pub fn remove_node(&mut self, name: &str) {
        self.remove(&Key::new(Kind::Node, "", name));
        for pod in self.pods() {
            if pod.node.as_deref() != Some(name) {
                continue;
            }
            self.remove(&Key::new(Kind::Pod, &pod.namespace, &pod.name));
            if let Some(successor) = self.successor(pod) {
                let key = Key::new(Kind::Pod, &successor.namespace, &successor.name);
                self.adopt(key, manifest::pod(&successor));
            }
        }
    }

    /// Binds Pending pods to ready nodes that their selector admits, the emptiest first, and runs them.
    pub fn schedule(&mut self) {
        let nodes: Vec<_> = self
            .of_kind(Kind::Node)
            .map(|(_, node)| node.clone())
            .collect();
        let open: Vec<_> = nodes
            .iter()
            .filter(|node| node["spec"]["unschedulable"] != json!(true))
            .map(|node| (manifest::node_spec(node).ready, node))
            .filter_map(|(ready, node)| ready.then_some(node))
            .collect();
        for pod in self.pods() {
            if pod.node.is_some() || pod.phase.as_deref() != Some("Pending") {
                continue;
            }
            let bound = self.pods();
            let load = |name: &str| {
                bound
                    .iter()
                    .filter(|pod| pod.node.as_deref() == Some(name))
                    .count()
            };
            let chosen = open
                .iter()
                .filter(|node| {
                    let labels = manifest::labels_of(node, "labels");
                    let mut wanted = pod.node_selector.iter();
                    wanted.all(|(label, value)| labels.get(label) == Some(value))
                })
                .map(|node| manifest::name_of(node))
                .min_by_key(|name| (load(name), name.clone()));
            let Some(node) = chosen else { continue };
            let key = Key::new(Kind::Pod, &pod.namespace, &pod.name);
            if let Some(object) = self.objects.get(&key) {
                let mut object = (**object).clone();
                object["spec"]["nodeName"] = json!(node);
                object["status"]["phase"] = json!("Running");
                object["status"]["startTime"] = json!(manifest::now());
                self.put(key, object);
            }
        }
    }

    /// The pod that the controller of an evicted pod makes in its place.
    fn successor(&self, mut pod: PodState) -> Option<PodState> {
        let owner = pod.owner.as_ref()?;
        if owner.kind == "DaemonSet" {
            return None;
        }
        // A StatefulSet gives its pods the same names again.
        if owner.kind != "StatefulSet" {
            let former = pod.uid.as_deref().unwrap_or_default();
            pod.name = format!("{}-{}", owner.name, uid::suffix(&[former]));
        }
        pod.node = None;
        pod.phase = None;
        pod.uid = None;
        pod.resource_version = None;
        pod.creation_timestamp = None;
        pod.extra.remove("status");
        Some(pod)
    }
}
