//! The templates that a workload had: in the ReplicaSets of a Deployment, in the ControllerRevisions of the others.

use serde_json::Value;

use super::super::mark;
use super::super::mark::Way;
use super::shape::Shape;

/// The label by which a ReplicaSet knows its pods.
const HASH: &str = "pod-template-hash";

/// The annotation with the number of a ReplicaSet's template, and of the one that a Deployment has.
const REVISION: &str = "deployment.kubernetes.io/revision";

/// The name of the template that a workload has now, by which it is found again: a Deployment's number, the name of a
/// ControllerRevision.
pub fn revision(object: &Value, history: &[Value]) -> Option<String> {
    let name = match Shape::of(object) {
        Shape::Replicas => &object["metadata"]["annotations"][REVISION],
        Shape::Numbered | Shape::OnNodes => &current(object, history)?["metadata"]["name"],
    };
    name.as_str().map(str::to_owned)
}

/// Whether the template is another than the one that `wi` brought: it is on the way out, and somebody has changed it
/// since. The revision after that of before is `wi`'s own.
pub fn is_anothers(object: &Value, history: &[Value]) -> bool {
    let number = |text: &str| text.parse::<u64>().ok();
    let Some(mark) = mark::on(object).filter(|m| m.way() == Some(Way::Out)) else {
        return false;
    };
    let (before, now) = match Shape::of(object) {
        Shape::Replicas => {
            let now = object["metadata"]["annotations"][REVISION].as_str();
            (number(&mark.revision), now.and_then(number))
        }
        Shape::Numbered | Shape::OnNodes => {
            let of = |revision: Option<&Value>| revision?["revision"].as_u64();
            let before = of_revision(object, history, &mark.revision);
            (of(before), of(current(object, history)))
        }
    };
    now.zip(before)
        .is_some_and(|(now, before)| now > before + 1)
}

/// The template of an entry of the history, as its workload has it.
pub fn template_of(entry: &Value) -> Value {
    if let Some(data) = entry.get("data") {
        let mut template = data["spec"]["template"].clone();
        // It is kept as a patch of the workload.
        if let Some(template) = template.as_object_mut() {
            template.remove("$patch");
        }
        return template;
    }
    let mut template = entry["spec"]["template"].clone();
    if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
        labels.remove(HASH);
    }
    template
}

/// Older servers write a time of creation that templates do not have.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let there = map.iter().filter(|(_, v)| !v.is_null());
            there.map(|(k, v)| (k.clone(), without_nulls(v))).collect()
        }
        Value::Array(list) => list.iter().map(without_nulls).collect(),
        other => other.clone(),
    }
}

fn is_of(entry: &Value, object: &Value) -> bool {
    let owners = entry["metadata"]["ownerReferences"].as_array();
    let uid = &object["metadata"]["uid"];
    owners
        .into_iter()
        .flatten()
        .any(|o| o["controller"] == true && o["uid"] == *uid)
}

/// The entry with the template that a workload has now.
pub fn current<'a>(object: &Value, history: &'a [Value]) -> Option<&'a Value> {
    let template = without_nulls(&object["spec"]["template"]);
    let mut own = history.iter().filter(|entry| is_of(entry, object));
    own.find(|entry| without_nulls(&template_of(entry)) == template)
}

/// The entry of a revision: a ReplicaSet may have had several, by undos.
pub fn of_revision<'a>(object: &Value, history: &'a [Value], revision: &str) -> Option<&'a Value> {
    let mut own = history.iter().filter(|entry| is_of(entry, object));
    own.find(|entry| {
        if entry.get("data").is_some() {
            return entry["metadata"]["name"] == revision;
        }
        let annotations = &entry["metadata"]["annotations"];
        let history = annotations["deployment.kubernetes.io/revision-history"].as_str();
        let former = history.into_iter().flat_map(|h| h.split(','));
        annotations[REVISION] == revision || former.into_iter().any(|r| r == revision)
    })
}
