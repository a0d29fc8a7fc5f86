//! Makes or releases a namespace.

use wi_core::plan::Namespace;

use super::object::{Kind, apply};
use crate::apply::Context;

pub(super) async fn change(context: &Context, edit: &Namespace) -> Result<(), String> {
    let kube = context.kube(&edit.key.cluster)?;
    let object = edit.configuration(&context.plan.owner);
    let before = edit.before.as_ref();
    // What is there is ours, so that its fields are.
    apply(
        context,
        kube,
        Kind::Namespace,
        &object,
        before,
        before.is_some(),
    )
    .await?;
    Ok(())
}
