//! Objects of Kubernetes are written by server-side apply, as the field manager `wi`.

use serde_json::{Value, json};
use wi_client::http::ApiError;
use wi_client::kubernetes::Kube;
use wi_core::desired::GSA_ANNOTATION;
use wi_core::plan::Was;
use wi_core::plan::ownership::{ADOPTED, MANAGED_BY, OWNER, owner_of};
use wi_core::wire::kubernetes::ObjectMeta;
use wi_core::words::safe;

use crate::apply::Context;
use crate::apply::wait::CONFLICTS;

/// Which kind of object a change is about.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Namespace,
    ServiceAccount,
}

/// Applies under the resource version that the plan saw. Another version with the same marks and
/// annotation is no other object: then it is tried again under that one. What was not there then and is now
/// is not ours to make. The answer is compared with what was asked for.
pub(super) async fn apply(
    context: &Context,
    kube: &Kube,
    kind: Kind,
    object: &Value,
    before: Option<&Was>,
    force: bool,
) -> Result<ObjectMeta, String> {
    let mut wait = context.propagation_wait();
    let mut object = object.clone();
    let mut planned = before.cloned();
    if planned.is_none()
        && let Some(there) = made_meanwhile(kube, kind, &object).await?
    {
        if matches!(kind, Kind::Namespace) && there.deletion_timestamp.is_empty() {
            return Ok(there); // those of others are not marked
        }
        adopt(&mut object, &there, &context.plan.owner)?;
        planned = Some(Was::from(&there));
    }
    let mut lock = planned
        .as_ref()
        .map(|was| (was.uid.clone(), was.resource_version.clone()));
    let mut conflicts = 0;
    loop {
        let mut locked = object.clone();
        if let Some((uid, version)) = &lock {
            locked["metadata"]["uid"] = uid.clone().into();
            locked["metadata"]["resourceVersion"] = version.clone().into();
        }
        let result = match kind {
            Kind::Namespace => kube.apply_namespace(&locked, force).await,
            Kind::ServiceAccount => kube.apply_service_account(&locked, force).await,
        };
        let error = match result {
            Ok((now, made)) if matches!(kind, Kind::ServiceAccount) && lock.is_none() && !made => {
                // Somebody was faster by a moment, or it is a try whose answer was lost. Who takes it for
                // ours deletes it one day.
                adopt(&mut object, &ObjectMeta::default(), &context.plan.owner)?;
                lock = Some((now.uid.clone(), now.resource_version.clone()));
                planned = Some(Was::from(&now));
                continue;
            }
            Ok((now, _)) => return as_asked(&object, &now).map(|()| now),
            Err(e) => e,
        };
        let stale = error.is_conflict()
            && error
                .causes
                .iter()
                .all(|c| c.reason != "FieldManagerConflict");
        let (Some(planned), true) = (&planned, stale) else {
            return Err(for_user(&error));
        };
        let now = read(kube, kind, &object).await.map_err(|e| for_user(&e))?;
        if now.uid != planned.uid || !is_ours_or_as_planned(&now, planned, &object) {
            return Err("it has changed since it was planned. Plan again".to_owned());
        }
        lock = Some((now.uid, now.resource_version));
        conflicts += 1;
        if conflicts > CONFLICTS || !wait.again().await {
            return Err(for_user(&error));
        }
    }
}

async fn read(kube: &Kube, kind: Kind, object: &Value) -> Result<ObjectMeta, ApiError> {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
    match kind {
        Kind::Namespace => kube.get_namespace(text("name")).await,
        Kind::ServiceAccount => {
            kube.get_service_account(text("namespace"), text("name"))
                .await
        }
    }
}

/// What was not there when it was planned. Server-side apply cannot say that it must not be.
async fn made_meanwhile(
    kube: &Kube,
    kind: Kind,
    object: &Value,
) -> Result<Option<ObjectMeta>, String> {
    match read(kube, kind, object).await {
        Ok(there) => Ok(Some(there)),
        Err(e) if e.is_not_found() || e.code == 403 => Ok(None), // the write will tell
        Err(e) => Err(for_user(&e)),
    }
}

