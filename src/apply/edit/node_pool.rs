//! Moving a node pool to the GKE metadata server, with upgrade settings of this run if there are
//! any: its own are kept in a label of the cluster until it has them back, whatever happens.

use wi_core::address::Address;
use wi_core::names::ClusterPath;
use wi_core::plan::NodePool;
use wi_core::reason::Reason;
use wi_core::wire::upgrade::{RESTORE_LABEL, UpgradeSettings};

use crate::apply::Context;
use crate::apply::gke::{self, Failure, Setting};

/// A node pool of a cluster, and the address of its change.
pub(super) struct Target<'a> {
    pub address: &'a str,
    pub path: &'a ClusterPath,
    pub node_pool: &'a str,
}

/// Moves it.
pub(super) async fn change(
    context: &Context,
    address: &Address,
    edit: &NodePool,
) -> Result<(), Reason> {
    let target = &Target {
        address,
        path: context.path(&edit.cluster)?,
        node_pool: &edit.node_pool,
    };
    let _alone = gke::queue(context, target.path).await?;
    // After the wait for others, which may have been long.
    let now = context.time();
    context
        .recheck
        .node_pool(&context.http, &context.plan, address, now)
        .await?;
    let metadata_server = Setting::MetadataServer {
        node_pool: target.node_pool,
        before: &edit.before,
    };
    let Some(settings) = &edit.settings else {
        return Ok(gke::change(context, target.address, target.path, metadata_server).await?);
    };
    // The label comes first: whoever finds it knows what to put back.
    let kept = settings.own.to_label();
    let label = format!("{RESTORE_LABEL}{}", target.node_pool);
    let keep = Setting::Label {
        key: &label,
        value: kept.as_deref(),
    };
    gke::change(context, target.address, target.path, keep).await?;
    let moved = async {
        let during = Setting::Upgrade {
            node_pool: target.node_pool,
            settings: &settings.during,
        };
        gke::change(context, target.address, target.path, during).await?;
        gke::change(context, target.address, target.path, metadata_server).await
    }
    .await;
    if let Err(Failure::StillRuns(why)) = moved {
        return Err(why.with(". The node pool's own upgrade settings are put back then"));
    }
    let restored = put_back(context, target, &settings.own).await;
    moved?;
    Ok(restored?)
}

/// Gives a node pool its own upgrade settings back, and forgets them.
pub(super) async fn put_back(
    context: &Context,
    target: &Target<'_>,
    own: &UpgradeSettings,
) -> Result<(), Failure> {
    let own = Setting::Upgrade {
        node_pool: target.node_pool,
        settings: own,
    };
    gke::change(context, target.address, target.path, own).await?;
    let label = format!("{RESTORE_LABEL}{}", target.node_pool);
    let forget = Setting::Label {
        key: &label,
        value: None,
    };
    gke::change(context, target.address, target.path, forget).await
}
