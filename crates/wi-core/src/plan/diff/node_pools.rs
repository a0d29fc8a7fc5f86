//! Node pools: the metadata server, and how GKE recreates the nodes for it.

use crate::address::Address;
use crate::desired::DesiredCluster;
use crate::live::{Live, Seen};
use crate::plan::{Change, Edit, Options, Plan, RestoreSettings, RunSettings, UpgradeOverride};
use crate::spec::model::NodePools;
use crate::wire::container::{Cluster, NodePool};
use crate::wire::upgrade::{RESTORE_LABEL, UpgradeSettings};

/// Compares the selected node pools of one cluster.
pub(in crate::plan) fn diff(
    name: &str,
    wanted: &DesiredCluster,
    cluster: &Cluster,
    live: &Live,
    options: &Options,
    plan: &mut Plan,
) {
    check_selection(name, wanted, cluster, plan);
    for node_pool in &cluster.node_pools {
        let left_behind = left_behind(name, cluster, node_pool, plan);
        if node_pool.autopilot_config.enabled {
            // As an Autopilot cluster's: always on, and not ours to edit.
            if matches!(&wanted.node_pools, NodePools::Only(names) if names.contains_key(&node_pool.name))
            {
                plan.warnings.push(format!(
                    "{} is run by Autopilot: it has the metadata server, and is left alone",
                    Address::node_pool(name, &node_pool.name)
                ));
            }
            continue;
        }
        let mode = &node_pool.config.workload_metadata_config.mode;
        if wanted.managed
            && wanted.node_pools.select(&node_pool.name)
            && !node_pool.has_known_mode()
        {
            plan.warnings.push(format!(
                "{} has the metadata mode {mode}, which wi does not know: it is left alone",
                Address::node_pool(name, &node_pool.name)
            ));
        }
        if wanted.moves(cluster, node_pool) {
            move_pool(name, wanted, node_pool, left_behind, live, options, plan);
        } else if let Some(own) = left_behind {
            restore(name, wanted, node_pool, own, plan);
        }
    }
}

fn check_selection(name: &str, wanted: &DesiredCluster, cluster: &Cluster, plan: &mut Plan) {
    let there: Vec<&str> = cluster.node_pools.iter().map(|p| p.name.as_str()).collect();
    let has = || {
        if there.is_empty() {
            "it has none".to_owned()
        } else {
            format!("it has: {}", there.join(", "))
        }
    };
    match &wanted.node_pools {
        NodePools::All => {}
        NodePools::Only(names) => {
            for (missing, place) in names.iter().filter(|(n, _)| !there.contains(&n.as_str())) {
                let message = format!("{} has no node pool `{missing}`; {}", wanted.path, has());
                plan.error(Address::node_pool(name, missing), Some(place), message);
            }
        }
        NodePools::Except(names) => {
            for missing in names.iter().filter(|n| !there.contains(&n.as_str())) {
                plan.warnings.push(format!(
                    "cluster.{name} excludes the node pool `{missing}`, which is not there; {}",
                    has()
                ));
            }
        }
    }
}

/// The node pool's own settings, where a run that was interrupted left them in a label.
fn left_behind(
    name: &str,
    cluster: &Cluster,
    node_pool: &NodePool,
    plan: &mut Plan,
) -> Option<UpgradeSettings> {
    let label = format!("{RESTORE_LABEL}{}", node_pool.name);
    let value = cluster.resource_labels.get(&label)?;
    let own = UpgradeSettings::from_label(value);
    if own.is_none() {
        plan.warnings.push(format!(
            "cluster.{name} has the label {label}={value}, which wi writes otherwise: set the upgrade settings of {} by hand, and take the label away",
            node_pool.name
        ));
    }
    own
}

fn move_pool(
    name: &str,
    wanted: &DesiredCluster,
    node_pool: &NodePool,
    left_behind: Option<UpgradeSettings>,
    live: &Live,
    options: &Options,
    plan: &mut Plan,
) {
    let address = Address::node_pool(name, &node_pool.name);
    match node_pool.status.as_str() {
        "STOPPING" => {
            plan.warnings
                .push(format!("{address} is being deleted and is left alone"));
            return;
        }
        "ERROR" => {
            let message = "the node pool is in state ERROR: repair or delete it first".to_owned();
            return plan.error(address, Some(&wanted.place), message);
        }
        "RUNNING_WITH_ERROR" => plan.warnings.push(format!(
            "{address} is RUNNING_WITH_ERROR: some of its nodes may fail to come back"
        )),
        "" | "PROVISIONING" | "RUNNING" | "RECONCILING" => {}
        other => plan.warnings.push(format!(
            "{address} is {other}, a state that wi does not know"
        )),
    }
    let now = node_pool
        .upgrade_settings
        .clone()
        .unwrap_or_else(UpgradeSettings::gke_default);
    if !now.is_known() {
        plan.warnings.push(format!(
            "{address} has the upgrade strategy {}, which wi does not know: GKE recreates its nodes by it, and how many at a time is not known here",
            now.strategy
        ));
    }
    let interrupted = left_behind.is_some();
    let own = left_behind.unwrap_or_else(|| now.clone());
    let during = overridden(&own, &options.upgrade);
    if during.moves_nothing() {
        let message = "maxSurge and maxUnavailable are both 0, so that GKE can recreate no node: pass --max-surge 1 for this run, or set it (gcloud container node-pools update --max-surge-upgrade 1)".to_owned();
        return plan.error(address, Some(&wanted.place), message);
    }
    let settings = (interrupted || during != now).then(|| {
        Box::new(RunSettings {
            own: own.clone(),
            during: during.clone(),
        })
    });
    if settings.is_some() && own.to_label().is_none() {
        let message = "its upgrade settings have parts that wi could not put back: change them by hand instead of by --strategy, --max-surge or --max-unavailable".to_owned();
        return plan.error(address, Some(&wanted.place), message);
    }
    let mode = &node_pool.config.workload_metadata_config.mode;
    let nodes = nodes(name, node_pool, live);
    let mut notes = vec![how(&during, nodes)];
    notes.extend(legacy(mode));
    if node_pool.autoscaling.autoprovisioned {
        notes.push("made by node auto-provisioning; new ones start with GKE_METADATA".to_owned());
    }
    let edit = crate::plan::NodePool {
        cluster: name.to_owned(),
        node_pool: node_pool.name.clone(),
        before: mode.clone(),
        nodes,
        settings,
    };
    plan.insert(Change::new(
        Edit::NodePool(edit),
        notes,
        Some(&wanted.place),
    ));
}

