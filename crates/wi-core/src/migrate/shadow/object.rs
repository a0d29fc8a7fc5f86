//! A shadow as an object, and the write that makes a live one another.

use serde_json::{Value, json};

use super::labels::Labels;
use super::{LABEL, MARK, Mark, label_of, name_of};
use crate::migrate::json_patch::{between, of_version};
use crate::wire::kubernetes::{MANAGED_BY, OWNER};

/// The shadow of a Deployment: its template without the key, under these labels.
pub fn of(original: &Value, template: &Value, labels: &Labels, mark: &Mark, owner: &str) -> Value {
    let label = label_of(&mark.name);
    let mut template = template.clone();
    if !template["metadata"].is_object() {
        template["metadata"] = json!({});
    }
    template["metadata"]["labels"] = json!(labels.all);
    let mut spec = original["spec"].clone();
    if let Some(spec) = spec.as_object_mut() {
        spec.remove("paused");
    }
    spec["replicas"] = json!(1);
    spec["revisionHistoryLimit"] = json!(1);
    spec["selector"] = json!({"matchLabels": {LABEL: label}});
    spec["strategy"] =
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}});
    spec["template"] = template;
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name_of(&mark.name),
            "namespace": original["metadata"]["namespace"],
            "labels": {MANAGED_BY: "wi", LABEL: label},
            "annotations": {OWNER: owner, MARK: mark.text()},
        },
        "spec": spec,
    })
}

/// The write that makes a live shadow another one, in just the version that was seen.
pub fn patch(live: &Value, wanted: &Value) -> Vec<Value> {
    let mut after = live.clone();
    after["spec"] = wanted["spec"].clone();
    for field in ["labels", "annotations"] {
        for (name, value) in wanted["metadata"][field].as_object().into_iter().flatten() {
            after["metadata"][field][name] = value.clone();
        }
    }
    let mut all = of_version(live);
    all.extend(between("", live, &after));
    all
}
