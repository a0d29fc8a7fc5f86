//! Keys of service accounts: `iam.googleapis.com/v1`, `projects.serviceAccounts.keys`. They are looked at, disabled,
//! enabled and deleted, and never made.

use http::Method;
use serde::Deserialize;
use serde_json::json;
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

/// `keys.get`.
pub async fn get(
    http: &Http,
    project: &ProjectId,
    email: &Email,
    id: &str,
) -> Result<ServiceAccountKey, ApiError> {
    let request = Request::new(Method::GET, http.url(Api::Iam, &path(project, email, id)));
    http.json(request).await
}

/// `keys.disable`: nobody gets a token with it any more. Those that are out are good for an hour still.
pub async fn disable(
    http: &Http,
    project: &ProjectId,
    email: &Email,
    id: &str,
) -> Result<(), ApiError> {
    let path = format!("{}:disable", path(project, email, id));
    let request = Request::new(Method::POST, http.url(Api::Iam, &path)).body(json!({}));
    http.send(&request).await.map(drop)
}

/// `keys.enable`.
pub async fn enable(
    http: &Http,
    project: &ProjectId,
    email: &Email,
    id: &str,
) -> Result<(), ApiError> {
    let path = format!("{}:enable", path(project, email, id));
    let request = Request::new(Method::POST, http.url(Api::Iam, &path)).body(json!({}));
    http.send(&request).await.map(drop)
}

/// `keys.delete`: there is no way back.
pub async fn delete(
    http: &Http,
    project: &ProjectId,
    email: &Email,
    id: &str,
) -> Result<(), ApiError> {
    let url = http.url(Api::Iam, &path(project, email, id));
    let request = Request::new(Method::DELETE, url);
    http.send(&request).await.map(drop)
}

fn path(project: &ProjectId, email: &Email, id: &str) -> String {
    let id = percent::segment(id);
    format!("v1/projects/{project}/serviceAccounts/{email}/keys/{id}")
}