fn restore(
    name: &str,
    wanted: &DesiredCluster,
    node_pool: &NodePool,
    own: UpgradeSettings,
    plan: &mut Plan,
) {
    let edit = RestoreSettings {
        cluster: name.to_owned(),
        node_pool: node_pool.name.clone(),
        before: node_pool.upgrade_settings.clone().unwrap_or_default(),
        after: own,
    };
    let note = "put back: a run that was interrupted had settings of its own".to_owned();
    plan.insert(Change::new(
        Edit::RestoreSettings(edit),
        vec![note],
        Some(&wanted.place),
    ));
}

fn overridden(own: &UpgradeSettings, wanted: &UpgradeOverride) -> UpgradeSettings {
    let mut during = own.clone();
    if let Some(strategy) = &wanted.strategy
        && *strategy != own.strategy
    {
        during = match strategy.as_str() {
            "SURGE" => UpgradeSettings::gke_default(),
            _ => UpgradeSettings {
                strategy: strategy.clone(),
                ..UpgradeSettings::default()
            },
        };
    }
    if during.is_surge() {
        during.max_surge = wanted.max_surge.unwrap_or(during.max_surge);
        during.max_unavailable = wanted.max_unavailable.unwrap_or(during.max_unavailable);
    }
    during
}

/// How many nodes there are: as Kubernetes counts them, or else as the node pool began.
fn nodes(cluster: &str, node_pool: &NodePool, live: &Live) -> u64 {
    let workloads = live
        .kubernetes
        .get(cluster)
        .and_then(Seen::found)
        .and_then(|o| o.workloads.as_ref()?.as_ref().ok());
    match workloads {
        Some(w) => w
            .pool_of_node
            .values()
            .filter(|p| **p == node_pool.name)
            .count() as u64,
        None => u64::from(node_pool.initial_node_count) * node_pool.locations.len().max(1) as u64,
    }
}

/// What the settings mean for so many nodes.
fn how(settings: &UpgradeSettings, nodes: u64) -> String {
    let count = |n: u64, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let rounds = settings.rounds(nodes);
    if settings.is_blue_green() {
        let soak = settings
            .blue_green_settings
            .as_ref()
            .map(|s| s.node_pool_soak_duration.as_str())
            .filter(|d| !d.is_empty())
            .unwrap_or("3600s");
        let batches = if rounds == 1 { "batch" } else { "batches" };
        return format!(
            "blue-green: {} come beside the {nodes} that there are, which are drained in {rounds} {batches} and go {} later",
            count(nodes, "new node"),
            in_words(soak)
        );
    }
    if settings.is_short_lived() {
        return format!(
            "short-lived: {} not drained; each goes when its time is over, and those that come from then on have the metadata server",
            match nodes {
                1 => "the node is".to_owned(),
                n => format!("the {n} nodes are"),
            }
        );
    }
    if !settings.is_surge() {
        return format!(
            "{}: how GKE recreates {} by that is not known here",
            settings.strategy,
            count(nodes, "node")
        );
    }
    format!(
        "surge: {} recreated in {}, with at most {} more and {} fewer than now at any time",
        count(nodes, "node"),
        count(rounds, "round"),
        settings.max_surge,
        settings.max_unavailable,
    )
}

/// `7200s` as `2 h`.
fn in_words(duration: &str) -> String {
    match duration
        .strip_suffix('s')
        .and_then(|s| s.parse::<u64>().ok())
    {
        Some(seconds) if seconds % 3600 == 0 && seconds > 0 => format!("{} h", seconds / 3600),
        Some(seconds) if seconds % 60 == 0 => format!("{} min", seconds / 60),
        _ => duration.to_owned(),
    }
}

fn legacy(mode: &str) -> Option<String> {
    match mode {
        "SECURE" => Some("SECURE, the old metadata concealment, ends: the GKE metadata server conceals as much, and pods get their own identity instead of the node's".to_owned()),
        "EXPOSE" => Some("EXPOSE is the old name of GCE_METADATA: until now pods see all of the node's metadata".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::how;
    use crate::plan::fixture::wire;
    use serde_json::json;

    #[test]
    fn how_nodes_are_recreated_is_told_for_each_strategy() {
        let told = |settings| how(&wire(settings), 3);
        assert!(told(json!({ "maxSurge": 1 })).starts_with("surge: 3 nodes recreated in 3 rounds"));
        assert!(told(json!({ "strategy": "BLUE_GREEN" })).starts_with("blue-green: 3 new nodes"));
        let short = told(json!({ "strategy": "SHORT_LIVED" }));
        assert!(
            short.starts_with("short-lived: the 3 nodes are not drained"),
            "{short}"
        );
        let unknown = told(json!({ "strategy": "NEW_ONE" }));
        assert!(
            unknown.starts_with("NEW_ONE: how GKE recreates 3 nodes"),
            "{unknown}"
        );
    }
}
