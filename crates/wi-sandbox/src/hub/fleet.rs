//! Fleets: what a world file has of them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::hash;
use crate::serde_help::is_default;

/// The memberships of clusters with a host project.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Fleet {
    /// Which clusters are in it, of whichever project.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub memberships: Vec<Membership>,
    /// What memberships call its identity pool. Absent: `PROJECT.svc.id.goog`; older ones say `PROJECT.hub.id.goog`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload_identity_pool: Option<String>,
    /// Operations, running and ended.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<Operation>,
}

/// A cluster in a fleet.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Membership {
    /// Its name.
    pub name: String,
    /// Where it is. Absent: the cluster's region.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub location: String,
    /// `PROJECT/LOCATION/NAME`; the membership outlives it.
    pub cluster: String,
    /// Who signs tokens that the fleet's pool takes. Absent: it takes none of this cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The same as an `issuer` that is the cluster's own.
    #[serde(default, skip_serializing_if = "is_default")]
    pub workload_identity: bool,
    /// Made by the service. Absent: from its name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unique_id: String,
    /// RFC 3339, simulated. Absent: long ago.
    #[serde(default = "long_ago")]
    pub create_time: String,
    /// RFC 3339, simulated. Absent: long ago.
    #[serde(default = "long_ago")]
    pub update_time: String,
}

/// When what a world file has was made.
pub fn long_ago() -> String {
    "2026-01-05T08:00:00Z".to_owned()
}

impl Fleet {
    /// Whether its pool takes tokens of any cluster.
    pub fn has_pool(&self) -> bool {
        self.memberships.iter().any(|m| m.issuer.is_some())
    }
}

impl Membership {
    /// `projects/F/locations/L/memberships/M`.
    pub fn resource(&self, host: &str) -> String {
        format!(
            "projects/{host}/locations/{}/memberships/{}",
            self.location, self.name
        )
    }

    /// What the fleet's pool calls it.
    pub fn provider(&self, host: &str) -> String {
        format!("https://gkehub.googleapis.com/{}", self.resource(host))
    }

    /// The id that the service makes.
    pub fn made_id(&self, host: &str) -> String {
        let id = hash(&(host, &self.location, &self.name, &self.cluster));
        let (a, b) = (id >> 32, id & 0xffff_ffff);
        format!(
            "{a:08x}-{:04x}-4{:03x}-8{:03x}-{a:08x}{:04x}",
            b >> 16,
            b & 0xfff,
            a & 0xfff,
            b & 0xffff
        )
    }
}

/// The membership of a cluster (`PROJECT/LOCATION/NAME`), with the host project of its fleet.
pub fn of_cluster<'a>(
    fleets: &'a BTreeMap<String, Fleet>,
    cluster: &str,
) -> Option<(&'a str, &'a Membership)> {
    find(fleets, |_, m| m.cluster == cluster)
}

/// The membership that a provider (`https://gkehub.googleapis.com/projects/F/…`) stands for.
pub fn of_provider<'a>(
    fleets: &'a BTreeMap<String, Fleet>,
    provider: &str,
) -> Option<(&'a str, &'a Membership)> {
    find(fleets, |host, m| m.provider(host) == provider)
}

fn find(
    fleets: &BTreeMap<String, Fleet>,
    is_it: impl Fn(&str, &Membership) -> bool,
) -> Option<(&str, &Membership)> {
    fleets.iter().find_map(|(host, fleet)| {
        let mut all = fleet.memberships.iter();
        Some((host.as_str(), all.find(|m| is_it(host, m))?))
    })
}

/// A change of a membership.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Operation {
    /// `operation-…-hub`.
    pub name: String,
    /// The membership's location.
    pub location: String,
    /// The membership's name.
    pub membership: String,
    /// What it changes.
    pub change: Change,
    /// RFC 3339, simulated.
    pub start_time: String,
    /// When it is done (RFC 3339, simulated).
    pub end_time: String,
    /// Whether it is.
    #[serde(default, skip_serializing_if = "is_default")]
    pub done: bool,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What an operation changes when it is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    /// It comes.
    Create(Membership),
    /// Its issuer, or none.
    Issuer(Option<String>),
    /// It goes.
    Delete,
}

impl Change {
    /// What the API calls it.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Create(_) => "create",
            Self::Issuer(_) => "update",
            Self::Delete => "delete",
        }
    }
}
