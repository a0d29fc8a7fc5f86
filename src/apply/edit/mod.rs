//! How each kind of change is carried out, one file a kind: what it is, is in wi-core's `plan/edit`.

mod account;
pub(super) mod binding;
mod cluster_pool;
mod ksa;
mod namespace;
mod node_pool;
mod object;
mod restore_settings;

use wi_core::address::Address;
use wi_core::plan::Edit;

use super::Context;

/// Carries one change out.
pub(super) async fn carry_out(context: &Context, address: &Address) -> Result<(), String> {
    match &context.plan.changes[address].edit {
        Edit::ClusterPool(edit) => cluster_pool::change(context, address, edit).await,
        Edit::NodePool(edit) => node_pool::change(context, address, edit).await,
        Edit::RestoreSettings(edit) => restore_settings::change(context, address, edit).await,
        Edit::Account(edit) => account::change(context, address, edit).await,
        Edit::Namespace(edit) => namespace::change(context, edit).await,
        Edit::Ksa(edit) => ksa::change(context, edit).await,
        Edit::Binding(edit) => {
            // Bindings are always steps of their policy.
            Err(format!(
                "{} was not grouped with its policy",
                edit.key.resource
            ))
        }
    }
}
