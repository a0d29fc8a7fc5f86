//! The writes by which a workload comes to another template.

use serde_json::{Value, json};

use super::super::json_patch::{between, of_version};
use super::super::mark::{self, MARK, Mark, UnderWay, Way};
use super::shape::{STANDS, Shape};
use crate::names::Email;

/// Kubernetes' own, where a Deployment says nothing.
const PROGRESS: i64 = 600;

fn settings(object: &Value) -> Value {
    let spec = &object["spec"];
    let names = Shape::of(object).settings().iter();
    let there = names.filter_map(|name| Some((*name, spec.get(name)?)));
    there
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .collect()
}

fn set(object: &mut Value, name: &str, value: &Value) {
    let Some(spec) = object["spec"].as_object_mut() else {
        return;
    };
    match value {
        Value::Null => _ = spec.remove(name),
        value => _ = spec.insert(name.to_owned(), value.clone()),
    }
}

fn annotate(object: &mut Value, mark: Option<&Mark>) {
    if !object["metadata"]["annotations"].is_object() {
        object["metadata"]["annotations"] = json!({});
    }
    let annotations = &mut object["metadata"]["annotations"];
    match (mark, annotations.as_object_mut()) {
        (Some(mark), Some(map)) => _ = map.insert(MARK.to_owned(), json!(mark.text())),
        (None, Some(map)) => _ = map.remove(MARK),
        (_, None) => {}
    }
}

/// What is to be surged by: one pod at least.
fn surge(rolling: &Value) -> Value {
    let surge = &rolling["maxSurge"];
    let is_none = surge.is_null() || *surge == json!(0) || *surge == json!("0%");
    if is_none { json!(1) } else { surge.clone() }
}

fn rolling(surge: &Value) -> Value {
    json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": 0}})
}

fn from(partition: i64) -> Value {
    json!({"type": "RollingUpdate", "rollingUpdate": {"partition": partition}})
}

fn patch(before: &Value, after: &Value) -> Vec<Value> {
    let mut all = of_version(before);
    all.extend(between("", before, after));
    all
}

/// The first write: another template, and one pod of it. `revision` is the one to which the way back leads.
pub fn begin(
    object: &Value,
    template: &Value,
    way: Way,
    account: &Email,
    revision: &str,
) -> Vec<Value> {
    let was = settings(object);
    let mut after = object.clone();
    after["spec"]["template"] = template.clone();
    match Shape::of(object) {
        Shape::Replicas => {
            let deadline = was["progressDeadlineSeconds"].as_i64().unwrap_or(PROGRESS);
            set(&mut after, "strategy", &rolling(&json!(1)));
            set(&mut after, "minReadySeconds", &json!(STANDS));
            // The field has 32 bits; the largest is what those write who want none.
            let deadline = (STANDS + deadline).min(i64::from(i32::MAX));
            set(&mut after, "progressDeadlineSeconds", &json!(deadline));
        }
        Shape::OnNodes => {
            set(&mut after, "updateStrategy", &json!({"type": "OnDelete"}));
        }
        Shape::Numbered => {
            let replicas = object["spec"]["replicas"].as_i64().unwrap_or(1);
            set(&mut after, "updateStrategy", &from((replicas - 1).max(0)));
        }
    }
    let mark = Mark {
        account: account.clone(),
        revision: revision.to_owned(),
        pieces: None,
        at: None,
        under_way: Some(UnderWay { way, was }),
    };
    annotate(&mut after, Some(&mark));
    patch(object, &after)
}

/// The second write: the other pods follow, one by one or as many at a time as the Deployment's own surge has it, and
/// none goes before a new one is there. `None`: nothing goes on.
pub fn go_on(object: &Value) -> Option<Vec<Value>> {
    let was = mark::on(object)?.under_way?.was;
    let mut after = object.clone();
    follow(&mut after, &was);
    Some(patch(object, &after))
}

fn follow(after: &mut Value, was: &Value) {
    match Shape::of(after) {
        Shape::Replicas => {
            let gently = rolling(&surge(&was["strategy"]["rollingUpdate"]));
            set(after, "strategy", &gently);
            for name in ["minReadySeconds", "progressDeadlineSeconds"] {
                set(after, name, &was[name]);
            }
        }
        Shape::OnNodes => {
            let gently = rolling(&surge(&was["updateStrategy"]["rollingUpdate"]));
            set(after, "updateStrategy", &gently);
        }
        Shape::Numbered => set(after, "updateStrategy", &from(0)),
    }
}

/// Instead of it: the template of before comes back, and with it its pods. `None`: nothing goes on.
pub fn undo(object: &Value, former: &Value) -> Option<Vec<Value>> {
    let mut mark = mark::on(object)?;
    let mut under_way = mark.under_way?;
    let mut after = object.clone();
    after["spec"]["template"] = former.clone();
    follow(&mut after, &under_way.was);
    under_way.way = match under_way.way {
        Way::Out => Way::Back,
        Way::Back => Way::Out,
    };
    mark.under_way = Some(under_way);
    annotate(&mut after, Some(&mark));
    Some(patch(object, &after))
}

/// The last write: the Deployment has its own settings again. `None`: nothing goes on.
pub fn settle(object: &Value) -> Option<Vec<Value>> {
    let mark = mark::on(object)?;
    let under_way = mark.under_way.as_ref()?;
    let mut after = object.clone();
    for name in Shape::of(object).settings() {
        set(&mut after, name, &under_way.was[*name]);
    }
    let rest = Mark {
        under_way: None,
        ..mark.clone()
    };
    annotate(&mut after, (under_way.way == Way::Out).then_some(&rest));
    Some(patch(object, &after))
}

/// One write for a workload of which no pod runs, or whose pods are made by a later run: another template, and the mark
/// of it; `None`: its mark goes.
pub fn at_once(object: &Value, template: &Value, mark: Option<&Mark>) -> Vec<Value> {
    let mut after = object.clone();
    let spec = match object["kind"] == "CronJob" {
        true => &mut after["spec"]["jobTemplate"]["spec"],
        false => &mut after["spec"],
    };
    spec["template"] = template.clone();
    annotate(&mut after, mark);
    patch(object, &after)
}
