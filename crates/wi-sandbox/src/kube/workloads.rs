//! What the API server does of itself with what makes pods, where controllers run: defaults, generations, and what it
//! refuses to change.

use serde_json::{Value, json};

use super::fields;
use super::kind::Kind;
use super::manifest;
use super::names;
use super::objects::Key;
use super::schedule::Schedule;
use super::selector;
use super::status::Status;

/// Kinds whose `metadata.generation` counts the changes of their spec.
pub fn counts_generations(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::CronJob
            | Kind::DaemonSet
            | Kind::Deployment
            | Kind::Job
            | Kind::ReplicaSet
            | Kind::ReplicationController
            | Kind::StatefulSet
    )
}

/// Kinds with the subresource `scale`.
pub fn can_scale(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Deployment | Kind::ReplicaSet | Kind::StatefulSet
    )
}

/// Where a kind has the template of its pods.
pub fn template_path(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::CronJob => Some("/spec/jobTemplate/spec/template"),
        kind if counts_generations(kind) => Some("/spec/template"),
        _ => None,
    }
}

/// Templates have metadata, whether or not anything is in it.
pub fn complete_templates(kind: Kind, object: &mut Value) {
    let Some(path) = template_path(kind) else {
        return;
    };
    let own = (kind == Kind::CronJob).then_some("/spec/jobTemplate");
    for path in own.into_iter().chain([path]) {
        if let Some(template) = object.pointer_mut(path).filter(|t| t.is_object())
            && template["metadata"].is_null()
        {
            template["metadata"] = json!({});
        }
    }
}

/// The object as it is stored: with the server's defaults, its status that of the live one, its generation counted.
pub fn completed(key: &Key, mut object: Value, live: Option<&Value>) -> Value {
    let kind = key.kind;
    let or = |place: &mut Value, value: Value| {
        if place.is_null() {
            *place = value;
        }
    };
    if kind == Kind::Pod {
        let former = live.map(|live| &live["spec"]);
        complete_pod(&mut object["spec"], former);
        return object;
    }
    if kind == Kind::Service {
        or(&mut object["spec"]["type"], json!("ClusterIP"));
        return object;
    }
    if !counts_generations(kind) {
        return object;
    }
    if let Some(path) = template_path(kind)
        && let Some(template) = object.pointer_mut(path)
    {
        let former = live.and_then(|live| live.pointer(path)).map(|t| &t["spec"]);
        complete_pod(&mut template["spec"], former);
        or(&mut template["metadata"], json!({}));
        if let Some(meta) = template["metadata"].as_object_mut() {
            meta.retain(|field, value| field != "creationTimestamp" && !value.is_null());
        }
    }
    let spec = &mut object["spec"];
    match kind {
        Kind::Deployment => {
            or(&mut spec["replicas"], json!(1));
            or(&mut spec["revisionHistoryLimit"], json!(10));
            or(&mut spec["progressDeadlineSeconds"], json!(600));
            or(&mut spec["strategy"], json!({}));
            or(&mut spec["strategy"]["type"], json!("RollingUpdate"));
            if spec["strategy"]["type"] == "RollingUpdate" {
                let rolling = &mut spec["strategy"]["rollingUpdate"];
                or(&mut rolling["maxSurge"], json!("25%"));
                or(&mut rolling["maxUnavailable"], json!("25%"));
            }
        }
        Kind::ReplicaSet | Kind::ReplicationController => or(&mut spec["replicas"], json!(1)),
        Kind::StatefulSet => {
            or(&mut spec["replicas"], json!(1));
            or(&mut spec["revisionHistoryLimit"], json!(10));
            or(&mut spec["podManagementPolicy"], json!("OrderedReady"));
            or(&mut spec["updateStrategy"]["type"], json!("RollingUpdate"));
            if spec["updateStrategy"]["type"] == "RollingUpdate" {
                or(
                    &mut spec["updateStrategy"]["rollingUpdate"]["partition"],
                    json!(0),
                );
            }
        }
        Kind::DaemonSet => {
            or(&mut spec["revisionHistoryLimit"], json!(10));
            or(&mut spec["updateStrategy"]["type"], json!("RollingUpdate"));
            if spec["updateStrategy"]["type"] == "RollingUpdate" {
                let rolling = &mut spec["updateStrategy"]["rollingUpdate"];
                or(&mut rolling["maxSurge"], json!(0));
                or(&mut rolling["maxUnavailable"], json!(1));
            }
        }
        Kind::Job => {
            for (field, value) in [
                ("backoffLimit", json!(6)),
                ("completions", json!(1)),
                ("parallelism", json!(1)),
                ("suspend", json!(false)),
            ] {
                or(&mut spec[field], value);
            }
        }
        Kind::CronJob => {
            for (field, value) in [
                ("concurrencyPolicy", json!("Allow")),
                ("failedJobsHistoryLimit", json!(1)),
                ("successfulJobsHistoryLimit", json!(3)),
                ("suspend", json!(false)),
            ] {
                or(&mut spec[field], value);
            }
        }
        _ => {}
    }
    if kind == Kind::Job {
        complete_job(&mut object);
    }
    let former = live.map(|live| live["metadata"]["generation"].as_i64().unwrap_or(1));
    let changed = live.is_some_and(|live| live["spec"] != object["spec"]);
    object["metadata"]["generation"] = json!(former.unwrap_or(1) + i64::from(changed));
    // The main resource does not write the status.
    if let (Some(live), Some(map)) = (live, object.as_object_mut()) {
        match live.get("status") {
            Some(status) => map.insert("status".to_owned(), status.clone()),
            None => map.remove("status"),
        };
    }
    object
}

