//! Deployments: a ReplicaSet for each template, and the way from one to the next.
//!
//! The arithmetic is that of kubernetes/pkg/controller/deployment (`rolling.go`, `sync.go`).

use std::sync::Arc;

use serde_json::{Value, json};

use super::{conditions_of, count, is_going, namespace, owner_reference, replicas, share};
use crate::kube::clockwork::Counts;
use crate::kube::kind::Kind;
use crate::kube::manifest;
use crate::kube::objects::Key;
use crate::kube::store::Store;
use crate::kube::uid;

const HASH: &str = "pod-template-hash";
const REVISION: &str = "deployment.kubernetes.io/revision";
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MAXIMUM: &str = "deployment.kubernetes.io/max-replicas";
/// Annotations of a Deployment that its ReplicaSets do not get.
const NOT_COPIED: [&str; 5] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    "deployment.kubernetes.io/revision-history",
    DESIRED,
    MAXIMUM,
];

type Set = (Key, Arc<Value>);

/// How many pods more, and how many fewer, there may be on the way.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    surge: i64,
    unavailable: i64,
}

impl Bounds {
    fn of(deployment: &Value) -> Self {
        let rolling = &deployment["spec"]["strategy"]["rollingUpdate"];
        let wanted = replicas(deployment);
        let quarter = json!("25%");
        let or = |value: &Value| {
            if value.is_null() {
                quarter.clone()
            } else {
                value.clone()
            }
        };
        if deployment["spec"]["strategy"]["type"] == "Recreate" {
            return Self {
                surge: 0,
                unavailable: 0,
            };
        }
        let surge = share(&or(&rolling["maxSurge"]), wanted, true);
        let unavailable = share(&or(&rolling["maxUnavailable"]), wanted, false);
        let unavailable = if surge == 0 && unavailable == 0 {
            1
        } else {
            unavailable
        };
        Self {
            surge,
            unavailable: unavailable.min(wanted),
        }
    }
}

impl Store {
    pub(super) fn run_deployments(&mut self) {
        for (key, deployment) in self.all(Kind::Deployment) {
            if !is_going(&deployment) {
                self.run_deployment(&key, &deployment);
            }
        }
    }

    fn run_deployment(&mut self, key: &Key, deployment: &Arc<Value>) {
        let sets = self.claim(Kind::ReplicaSet, Kind::Deployment, deployment);
        let bounds = Bounds::of(deployment);
        let paused = deployment["spec"]["paused"] == true;
        let mut new = sets
            .iter()
            .find(|(_, set)| same_template(deployment, set))
            .cloned();
        if new.is_none() && !paused {
            new = self.make_set(deployment, &sets, bounds);
            if new.is_some() {
                return; // the next pass sees it
            }
        }
        if let Some((key_of_new, set)) = &new
            && !paused
        {
            self.number(key, deployment, key_of_new, set, &sets);
        }
        let new_key = new.as_ref().map(|(key, _)| key.clone());
        let mut old: Vec<Set> = sets
            .iter()
            .filter(|(key, _)| Some(key) != new_key.as_ref())
            .cloned()
            .collect();
        old.sort_by_key(|(_, set)| revision_of(set));
        let wanted = replicas(deployment);
        let scaled = sets
            .iter()
            .filter(|(_, set)| replicas(set) > 0)
            .any(|(_, set)| annotated(set, DESIRED).is_some_and(|former| former != wanted));
        if paused || scaled {
            self.scale(deployment, new.as_ref(), &old, bounds);
        } else if deployment["spec"]["strategy"]["type"] == "Recreate" {
            self.recreate(deployment, new.as_ref(), &old);
        } else {
            self.roll(deployment, new.as_ref(), &old, bounds);
        }
        self.forget_old(deployment, &old);
        self.tell(key, deployment, new_key.as_ref(), bounds);
    }

