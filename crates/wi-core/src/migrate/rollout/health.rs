//! How it stands with the pods of a workload whose template changes.

use serde_json::Value;

use super::super::mark;
use super::shape::{Shape, Stage};

/// How it stands with pods that are to be proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// They are ready, and have not been started again.
    Ready,
    /// What is waited for.
    Waits(String),
    /// What is wrong, and does not mend itself.
    Fails(String),
}

/// The label by which a pod names its ControllerRevision: all of the name, or the end of it.
const REVISION_LABEL: &str = "controller-revision-hash";

fn is_owned(pod: &Value, uid: &Value) -> bool {
    let owners = pod["metadata"]["ownerReferences"].as_array();
    owners.into_iter().flatten().any(|o| o["uid"] == *uid)
}

/// The pods that were made by an entry of a workload's history, but for those that are going.
pub fn pods_of<'a>(entry: &Value, pods: &'a [Value]) -> Vec<&'a Value> {
    let meta = &entry["metadata"];
    let is_made = |pod: &Value| {
        if entry.get("data").is_none() {
            return is_owned(pod, &meta["uid"]);
        }
        let label = &pod["metadata"]["labels"][REVISION_LABEL];
        let is_its = *label == meta["name"] || *label == meta["labels"][REVISION_LABEL];
        is_its && !label.is_null() && is_owned(pod, &meta["ownerReferences"][0]["uid"])
    };
    let own = pods.iter();
    own.filter(|pod| pod["metadata"]["deletionTimestamp"].is_null() && is_made(pod))
        .collect()
}

/// Pods of a StatefulSet that are by another template than that of `entry`, which it has now, and are not ready: its
/// controller waits for them to be, and never replaces them ("forced rollback" of Kubernetes' documentation).
pub fn stuck<'a>(object: &Value, entry: &Value, pods: &'a [Value]) -> Vec<&'a Value> {
    if Shape::of(object) != Shape::Numbered {
        return Vec::new();
    }
    let current = pods_of(entry, pods);
    let own = pods.iter().filter(|pod| {
        is_owned(pod, &object["metadata"]["uid"])
            && pod["metadata"]["deletionTimestamp"].is_null()
            && !current.contains(pod)
    });
    own.filter(|pod| !is_ready(pod)).collect()
}

/// The pod of a DaemonSet that is to end, so that its new one comes: none is new or on its way yet, and every node has
/// one. The first by name.
pub fn to_replace<'a>(object: &Value, entry: &Value, pods: &'a [Value]) -> Option<&'a Value> {
    if Shape::of(object) != Shape::OnNodes || Stage::of(object) != Stage::Canary {
        return None;
    }
    let uid = &object["metadata"]["uid"];
    let own: Vec<&Value> = pods.iter().filter(|pod| is_owned(pod, uid)).collect();
    let is_going = |pod: &&Value| !pod["metadata"]["deletionTimestamp"].is_null();
    let nodes = object["status"]["desiredNumberScheduled"].as_u64()?;
    let is_whole = u64::try_from(own.len()).is_ok_and(|pods| pods == nodes);
    if !pods_of(entry, pods).is_empty() || own.iter().any(is_going) || !is_whole {
        return None;
    }
    let name = |pod: &&Value| {
        pod["metadata"]["name"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    own.into_iter().min_by_key(name)
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|c| c["type"] == "Ready" && c["status"] == "True")
}

/// How it stands with the pods that were made by an entry of a workload's history.
pub fn health(object: &Value, entry: &Value, pods: &[Value]) -> Health {
    let own = pods_of(entry, pods);
    if own.is_empty() {
        let refused = refused(object).map(|why| format!(": {why}"));
        return Health::Waits(format!(
            "there is no new pod yet{}",
            refused.unwrap_or_default()
        ));
    }
    let states: Vec<Health> = own.iter().map(|pod| health_of(pod)).collect();
    let failed = states.iter().find(|h| matches!(h, Health::Fails(_)));
    let waits = states.iter().find(|h| matches!(h, Health::Waits(_)));
    failed.or(waits).cloned().unwrap_or(Health::Ready)
}