/// An object of a world file: with the server's defaults, and the status and the generation that the file says.
pub fn loaded(key: &Key, object: Value) -> Value {
    let status = object["status"].clone();
    let generation = object["metadata"]["generation"].clone();
    let mut object = completed(key, object, None);
    if !status.is_null() {
        object["status"] = status;
    }
    if !generation.is_null() {
        object["metadata"]["generation"] = generation;
    }
    object
}

/// What a Job is made with beside its spec: the selector and the labels that the API server gives it.
fn complete_job(object: &mut Value) {
    let uid = manifest::text(object, "/metadata/uid").unwrap_or_default();
    let name = manifest::name_of(object);
    if object["spec"]["selector"].is_null() && !uid.is_empty() {
        let label = "batch.kubernetes.io/controller-uid";
        object["spec"]["selector"] = json!({ "matchLabels": { label: uid } });
        let labels = &mut object["spec"]["template"]["metadata"]["labels"];
        labels[label] = json!(uid);
        labels["controller-uid"] = json!(uid);
        labels["batch.kubernetes.io/job-name"] = json!(name);
        labels["job-name"] = json!(name);
    }
}

/// The defaults of a pod's spec. `serviceAccount` is the former name of `serviceAccountName`: whichever is there
/// gives the other its value, and a name that is taken away comes back by it.
fn complete_pod(spec: &mut Value, former: Option<&Value>) {
    let Some(map) = spec.as_object_mut() else {
        return;
    };
    map.retain(|_, value| !value.is_null());
    for (field, value) in [
        ("restartPolicy", json!("Always")),
        ("dnsPolicy", json!("ClusterFirst")),
        ("schedulerName", json!("default-scheduler")),
        ("terminationGracePeriodSeconds", json!(30)),
        ("securityContext", json!({})),
    ] {
        map.entry(field).or_insert(value);
    }
    let name = map.get("serviceAccountName").cloned();
    let old = map.get("serviceAccount").cloned();
    let was = former.and_then(|former| former.get("serviceAccountName"));
    let chosen = match (name, old) {
        // Only the former name was written beside one that is there: that one wins.
        (Some(name), _) => Some(name),
        (None, Some(old)) => Some(was.filter(|was| **was == old).cloned().unwrap_or(old)),
        (None, None) => None,
    };
    if let Some(chosen) = chosen {
        map.insert("serviceAccountName".to_owned(), chosen.clone());
        map.insert("serviceAccount".to_owned(), chosen);
    }
    for list in ["initContainers", "containers"] {
        let containers = map.get_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            complete_container(container);
        }
    }
    let volumes = map.get_mut("volumes").and_then(Value::as_array_mut);
    for volume in volumes.into_iter().flatten() {
        for source in ["secret", "configMap", "projected"] {
            if volume[source].is_object() && volume[source]["defaultMode"].is_null() {
                volume[source]["defaultMode"] = json!(420);
            }
        }
    }
}

