//! How a Deployment comes to another template with one new pod first: each write as a JSON Patch, and what is to be seen
//! before the next one.
//!
//! The first write brings the template, lets one pod more come and none go, and has a new pod wait for so long
//! (`minReadySeconds`) that the rollout stands there. Once that pod is proven the second write lets the rollout go on,
//! and the last one gives the Deployment its own settings back. Between two of them everything serves as before, so
//! that whoever comes later goes on by what is live.

use serde_json::{Value, json};

use super::json_patch::{between, of_version};
use super::mark::{MARK, Mark, UnderWay, Way};
use crate::names::Email;

/// The label by which a ReplicaSet knows its pods.
const HASH: &str = "pod-template-hash";

/// The annotation with the number of a ReplicaSet's template, and of the one that a Deployment has.
const REVISION: &str = "deployment.kubernetes.io/revision";

/// For so long a new pod has to be ready before the next one comes: a month, which nobody waits for.
pub const STANDS: i64 = 30 * 24 * 3600;

/// Kubernetes' own, where a Deployment says nothing.
const PROGRESS: i64 = 600;

/// How far a Deployment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// One new pod stands beside those of before.
    Canary,
    /// The others follow.
    Rolling,
}

impl Stage {
    /// That of an object on which a change goes on.
    pub fn of(deployment: &Value) -> Self {
        match deployment["spec"]["minReadySeconds"].as_i64() {
            Some(STANDS) => Self::Canary,
            _ => Self::Rolling,
        }
    }
}

/// The settings of a rollout that change on the way.
const SETTINGS: [&str; 3] = ["strategy", "minReadySeconds", "progressDeadlineSeconds"];

fn settings(deployment: &Value) -> Value {
    let spec = &deployment["spec"];
    let there = SETTINGS
        .iter()
        .filter_map(|name| Some((*name, spec.get(name)?)));
    there
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .collect()
}

fn set(deployment: &mut Value, name: &str, value: &Value) {
    let Some(spec) = deployment["spec"].as_object_mut() else {
        return;
    };
    match value {
        Value::Null => _ = spec.remove(name),
        value => _ = spec.insert(name.to_owned(), value.clone()),
    }
}

fn annotate(deployment: &mut Value, mark: Option<&Mark>) {
    if !deployment["metadata"]["annotations"].is_object() {
        deployment["metadata"]["annotations"] = json!({});
    }
    let annotations = &mut deployment["metadata"]["annotations"];
    match (mark, annotations.as_object_mut()) {
        (Some(mark), Some(map)) => _ = map.insert(MARK.to_owned(), json!(mark.text())),
        (None, Some(map)) => _ = map.remove(MARK),
        (_, None) => {}
    }
}

/// One pod more than wanted, at least, and never fewer.
fn gently(was: &Value) -> Value {
    let surge = &was["strategy"]["rollingUpdate"]["maxSurge"];
    let is_none = surge.is_null() || *surge == json!(0) || *surge == json!("0%");
    let surge = if is_none { json!(1) } else { surge.clone() };
    json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": 0}})
}

fn patch(before: &Value, after: &Value) -> Vec<Value> {
    let mut all = of_version(before);
    all.extend(between("", before, after));
    all
}

/// The revision that a Deployment has now.
pub fn revision(deployment: &Value) -> Option<&str> {
    deployment["metadata"]["annotations"][REVISION].as_str()
}

/// Whether the template is another than the one that `wi` brought: it is on the way out, and somebody has changed it
/// since. The revision after that of before is `wi`'s own.
pub fn is_anothers(deployment: &Value) -> bool {
    let number = |text: &str| text.parse::<u64>().ok();
    let Some(mark) = mark(deployment).filter(|m| m.way() == Some(Way::Out)) else {
        return false;
    };
    let now = revision(deployment).and_then(number);
    now.zip(number(&mark.revision))
        .is_some_and(|(now, before)| now > before + 1)
}

