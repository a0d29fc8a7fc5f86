//! Makes, annotates, releases or deletes a Kubernetes service account.

use serde_json::json;
use wi_core::desired::GSA_ANNOTATION;
use wi_core::plan::{Ksa, KsaAfter, Was};
use wi_core::wire::kubernetes::ObjectMeta;

use super::object::{Kind, Target, WriteError, apply, holds, take_off, unmark};

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
    // First of all, so that its pods are never without one. It is not of what we apply, and so stays.
    let mut put_back = None;
    if let (Some(account), Some(was)) = (edit.puts_back(), before) {
        put_back = Some(Was::from(&put(target, edit, was, account).await?));
    }
    let before = match put_back.as_ref().filter(|_| !kube.is_dry_run()) {
        Some(was) => Some(was),
        None => before,
    };
    let mut after = apply(target, kind, &object, before, edit.force).await?;
    if let Some(account) = put_back.as_ref().and_then(Was::account)
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

/// Sets the annotation beside what we apply.
async fn put(
    target: &Target<'_>,
    edit: &Ksa,
    was: &Was,
    account: &str,
) -> Result<ObjectMeta, WriteError> {
    let patch = json!({"metadata": {
        "resourceVersion": was.resource_version,
        "annotations": { GSA_ANNOTATION: account },
    }});
    let (namespace, name) = (edit.key.namespace.as_str(), edit.key.name.as_str());
    let patched = target.kube.patch_service_account(namespace, name, &patch);
    Ok(patched.await?)
}
