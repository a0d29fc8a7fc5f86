//! What stands against a second Deployment beside one: there its own pods are replaced, one of them first (rolling).

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use super::{name_of, own_labels};
use crate::live::around::Around;
use crate::spec::migration::Accept;

/// Why a Deployment gets no shadow, or its shadow no share of the requests.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trap {
    /// It is of another kind.
    Kind(&'static str),
    /// Whatever labels its pods had, these would take them.
    Caught(Vec<String>),
    /// These would take its pods by labels by which NetworkPolicies know them, too.
    NeededByPolicies(Vec<String>),
    /// Too many labels are gone by.
    ManyLabels(usize),
    /// Two pods would write to one volume, or could not both have it.
    Volume(String),
    /// Two pods cannot have one port of a node.
    HostPort { container: String, port: u64 },
    /// It says that two of its pods never run at once.
    Recreate,
    /// No pod of it runs.
    Idle,
    /// What takes its work from elsewhere than a Service is never in the dark.
    Works,
    /// One pod of several leads, and which one is not seen.
    Leads { container: String, what: String },
    /// Somebody else's Deployment has its name.
    NameTaken(String),
    /// No Service sends requests to it, so that there is none to share.
    NoService,
    /// A Service sends requests to pods before they are ready.
    SendsToUnready(String),
    /// An autoscaler would count its pod, and take pods of the original away for what it takes off them.
    Autoscaler(String),
    /// A pod of two PodDisruptionBudgets cannot be evicted.
    TwoBudgets(Vec<String>),
}

impl Trap {
    /// What can be accepted to go on all the same.
    pub fn accept(&self) -> Option<Accept> {
        match self {
            Self::Works | Self::Leads { .. } => Some(Accept::WorksTwice),
            _ => None,
        }
    }
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind(kind) => write!(f, "a second {kind} beside it would do its work twice"),
            Self::Caught(by) => write!(
                f,
                "{} would take its pod whatever labels it had",
                by.join(", ")
            ),
            Self::NeededByPolicies(by) => write!(
                f,
                "{} would take its pod by labels by which NetworkPolicies let it through, too",
                by.join(", ")
            ),
            Self::ManyLabels(count) => write!(f, "others go by {count} of its labels"),
            Self::Volume(volume) => write!(
                f,
                "volume {volume} is a claim, which two pods cannot both have, or would both write to"
            ),
            Self::HostPort { container, port } => write!(
                f,
                "container {container} has port {port} of its node, which two pods cannot both have"
            ),
            Self::Recreate => {
                f.write_str("its strategy is Recreate: two of its pods are not to run at once")
            }
            Self::Idle => f.write_str("no pod of it runs"),
            Self::Works => f.write_str(
                "no Service sends it requests: what takes its work from elsewhere would do so in the dark, too",
            ),
            Self::Leads { container, what } => write!(
                f,
                "container {container} elects a leader ({what}): a second pod may come to be it"
            ),
            Self::NameTaken(name) => {
                write!(f, "there is a Deployment {name} that is somebody else's")
            }
            Self::NoService => f.write_str("no Service sends it requests of which it could have a share"),
            Self::SendsToUnready(service) => write!(
                f,
                "Service {service} sends requests to pods before they are ready (publishNotReadyAddresses)"
            ),
            Self::Autoscaler(name) => write!(
                f,
                "HorizontalPodAutoscaler {name} would count its pod, or take pods of the original away for what it takes off them"
            ),
            Self::TwoBudgets(names) => write!(
                f,
                "a pod of two PodDisruptionBudgets cannot be evicted: {}",
                names.join(", ")
            ),
        }
    }
}

/// What of a Deployment itself stands against a shadow. `is_there`: it has one.
pub fn of(
    original: &Value,
    template: &Value,
    around: &Around,
    accept: &BTreeSet<Accept>,
    is_there: bool,
) -> BTreeSet<Trap> {
    let mut traps = BTreeSet::new();
    let spec = &original["spec"];
    if spec["replicas"] == 0 {
        traps.insert(Trap::Idle);
    }
    if spec["strategy"]["type"] == "Recreate" {
        traps.insert(Trap::Recreate);
    }
    let pod = &template["spec"];
    for volume in pod["volumes"].as_array().into_iter().flatten() {
        if !volume["persistentVolumeClaim"].is_null() {
            let name = volume["name"].as_str().unwrap_or_default();
            traps.insert(Trap::Volume(name.to_owned()));
        }
    }
    let containers = ["initContainers", "containers"];
    let containers = containers.into_iter().filter_map(|l| pod[l].as_array());
    for container in containers.flatten() {
        let name = container["name"].as_str().unwrap_or_default();
        let ports = container["ports"].as_array().into_iter().flatten();
        let ports = ports.filter_map(|p| p["hostPort"].as_u64());
        traps.extend(ports.filter(|p| *p != 0).map(|port| Trap::HostPort {
            container: name.to_owned(),
            port,
        }));
        traps.extend(elects(container).map(|what| Trap::Leads {
            container: name.to_owned(),
            what,
        }));
    }
    let labels = own_labels(original);
    if !around.services.iter().any(|s| s.selects(&labels)) {
        traps.insert(Trap::Works);
    }
    let name = name_of(original["metadata"]["name"].as_str().unwrap_or_default());
    if !is_there && around.deployments.contains(&name) {
        traps.insert(Trap::NameTaken(name));
    }
    traps.retain(|trap| trap.accept().is_none_or(|a| !accept.contains(&a)));
    traps
}

/// What of a container says that it elects a leader: an argument or the name of a variable.
fn elects(container: &Value) -> Option<String> {
    let words = ["command", "args"].into_iter();
    let words = words.filter_map(|f| container[f].as_array()).flatten();
    let words = words.filter_map(Value::as_str);
    let names = container["env"].as_array().into_iter().flatten();
    let names = names.filter_map(|e| e["name"].as_str());
    let is_it = |text: &str| {
        let plain = text.to_lowercase().replace(['-', '_'], "");
        plain.contains("leaderelect") || plain.contains("electleader")
    };
    let is_off = |text: &str| text.ends_with("=false");
    let mut all = words.chain(names);
    // A flag's value is not shown: the word up to it is.
    let found = all.find(|text| is_it(text) && !is_off(text))?;
    let shown = found.split(['=', ' ', '\n']).find(|part| is_it(part));
    Some(shown.unwrap_or("leader election").to_owned())
}
