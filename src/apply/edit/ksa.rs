//! Makes, annotates, releases or deletes a Kubernetes service account.

use wi_core::desired::GSA_ANNOTATION;
use wi_core::plan::{Ksa, KsaAfter};
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
    let mut after = apply(target, kind, &object, before, edit.force).await?;
    if edit.after == KsaAfter::Released {
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
