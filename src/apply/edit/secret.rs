//! Secrets that held nothing but keys, which are gone: deleted.

use wi_core::address::Address;
use wi_core::plan::Secret;
use wi_core::reason::Reason;

use crate::apply::Context;

pub(super) async fn change(
    context: &Context,
    address: &Address,
    edit: &Secret,
) -> Result<(), Reason> {
    let kube = context.kube(&edit.key.cluster)?;
    let change = &context.plan.changes[address];
    let seen = context
        .recheck
        .keys(&context.http, &change.edit, &edit.email, context.time())
        .await?;
    let (namespace, name) = (edit.key.namespace.as_str(), edit.key.name.as_str());
    let is_it = |s: &&wi_core::live::keys::SecretSeen| {
        s.cluster == edit.key.cluster && s.namespace == namespace && s.name == name
    };
    let Some(now) = seen.secrets.iter().find(is_it) else {
        return Err("it was not looked at again".into());
    };
    // In just the version that was opened: whoever wrote into it since keeps it.
    let deleted = kube.delete_secret(namespace, name, &now.uid, &now.version);
    match deleted.await {
        Ok(()) => Ok(()),
        // By a try whose answer was lost.
        Err(e) if e.is_not_found() => Ok(()),
        Err(e) if e.is_conflict() => {
            Err("it was written since it was looked at. Plan again".into())
        }
        Err(e) => Err(e.reason()),
    }
}
