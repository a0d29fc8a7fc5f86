//! Buckets: `storage.googleapis.com/storage/v1`, beside their policies.

use http::Method;
use serde::Deserialize;

use crate::http::{Api, ApiError, Http, Request};

/// `buckets.get`: whether the bucket's policy alone decides, without ACLs on objects.
pub async fn has_uniform_access(http: &Http, bucket: &str) -> Result<bool, ApiError> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Bucket {
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
    let url = http.url(
        Api::Storage,
        &format!("storage/v1/b/{bucket}?fields=iamConfiguration"),
    );
    let answer: Bucket = http.json(Request::new(Method::GET, url)).await?;
    Ok(answer.iam_configuration.uniform_bucket_level_access.enabled)
}
