//! Makes, annotates, releases or deletes a Kubernetes service account.

use serde_json::json;
use wi_core::desired::GSA_ANNOTATION;
use wi_core::plan::{Ksa, KsaAfter, Was};
use wi_core::wire::kubernetes::ObjectMeta;

use crate::apply::wait::{CONFLICTS, Wait};

use super::object::{
    Kind, Target, WriteError, apply, holds, is_ours_or_as_planned, take_off, unmark,
};

pub(in crate::apply) async fn change(target: &Target<'_>, edit: &Ksa) -> Result<(), WriteError> {
    let kube = target.kube;
    let before = edit.before.as_ref();
    let Some(object) = edit.configuration(target.owner) else {
        let Some(was) = before else {
            return Ok(());
        };
        let planned = ObjectMeta {
            namespace: edit.key.namespace.to_string(),
            name: edit.key.name.to_string(),
            uid: was.uid.clone(),
            resource_version: was.resource_version.clone(),
            ..ObjectMeta::default()
        };
        return match kube.delete_service_account(&planned).await {
            Err(e) if !e.is_not_found() => Err(e.into()),
            _ => Ok(()),
        };
    };
    let kind = Kind::ServiceAccount;
    // First of all, so that its pods are never without one.
    let given_back = give_back(target, edit).await?;
    let before = match given_back.as_ref().filter(|_| !kube.is_dry_run()) {
        Some(was) => Some(was),
        None => before,
    };
    let mut after = apply(target, kind, &object, before, edit.force).await?;
    if let Some(account) = given_back.as_ref().and_then(Was::account)
        && kube.is_dry_run()
    {
        // What was tried before is not kept, so that this answer has none of it.
        let annotation = (GSA_ANNOTATION.to_owned(), account.to_owned());
        after.annotations.extend([annotation]);
    }
    if matches!(edit.after, KsaAfter::Released | KsaAfter::LetGo) {
        after = unmark(target, kind, after).await?;
    }
    if edit.drop_annotation && after.annotations.contains_key(GSA_ANNOTATION) {
        // Another manager owns the field, so leaving it out of our configuration keeps it there.
        after = take_off(target, kind, after, &[GSA_ANNOTATION], false).await?;
    }
    let now = after.annotations.get(GSA_ANNOTATION);
    Ok(holds(
        "annotation",
        GSA_ANNOTATION,
        now,
        edit.account_after(),
    )?)
}

/// Writes the annotation that a release ends with, and leaves the marks: they say whose what it has is, until that
/// is gone. Beside what we apply, so that it stays when that goes. Answers with the object as it is then; `None`: the
/// annotation stays as it is. What is so already, by a removal that came first, is not written again.
pub(super) async fn give_back(target: &Target<'_>, edit: &Ksa) -> Result<Option<Was>, WriteError> {
    let (Some(account), Some(was)) = (edit.gives_back(), &edit.before) else {
        return Ok(None);
    };
    let (namespace, name) = (edit.key.namespace.as_str(), edit.key.name.as_str());
    let wanted = json!({"metadata": { "annotations": { GSA_ANNOTATION: account } }});
    let mut wait = Wait::up_to(target.limits.propagation, target.limits.poll);
    let mut conflicts = 0;
    loop {
        let version = match target.kube.get_service_account(namespace, name).await {
            Ok(now) => {
                if now.uid != was.uid || !is_ours_or_as_planned(&now, was, &wanted) {
                    let why = "it has changed since it was planned. Plan again";
                    return Err(why.to_owned().into());
                }
                if now.annotations.get(GSA_ANNOTATION).map(String::as_str) == account {
                    return Ok(Some(Was::from(&now)));
                }
                now.resource_version
            }
            Err(e) if e.code == 403 => was.resource_version.clone(), // the write will tell
            Err(e) => return Err(e.into()),
        };
        let mut patch = wanted.clone();
        patch["metadata"]["resourceVersion"] = version.into();
        let patched = target.kube.patch_service_account(namespace, name, &patch);
        match patched.await {
            Ok(patched) => {
                let now = patched.annotations.get(GSA_ANNOTATION);
                holds("annotation", GSA_ANNOTATION, now, account)?;
                return Ok(Some(Was::from(&patched)));
            }
            Err(e) if e.is_conflict() && conflicts < CONFLICTS => {
                conflicts += 1;
                if !wait.again().await {
                    return Err(e.into());
                }
            }
            Err(e) => return Err(e.into()),
        }
    }
}
