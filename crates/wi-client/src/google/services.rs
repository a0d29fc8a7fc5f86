//! Which APIs are on in a project: `serviceusage.googleapis.com/v1`.

use std::collections::BTreeSet;

use http::Method;
use serde::Deserialize;
use wi_core::names::ProjectId;

use crate::http::{Api, ApiError, Http, Request};

/// The most names that one call takes.
const MOST: usize = 30;

/// `services.batchGet`: those of `services` (`iam.googleapis.com` …) that are not enabled.
pub async fn disabled(
    http: &Http,
    project: &ProjectId,
    services: &BTreeSet<String>,
) -> Result<BTreeSet<String>, ApiError> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Answer {
        services: Vec<Service>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Service {
        /// `projects/NUMBER/services/NAME`
        name: String,
        /// `ENABLED` or `DISABLED`
        state: String,
    }
    let services: Vec<&String> = services.iter().collect();
    let mut disabled = BTreeSet::new();
    for some in services.chunks(MOST) {
        let names: Vec<String> = some
            .iter()
            .map(|s| format!("names=projects/{project}/services/{s}"))
            .collect();
        let path = format!(
            "v1/projects/{project}/services:batchGet?{}",
            names.join("&")
        );
        let request = Request::new(Method::GET, http.url(Api::ServiceUsage, &path));
        let answer: Answer = http.json(request).await?;
        let off = answer.services.iter().filter(|s| s.state == "DISABLED");
        disabled.extend(off.filter_map(|s| s.name.rsplit('/').next().map(str::to_owned)));
    }
    Ok(disabled)
}