/// The first write: another template, and one pod of it. `revision` is the one to which the way back leads.
pub fn begin(
    deployment: &Value,
    template: &Value,
    way: Way,
    account: &Email,
    revision: &str,
) -> Vec<Value> {
    let was = settings(deployment);
    let mut after = deployment.clone();
    after["spec"]["template"] = template.clone();
    let deadline = was["progressDeadlineSeconds"].as_i64().unwrap_or(PROGRESS);
    let one =
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}});
    set(&mut after, "strategy", &one);
    set(&mut after, "minReadySeconds", &json!(STANDS));
    set(
        &mut after,
        "progressDeadlineSeconds",
        // The field has 32 bits; the largest is what those write who want none.
        &json!((STANDS + deadline).min(i64::from(i32::MAX))),
    );
    let mark = Mark {
        account: account.clone(),
        revision: revision.to_owned(),
        under_way: Some(UnderWay { way, was }),
    };
    annotate(&mut after, Some(&mark));
    patch(deployment, &after)
}

/// The mark of an object.
pub fn mark(object: &Value) -> Option<Mark> {
    let text = object["metadata"]["annotations"][MARK].as_str()?;
    serde_json::from_str(text).ok()
}

/// The second write: the other pods follow, one by one or as many at a time as the Deployment's own surge has it, and
/// none goes before a new one is there. `None`: nothing goes on.
pub fn go_on(deployment: &Value) -> Option<Vec<Value>> {
    let was = mark(deployment)?.under_way?.was;
    let mut after = deployment.clone();
    follow(&mut after, &was);
    Some(patch(deployment, &after))
}

fn follow(after: &mut Value, was: &Value) {
    set(after, "strategy", &gently(was));
    set(after, "minReadySeconds", &was["minReadySeconds"]);
    set(
        after,
        "progressDeadlineSeconds",
        &was["progressDeadlineSeconds"],
    );
}

/// Instead of it: the template of before comes back, and with it its pods. `None`: nothing goes on.
pub fn undo(deployment: &Value, former: &Value) -> Option<Vec<Value>> {
    let mut mark = mark(deployment)?;
    let mut under_way = mark.under_way?;
    let mut after = deployment.clone();
    after["spec"]["template"] = former.clone();
    follow(&mut after, &under_way.was);
    under_way.way = match under_way.way {
        Way::Out => Way::Back,
        Way::Back => Way::Out,
    };
    mark.under_way = Some(under_way);
    annotate(&mut after, Some(&mark));
    Some(patch(deployment, &after))
}

/// The last write: the Deployment has its own settings again. `None`: nothing goes on.
pub fn settle(deployment: &Value) -> Option<Vec<Value>> {
    let mark = mark(deployment)?;
    let under_way = mark.under_way.as_ref()?;
    let mut after = deployment.clone();
    for name in SETTINGS {
        set(&mut after, name, &under_way.was[name]);
    }
    let rest = Mark {
        under_way: None,
        ..mark.clone()
    };
    annotate(&mut after, (under_way.way == Way::Out).then_some(&rest));
    Some(patch(deployment, &after))
}

/// One write for a workload of which no pod runs: another template, and the mark of it.
pub fn at_once(
    object: &Value,
    template: &Value,
    way: Way,
    account: &Email,
    revision: &str,
) -> Vec<Value> {
    let mut after = object.clone();
    after["spec"]["template"] = template.clone();
    let mark = Mark {
        account: account.clone(),
        revision: revision.to_owned(),
        under_way: None,
    };
    annotate(&mut after, (way == Way::Out).then_some(&mark));
    patch(object, &after)
}

/// The template of a ReplicaSet, as its Deployment has it.
pub fn template_of(set: &Value) -> Value {
    let mut template = set["spec"]["template"].clone();
    if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
        labels.remove(HASH);
    }
    template
}

fn is_of(set: &Value, deployment: &Value) -> bool {
    let owners = set["metadata"]["ownerReferences"].as_array();
    let uid = &deployment["metadata"]["uid"];
    owners
        .into_iter()
        .flatten()
        .any(|o| o["controller"] == true && o["uid"] == *uid)
}

