//! Deny policies (IAM v2) and principal access boundaries (IAM v3).

use std::collections::BTreeMap;

use futures::future::try_join_all;
use http::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use wi_core::percent;
use wi_core::wire::restrictions::{Boundary, BoundaryDetails, DenyPolicy, PolicyBinding};

use crate::http::{Api, ApiError, Http, ListBudget, Request};

/// The deny policies that are attached to a project, a folder or an organization (`projects/ID` …): a list
/// has no rules, so that each is read.
pub async fn deny_policies(http: &Http, container: &str) -> Result<Vec<DenyPolicy>, ApiError> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Page {
        policies: Vec<DenyPolicy>,
        next_page_token: String,
    }
    let attachment = format!("cloudresourcemanager.googleapis.com/{container}");
    let attachment = attachment.replace('/', "%2F");
    let path = format!("v2/policies/{attachment}/denypolicies?pageSize=1000");
    let mut names = Vec::new();
    let mut token = String::new();
    let mut budget = ListBudget::of_pages(super::MOST_PAGES);
    loop {
        let request = page_request(http, &path, &token);
        let page: Page = http
            .page(request, &mut budget, |p: &Page| p.policies.len())
            .await?;
        names.extend(page.policies.into_iter().map(|p| p.name));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    let attachment = &attachment;
    try_join_all(names.iter().map(async |name| {
        let id = percent::segment(name.rsplit('/').next().unwrap_or_default());
        get::<DenyPolicy>(http, &format!("v2/policies/{attachment}/denypolicies/{id}")).await
    }))
    .await
}

/// The boundaries that are bound to a set of principals, as bindings below `parent` (`projects/ID` …) say.
pub async fn boundaries(http: &Http, parent: &str, set: &str) -> Result<Vec<Boundary>, ApiError> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Page {
        policy_bindings: Vec<PolicyBinding>,
        next_page_token: String,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Policy {
        details: BoundaryDetails,
    }
    let path = format!(
        "v3/{parent}/locations/global/policyBindings:searchTargetPolicyBindings?target={}",
        percent::query(set)
    );
    let mut bindings = Vec::new();
    let mut token = String::new();
    let mut budget = ListBudget::of_pages(super::MOST_PAGES);
    loop {
        let request = page_request(http, &path, &token);
        let page: Page = http
            .page(request, &mut budget, |p: &Page| p.policy_bindings.len())
            .await?;
        bindings.extend(page.policy_bindings);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    bindings.retain(|b| matches!(b.policy_kind.as_str(), "" | "PRINCIPAL_ACCESS_BOUNDARY"));
    let mut read: BTreeMap<String, BoundaryDetails> = BTreeMap::new();
    for binding in &bindings {
        if !read.contains_key(&binding.policy) {
            let path = format!("v3/{}", binding.policy);
            let policy: Policy = get(http, &path).await?;
            read.insert(binding.policy.clone(), policy.details);
        }
    }
    Ok(bindings
        .into_iter()
        .map(|binding| Boundary {
            details: read.get(&binding.policy).cloned().unwrap_or_default(),
            name: binding.policy,
            condition: binding.condition,
        })
        .collect())
}

fn page_request(http: &Http, path: &str, token: &str) -> Request {
    let mut url = http.url(Api::Iam, path);
    if !token.is_empty() {
        url.push_str(&format!("&pageToken={}", percent::query(token)));
    }
    Request::new(Method::GET, url)
}

async fn get<T: DeserializeOwned + Send + 'static>(http: &Http, path: &str) -> Result<T, ApiError> {
    http.json(Request::new(Method::GET, http.url(Api::Iam, path)))
        .await
}
