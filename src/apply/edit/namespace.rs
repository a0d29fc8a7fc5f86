//! Makes or releases a namespace.

use wi_core::plan::Namespace;

use super::object::{Kind, Target, WriteError, apply, unmark};

pub(in crate::apply) async fn change(
    target: &Target<'_>,
    edit: &Namespace,
) -> Result<(), WriteError> {
    let object = edit.configuration(target.owner);
    let before = edit.before.as_ref();
    // What is there is ours, so that its fields are.
    let force = before.is_some();
    let after = apply(target, Kind::Namespace, &object, before, force).await?;
    if force {
        unmark(target, Kind::Namespace, after).await?;
    }
    Ok(())
}
