//! Cloud Asset: `cloudasset.googleapis.com/v1`.

use http::Method;
use serde::Deserialize;
use wi_core::percent;
use wi_core::resource::Resource;
use wi_core::wire::asset::FoundPolicy;

use crate::http::{Api, ApiError, Http, ListBudget, Request};

/// The permission that a search takes.
pub const PERMISSION: &str = "cloudasset.assets.searchAllIamPolicies";
/// The smallest predefined role that has it.
pub const ROLE: &str = "roles/cloudasset.viewer";
/// The service.
pub const SERVICE: &str = "cloudasset.googleapis.com";

/// `searchAllIamPolicies`: policies in a project, a folder or an organization in which bindings match the
/// query, every page. The index is minutes behind, and goes by words: what is found is to be looked at.
pub async fn search_policies(
    http: &Http,
    scope: &Resource,
    query: &str,
) -> Result<Vec<FoundPolicy>, ApiError> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Page {
        results: Vec<FoundPolicy>,
        next_page_token: String,
    }
    let base = format!(
        "v1/{}s/{}:searchAllIamPolicies?query={}&pageSize=500",
        scope.kind().short,
        scope.names().join("/"),
        percent::query(query)
    );
    let mut all = Vec::new();
    let mut token = String::new();
    let mut budget = ListBudget::of_pages(super::MOST_PAGES);
    loop {
        let mut url = http.url(Api::CloudAsset, &base);
        if !token.is_empty() {
            url.push_str(&format!("&pageToken={}", percent::query(&token)));
        }
        let page: Page = http
            .page(Request::new(Method::GET, url), &mut budget, |p: &Page| {
                p.results.len()
            })
            .await?;
        all.extend(page.results);
        token = page.next_page_token;
        if token.is_empty() {
            return Ok(all);
        }
    }
}