/// The ReplicaSet with the template that a Deployment has now.
pub fn current<'a>(deployment: &Value, sets: &'a [Value]) -> Option<&'a Value> {
    let mut own = sets.iter().filter(|set| is_of(set, deployment));
    own.find(|set| template_of(set) == deployment["spec"]["template"])
}

/// The ReplicaSet of a revision: it may have had several, by undos.
pub fn of_revision<'a>(deployment: &Value, sets: &'a [Value], revision: &str) -> Option<&'a Value> {
    let mut own = sets.iter().filter(|set| is_of(set, deployment));
    own.find(|set| {
        let annotations = &set["metadata"]["annotations"];
        let history = annotations["deployment.kubernetes.io/revision-history"].as_str();
        let former = history.into_iter().flat_map(|h| h.split(','));
        annotations[REVISION] == revision || former.into_iter().any(|r| r == revision)
    })
}

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

/// The pods of a ReplicaSet, but for those that are going.
pub fn pods_of<'a>(set: &Value, pods: &'a [Value]) -> Vec<&'a Value> {
    let uid = &set["metadata"]["uid"];
    let own = pods.iter().filter(|pod| {
        let owners = pod["metadata"]["ownerReferences"].as_array();
        let mut owners = owners.into_iter().flatten();
        owners.any(|o| o["uid"] == *uid) && pod["metadata"]["deletionTimestamp"].is_null()
    });
    own.collect()
}

/// How it stands with the pods of a ReplicaSet.
pub fn health(deployment: &Value, set: &Value, pods: &[Value]) -> Health {
    let own = pods_of(set, pods);
    if own.is_empty() {
        let refused = refused(deployment).map(|why| format!(": {why}"));
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
    let conditions = pod["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    let is_ready = conditions.any(|c| c["type"] == "Ready" && c["status"] == "True");
    match pod["status"]["phase"].as_str() {
        Some("Running") if is_ready => Health::Ready,
        Some("Failed") => Health::Fails(format!("the new pod {name} has ended")),
        _ => Health::Waits(format!("the new pod {name} is not ready")),
    }
}

/// Why no pod may be made, as the controller says: a quota that is used up, an admission webhook.
pub fn refused(deployment: &Value) -> Option<&str> {
    let conditions = deployment["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    let failure = conditions.find(|c| c["type"] == "ReplicaFailure" && c["status"] == "True")?;
    failure["message"].as_str()
}

/// How an object stands on which a change goes on, for whoever is left with it; `None`: none goes on.
pub fn stands(deployment: &Value) -> Option<&'static str> {
    mark(deployment)?.way()?;
    Some(match Stage::of(deployment) {
        Stage::Canary => {
            "It stands with at most one new pod beside all of before, and rolls nothing else out (minReadySeconds is a month) until `wi apply --read-secrets referenced` goes on with it"
        }
        Stage::Rolling => {
            "Its pods are being replaced, none before a new one is ready; `wi apply --read-secrets referenced` goes on with it, and gives it its own strategy and minReadySeconds again"
        }
    })
}

/// What of a rollout is still to come, for the reader; `None`: nothing.
pub fn left(deployment: &Value) -> Option<String> {
    let status = |field: &str| deployment["status"][field].as_i64().unwrap_or(0);
    let wanted = deployment["spec"]["replicas"].as_i64().unwrap_or(1);
    let generation = deployment["metadata"]["generation"].as_i64().unwrap_or(0);
    if status("observedGeneration") < generation {
        return Some("it was not taken up yet".to_owned());
    }
    let (updated, all, available) = (
        status("updatedReplicas"),
        status("replicas"),
        status("availableReplicas"),
    );
    if updated < wanted || all > updated || available < wanted {
        return Some(format!(
            "{updated} of {wanted} pods are new, {available} are available"
        ));
    }
    None
}
