//! Custom resources: objects of any group, read and never written, with their groups in discovery.

use http::Method;
use serde_json::{Value, json};

use super::manifest;
use super::request::Call;
use super::response::Answer;
use super::status::Status;

/// Group, version and plural of a custom object; `None`: its `apiVersion` has no group with a dot, as all
/// custom ones have.
pub fn names(object: &Value) -> Option<(String, String, String)> {
    let (group, version) = object["apiVersion"].as_str()?.split_once('/')?;
    let kind = object["kind"].as_str()?.to_lowercase();
    let plural = if let Some(stem) = kind.strip_suffix('y') {
        format!("{stem}ies")
    } else if kind.ends_with('s') {
        format!("{kind}es")
    } else {
        format!("{kind}s")
    };
    group
        .contains('.')
        .then(|| (group.to_owned(), version.to_owned(), plural))
}

/// Whether a path is below the group of one of the objects.
pub fn has(objects: &[Value], path: &str) -> bool {
    let group = path
        .strip_prefix("/apis/")
        .and_then(|p| p.split('/').next());
    let mut known = objects.iter().filter_map(names);
    known.any(|(name, _, _)| Some(name.as_str()) == group)
}

/// Adds the groups of the objects to the document of `/apis`.
pub fn extend(objects: &[Value], document: &mut Value) {
    let mut known: Vec<_> = objects.iter().filter_map(names).collect();
    known.sort();
    known.dedup_by(|a, b| (&a.0, &a.1) == (&b.0, &b.1));
    let Some(groups) = document["groups"].as_array_mut() else {
        return;
    };
    for (group, version, _) in known {
        let version = json!({ "groupVersion": format!("{group}/{version}"), "version": version });
        groups.push(json!({ "name": group, "versions": [version], "preferredVersion": version }));
    }
}

/// Answers `/apis/GROUP[/VERSION[/[namespaces/NAMESPACE/]PLURAL[/NAME]]]`. `permits` says whether the
/// caller may do a verb on a plural.
pub fn answer(
    objects: &[Value],
    call: &Call,
    path: &[&str],
    permits: impl Fn(&str, &str) -> bool,
) -> Result<Answer, Status> {
    if call.method != Method::GET {
        return Err(Status::method_not_allowed());
    }
    let (version, rest) = match path {
        [_group, version, rest @ ..] => (*version, rest),
        _ => return Err(Status::no_such_path()),
    };
    let of = |object: &&Value| names(object).is_some_and(|(g, v, _)| g == path[0] && v == version);
    let known: Vec<&Value> = objects.iter().filter(of).collect();
    if known.is_empty() {
        return Err(Status::no_such_path());
    }
    let (namespace, plural, name) = match rest {
        [] => return Ok(Answer::ok(resources(path[0], version, &known))),
        ["namespaces", namespace, plural] => (Some(*namespace), *plural, None),
        ["namespaces", namespace, plural, name] => (Some(*namespace), *plural, Some(*name)),
        [plural] => (None, *plural, None),
        [plural, name] => (None, *plural, Some(*name)),
        _ => return Err(Status::no_such_path()),
    };
    let mut found = known.into_iter().filter(|object| {
        let place = manifest::text(object, "/metadata/namespace").unwrap_or_default();
        names(object).is_some_and(|(_, _, p)| p == plural)
            && namespace.is_none_or(|n| n == place)
            && name.is_none_or(|n| n == manifest::name_of(object))
    });
    let verb = if name.is_some() { "get" } else { "list" };
    if !permits(verb, plural) {
        let why = format!(
            "{plural}.{} is forbidden: User cannot {verb} resource {plural:?}",
            path[0]
        );
        return Err(Status::new(403, "Forbidden", why));
    }
    if name.is_some() {
        let object = found.next().ok_or_else(Status::no_such_path)?;
        return Ok(Answer::ok(object.clone()));
    }
    let items: Vec<&Value> = found.collect();
    let kind = items
        .first()
        .map_or("", |o| o["kind"].as_str().unwrap_or_default());
    Ok(Answer::ok(json!({
        "kind": format!("{kind}List"),
        "apiVersion": format!("{}/{version}", path[0]),
        "metadata": { "resourceVersion": "1" },
        "items": items,
    })))
}

fn resources(group: &str, version: &str, objects: &[&Value]) -> Value {
    let mut known: Vec<_> = objects
        .iter()
        .filter_map(|o| {
            Some((
                names(o)?.2,
                o["kind"].as_str()?,
                !o["metadata"]["namespace"].is_null(),
            ))
        })
        .collect();
    known.sort();
    known.dedup_by(|a, b| a.0 == b.0);
    let resources: Vec<Value> = known
        .into_iter()
        .map(|(plural, kind, namespaced)| {
            json!({
                "name": plural,
                "singularName": kind.to_lowercase(),
                "namespaced": namespaced,
                "kind": kind,
                "verbs": ["get", "list"],
            })
        })
        .collect();
    json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": format!("{group}/{version}"),
        "resources": resources,
    })
}
