//! GKE: one operation per cluster at a time; a running one is waited for, not fought.

use tokio::sync::MutexGuard;
use wi_client::google::container;
use wi_client::http::{ApiError, Http};
use wi_core::names::ClusterPath;
use wi_core::reason::Reason;
use wi_core::wire::container::{Cluster, GKE_METADATA, NodePool, Operation};
use wi_core::wire::upgrade::UpgradeSettings;

use super::Context;
use super::wait::{CONFLICTS, Wait};

/// Why a change did not come about.
#[derive(Debug)]
pub(super) enum Failure {
    /// The operation goes on at GKE, longer than we wait.
    StillRuns(Reason),
    /// It was refused, it failed, or the cluster is not as it was planned.
    Other(Reason),
}

impl From<ApiError> for Failure {
    fn from(e: ApiError) -> Self {
        Self::Other(e.reason())
    }
}

impl From<Failure> for Reason {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::StillRuns(why) | Failure::Other(why) => why,
        }
    }
}

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
    /// How a node pool's nodes are recreated.
    Upgrade {
        node_pool: &'a str,
        settings: &'a UpgradeSettings,
    },
    /// One of the cluster's labels; `None` takes it away.
    Label {
        key: &'a str,
        value: Option<&'a str>,
    },
}

fn pool<'a>(cluster: &'a Cluster, name: &str) -> Result<&'a NodePool, Now> {
    cluster
        .node_pools
        .iter()
        .find(|p| p.name == name)
        .ok_or_else(|| Now::Moved("the node pool is gone".to_owned()))
}

impl Setting<'_> {
    fn now(&self, cluster: &Cluster) -> Result<Now, Now> {
        Ok(match self {
            Self::WorkloadPool { before, after } => {
                match cluster.workload_identity_config.workload_pool.as_str() {
                    now if now == *after => Now::Done,
                    now if now == *before => Now::AsPlanned(cluster.etag.clone()),
                    now => Now::Moved(format!("its workload pool is now {now}")),
                }
            }
            Self::MetadataServer { node_pool, before } => {
                let pool = pool(cluster, node_pool)?;
                match pool.config.workload_metadata_config.mode.as_str() {
                    GKE_METADATA => Now::Done,
                    now if now == *before => Now::AsPlanned(pool.etag.clone()),
                    now => Now::Moved(format!("its mode is now {now}")),
                }
            }
            Self::Upgrade {
                node_pool,
                settings,
            } => {
                let pool = pool(cluster, node_pool)?;
                let now = pool.upgrade_settings.clone();
                let now = now.unwrap_or_else(UpgradeSettings::gke_default);
                if now.to_label() == settings.to_label() {
                    Now::Done
                } else {
                    Now::AsPlanned(pool.etag.clone())
                }
            }
            Self::Label { key, value } => {
                if cluster.resource_labels.get(*key).map(String::as_str) == *value {
                    Now::Done
                } else {
                    Now::AsPlanned(cluster.label_fingerprint.clone())
                }
            }
        })
    }

    async fn write(
        &self,
        http: &Http,
        path: &ClusterPath,
        cluster: &Cluster,
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
            Self::Upgrade {
                node_pool,
                settings,
            } => container::set_upgrade_settings(http, path, node_pool, settings, etag).await,
            Self::Label { key, value } => {
                let mut labels = cluster.resource_labels.clone();
                match value {
                    Some(value) => labels.insert((*key).to_owned(), (*value).to_owned()),
                    None => labels.remove(*key),
                };
                container::set_labels(http, path, &labels, etag).await
            }
        }
    }
}

/// The right to change one cluster.
pub(super) async fn queue<'a>(
    context: &'a Context,
    path: &ClusterPath,
) -> Result<MutexGuard<'a, ()>, Failure> {
    let lock = context
        .one_operation
        .get(path)
        .ok_or_else(|| Failure::Other(format!("{path} has no operation queue").into()))?;
    Ok(lock.lock().await)
}

