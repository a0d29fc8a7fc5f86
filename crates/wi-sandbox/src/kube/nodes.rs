//! Nodes come and go; their pods are evicted, recreated and scheduled again.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

use serde_json::{Value, json};

use super::kind::Kind;
use super::manifest;
use super::objects::Key;
use super::state::{NodeSpec, PodState};
use super::store::Store;
use super::uid;

/// What pods get from the metadata address of a node.
#[derive(Debug, Clone)]
pub struct NodeServer {
    /// The node pool.
    pub pool: String,
    /// Whether GKE's metadata server runs there.
    pub is_gkes: bool,
}

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

    /// By the name of the node.
    pub fn node_servers(&self) -> HashMap<String, NodeServer> {
        let nodes = self.of_kind(Kind::Node);
        nodes
            .map(|(key, node)| {
                let labels = manifest::labels_of(node, "labels");
                let server = NodeServer {
                    pool: labels
                        .get(manifest::POOL_LABEL)
                        .cloned()
                        .unwrap_or_default(),
                    is_gkes: labels
                        .get(manifest::METADATA_SERVER_LABEL)
                        .is_some_and(|on| on == "true"),
                };
                (key.name.clone(), server)
            })
            .collect()
    }

    /// Without containers, volumes and what else is in their manifests.
    pub fn pods(&self) -> Vec<PodState> {
        self.of_kind(Kind::Pod)
            .map(|(_, object)| manifest::pod_brief(object))
            .collect()
    }

    /// Creates a node, or replaces one of that name: its uid and its pods stay. A new one gets a pod of each DaemonSet.
    pub fn add_node(&mut self, mut node: NodeSpec) {
        let key = Key::new(Kind::Node, "", &node.name);
        let is_new = !self.objects.contains(&key);
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
        let object = manifest::node(&node);
        let seat = is_new.then(|| Seat::of(&object));
        self.adopt(key, object);
        if let Some(seat) = seat {
            self.start_daemons(&seat);
        }
    }

    /// Remembers what a pod of a DaemonSet is like.
    pub(super) fn note_daemon(&mut self, pod: &Value) {
        let of_daemons =
            pod.pointer("/metadata/ownerReferences/0/kind") == Some(&json!("DaemonSet"));
        if !of_daemons || self.clockwork.is_some() {
            return;
        }
        let mut pod = manifest::pod_state(pod);
        let Some(owner) = &pod.owner else { return };
        let name = (pod.namespace.clone(), owner.name.clone());
        forget_instance(&mut pod);
        self.daemons.entry(name).or_insert(pod);
    }

    fn start_daemons(&mut self, seat: &Seat) {
        let node = seat.node.as_str();
        for ((_, name), template) in self.daemons.clone() {
            if !seat.admits(&manifest::pod(&template)["spec"]) {
                continue;
            }
            let pod = PodState {
                name: format!("{name}-{}", uid::suffix(&[&name, node])),
                node: Some(node.to_owned()),
                ..template
            };
            let key = Key::new(Kind::Pod, &pod.namespace, &pod.name);
            self.adopt(key, manifest::pod(&pod));
        }
    }

    /// Removes a node and evicts its pods. A pod with a controller becomes a new Pending pod; pods
    /// of a DaemonSet belong to the node and go with it, and so do pods without a controller.
    pub fn remove_node(&mut self, name: &str) {
        self.remove(&Key::new(Kind::Node, "", name));
        let evicted: Vec<PodState> = self
            .of_kind(Kind::Pod)
            .filter(|(_, pod)| pod["spec"]["nodeName"] == name)
            .map(|(_, pod)| manifest::pod_state(pod))
            .collect();
        for pod in evicted {
            self.remove(&Key::new(Kind::Pod, &pod.namespace, &pod.name));
            // Where controllers run, they make another.
            let successor = self.clockwork.is_none().then(|| successor(pod)).flatten();
            if let Some(successor) = successor {
                let key = Key::new(Kind::Pod, &successor.namespace, &successor.name);
                self.adopt(key, manifest::pod(&successor));
            }
        }
    }

    /// Binds Pending pods to ready nodes that their selector admits and whose taints they tolerate, the
    /// emptiest first, and runs them.
    pub fn schedule(&mut self) {
        let mut seats: Vec<Seat> = self
            .of_kind(Kind::Node)
            .filter(|(_, node)| node["spec"]["unschedulable"] != json!(true))
            .filter(|(_, node)| manifest::is_ready(node))
            .map(|(_, node)| Seat::of(node))
            .collect();
        let places = seats.iter().enumerate();
        let places: HashMap<String, usize> = places.map(|(i, s)| (s.node.clone(), i)).collect();
        let mut pending = Vec::new();
        for (key, pod) in self.of_kind(Kind::Pod) {
            match pod["spec"]["nodeName"].as_str() {
                Some(node) => {
                    if let Some(at) = places.get(node) {
                        seats[*at].pods += 1;
                    }
                }
                None if pod["status"]["phase"] == "Pending" => pending.push(key.clone()),
                None => {}
            }
        }
        // Of each kind of demand: how full a node was when that was last looked at. They only get fuller.
        let mut queues: HashMap<String, Queue> = HashMap::new();
        for key in pending {
            let Some(pod) = self.objects.get(&key) else {
                continue;
            };
            let spec = &pod["spec"];
            let wanted = ["nodeSelector", "affinity", "tolerations"].map(|f| &spec[f]);
            let queue = queues.entry(json!(wanted).to_string()).or_insert_with(|| {
                let fitting = seats.iter().enumerate();
                fitting
                    .filter(|(_, seat)| seat.admits(spec))
                    .map(|(at, seat)| Reverse((seat.pods, at)))
                    .collect()
            });
            let Some(at) = emptiest(queue, &seats) else {
                continue;
            };
            seats[at].pods += 1;
            let mut object = (**pod).clone();
            object["spec"]["nodeName"] = json!(seats[at].node);
            // Where kubelets run, they say when it does.
            if self.clockwork.is_none() {
                object["status"]["phase"] = json!("Running");
                object["status"]["startTime"] = json!(manifest::now());
            }
            self.put(key, object);
        }
    }
}