    /// The ReplicaSet of a template.
    fn make_set(&mut self, deployment: &Value, sets: &[Set], bounds: Bounds) -> Option<Set> {
        let template = &deployment["spec"]["template"];
        let hash = hash_of(template);
        let name = format!("{}-{hash}", manifest::name_of(deployment));
        let mut template = template.clone();
        template["metadata"]["labels"][HASH] = json!(hash);
        let mut selector = deployment["spec"]["selector"].clone();
        selector["matchLabels"][HASH] = json!(hash);
        let mut annotations = copied(deployment);
        let revision = sets
            .iter()
            .map(|(_, set)| revision_of(set))
            .max()
            .unwrap_or(0)
            + 1;
        annotations[REVISION] = json!(revision.to_string());
        let others: i64 = sets.iter().map(|(_, set)| replicas(set)).sum();
        let wanted = replicas(deployment);
        annotations[DESIRED] = json!(wanted.to_string());
        annotations[MAXIMUM] = json!((wanted + bounds.surge).to_string());
        let count = match sets.is_empty() {
            true => wanted,
            false if deployment["spec"]["strategy"]["type"] == "Recreate" => 0,
            false => (wanted + bounds.surge - others).clamp(0, wanted),
        };
        let set = json!({
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                "name": name,
                "namespace": namespace(deployment),
                "labels": template["metadata"]["labels"],
                "annotations": annotations,
                "ownerReferences": [owner_reference(Kind::Deployment, deployment)],
            },
            "spec": {
                "replicas": count,
                "minReadySeconds": super::count(deployment, "/spec/minReadySeconds"),
                "selector": selector,
                "template": template,
            },
        });
        let key = Key::new(Kind::ReplicaSet, &namespace(deployment), &name);
        self.make(Kind::ReplicaSet, &namespace(deployment), set)
            .ok()?;
        Some((key.clone(), self.objects.get(&key)?.clone()))
    }

    /// The newest ReplicaSet has the highest revision, and the Deployment says which that is.
    fn number(&mut self, key: &Key, deployment: &Value, new: &Key, set: &Value, sets: &[Set]) {
        let others = sets.iter().filter(|(other, _)| other != new);
        let highest = others.map(|(_, set)| revision_of(set)).max().unwrap_or(0);
        let mut revision = revision_of(set);
        if revision <= highest {
            revision = highest + 1;
            let mut again = set.clone();
            let former = again["metadata"]["annotations"][REVISION].clone();
            let history =
                &mut again["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"];
            let before = history
                .as_str()
                .map(|h| format!("{h},"))
                .unwrap_or_default();
            *history = json!(format!("{before}{}", former.as_str().unwrap_or_default()));
            again["metadata"]["annotations"][REVISION] = json!(revision.to_string());
            self.set_object(new, again, "");
        }
        let wait = super::count(deployment, "/spec/minReadySeconds");
        if super::count(set, "/spec/minReadySeconds") != wait
            && let Ok(set) = self.get(new)
        {
            let mut set = (*set).clone();
            set["spec"]["minReadySeconds"] = json!(wait);
            self.set_object(new, set, "");
        }
        if revision_of(deployment) != revision {
            let mut numbered = deployment.clone();
            numbered["metadata"]["annotations"][REVISION] = json!(revision.to_string());
            self.set_object(key, numbered, "status");
        }
    }

    /// Rolls: up to the surge, and down as far as enough pods are available.
    fn roll(&mut self, deployment: &Value, new: Option<&Set>, old: &[Set], bounds: Bounds) {
        let Some((new_key, new)) = new else { return };
        let wanted = replicas(deployment);
        let all: i64 = old.iter().map(|(_, set)| replicas(set)).sum::<i64>() + replicas(new);
        let has = replicas(new);
        if has > wanted {
            return self.resize(deployment, new_key, wanted, bounds);
        }
        if has < wanted && all < wanted + bounds.surge {
            let to = has + (wanted + bounds.surge - all).min(wanted - has);
            return self.resize(deployment, new_key, to, bounds);
        }
        let old: Vec<&Set> = old.iter().filter(|(_, set)| replicas(set) > 0).collect();
        let least = wanted - bounds.unavailable;
        let new_unavailable = has - count(new, "/status/availableReplicas");
        let mut may_go = all - least - new_unavailable;
        if may_go <= 0 {
            return;
        }
        // What is not available is no loss.
        let mut left: Vec<(&Key, i64)> = Vec::new();
        for (key, set) in &old {
            let has = replicas(set);
            let unhealthy = has - count(set, "/status/availableReplicas");
            let gone = unhealthy.min(may_go).max(0);
            may_go -= gone;
            left.push((key, has - gone));
            if gone > 0 {
                self.resize(deployment, key, has - gone, bounds);
            }
        }
        let available: i64 = old
            .iter()
            .map(|(_, set)| count(set, "/status/availableReplicas"))
            .sum::<i64>()
            + count(new, "/status/availableReplicas");
        let mut may_go = available - least;
        for (key, has) in left {
            let gone = has.min(may_go).max(0);
            if gone > 0 {
                may_go -= gone;
                self.resize(deployment, key, has - gone, bounds);
            }
        }
    }

    /// All old pods end before the first new one begins.
    fn recreate(&mut self, deployment: &Value, new: Option<&Set>, old: &[Set]) {
        let bounds = Bounds::of(deployment);
        let mut waits = false;
        for (key, set) in old {
            waits |= !self.controlled(Kind::Pod, set).is_empty();
            if replicas(set) > 0 {
                self.resize(deployment, key, 0, bounds);
                waits = true;
            }
        }
        if let Some((key, set)) = new
            && !waits
            && replicas(set) != replicas(deployment)
        {
            self.resize(deployment, key, replicas(deployment), bounds);
        }
    }

    /// Another number of replicas while several templates run: each gets its share.
    fn scale(&mut self, deployment: &Value, new: Option<&Set>, old: &[Set], bounds: Bounds) {
        let wanted = replicas(deployment);
        let mut active: Vec<&Set> = old
            .iter()
            .chain(new)
            .filter(|(_, s)| replicas(s) > 0)
            .collect();
        if active.is_empty() {
            let newest = new.or_else(|| old.iter().max_by_key(|(_, set)| revision_of(set)));
            active.extend(newest);
        }
        if let [(key, _)] = active.as_slice() {
            return self.resize(deployment, key, wanted, bounds);
        }
        let saturated = new.is_some_and(|(_, set)| {
            replicas(set) == wanted
                && annotated(set, DESIRED) == Some(wanted)
                && count(set, "/status/availableReplicas") == wanted
        });
        if saturated {
            for (key, _) in active
                .iter()
                .filter(|(key, _)| Some(key) != new.map(|(k, _)| k))
            {
                self.resize(deployment, key, 0, bounds);
            }
            return;
        }
        let all: i64 = active.iter().map(|(_, set)| replicas(set)).sum();
        let allowed = if wanted > 0 { wanted + bounds.surge } else { 0 };
        let to_add = allowed - all;
        // The largest first when there is more, and when there is less.
        active.sort_by_key(|(key, set)| (-replicas(set), key.name.clone()));
        let mut added = 0;
        let mut sizes: Vec<(Key, i64)> = Vec::new();
        for (key, set) in active {
            let has = replicas(set);
            let maximum = annotated(set, MAXIMUM).unwrap_or(all).max(1);
            let portion = ((has * allowed * 2 + maximum) / (maximum * 2)) - has;
            let left = to_add - added;
            let portion = match to_add {
                0 => 0,
                1.. => portion.min(left).max(0),
                _ => portion.max(left).min(0),
            };
            added += portion;
            sizes.push((key.clone(), has + portion));
        }
        if let Some((_, first)) = sizes.first_mut() {
            *first = (*first + to_add - added).max(0);
        }
        for (key, size) in sizes {
            self.resize(deployment, &key, size, bounds);
        }
    }

    fn resize(&mut self, deployment: &Value, key: &Key, to: i64, bounds: Bounds) {
        let Ok(live) = self.get(key) else { return };
        let mut set = (*live).clone();
        let wanted = replicas(deployment);
        set["spec"]["replicas"] = json!(to);
        set["metadata"]["annotations"][DESIRED] = json!(wanted.to_string());
        set["metadata"]["annotations"][MAXIMUM] = json!((wanted + bounds.surge).to_string());
        self.set_object(key, set, "");
    }

    /// Old ReplicaSets beyond `revisionHistoryLimit` go, when nothing runs by them.
    fn forget_old(&mut self, deployment: &Value, old: &[Set]) {
        let limit = deployment["spec"]["revisionHistoryLimit"]
            .as_u64()
            .unwrap_or(10);
        let empty = |set: &Value| replicas(set) == 0 && count(set, "/status/replicas") == 0;
        let idle: Vec<&Set> = old.iter().filter(|(_, set)| empty(set)).collect();
        let surplus = idle
            .len()
            .saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
        for (key, _) in idle.into_iter().take(surplus) {
            self.remove(key);
        }
    }

    fn tell(&mut self, key: &Key, deployment: &Value, new: Option<&Key>, bounds: Bounds) {
        let sets = self.controlled(Kind::ReplicaSet, deployment);
        let sum = |field: &str| sets.iter().map(|(_, set)| count(set, field)).sum();
        let new = new.and_then(|key| self.objects.get(key).cloned());
        let counts = Counts {
            replicas: sum("/status/replicas"),
            updated: new.as_ref().map_or(0, |set| count(set, "/status/replicas")),
            ready: sum("/status/readyReplicas"),
            available: sum("/status/availableReplicas"),
        };
        let failure = new.as_ref().and_then(|set| {
            let conditions = conditions_of(set);
            conditions
                .into_iter()
                .find(|c| c["type"] == "ReplicaFailure")
        });
        let Ok(live) = self.get(key) else { return };
        self.set_deployment_status(
            key,
            &live,
            counts,
            new.as_deref(),
            bounds.unavailable,
            failure,
        );
    }
}

/// Whether a ReplicaSet is of the Deployment's template.
fn same_template(deployment: &Value, set: &Value) -> bool {
    let mut template = set["spec"]["template"].clone();
    if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
        labels.remove(HASH);
    }
    template == deployment["spec"]["template"]
}

/// The same template has the same hash.
pub(super) fn hash_of(template: &Value) -> String {
    let text = template.to_string();
    format!(
        "{}{}",
        uid::suffix(&["a", &text]),
        uid::suffix(&["b", &text])
    )
}

fn revision_of(object: &Value) -> i64 {
    annotated(object, REVISION).unwrap_or(0)
}

fn annotated(object: &Value, name: &str) -> Option<i64> {
    object["metadata"]["annotations"][name]
        .as_str()?
        .parse()
        .ok()
}

fn copied(deployment: &Value) -> Value {
    let mut annotations = deployment["metadata"]["annotations"].clone();
    if !annotations.is_object() {
        annotations = json!({});
    }
    if let Some(map) = annotations.as_object_mut() {
        map.retain(|name, _| !NOT_COPIED.contains(&name.as_str()));
    }
    annotations
}