fn complete_container(container: &mut Value) {
    let image = container["image"].as_str().unwrap_or_default().to_owned();
    let tag = image
        .rsplit('/')
        .next()
        .and_then(|last| last.split_once(':'));
    let latest = tag.is_none_or(|(_, tag)| tag == "latest") && !image.contains('@');
    let policy = if latest { "Always" } else { "IfNotPresent" };
    let Some(map) = container.as_object_mut() else {
        return;
    };
    map.retain(|_, value| !value.is_null());
    for (field, value) in [
        ("imagePullPolicy", json!(policy)),
        ("resources", json!({})),
        ("terminationMessagePath", json!("/dev/termination-log")),
        ("terminationMessagePolicy", json!("File")),
    ] {
        map.entry(field).or_insert(value);
    }
    let ports = map.get_mut("ports").and_then(Value::as_array_mut);
    for port in ports.into_iter().flatten() {
        if port["protocol"].is_null() {
            port["protocol"] = json!("TCP");
        }
    }
}

/// What the API server refuses.
///
/// # Errors
/// 422 for templates that their selector does not mean, for what cannot be changed, for deadlines within
/// `minReadySeconds` and schedules that are none; 501 for what is not simulated.
pub fn check(key: &Key, object: &Value, live: Option<&Value>) -> Result<(), Status> {
    let invalid = |field: &str, why: String| Err(Status::invalid(key.kind, &key.name, field, &why));
    let spec = &object["spec"];
    let Some(path) = template_path(key.kind) else {
        return Ok(());
    };
    let template = object.pointer(path).unwrap_or(&Value::Null);
    for (name, value) in template["metadata"]["labels"]
        .as_object()
        .into_iter()
        .flatten()
    {
        let value = value.as_str().unwrap_or_default();
        if let Err(why) = names::value(value) {
            let why = format!("Invalid value: {value:?}: {why}");
            return invalid("spec.template.labels", why);
        }
        if let Err(why) = names::qualified(name) {
            let why = format!("Invalid value: {name:?}: {why}");
            return invalid("spec.template.labels", why);
        }
    }
    if template["spec"]["containers"]
        .as_array()
        .is_none_or(Vec::is_empty)
    {
        return invalid("spec.template.spec.containers", "Required value".to_owned());
    }
    if let Some(why) = unknown_mount(&template["spec"]) {
        return invalid(&why.0, why.1);
    }
    let selects = |selector: &Value| selector::selects(selector, template);
    if matches!(
        key.kind,
        Kind::Deployment | Kind::ReplicaSet | Kind::StatefulSet | Kind::DaemonSet
    ) && !selects(&spec["selector"])
    {
        let labels = &template["metadata"]["labels"];
        let why = format!("Invalid value: {labels}: `selector` does not match template `labels`");
        return invalid("spec.template.metadata.labels", why);
    }
    if key.kind == Kind::Deployment {
        let deadline = spec["progressDeadlineSeconds"].as_i64().unwrap_or(600);
        let wait = spec["minReadySeconds"].as_i64().unwrap_or(0);
        if deadline <= wait {
            let why = format!("Invalid value: {deadline}: must be greater than minReadySeconds");
            return invalid("spec.progressDeadlineSeconds", why);
        }
        let none = |field: &str| {
            let value = &spec["strategy"]["rollingUpdate"][field];
            *value == json!(0) || *value == json!("0%")
        };
        if none("maxSurge") && none("maxUnavailable") {
            let why = "Invalid value: 0: may not be 0 when `maxSurge` is 0".to_owned();
            return invalid("spec.strategy.rollingUpdate.maxUnavailable", why);
        }
    }
    if key.kind == Kind::CronJob {
        let schedule = spec["schedule"].as_str().unwrap_or_default();
        if Schedule::parse(schedule).is_none() {
            return invalid(
                "spec.schedule",
                format!("Invalid value: {schedule:?}: it is no schedule"),
            );
        }
        let zone = spec["timeZone"].as_str().unwrap_or("UTC");
        if !matches!(zone, "UTC" | "Etc/UTC") {
            return Err(Status::not_simulated("spec.timeZone other than UTC"));
        }
    }
    let Some(live) = live else { return Ok(()) };
    let same = |field: &str| spec[field] == live["spec"][field];
    let immutable: &[&str] = match key.kind {
        Kind::Deployment | Kind::ReplicaSet | Kind::DaemonSet => &["selector"],
        Kind::Job => &["completions", "selector", "template"],
        _ => &[],
    };
    if let Some(field) = immutable.iter().find(|field| !same(field)) {
        let why = format!("Invalid value: {}: field is immutable", spec[*field]);
        return invalid(&format!("spec.{field}"), why);
    }
    if key.kind == Kind::StatefulSet {
        const FREE: [&str; 7] = [
            "replicas",
            "ordinals",
            "template",
            "updateStrategy",
            "revisionHistoryLimit",
            "persistentVolumeClaimRetentionPolicy",
            "minReadySeconds",
        ];
        let fields = |spec: &Value| -> Vec<String> {
            spec.as_object()
                .into_iter()
                .flatten()
                .map(|(k, _)| k.clone())
                .collect()
        };
        let mut all = fields(spec);
        all.extend(fields(&live["spec"]));
        if all
            .iter()
            .any(|field| !FREE.contains(&field.as_str()) && !same(field))
        {
            let why = "Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
            return invalid("spec", why.to_owned());
        }
    }
    Ok(())
}

