//! Keys of service accounts: `iam.googleapis.com/v1`, `projects.serviceAccounts.keys`. They are looked at, and
//! never made.

use http::Method;
use serde::Deserialize;
use wi_core::names::{Email, ProjectId};
use wi_core::percent;
use wi_core::wire::iam::ServiceAccountKey;

use crate::http::{Api, ApiError, Http, Request};

/// `keys.list` of the user-managed ones. There are at most ten, in one page.
pub async fn user_managed(
    http: &Http,
    project: &ProjectId,
    email: &Email,
) -> Result<Vec<ServiceAccountKey>, ApiError> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Answer {
        keys: Vec<ServiceAccountKey>,
    }
    let path = format!("v1/projects/{project}/serviceAccounts/{email}/keys?keyTypes=USER_MANAGED");
    let request = Request::new(Method::GET, http.url(Api::Iam, &path));
    Ok(http.json::<Answer>(request).await?.keys)
}

/// `keys.get` with the public half, which is empty where IAM does not tell it.
pub async fn with_public_key(
    http: &Http,
    project: &ProjectId,
    email: &Email,
    id: &str,
) -> Result<ServiceAccountKey, ApiError> {
    let id = percent::segment(id);
    let path = format!(
        "v1/projects/{project}/serviceAccounts/{email}/keys/{id}?publicKeyType=TYPE_X509_PEM_FILE"
    );
    http.json(Request::new(Method::GET, http.url(Api::Iam, &path)))
        .await
}
