//! Makes or releases a namespace.

use wi_core::plan::Namespace;

use super::object::{Kind, apply, unmark};
use crate::apply::Context;

pub(super) async fn change(context: &Context, edit: &Namespace) -> Result<(), String> {
    let kube = context.kube(&edit.key.cluster)?;
    let object = edit.configuration(&context.plan.owner);
    let before = edit.before.as_ref();
    // What is there is ours, so that its fields are.
    let force = before.is_some();
    let after = apply(context, kube, Kind::Namespace, &object, before, force).await?;
    if force {
        unmark(kube, Kind::Namespace, after).await?;
    }
    Ok(())
}
