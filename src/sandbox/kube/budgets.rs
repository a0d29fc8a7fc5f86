//! PodDisruptionBudgets: their status, as the disruption controller keeps it, and whether they will
//! ever let a node be drained.

use std::sync::Arc;

use serde_json::{Value, json};

use super::manifest;
use super::store::{Key, Kind, Store};

/// How many pods a budget counts on.
struct Figures {
    expected: u64,
    healthy: u64,
    desired: u64,
}

impl Store {
    /// The object as it is read: the status of a budget follows its pods.
    pub(super) fn with_status(&self, key: &Key, object: &Arc<Value>) -> Arc<Value> {
        if key.kind != Kind::PodDisruptionBudget {
            return object.clone();
        }
        let figures = self.figures(key, object);
        let mut shown = (**object).clone();
        shown["status"] = json!({
            "observedGeneration": 1,
            "expectedPods": figures.expected,
            "currentHealthy": figures.healthy,
            "desiredHealthy": figures.desired,
            "disruptionsAllowed": figures.healthy.saturating_sub(figures.desired),
        });
        Arc::new(shown)
    }

    /// `NS/NAME` of a budget that never admits the eviction of a pod on this node.
    pub fn blocks_eviction(&self, node: &str) -> Option<String> {
        self.of_kind(Kind::PodDisruptionBudget)
            .filter(|(key, budget)| {
                let figures = self.figures(key, budget);
                figures.expected > 0 && figures.desired >= figures.expected
            })
            .find(|(key, budget)| {
                self.counted(key, budget)
                    .any(|pod| manifest::text(pod, "/spec/nodeName").as_deref() == Some(node))
            })
            .map(|(key, _)| format!("{}/{}", key.namespace, key.name))
    }

    /// The pods that a budget counts: those it selects, unless they have ended.
    fn counted<'a>(
        &'a self,
        key: &'a Key,
        budget: &'a Value,
    ) -> impl Iterator<Item = &'a Arc<Value>> {
        self.of_kind(Kind::Pod)
            .filter(|(pod, _)| pod.namespace == key.namespace)
            .map(|(_, pod)| pod)
            .filter(|pod| {
                let phase = manifest::text(pod, "/status/phase").unwrap_or_default();
                !matches!(phase.as_str(), "Succeeded" | "Failed")
                    && selects(&budget["spec"]["selector"], pod)
            })
    }

    fn figures(&self, key: &Key, budget: &Value) -> Figures {
        let running =
            |pod: &&Arc<Value>| manifest::text(pod, "/status/phase").as_deref() == Some("Running");
        let expected = self.counted(key, budget).count() as u64;
        let healthy = self.counted(key, budget).filter(running).count() as u64;
        let spec = &budget["spec"];
        let desired = match (&spec["minAvailable"], &spec["maxUnavailable"]) {
            (Value::Null, Value::Null) => expected.saturating_sub(1),
            (Value::Null, max) => expected.saturating_sub(scaled(max, expected)),
            (min, _) => scaled(min, expected),
        };
        Figures {
            expected,
            healthy,
            desired,
        }
    }
}

/// A number, or a percentage of `total`, rounded up.
fn scaled(value: &Value, total: u64) -> u64 {
    let percent = value
        .as_str()
        .and_then(|text| text.strip_suffix('%')?.parse::<u64>().ok());
    match percent {
        Some(percent) => (total * percent).div_ceil(100),
        None => value.as_u64().unwrap_or(0),
    }
}

/// `LabelSelector`: an empty one selects everything, none at all nothing.
fn selects(selector: &Value, pod: &Value) -> bool {
    if selector.is_null() {
        return false;
    }
    let labels = manifest::labels_of(pod, "labels");
    let equal = manifest::text_map(selector.get("matchLabels"))
        .iter()
        .all(|(key, value)| labels.get(key) == Some(value));
    let requirements = selector["matchExpressions"].as_array();
    equal
        && requirements.into_iter().flatten().all(|r| {
            let value = labels.get(r["key"].as_str().unwrap_or_default());
            let listed = value.is_some_and(|v| {
                let values = r["values"].as_array();
                values.into_iter().flatten().any(|one| one == v)
            });
            match r["operator"].as_str() {
                Some("In") => listed,
                Some("NotIn") => !listed,
                Some("Exists") => value.is_some(),
                _ => value.is_none(),
            }
        })
}
