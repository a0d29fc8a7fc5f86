//! GKE: one operation per cluster at a time; a running one is waited for, not fought.

use crate::desired::GKE_METADATA;
use crate::gcp::container::{self, Cluster, Operation};
use crate::http::{ApiError, Http};
use crate::identity::ClusterPath;

use super::Context;
use super::wait::Wait;

/// What a cluster's state means for the change.
enum Now {
    /// As wanted: by us before, or by somebody else.
    Done,
    /// As the plan saw it; here is the etag to write under.
    AsPlanned(String),
    /// Neither.
    Moved(String),
}

/// The one setting that is changed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Setting<'a> {
    /// The cluster's workload pool, before and after.
    WorkloadPool { before: &'a str, after: &'a str },
    /// The metadata server of a node pool, whose mode before is known.
    MetadataServer { node_pool: &'a str, before: &'a str },
}

impl Setting<'_> {
    fn now(&self, cluster: &Cluster) -> Now {
        match self {
            Self::WorkloadPool { before, after } => {
                match cluster.workload_identity_config.workload_pool.as_str() {
                    now if now == *after => Now::Done,
                    now if now == *before => Now::AsPlanned(cluster.etag.clone()),
                    now => Now::Moved(format!("its workload pool is now {now}")),
                }
            }
            Self::MetadataServer { node_pool, before } => {
                let Some(pool) = cluster.node_pools.iter().find(|p| p.name == *node_pool) else {
                    return Now::Moved("the node pool is gone".to_owned());
                };
                match pool.config.workload_metadata_config.mode.as_str() {
                    GKE_METADATA => Now::Done,
                    now if now == *before => Now::AsPlanned(pool.etag.clone()),
                    now => Now::Moved(format!("its mode is now {now}")),
                }
            }
        }
    }

    async fn write(
        &self,
        http: &Http,
        path: &ClusterPath,
        etag: &str,
    ) -> Result<Operation, ApiError> {
        match self {
            Self::WorkloadPool { after, .. } => {
                container::set_workload_pool(http, path, after, etag).await
            }
            Self::MetadataServer { node_pool, .. } => {
                container::set_node_pool_metadata_mode(http, path, node_pool, GKE_METADATA, etag)
                    .await
            }
        }
    }
}

/// Waits for the cluster, checks that it still is as planned, writes under its etag, and waits for
/// the operation.
pub(super) async fn change(
    context: &Context,
    address: &str,
    path: &ClusterPath,
    setting: Setting<'_>,
) -> Result<(), String> {
    let lock = context
        .one_operation
        .get(path)
        .ok_or_else(|| format!("{path} has no operation queue"))?;
    let _alone = lock.lock().await;
    let mut wait = Wait::up_to(context.limits.operation);
    loop {
        let running = container::list_operations(&context.http, path)
            .await
            .map_err(|e| e.for_user())?
            .into_iter()
            .find(|o| !o.is_done() && o.targets(path));
        if let Some(operation) = running {
            context.progress.still(
                address,
                &format!(
                    "waiting for {} {} of {}",
                    operation.operation_type, operation.name, operation.start_time
                ),
            );
            // Its failure is its owner's; what counts here is the state that it leaves behind.
            let _ = finish(context, address, path, operation, &mut wait).await?;
            continue;
        }
        let cluster = container::get_cluster(&context.http, path)
            .await
            .map_err(|e| e.for_user())?;
        let etag = match setting.now(&cluster) {
            Now::Done => return Ok(()),
            Now::AsPlanned(etag) => etag,
            Now::Moved(how) => {
                return Err(format!(
                    "{path} has changed since it was planned: {how}. Plan again"
                ));
            }
        };
        match setting.write(&context.http, path, &etag).await {
            Ok(operation) => {
                if let Some(failure) = finish(context, address, path, operation, &mut wait).await? {
                    return Err(failure);
                }
                let cluster = container::get_cluster(&context.http, path)
                    .await
                    .map_err(|e| e.for_user())?;
                return match setting.now(&cluster) {
                    Now::Done => Ok(()),
                    _ => Err(format!(
                        "GKE reports the operation on {path} as done, but the setting reads back unchanged"
                    )),
                };
            }
            Err(e) if e.is_operation_running() || e.is_conflict() => {
                context.progress.still(address, "waiting for the cluster");
                if !wait.again().await {
                    return Err(format!(
                        "{path} did not become free in time: {}",
                        e.for_user()
                    ));
                }
            }
            Err(e) => return Err(e.for_user()),
        }
    }
}

/// Polls an operation to its end; answers with GKE's own words if it failed.
async fn finish(
    context: &Context,
    address: &str,
    path: &ClusterPath,
    mut operation: Operation,
    wait: &mut Wait,
) -> Result<Option<String>, String> {
    context
        .operations()
        .insert(address.to_owned(), operation.name.clone());
    let mut poll = Wait::up_to(context.limits.operation);
    while !operation.is_done() {
        let nodes = match operation.node_progress() {
            Some((done, total)) => format!("{done} of {total} nodes, {}", operation.name),
            None => operation.name.clone(),
        };
        context.progress.still(address, &nodes);
        if !poll.again().await {
            return Err(format!(
                "operation {} on {path} still runs after {} minutes. It goes on at GKE; run apply again to wait for it",
                operation.name,
                context.limits.operation.as_secs() / 60
            ));
        }
        operation = container::get_operation(&context.http, path, &operation.name)
            .await
            .map_err(|e| e.for_user())?;
    }
    context.operations().remove(address);
    *wait = Wait::up_to(context.limits.operation);
    Ok(operation
        .failure()
        .map(|why| format!("operation {} on {path} failed: {why}", operation.name)))
}
