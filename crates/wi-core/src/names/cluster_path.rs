//! Where GKE has a cluster.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::{ProjectId, label, lower_digits_hyphens};

/// Whether a text can be a location of Google's: a region, a zone, or `global`, `eu` and the like.
pub fn is_location(text: &str) -> bool {
    !text.is_empty() && lower_digits_hyphens(text)
}

/// Whether a text can be a region (`europe-west1`) or a zone (`europe-west1-b`).
pub fn is_region_or_zone(text: &str) -> bool {
    is_location(text) && text.contains('-')
}

/// As [`label`], for a region or a zone.
fn location<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = label(deserializer)?;
    if is_region_or_zone(&name) {
        return Ok(name);
    }
    Err(D::Error::custom(format!(
        "`{name}` is neither a region nor a zone"
    )))
}

/// Where a cluster is: the key under which GKE knows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClusterPath {
    /// The cluster's project.
    pub project: ProjectId,
    /// A region or a zone.
    #[serde(deserialize_with = "location")]
    pub location: String,
    /// The cluster's name in GKE.
    #[serde(deserialize_with = "label")]
    pub name: String,
}

impl fmt::Display for ClusterPath {
    /// `projects/P/locations/L/clusters/C`, as in the URLs of the GKE API.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "projects/{}/locations/{}/clusters/{}",
            self.project, self.location, self.name
        )
    }
}