/// Turns what was to be made into what adopts the object that somebody made.
fn adopt(object: &mut Value, there: &ObjectMeta, owner: &str) -> Result<(), String> {
    if !there.deletion_timestamp.is_empty() {
        return Err(
            "it is being deleted, and takes nothing new. Once it is gone, run apply again"
                .to_owned(),
        );
    }
    let by = owner_of(there);
    if let Some(other) = by.filter(|by| *by != owner) {
        return Err(format!(
            "it has been made since it was planned, and belongs to the spec named `{}` (annotation {OWNER})",
            safe(other)
        ));
    }
    let metadata = &mut object["metadata"];
    if let Some(account) = there.annotations.get(GSA_ANNOTATION)
        && metadata["annotations"][GSA_ANNOTATION].as_str() != Some(account)
    {
        return Err(format!(
            "it has been made since it was planned, with the annotation {GSA_ANNOTATION} `{}`. Plan again",
            safe(account)
        ));
    }
    if by.is_none() || there.annotations.contains_key(ADOPTED) {
        metadata["annotations"][ADOPTED] = "true".into();
    }
    if there
        .labels
        .get(MANAGED_BY)
        .is_some_and(|tool| tool != "wi")
        && let Some(metadata) = metadata.as_object_mut()
    {
        metadata.remove("labels"); // that of another tool stays its own
    }
    Ok(())
}

/// Whether the server holds what it was asked to: admission webhooks rewrite what is written, and strip it.
fn as_asked(object: &Value, now: &ObjectMeta) -> Result<(), String> {
    for (kind, field, held) in [
        ("annotation", "annotations", &now.annotations),
        ("label", "labels", &now.labels),
    ] {
        let asked = object["metadata"][field].as_object();
        for (key, value) in asked.into_iter().flatten() {
            holds(kind, key, held.get(key), value.as_str())?;
        }
    }
    Ok(())
}

/// Whether a label or an annotation is what it was to be.
pub(super) fn holds(
    kind: &str,
    key: &str,
    now: Option<&String>,
    asked: Option<&str>,
) -> Result<(), String> {
    if now.map(String::as_str) == asked {
        return Ok(());
    }
    let shown = |value: Option<&str>| value.map_or("none".to_owned(), |v| format!("`{}`", safe(v)));
    Err(format!(
        "the server took the write, and the {kind} {key} is {}, not {}: an admission webhook changes it (kubectl get mutatingwebhookconfigurations)",
        shown(now.map(String::as_str)),
        shown(asked)
    ))
}

/// Takes our marks off what was released, where somebody else owns them, too: a restored backup, or a tool that
/// copies objects. Leaving them out of our configuration keeps them there.
pub(super) async fn unmark(kube: &Kube, kind: Kind, now: ObjectMeta) -> Result<ObjectMeta, String> {
    let mut patch = json!({"metadata": { "resourceVersion": now.resource_version }});
    let mut marked = false;
    for key in [OWNER, ADOPTED] {
        if now.annotations.contains_key(key) {
            patch["metadata"]["annotations"][key] = Value::Null;
            marked = true;
        }
    }
    if now.labels.get(MANAGED_BY).is_some_and(|tool| tool == "wi") {
        patch["metadata"]["labels"][MANAGED_BY] = Value::Null;
        marked = true;
    }
    if !marked {
        return Ok(now);
    }
    let now = match kind {
        Kind::Namespace => kube.patch_namespace(&now.name, &patch).await,
        Kind::ServiceAccount => {
            kube.patch_service_account(&now.namespace, &now.name, &patch)
                .await
        }
    }
    .map_err(|e| for_user(&e))?;
    for key in [OWNER, ADOPTED] {
        holds("annotation", key, now.annotations.get(key), None)?;
    }
    Ok(now)
}

/// Whether each mark and the annotation is as it was planned, or as it is wanted: by a try of ours whose
/// answer was lost.
fn is_ours_or_as_planned(now: &ObjectMeta, planned: &Was, wanted: &Value) -> bool {
    let holds = |now: Option<&String>, planned: Option<&String>, wanted: &Value| {
        now == planned || now.map(String::as_str) == wanted.as_str()
    };
    let wanted = &wanted["metadata"];
    [OWNER, ADOPTED, GSA_ANNOTATION].iter().all(|key| {
        let wanted = &wanted["annotations"][*key];
        holds(
            now.annotations.get(*key),
            planned.annotations.get(*key),
            wanted,
        )
    }) && holds(
        now.labels.get(MANAGED_BY),
        planned.labels.get(MANAGED_BY),
        &wanted["labels"][MANAGED_BY],
    )
}

pub(super) fn for_user(e: &ApiError) -> String {
    let managers: Vec<&str> = e
        .causes
        .iter()
        .filter(|c| c.reason == "FieldManagerConflict")
        .map(|c| c.message.as_str())
        .collect();
    if managers.is_empty() {
        e.for_user()
    } else {
        format!(
            "{}. Change the field there, or pass --force-conflicts to take it over",
            managers.join("; ")
        )
    }
}
