//! The first write of another template as a dry run: what the server would refuse is known before anything is written.

use jiff::Timestamp;
use serde_json::Value;
use wi_client::http::ApiError;
use wi_client::kubernetes::Kube;
use wi_core::desired::Desired;
use wi_core::live::Live;
use wi_core::live::templates::TemplateSeen;
use wi_core::migrate::templates::{next, template};
use wi_core::plan::Template;

use super::{first, kind_of};

/// How often it is looked again where others write at the same time.
const TRIES: usize = 3;

/// Asks the server what it would say; `kube` makes dry runs. What is not as it was planned is told by the write itself.
pub(in crate::apply) async fn ask(
    kube: &Kube,
    edit: &Template,
    desired: &Desired,
    live: &Live,
    now: Timestamp,
) -> Result<(), ApiError> {
    let (Some(wanted), Ok(kind)) = (wanted(edit, desired, live), kind_of(&edit.key.kind)) else {
        return Ok(());
    };
    let (namespace, name) = (edit.key.namespace.as_str(), edit.key.name.as_str());
    let (planned, to) = wanted;
    for _ in 0..TRIES {
        let object = kube.get_workload_whole(kind, namespace, name).await?;
        let is_it = object["metadata"]["uid"] == edit.uid.as_str();
        if !is_it || *template(&edit.key.kind, &object) != planned {
            return Ok(());
        }
        // Whatever the way back leads to, the server takes the same.
        let Some(operations) = first(edit, &object, &to, "1", now) else {
            return Ok(());
        };
        match kube
            .patch_workload(kind, namespace, name, &operations)
            .await
        {
            Ok(_) => return Ok(()),
            Err(e) if e.is_conflict() => {}
            Err(e) if e.code == 422 => {
                let now = kube.get_workload_whole(kind, namespace, name).await?;
                let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
                if version(&now) == version(&object) {
                    return Err(e);
                }
            }
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// The template by which it was planned, and the one that it is to have. `None`: it is there already.
fn wanted(edit: &Template, desired: &Desired, live: &Live) -> Option<(Value, Value)> {
    let account = desired.account_name(&edit.email)?;
    let mut all = live.off_keys.get(account)?.templates.iter().flatten();
    let is_it = |t: &&TemplateSeen| {
        let key = &edit.key;
        (&*t.cluster, t.kind, &*t.namespace, &*t.name)
            == (
                &*key.cluster,
                &*key.kind,
                key.namespace.as_str(),
                key.name.as_str(),
            )
    };
    let seen = all.find(is_it)?;
    let planned = template(seen.kind, &seen.object.as_ref().ok()?.0).clone();
    let next = next(desired.migrations.get(account)?, edit.email.as_str(), seen)?.ok()?;
    Some((planned, next.template?))
}
