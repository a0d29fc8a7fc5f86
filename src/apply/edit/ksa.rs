//! Makes, annotates, releases or deletes a Kubernetes service account.

use serde_json::{Value, json};
use wi_core::desired::GSA_ANNOTATION;
use wi_core::plan::{Ksa, KsaAfter};
use wi_core::wire::kubernetes::ObjectMeta;

use super::object::{Kind, apply, for_user, holds, unmark};
use crate::apply::Context;

pub(super) async fn change(context: &Context, edit: &Ksa) -> Result<(), String> {
    let kube = context.kube(&edit.key.cluster)?;
    let before = edit.before.as_ref();
    let Some(object) = edit.configuration(&context.plan.owner) else {
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
            Err(e) if !e.is_not_found() => Err(for_user(&e)),
            _ => Ok(()),
        };
    };
    let kind = Kind::ServiceAccount;
    let mut after = apply(context, kube, kind, &object, before, edit.force).await?;
    if edit.after == KsaAfter::Released {
        after = unmark(kube, kind, after).await?;
    }
    if edit.drop_annotation && after.annotations.contains_key(GSA_ANNOTATION) {
        // Another manager owns the field, so leaving it out of our configuration keeps it there.
        let patch = json!({"metadata": {
            "resourceVersion": after.resource_version,
            "annotations": { GSA_ANNOTATION: Value::Null },
        }});
        after = kube
            .patch_service_account(&after.namespace, &after.name, &patch)
            .await
            .map_err(|e| for_user(&e))?;
    }
    let now = after.annotations.get(GSA_ANNOTATION);
    holds("annotation", GSA_ANNOTATION, now, edit.account_after())
}