/// Nodes by how many pods they had when that was last looked at, and their place.
type Queue = BinaryHeap<Reverse<(usize, usize)>>;

/// A node that takes pods, and how many it has.
struct Seat {
    node: String,
    labels: BTreeMap<String, String>,
    taints: Value,
    pods: usize,
}

impl Seat {
    fn of(node: &Value) -> Self {
        Self {
            node: manifest::name_of(node),
            labels: manifest::labels_of(node, "labels"),
            taints: node["spec"]["taints"].clone(),
            pods: 0,
        }
    }

    fn admits(&self, pod: &Value) -> bool {
        is_selected(&|label| self.labels.get(label).cloned(), pod)
            && is_tolerated(&self.taints, pod)
    }
}

/// The first of the nodes with the fewest pods.
fn emptiest(queue: &mut Queue, seats: &[Seat]) -> Option<usize> {
    loop {
        let Reverse((pods, at)) = queue.pop()?;
        let now = seats[at].pods;
        if pods == now {
            queue.push(Reverse((now + 1, at)));
            return Some(at);
        }
        queue.push(Reverse((now, at)));
    }
}

/// The pod that the controller of an evicted pod makes in its place.
fn successor(mut pod: PodState) -> Option<PodState> {
    let owner = pod.owner.as_ref()?;
    if owner.kind == "DaemonSet" {
        return None;
    }
    // A StatefulSet gives its pods the same names again.
    if owner.kind != "StatefulSet" {
        let former = pod.uid.as_deref().unwrap_or_default();
        pod.name = format!("{}-{}", owner.name, uid::suffix(&[former]));
    }
    forget_instance(&mut pod);
    Some(pod)
}

/// Leaves what the next pod of the same controller has as well.
fn forget_instance(pod: &mut PodState) {
    pod.node = None;
    pod.phase = None;
    pod.uid = None;
    pod.resource_version = None;
    pod.creation_timestamp = None;
    pod.extra.remove("status");
}