/// Waits for the cluster, checks that it still is as planned, writes under its etag, and waits for
/// the operation. The caller holds the cluster's [`queue`].
pub(super) async fn change(
    context: &Context,
    address: &str,
    path: &ClusterPath,
    setting: Setting<'_>,
) -> Result<(), Failure> {
    let mut wait = context.operation_wait();
    let mut without_etag = None;
    // A list may be behind: what has been seen to end runs no more.
    let mut ended = None;
    let mut conflicts = 0;
    loop {
        let running = container::list_operations(&context.http, path)
            .await?
            .into_iter()
            .find(|o| !o.is_done() && o.targets(path) && ended.as_ref() != Some(&o.name));
        if let Some(operation) = running {
            let words = in_words(&operation, context.time());
            context.observer.waits_for(address, &words);
            ended = Some(operation.name.clone());
            // Its failure is its owner's; what counts here is the state that it leaves behind.
            let _ = finish(context, address, path, operation, &mut wait).await?;
            continue;
        }
        let cluster = container::get_cluster(&context.http, path).await?;
        let etag = match setting.now(&cluster).unwrap_or_else(|moved| moved) {
            Now::Done => return Ok(()),
            Now::AsPlanned(etag) => etag,
            Now::Moved(how) => {
                return Err(Failure::Other(
                    format!("{path} has changed since it was planned: {how}. Plan again").into(),
                ));
            }
        };
        if let Setting::MetadataServer { node_pool, .. } = setting
            && !context.limits.ignore_exclusions
            && let Some((name, until)) = cluster.exclusion_at(node_pool, context.time())
        {
            return Err(Failure::Other(format!(
                "the maintenance exclusion {name} of {path} holds until {until}: apply again then, or pass --ignore-maintenance-exclusions"
            ).into()));
        }
        let under = if without_etag.as_ref() == Some(&etag) {
            "" // refused with it, and unchanged since
        } else {
            &etag
        };
        match setting.write(&context.http, path, &cluster, under).await {
            Ok(operation) => {
                if let Some(failure) = finish(context, address, path, operation, &mut wait).await? {
                    return Err(Failure::Other(failure.into()));
                }
                let cluster = container::get_cluster(&context.http, path).await?;
                return match setting.now(&cluster) {
                    Ok(Now::Done) => Ok(()),
                    _ => Err(Failure::Other(format!(
                        "GKE reports the operation on {path} as done, but the setting reads back unchanged"
                    ).into())),
                };
            }
            // Somebody else has changed it: what they made of it is read, and written under.
            Err(e) if e.is_conflict() && !e.is_operation_running() => {
                conflicts += 1;
                if conflicts > CONFLICTS || !wait.again().await {
                    return Err(e.into());
                }
            }
            Err(e) if e.is_operation_running() => {
                context
                    .observer
                    .still(address, "waiting until GKE lets go of the cluster");
                if !wait.again().await {
                    let limit = context.operation_limit();
                    let what = format!("{path} did not become free within {limit}: ");
                    return Err(Failure::StillRuns(e.reason().within(&what)));
                }
            }
            // Whether a cluster update takes an etag beside its one setting is not documented: if
            // that is what GKE minds, the state that was just read is all there is to go by.
            Err(e)
                if e.code == 400
                    && e.status != "FAILED_PRECONDITION"
                    && matches!(setting, Setting::WorkloadPool { .. })
                    && without_etag.is_none() =>
            {
                without_etag = Some(etag);
            }
            Err(e) => return Err(e.into()),
        }
    }
}

/// `UPGRADE_NODES operation-1 (2 of 9 nodes), which runs for 12 min`.
fn in_words(operation: &Operation, now: jiff::Timestamp) -> String {
    let nodes = operation
        .node_progress()
        .map(|(done, total)| format!(" ({done} of {total} nodes)"))
        .unwrap_or_default();
    let age = operation
        .start_time
        .parse::<jiff::Timestamp>()
        .map(|start| now.duration_since(start).as_secs().max(0))
        .map(|seconds| match seconds {
            0..120 => format!(", which runs for {seconds} s"),
            120..7200 => format!(", which runs for {} min", seconds / 60),
            _ => format!(", which runs for {} h", seconds / 3600),
        })
        .unwrap_or_default();
    format!("{}{nodes}{age}", operation.title())
}

/// Polls an operation to its end; answers with GKE's own words if it failed.
async fn finish(
    context: &Context,
    address: &str,
    path: &ClusterPath,
    mut operation: Operation,
    wait: &mut Wait,
) -> Result<Option<String>, Failure> {
    context
        .operations()
        .insert(address.to_owned(), operation.name.clone());
    let mut poll = context.operation_wait();
    while !operation.is_done() {
        let nodes = match operation.node_progress() {
            Some((done, total)) => format!("{done} of {total} nodes, {}", operation.name),
            None => operation.name.clone(),
        };
        context.observer.still(address, &nodes);
        if !poll.again().await {
            return Err(Failure::StillRuns(format!(
                "operation {} on {path} still runs after {}. It goes on at GKE; run apply again to wait for it",
                operation.name,
                context.operation_limit()
            ).into()));
        }
        let asked = container::get_operation(&context.http, path, &operation.name).await;
        operation = asked.map_err(|e| match e.code {
            // Whatever is wrong on the way, the operation goes on.
            0 | 500.. => {
                let name = &operation.name;
                let what = format!("GKE does not say how operation {name} on {path} goes: ");
                let next = ". It goes on there; run apply again to wait for it";
                Failure::StillRuns(e.reason().within(&what).with(next))
            }
            _ => e.into(),
        })?;
    }
    context.operations().remove(address);
    *wait = context.operation_wait();
    Ok(operation
        .failure()
        .map(|why| format!("operation {} on {path} failed: {why}", operation.name)))
}
