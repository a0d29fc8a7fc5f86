//! How each kind of change is carried out, one file a kind: what it is, is in wi-core's `plan/edit`.

mod account;
pub(super) mod binding;
mod cluster_pool;
mod key;
pub(super) mod ksa;
pub(super) mod namespace;
mod node_pool;
pub(super) mod object;
mod proven;
mod restore_settings;
mod secret;
mod shadow;
pub(super) mod template;
mod writes;

use wi_core::address::Address;
use wi_core::plan::Edit;
use wi_core::reason::Reason;

use super::Context;

/// Carries one change out.
pub(super) async fn carry_out(context: &Context, address: &Address) -> Result<(), Reason> {
    match &context.plan.changes[address].edit {
        Edit::ClusterPool(edit) => cluster_pool::change(context, address, edit).await,
        Edit::NodePool(edit) => node_pool::change(context, address, edit).await,
        Edit::RestoreSettings(edit) => restore_settings::change(context, address, edit).await,
        Edit::Account(edit) => account::change(context, address, edit).await,
        Edit::Namespace(edit) => {
            let target = context.objects_of(&edit.key.cluster)?;
            let written = namespace::change(&target, edit).await;
            written.map_err(Reason::from)
        }
        Edit::Ksa(edit) => {
            let target = context.objects_of(&edit.key.cluster)?;
            let written = ksa::change(&target, edit).await;
            written.map_err(Reason::from)
        }
        Edit::Key(edit) => key::change(context, address, edit).await,
        Edit::Secret(edit) => secret::change(context, address, edit).await,
        Edit::Template(edit) => template::change(context, address, edit).await,
        Edit::Shadow(edit) => shadow::change(context, address, edit).await,
        Edit::Binding(edit) => {
            // Bindings are always steps of their policy.
            Err(format!("{} was not grouped with its policy", edit.key.resource).into())
        }
    }
}
