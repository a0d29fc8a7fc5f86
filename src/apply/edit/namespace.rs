//! Makes, takes over or releases a namespace.

use wi_core::plan::Namespace;

use super::object::{Kind, Target, WriteError, apply, unmark};

pub(in crate::apply) async fn change(
    target: &Target<'_>,
    edit: &Namespace,
) -> Result<(), WriteError> {
    let object = edit.configuration(target.owner);
    let before = edit.before.as_ref();
    // The marks on what is there are ours, or are taken over.
    let force = before.is_some();
    let after = apply(target, Kind::Namespace, &object, before, force).await?;
    if edit.is_released() {
        unmark(target, Kind::Namespace, after).await?;
    }
    Ok(())
}