/// Whether a pod with this spec may go onto a node with these taints.
pub fn is_tolerated(taints: &Value, pod: &Value) -> bool {
    let tolerations = pod["tolerations"].as_array();
    let mut hard = taints.as_array().into_iter().flatten();
    hard.all(|taint| {
        taint["effect"] == "PreferNoSchedule"
            || tolerations.into_iter().flatten().any(|t| {
                let same = |field: &str| t[field].is_null() || t[field] == taint[field];
                let exists = t["operator"] == "Exists";
                let value = exists
                    || t["value"].as_str().unwrap_or("") == taint["value"].as_str().unwrap_or("");
                let key = (exists && t["key"].is_null()) || t["key"] == taint["key"];
                key && value && same("effect")
            })
    })
}

/// Whether a pod with this spec may go onto a node with these labels: by its selector, and by what it
/// requires of nodes.
pub fn is_selected(label: &dyn Fn(&str) -> Option<String>, pod: &Value) -> bool {
    let mut selector = pod["nodeSelector"].as_object().into_iter().flatten();
    let selected = selector.all(|(key, value)| label(key).as_deref() == value.as_str());
    let required =
        &pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    let meets = |rule: &Value| {
        let value = label(rule["key"].as_str().unwrap_or_default());
        let values = rule["values"].as_array();
        let listed = || {
            let mut values = values.into_iter().flatten();
            values.any(|v| v.as_str() == value.as_deref())
        };
        match rule["operator"].as_str() {
            Some("In") => value.is_some() && listed(),
            Some("NotIn") => value.is_none() || !listed(),
            Some("Exists") => value.is_some(),
            _ => value.is_none(),
        }
    };
    let terms = required["nodeSelectorTerms"].as_array();
    let affine = terms.is_none_or(|terms| {
        terms.iter().any(|term| {
            let mut rules = term["matchExpressions"].as_array().into_iter().flatten();
            rules.all(meets)
        })
    });
    selected && affine
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::time::{ClockId, clock_gettime};

    use super::*;
    use crate::kube::patch::PatchKind;
    use crate::kube::{KubeCluster, KubeState};

    /// What this thread has worked so far, whatever else the machine does.
    fn worked() -> f64 {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    }

    fn with(pods: usize) -> KubeCluster {
        let state = KubeState {
            nodes: (0..pods / 50)
                .map(|n| NodeSpec {
                    name: format!("n{n}"),
                    ..NodeSpec::default()
                })
                .collect(),
            pods: (0..pods)
                .map(|n| PodState {
                    name: format!("p{n}"),
                    namespace: format!("ns{}", n % 100),
                    ..PodState::default()
                })
                .collect(),
            ..KubeState::default()
        };
        KubeCluster::new(state)
    }

    fn start(pods: usize) -> f64 {
        let before = worked();
        let cluster = with(pods);
        cluster.schedule();
        let took = worked() - before;
        let running = cluster.pods().iter().filter(|p| p.node.is_some()).count();
        assert_eq!(running, pods);
        took
    }

    #[test]
    fn starting_takes_time_by_the_number_of_pods_and_not_by_its_square() {
        let (few, many) = (start(1_000), start(10_000));
        // Ten times as many; a square would take a hundred times as long.
        assert!(many < few * 30.0, "{few} s, {many} s");
    }

    /// So much work a write of a pod is, of as many.
    fn write(pods: usize) -> f64 {
        let cluster = with(pods);
        let key = Key::new(Kind::Pod, "ns0", "p0");
        let before = worked();
        for n in 0..200 {
            let patch = json!({ "metadata": { "annotations": { "n": n.to_string() } } });
            let written = cluster.lock().attempt(n % 2 == 0, |store| {
                let manager = crate::kube::fields::Manager("x".to_owned());
                store.patch(&key, &patch, PatchKind::Merge, &manager)
            });
            written.expect("written");
        }
        worked() - before
    }

    #[test]
    fn a_write_is_as_much_work_among_many_pods_as_among_few() {
        let (few, many) = (write(500), write(20_000));
        assert!(many < few * 5.0, "{few} s, {many} s");
    }
}
