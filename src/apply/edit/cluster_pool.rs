//! Turns a cluster's workload pool on.

use wi_core::address::Address;
use wi_core::plan::ClusterPool;
use wi_core::reason::Reason;

use crate::apply::{Context, gke};

pub(super) async fn change(
    context: &Context,
    address: &Address,
    edit: &ClusterPool,
) -> Result<(), Reason> {
    let path = context.path(&edit.cluster)?;
    let setting = gke::Setting::WorkloadPool {
        before: &edit.before,
        after: &edit.after,
    };
    let _alone = gke::queue(context, path).await?;
    Ok(gke::change(context, address, path, setting).await?)
}
