//! Allow policies, read and written as the row of the resource's kind says.

use std::collections::BTreeSet;

use http::Method;
use serde::Deserialize;
use serde_json::json;
use wi_core::resource::{Resource, Version, Write};
use wi_core::wire::policy::Policy;

use super::datasets;
use super::policy_url::policy_url;
use crate::http::{ApiError, Http, Request};

/// Reads a policy in version 3, so that conditions are seen.
pub async fn read(http: &Http, resource: &Resource) -> Result<Policy, ApiError> {
    let kind = resource.kind();
    if kind.write == Write::AccessList {
        return datasets::read(http, resource).await;
    }
    let method = if kind.post { Method::POST } else { Method::GET };
    let query = match kind.version {
        Version::Query => "?options.requestedPolicyVersion=3",
        Version::CamelQuery => "?optionsRequestedPolicyVersion=3",
        Version::Body => "",
    };
    let verb = if kind.write == Write::Bare {
        "/iam"
    } else {
        ":getIamPolicy"
    };
    let mut request = Request::new(
        method,
        policy_url(http, resource, &format!("{verb}{query}")),
    );
    if kind.version == Version::Body {
        request = request.body(json!({"options": {"requestedPolicyVersion": 3}}));
    }
    http.json(request).await
}

/// Writes a policy in version 3 under its etag, without its [`Policy::unwritable`] members; answers with
/// the policy as stored.
///
/// One that came without an etag is not written: whatever somebody else has added meanwhile would be
/// lost. A stale etag is an [`ApiError`] with `is_conflict()`: 409 or, for Storage and BigQuery, 412.
pub async fn write(http: &Http, resource: &Resource, policy: &Policy) -> Result<Policy, ApiError> {
    let kind = resource.kind();
    if policy.etag.is_empty() {
        let why = "the policy came without an etag, so that writing it could undo what somebody else does meanwhile: it is not written";
        let at = policy_url(http, resource, "");
        return Err(ApiError::without_answer("GET", &at, why.to_owned()));
    }
    let mut policy = policy.clone();
    let unwritable = policy.unwritable(kind.write == Write::AccessList);
    if !unwritable.is_empty() {
        for binding in &mut policy.bindings {
            binding.members.retain(|m| !unwritable.contains(m));
        }
        policy.bindings.retain(|b| !b.members.is_empty());
    }
    // Written as version 1, a policy would lose its conditions.
    policy.rest.insert("version".to_owned(), 3.into());
    let (method, verb, body) = match kind.write {
        Write::AccessList => return datasets::write(http, resource, &policy).await,
        Write::Bare => (Method::PUT, "/iam", json!(policy)),
        Write::Wrapped => (Method::POST, ":setIamPolicy", json!({ "policy": policy })),
        Write::Masked => (
            Method::POST,
            ":setIamPolicy",
            json!({"policy": policy, "updateMask": "bindings,etag"}),
        ),
    };
    http.json(Request::new(method, policy_url(http, resource, verb)).body(body))
        .await
}

/// `testIamPermissions`: which of these the caller has. `None` where the API cannot be asked.
pub async fn test_permissions(
    http: &Http,
    resource: &Resource,
    asked: &BTreeSet<String>,
) -> Result<Option<BTreeSet<String>>, ApiError> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Answer {
        permissions: BTreeSet<String>,
    }
    let request = match resource.kind().write {
        Write::AccessList => return Ok(None),
        Write::Bare => {
            let query: Vec<String> = asked.iter().map(|p| format!("permissions={p}")).collect();
            let rest = format!("/iam/testPermissions?{}", query.join("&"));
            Request::new(Method::GET, policy_url(http, resource, &rest))
        }
        Write::Masked | Write::Wrapped => Request::new(
            Method::POST,
            policy_url(http, resource, ":testIamPermissions"),
        )
        .body(json!({ "permissions": asked })),
    };
    Ok(Some(http.json::<Answer>(request).await?.permissions))
}

/// Whether the caller may do this. Where the API cannot be asked (BigQuery's datasets) it is done: `bigquery.datasets.get`
/// is a read.
///
/// # Errors
/// 400 for a permission that is none of the resource's kind.
pub async fn may(http: &Http, resource: &Resource, permission: &str) -> Result<bool, ApiError> {
    let asked = BTreeSet::from([permission.to_owned()]);
    match test_permissions(http, resource, &asked).await? {
        Some(held) => Ok(held.contains(permission)),
        None => datasets::can_be_read(http, resource).await,
    }
}
