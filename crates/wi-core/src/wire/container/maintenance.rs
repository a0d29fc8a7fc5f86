//! When nodes are to be left alone.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct MaintenancePolicy {
    pub window: MaintenanceWindow,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MaintenanceWindow {
    /// By name.
    pub maintenance_exclusions: BTreeMap<String, Exclusion>,
}

/// A time in which nodes are to be left alone.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Exclusion {
    /// RFC 3339.
    pub start_time: String,
    /// RFC 3339.
    pub end_time: String,
    pub maintenance_exclusion_options: ExclusionOptions,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExclusionOptions {
    /// `NO_UPGRADES` (the default), `NO_MINOR_UPGRADES` or `NO_MINOR_OR_NODE_UPGRADES`.
    pub scope: String,
    /// `UNTIL_END_OF_SUPPORT`: of the cluster's version, whatever the end time is.
    pub end_time_behavior: String,
}

impl Exclusion {
    /// Until when it holds at this time, in words; `None`: it does not. Without an end that can be read
    /// it holds.
    pub(super) fn until(&self, now: jiff::Timestamp) -> Option<String> {
        let time = |text: &str| text.parse::<jiff::Timestamp>().ok();
        if time(&self.start_time).is_some_and(|start| now < start) {
            return None;
        }
        if self.maintenance_exclusion_options.end_time_behavior == UNTIL_END_OF_SUPPORT {
            return Some("the end of support of its version".to_owned());
        }
        match time(&self.end_time) {
            Some(end) if end <= now => None,
            Some(_) => Some(self.end_time.clone()),
            None => Some("a time that GKE does not tell".to_owned()),
        }
    }
}

pub(super) const UNTIL_END_OF_SUPPORT: &str = "UNTIL_END_OF_SUPPORT";

/// `NodePool.maintenancePolicy`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodePoolMaintenance {
    pub exclusion_until_end_of_support: ExclusionUntilEndOfSupport,
}

/// Nodes are left alone until the end of support of their version.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExclusionUntilEndOfSupport {
    pub enabled: bool,
    /// RFC 3339, told by GKE.
    pub start_time: String,
    /// RFC 3339, told by GKE.
    pub end_time: String,
}
