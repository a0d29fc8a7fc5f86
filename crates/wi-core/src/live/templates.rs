//! Workloads on their way off a static key, whole: all that a decision about one of their templates rests on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use super::ConfigMaps;
use super::around::Around;

/// An object with all that it has. Values of its variables may be secrets: it is never shown.
#[derive(Clone, PartialEq)]
pub struct Whole(pub Value);

impl fmt::Debug for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Whole(..)")
    }
}

/// A workload whose template leads to a key of the account, or from which `wi` took one.
#[derive(Debug, Clone)]
pub struct TemplateSeen {
    /// The spec's name of the cluster.
    pub cluster: String,
    /// Its namespace.
    pub namespace: String,
    /// `Deployment`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// The object, or why it could not be read.
    pub object: Result<Whole, String>,
    /// The one that has the template of before, where `wi` has said which that is; or why it is not to be had.
    pub former: Option<Result<Whole, String>>,
    /// The keys of Secrets' data in its namespace that are keys of the account.
    pub keys: BTreeSet<(String, String)>,
    /// The names of all data of each Secret of its namespace that was opened.
    pub secrets: BTreeMap<String, BTreeSet<String>>,
    /// ConfigMaps by which variables are followed.
    pub config_maps: ConfigMaps,
    /// The project that the keys name, if it is another than the cluster's.
    pub project: Option<String>,
    /// Why its pods get nothing from the metadata server, where a NetworkPolicy keeps them from it; or why that is not known.
    pub kept_from: Result<Option<String>, String>,
    /// What goes by labels in its namespace, or why that could not be read. `None`: nobody asked.
    pub around: Option<Result<Around, String>>,
    /// Whether some node pools of its cluster have no GKE metadata server.
    pub mixed_nodes: bool,
}
