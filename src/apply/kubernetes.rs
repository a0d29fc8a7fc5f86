//! Namespaces and Kubernetes service accounts, by server-side apply as the field manager `wi`.

use serde_json::{Value, json};
use wi_client::http::ApiError;
use wi_client::kubernetes::Kube;
use wi_core::desired::GSA_ANNOTATION;
use wi_core::plan::KubeChange;
use wi_core::wire::kubernetes::ObjectMeta;

use super::Context;
use super::wait::CONFLICTS;

/// Which kind of object a change is about.
#[derive(Clone, Copy)]
enum Kind {
    Namespace,
    ServiceAccount,
}

pub(super) async fn namespace(context: &Context, change: &KubeChange) -> Result<(), String> {
    let kube = context.kube(&change.cluster)?;
    match &change.object {
        Some(object) => apply(
            context,
            kube,
            Kind::Namespace,
            object,
            change.before.as_ref(),
            change.force,
        )
        .await
        .map(|_| ()),
        None => Err("wi never deletes a namespace".to_owned()),
    }
}

pub(super) async fn service_account(
    context: &Context,
    change: &KubeChange,
    drop_annotation: bool,
) -> Result<(), String> {
    let kube = context.kube(&change.cluster)?;
    let (object, before) = match (&change.object, &change.before) {
        (Some(object), before) => (object, before.as_ref()),
        (None, Some(before)) => return gone(kube.delete_service_account(before).await),
        (None, None) => return Ok(()),
    };
    let after = apply(
        context,
        kube,
        Kind::ServiceAccount,
        object,
        before,
        change.force,
    )
    .await?;
    if drop_annotation && after.annotations.contains_key(GSA_ANNOTATION) {
        // Another manager owns the field, so leaving it out of our configuration keeps it there.
        let patch = json!({"metadata": {
            "resourceVersion": after.resource_version,
            "annotations": { GSA_ANNOTATION: Value::Null },
        }});
        kube.patch_service_account(&after.namespace, &after.name, &patch)
            .await
            .map_err(|e| for_user(&e))?;
    }
    Ok(())
}

fn gone(result: Result<(), ApiError>) -> Result<(), String> {
    match result {
        Err(e) if !e.is_not_found() => Err(for_user(&e)),
        _ => Ok(()),
    }
}

/// Applies under the resource version that the plan saw. Another version with the same marks and
/// annotation is no other object: then it is tried again under that one.
async fn apply(
    context: &Context,
    kube: &Kube,
    kind: Kind,
    object: &Value,
    before: Option<&ObjectMeta>,
    force: bool,
) -> Result<ObjectMeta, String> {
    let mut wait = context.propagation_wait();
    let mut lock = before.cloned();
    let mut conflicts = 0;
    loop {
        let mut locked = object.clone();
        if let Some(meta) = &lock {
            locked["metadata"]["uid"] = meta.uid.clone().into();
            locked["metadata"]["resourceVersion"] = meta.resource_version.clone().into();
        }
        let result = match kind {
            Kind::Namespace => kube.apply_namespace(&locked, force).await,
            Kind::ServiceAccount => kube.apply_service_account(&locked, force).await,
        };
        let error = match result {
            Ok(meta) => return Ok(meta),
            Err(e) => e,
        };
        let stale = error.is_conflict()
            && error
                .causes
                .iter()
                .all(|c| c.reason != "FieldManagerConflict");
        let (Some(planned), true) = (before, stale) else {
            return Err(for_user(&error));
        };
        let now = match kind {
            Kind::Namespace => kube.get_namespace(&planned.name).await,
            Kind::ServiceAccount => {
                kube.get_service_account(&planned.namespace, &planned.name)
                    .await
            }
        }
        .map_err(|e| for_user(&e))?;
        if now.uid != planned.uid || !is_ours_or_as_planned(&now, planned, object) {
            return Err("it has changed since it was planned. Plan again".to_owned());
        }
        lock = Some(now);
        conflicts += 1;
        if conflicts > CONFLICTS || !wait.again().await {
            return Err(for_user(&error));
        }
    }
}

/// Whether each mark and the annotation is as it was planned, or as it is wanted: by a try of ours whose
/// answer was lost.
fn is_ours_or_as_planned(now: &ObjectMeta, planned: &ObjectMeta, wanted: &Value) -> bool {
    use wi_core::plan::marks::{ADOPTED, MANAGED_BY, OWNER};
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

fn for_user(e: &ApiError) -> String {
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
