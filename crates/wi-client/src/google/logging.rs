//! Cloud Logging: entries, page by page.

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use wi_core::names::ProjectId;

use crate::http::{Api, ApiError, Http, ListBudget, Request, Retry};

/// The most that one page may have.
const PAGE: usize = 1000;

/// The entries of a project that a filter admits.
#[derive(Debug)]
pub struct Entries {
    project: ProjectId,
    filter: String,
    order: &'static str,
    token: String,
    budget: ListBudget,
    is_at_end: bool,
}

/// Which come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum First {
    /// The newest.
    Newest,
    /// The oldest.
    Oldest,
}

impl Entries {
    /// Asks for at most so many pages.
    pub fn new(project: &ProjectId, filter: String, first: First, most_pages: usize) -> Self {
        Self {
            project: project.clone(),
            filter,
            order: match first {
                First::Newest => "timestamp desc",
                First::Oldest => "timestamp asc",
            },
            token: String::new(),
            budget: ListBudget::of_pages(most_pages),
            is_at_end: false,
        }
    }

    /// The next page, which may be empty although there are more; `None`: there are no more.
    ///
    /// With [`Retry::UnlessQuota`] a used up quota is the caller's to deal with: by asking for less.
    pub async fn next(
        &mut self,
        http: &Http,
        retry: Retry,
    ) -> Result<Option<Vec<Value>>, ApiError> {
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        struct Page {
            entries: Vec<Value>,
            next_page_token: String,
        }
        if self.is_at_end {
            return Ok(None);
        }
        let body = json!({
            "resourceNames": [format!("projects/{}", self.project)],
            "filter": self.filter,
            "orderBy": self.order,
            "pageSize": PAGE,
            "pageToken": self.token,
        });
        let url = http.url(Api::Logging, "v2/entries:list");
        let request = Request::new(Method::POST, url).body(body).retry(retry);
        let page: Page = http
            .page(request, &mut self.budget, |p: &Page| p.entries.len())
            .await?;
        self.token = page.next_page_token;
        self.is_at_end = self.token.is_empty();
        Ok(Some(page.entries))
    }
}
