//! Objects of Kubernetes are written by server-side apply, as the field manager `wi`.

use serde_json::{Value, json};
use wi_client::http::{ApiError, Cause};
use wi_client::kubernetes::Kube;
use wi_core::desired::GSA_ANNOTATION;
use wi_core::plan::Was;
use wi_core::plan::ownership::{ADOPTED, FORMER, MANAGED_BY, OWNER, owner_of};
use wi_core::reason::Reason;
use wi_core::wire::kubernetes::ObjectMeta;
use wi_core::words::safe;

use crate::apply::Limits;
use crate::apply::wait::{CONFLICTS, Wait};

/// The reason of a cause that names another manager of a field.
const FIELD_MANAGER_CONFLICT: &str = "FieldManagerConflict";

/// Which kind of object a change is about.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Namespace,
    ServiceAccount,
}

/// Where objects are written, and for whom.
pub(in crate::apply) struct Target<'a> {
    /// A dry run of it writes nothing, and is refused as the write would be.
    pub kube: &'a Kube,
    /// The spec's name.
    pub owner: &'a str,
    pub limits: &'a Limits,
}

/// Why an object was not written, for the user.
#[derive(Debug)]
pub(in crate::apply) enum WriteError {
    /// The server's answer.
    Api(ApiError),
    /// What `wi` makes of it.
    Said(String),
}

impl From<ApiError> for WriteError {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

impl From<String> for WriteError {
    fn from(why: String) -> Self {
        Self::Said(why)
    }
}

impl From<WriteError> for Reason {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Api(error) => reason(&error),
            WriteError::Said(why) => why.into(),
        }
    }
}

/// Applies under the resource version that the plan saw. Another version with the same marks and
/// annotation is no other object: then it is tried again under that one. What was not there then and is now
/// is not ours to make. The answer is compared with what was asked for.
pub(super) async fn apply(
    target: &Target<'_>,
    kind: Kind,
    object: &Value,
    before: Option<&Was>,
    force: bool,
) -> Result<ObjectMeta, WriteError> {
    let kube = target.kube;
    let mut wait = Wait::up_to(target.limits.propagation, target.limits.poll);
    let mut object = object.clone();
    let mut planned = before.cloned();
    // A dry run overwrites nothing: its own answer says what is there.
    if planned.is_none()
        && !kube.is_dry_run()
        && let Some(there) = made_meanwhile(kube, kind, &object).await?
    {
        if matches!(kind, Kind::Namespace) && there.deletion_timestamp.is_empty() {
            return Ok(there); // those of others are not marked
        }
        adopt(&mut object, &there, target.owner)?;
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
            // Somebody was faster by a moment. Who takes it for ours deletes it one day. What an apply of ours
            // has made is ours: a try whose answer was lost, or another run of this spec.
            Ok((now, made))
                if matches!(kind, Kind::ServiceAccount)
                    && lock.is_none()
                    && !made
                    && !now.is_made_by_an_apply() =>
            {
                adopt(&mut object, &ObjectMeta::default(), target.owner)?;
                lock = Some((now.uid.clone(), now.resource_version.clone()));
                planned = Some(Was::from(&now));
                continue;
            }
            Ok((now, _)) => {
                as_asked(&object, &now)?;
                return Ok(now);
            }
            Err(e) => e,
        };
        let by_manager = |c: &Cause| c.reason == FIELD_MANAGER_CONFLICT;
        let of_fields = error.causes.iter().any(by_manager);
        if of_fields
            && planned.is_none()
            && let Some(there) = made_meanwhile(kube, kind, &object).await?
        {
            if matches!(kind, Kind::Namespace) {
                return Ok(there);
            }
            adopt(&mut object, &there, target.owner)?;
            lock = Some((there.uid.clone(), there.resource_version.clone()));
            planned = Some(Was::from(&there));
            continue;
        }
        let (Some(planned), true) = (&planned, error.is_conflict() && !of_fields) else {
            return Err(error.into());
        };
        let now = read(kube, kind, &object).await?;
        if now.uid != planned.uid || !is_ours_or_as_planned(&now, planned, &object) {
            let why = "it has changed since it was planned. Plan again";
            return Err(why.to_owned().into());
        }
        lock = Some((now.uid, now.resource_version));
        conflicts += 1;
        if conflicts > CONFLICTS || !wait.again().await {
            return Err(error.into());
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
) -> Result<Option<ObjectMeta>, ApiError> {
    match read(kube, kind, object).await {
        Ok(there) => Ok(Some(there)),
        Err(e) if e.is_not_found() || e.code == 403 => Ok(None), // the write will tell
        Err(e) => Err(e),
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
pub(super) async fn unmark(
    target: &Target<'_>,
    kind: Kind,
    now: ObjectMeta,
) -> Result<ObjectMeta, WriteError> {
    let there = |key: &&str| now.annotations.contains_key(*key);
    let annotations: Vec<&str> = [OWNER, ADOPTED, FORMER].into_iter().filter(there).collect();
    let ours = now.labels.get(MANAGED_BY).is_some_and(|tool| tool == "wi");
    take_off(target, kind, now, &annotations, ours).await
}

/// Takes annotations, and our label, off by a merge patch: whoever else owns them keeps them no longer.
pub(super) async fn take_off(
    target: &Target<'_>,
    kind: Kind,
    mut now: ObjectMeta,
    annotations: &[&str],
    label: bool,
) -> Result<ObjectMeta, WriteError> {
    if annotations.is_empty() && !label {
        return Ok(now);
    }
    let mut patch = json!({"metadata": { "resourceVersion": now.resource_version }});
    for key in annotations {
        patch["metadata"]["annotations"][*key] = Value::Null;
    }
    if label {
        patch["metadata"]["labels"][MANAGED_BY] = Value::Null;
    }
    let kube = target.kube;
    let answer = match kind {
        Kind::Namespace => kube.patch_namespace(&now.name, &patch).await,
        Kind::ServiceAccount => {
            kube.patch_service_account(&now.namespace, &now.name, &patch)
                .await
        }
    }?;
    for key in annotations {
        holds("annotation", key, answer.annotations.get(*key), None)?;
    }
    if !kube.is_dry_run() {
        return Ok(answer);
    }
    // What was tried before is not kept, so that this answer has none of it.
    now.annotations
        .retain(|key, _| !annotations.contains(&key.as_str()));
    if label {
        now.labels.remove(MANAGED_BY);
    }
    Ok(now)
}

/// Whether each mark and the annotation is as it was planned, or as it is wanted: by a try of ours whose
/// answer was lost.
pub(super) fn is_ours_or_as_planned(now: &ObjectMeta, planned: &Was, wanted: &Value) -> bool {
    let holds = |now: Option<&String>, planned: Option<&String>, wanted: &Value| {
        now == planned || now.map(String::as_str) == wanted.as_str()
    };
    let wanted = &wanted["metadata"];
    [OWNER, ADOPTED, FORMER, GSA_ANNOTATION].iter().all(|key| {
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

fn reason(e: &ApiError) -> Reason {
    let managers: Vec<&str> = e
        .causes
        .iter()
        .filter(|c| c.reason == FIELD_MANAGER_CONFLICT)
        .map(|c| c.message.as_str())
        .collect();
    if managers.is_empty() {
        e.reason()
    } else {
        format!(
            "{}. Change the field there, or pass --force-conflicts to take it over",
            managers.join("; ")
        )
        .into()
    }
}