/// A mount of a volume that there is not.
fn unknown_mount(spec: &Value) -> Option<(String, String)> {
    let volumes = spec["volumes"].as_array().into_iter().flatten();
    let volumes: Vec<&Value> = volumes.map(|v| &v["name"]).collect();
    let containers = spec["containers"].as_array().into_iter().flatten();
    for (c, container) in containers.enumerate() {
        let mounts = container["volumeMounts"].as_array().into_iter().flatten();
        for (m, mount) in mounts.enumerate() {
            if !volumes.contains(&&mount["name"]) {
                let field = format!("spec.template.spec.containers[{c}].volumeMounts[{m}].name");
                return Some((field, format!("Not found: {}", mount["name"])));
            }
        }
    }
    None
}

/// The `Scale` of an object.
pub fn scale_of(object: &Value) -> Value {
    let labels = object["spec"]["selector"]["matchLabels"].as_object();
    let selector: Vec<String> = labels
        .into_iter()
        .flatten()
        .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
        .collect();
    let meta = &object["metadata"];
    json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": meta["name"],
            "namespace": meta["namespace"],
            "uid": meta["uid"],
            "resourceVersion": meta["resourceVersion"],
            "creationTimestamp": meta["creationTimestamp"],
        },
        "spec": { "replicas": object["spec"]["replicas"].as_i64().unwrap_or(1) },
        "status": {
            "replicas": object["status"]["replicas"].as_i64().unwrap_or(0),
            "selector": selector.join(","),
        },
    })
}

/// By which subresource replicas are set.
pub const SCALE: &str = fields::SCALE;
