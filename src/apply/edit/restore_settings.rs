//! Gives a node pool its own upgrade settings back.

use wi_core::address::Address;
use wi_core::plan::RestoreSettings;
use wi_core::reason::Reason;

use super::node_pool::{Target, put_back};
use crate::apply::{Context, gke};

pub(super) async fn change(
    context: &Context,
    address: &Address,
    edit: &RestoreSettings,
) -> Result<(), Reason> {
    let target = Target {
        address,
        path: context.path(&edit.cluster)?,
        node_pool: &edit.node_pool,
    };
    let _alone = gke::queue(context, target.path).await?;
    Ok(put_back(context, &target, &edit.after).await?)
}