/// How it stands with one pod that is to be proven.
pub fn health_of(pod: &Value) -> Health {
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let statuses = ["containerStatuses", "initContainerStatuses"].into_iter();
    let statuses = statuses
        .filter_map(|list| pod["status"][list].as_array())
        .flatten();
    for status in statuses {
        let container = status["name"].as_str().unwrap_or_default();
        if status["restartCount"].as_i64().unwrap_or(0) > 0 {
            return Health::Fails(format!(
                "container {container} of the new pod {name} was started again: it ends without the key"
            ));
        }
    }
    match pod["status"]["phase"].as_str() {
        Some("Running") if is_ready(pod) => Health::Ready,
        Some("Failed") => Health::Fails(format!("the new pod {name} has ended")),
        _ => Health::Waits(format!("the new pod {name} is not ready")),
    }
}

/// Why no pod may be made, as the controller says: a quota that is used up, an admission webhook.
pub fn refused(object: &Value) -> Option<&str> {
    let conditions = object["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    let failure = conditions.find(|c| c["type"] == "ReplicaFailure" && c["status"] == "True")?;
    failure["message"].as_str()
}

/// How an object stands on which a change goes on, for whoever is left with it; `None`: none goes on.
pub fn stands(object: &Value) -> Option<&'static str> {
    mark::on(object)?.way()?;
    Some(match (Stage::of(object), Shape::of(object)) {
        (Stage::Canary, Shape::Numbered) => {
            "It stands with its last pod new and all others as before, and replaces no other (partition) until `wi apply --read-secrets referenced` goes on with it"
        }
        (Stage::Canary, Shape::OnNodes) => {
            "It stands with at most one new pod and all others as before, and replaces no other (OnDelete) until `wi apply --read-secrets referenced` goes on with it"
        }
        (Stage::Canary, Shape::Replicas) => {
            "It stands with at most one new pod beside all of before, and rolls nothing else out (minReadySeconds is a month) until `wi apply --read-secrets referenced` goes on with it"
        }
        (Stage::Rolling, Shape::Numbered) => {
            "Its pods are being replaced, one after the other; `wi apply --read-secrets referenced` goes on with it, and gives it its own strategy again"
        }
        (Stage::Rolling, Shape::Replicas | Shape::OnNodes) => {
            "Its pods are being replaced, none before a new one is ready; `wi apply --read-secrets referenced` goes on with it, and gives it its own strategy and minReadySeconds again"
        }
    })
}

/// What of a rollout is still to come, for the reader; `None`: nothing.
pub fn left(object: &Value) -> Option<String> {
    let status = |field: &str| object["status"][field].as_i64().unwrap_or(0);
    let generation = object["metadata"]["generation"].as_i64().unwrap_or(0);
    if status("observedGeneration") < generation {
        return Some("it was not taken up yet".to_owned());
    }
    let replicas = object["spec"]["replicas"].as_i64().unwrap_or(1);
    let (wanted, updated, there, is_whole) = match Shape::of(object) {
        Shape::Replicas => {
            let updated = status("updatedReplicas");
            let is_whole = status("replicas") <= updated;
            (replicas, updated, status("availableReplicas"), is_whole)
        }
        Shape::Numbered => {
            let status = &object["status"];
            let is_whole = status["currentRevision"] == status["updateRevision"];
            let of = |field: &str| status[field].as_i64().unwrap_or(0);
            (
                replicas,
                of("updatedReplicas"),
                of("readyReplicas"),
                is_whole,
            )
        }
        Shape::OnNodes => (
            status("desiredNumberScheduled"),
            status("updatedNumberScheduled"),
            status("numberAvailable"),
            true,
        ),
    };
    if updated < wanted || there < wanted || !is_whole {
        return Some(format!(
            "{updated} of {wanted} pods are new, {there} are available"
        ));
    }
    None
}
