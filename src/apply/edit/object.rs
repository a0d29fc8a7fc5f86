//! Objects of Kubernetes are written by server-side apply, as the field manager `wi`.

use serde_json::Value;
use wi_client::http::ApiError;
use wi_client::kubernetes::Kube;
use wi_core::desired::GSA_ANNOTATION;
use wi_core::plan::Was;
use wi_core::wire::kubernetes::ObjectMeta;

use crate::apply::Context;
use crate::apply::wait::CONFLICTS;

/// Which kind of object a change is about.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Namespace,
    ServiceAccount,
}

/// Applies under the resource version that the plan saw. Another version with the same marks and
/// annotation is no other object: then it is tried again under that one.
pub(super) async fn apply(
    context: &Context,
    kube: &Kube,
    kind: Kind,
    object: &Value,
    before: Option<&Was>,
    force: bool,
) -> Result<ObjectMeta, String> {
    let mut wait = context.propagation_wait();
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
    let mut lock = before.map(|was| (was.uid.clone(), was.resource_version.clone()));
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
            Kind::Namespace => kube.get_namespace(name).await,
            Kind::ServiceAccount => kube.get_service_account(namespace, name).await,
        }
        .map_err(|e| for_user(&e))?;
        if now.uid != planned.uid || !is_ours_or_as_planned(&now, planned, object) {
            return Err("it has changed since it was planned. Plan again".to_owned());
        }
        lock = Some((now.uid, now.resource_version));
        conflicts += 1;
        if conflicts > CONFLICTS || !wait.again().await {
            return Err(for_user(&error));
        }
    }
}

/// Whether each mark and the annotation is as it was planned, or as it is wanted: by a try of ours whose
/// answer was lost.
fn is_ours_or_as_planned(now: &ObjectMeta, planned: &Was, wanted: &Value) -> bool {
    use wi_core::plan::ownership::{ADOPTED, MANAGED_BY, OWNER};
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
