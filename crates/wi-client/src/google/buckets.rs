//! Buckets: `storage.googleapis.com/storage/v1`, beside their policies.

use http::Method;
use serde::Deserialize;

use crate::http::{Api, ApiError, Http, Request};

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Bucket {
    /// A number, as text.
    project_number: String,
    iam_configuration: IamConfiguration,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct IamConfiguration {
    uniform_bucket_level_access: Enabled,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Enabled {
    enabled: bool,
}

/// `buckets.get`: the number of the bucket's project, and as [`has_uniform_access`].
pub async fn home_and_uniform_access(http: &Http, bucket: &str) -> Result<(u64, bool), ApiError> {
    let path = format!("storage/v1/b/{bucket}?fields=projectNumber,iamConfiguration");
    let url = http.url(Api::Storage, &path);
    let answer: Bucket = http.json(Request::new(Method::GET, url.clone())).await?;
    let number = answer.project_number.parse().map_err(|_| {
        ApiError::without_answer("GET", &url, "the answer has no project number".to_owned())
    })?;
    let uniform = answer.iam_configuration.uniform_bucket_level_access.enabled;
    Ok((number, uniform))
}

/// `buckets.get`: whether the bucket's policy alone decides, without ACLs on objects.
pub async fn has_uniform_access(http: &Http, bucket: &str) -> Result<bool, ApiError> {
    let url = http.url(
        Api::Storage,
        &format!("storage/v1/b/{bucket}?fields=iamConfiguration"),
    );
    let answer: Bucket = http.json(Request::new(Method::GET, url)).await?;
    Ok(answer.iam_configuration.uniform_bucket_level_access.enabled)
}
