//! The subresources of objects: `scale`, `eviction`, `log`, and `status` to read.

use http::Method;
use serde_json::{Value, json};

use super::api::{Api, change, decode};
use super::deletion::Preconditions;
use super::kind::Kind;
use super::manifest;
use super::objects::Key;
use super::patch::{json_patch, merge_patch};
use super::request::Call;
use super::response::Answer;
use super::status::Status;
use super::workloads;

/// Answers what is asked of a subresource.
///
/// # Errors
/// 404 for those that there are not, 501 for those that a real server has and this one does not simulate.
pub fn answer(api: &Api, call: &Call, key: &Key, name: &str) -> Result<Answer, Status> {
    let works = api.cluster.lock().clockwork.is_some();
    match (name, key.kind) {
        ("scale", kind) if works && workloads::can_scale(kind) => {
            permitted(api, call, key, "scale")?;
            scale(api, call, key)
        }
        ("eviction", Kind::Pod) if works => {
            permitted(api, call, key, "eviction")?;
            evict(api, call, key)
        }
        ("log", Kind::Pod) if works => {
            permitted(api, call, key, "log")?;
            log(api, call, key)
        }
        ("status", kind) if works && workloads::counts_generations(kind) => match call.method {
            Method::GET => {
                let store = api.cluster.lock();
                Ok(Answer::ok((*store.get(key)?).clone()))
            }
            _ => Err(Status::not_simulated("writes of status")),
        },
        (
            "exec" | "attach" | "portforward" | "proxy" | "ephemeralcontainers" | "resize",
            Kind::Pod,
        ) if works => Err(Status::not_simulated(&format!("pods/{name}"))),
        _ => Err(Status::no_such_path()),
    }
}

fn permitted(api: &Api, call: &Call, key: &Key, subresource: &str) -> Result<(), Status> {
    let verb = match call.method.as_str() {
        "GET" => "get",
        "PUT" => "update",
        "PATCH" => "patch",
        _ => "create",
    };
    let what = format!("{}/{subresource}", key.kind.plural());
    if api.cluster.lock().permits(verb, &what, &key.namespace) {
        return Ok(());
    }
    let why = format!("User cannot {verb} resource {what:?}");
    Err(Status::forbidden(key.kind, &key.name, &why))
}

/// `autoscaling/v1` `Scale`: read, replaced, or patched.
fn scale(api: &Api, call: &Call, key: &Key) -> Result<Answer, Status> {
    let live = api.cluster.lock().get(key)?;
    let mut wanted = workloads::scale_of(&live);
    let version = wanted["metadata"]["resourceVersion"].clone();
    match call.method.as_str() {
        "GET" => return Ok(Answer::ok(wanted)),
        "PUT" => wanted = decode(&call.body)?,
        "PATCH" => match call.content_type() {
            "application/merge-patch+json" | "application/strategic-merge-patch+json" => {
                merge_patch(&mut wanted, &decode(&call.body)?);
            }
            "application/json-patch+json" => json_patch(&mut wanted, &decode(&call.body)?)?,
            "application/apply-patch+yaml" => {
                return Err(Status::not_simulated("server-side apply of a Scale"));
            }
            _ => return Err(Status::unsupported_patch()),
        },
        _ => return Err(Status::method_not_allowed()),
    }
    let replicas = match &wanted["spec"]["replicas"] {
        Value::Null => 0,
        number => number.as_i64().ok_or_else(|| {
            Status::bad_request(format!("json: cannot unmarshal {number} into Go struct field ScaleSpec.spec.replicas of type int32"))
        })?,
    };
    if replicas < 0 {
        let why = format!("Invalid value: {replicas}: must be greater than or equal to 0");
        return Err(Status::invalid(key.kind, &key.name, "spec.replicas", &why));
    }
    // What a patch does not say of the version is no lock.
    let given = wanted["metadata"]["resourceVersion"].clone();
    let patched = call.method == Method::PATCH && given == version;
    let given = given.as_str().filter(|given| !given.is_empty() && !patched);
    let manager = call.manager();
    let object = change(api, call.is_dry_run()?, |store| {
        store.set_scale(key, replicas, given, &manager)
    })?;
    Ok(Answer::ok(workloads::scale_of(&object)))
}

/// What the program of a pod says: why its requests fail, if they do.
fn log(api: &Api, call: &Call, key: &Key) -> Result<Answer, Status> {
    if call.method != Method::GET {
        return Err(Status::method_not_allowed());
    }
    for parameter in ["follow", "previous", "stream", "timestamps"] {
        if !matches!(call.parameter(parameter), "" | "false") {
            return Err(Status::not_simulated(&format!("{parameter} of pods/log")));
        }
    }
    let store = api.cluster.lock();
    let pod = store.get(key)?;
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    let names: Vec<&str> = containers.filter_map(|c| c["name"].as_str()).collect();
    let named = call.parameter("container");
    if named.is_empty() && names.len() > 1 {
        let message = format!(
            "a container name must be specified for pod {}, choose one of: [{}]",
            key.name,
            names.join(" ")
        );
        return Err(Status::bad_request(message));
    }
    if !named.is_empty() && !names.contains(&named) {
        let message = format!("container {named} is not valid for pod {}", key.name);
        return Err(Status::bad_request(message));
    }
    let mut text = store.log_of(&pod);
    if let Ok(limit) = call.parameter("limitBytes").parse::<usize>() {
        let end = (0..=limit.min(text.len()))
            .rev()
            .find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or(0));
    }
    Ok(Answer::text(text))
}

/// `policy/v1` `Eviction`.
fn evict(api: &Api, call: &Call, key: &Key) -> Result<Answer, Status> {
    if call.method != Method::POST {
        return Err(Status::method_not_allowed());
    }
    let body = decode(&call.body)?;
    let options = &body["deleteOptions"];
    let preconditions = Preconditions {
        uid: manifest::text(options, "/preconditions/uid"),
        resource_version: manifest::text(options, "/preconditions/resourceVersion"),
        grace_period_seconds: options["gracePeriodSeconds"].as_i64(),
        propagation: None,
    };
    let dry_run = call.is_dry_run()? || options["dryRun"] == json!(["All"]);
    change(api, dry_run, |store| store.evict(key, &preconditions))?;
    Ok(Answer::created(json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201,
    })))
}
