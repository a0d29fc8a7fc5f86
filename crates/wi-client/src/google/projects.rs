//! Projects: `cloudresourcemanager.googleapis.com/v3`.

use http::Method;
use serde::Deserialize;
use wi_core::names::ProjectId;
use wi_core::resource::Resource;
use wi_core::words::safe;

use crate::http::{Api, ApiError, Http, ListBudget, Request};

/// `projects.get`: v3 has the number in `name` alone.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Project {
    name: String,
    project_id: String,
}

/// The project's number, which `principal://` members need.
pub async fn project_number(http: &Http, project: &ProjectId) -> Result<u64, ApiError> {
    let (url, answer) = get(http, project.as_str()).await?;
    answer
        .name
        .strip_prefix("projects/")
        .and_then(|n| n.parse().ok())
        .ok_or_else(|| {
            let why = format!("`{}` holds no project number", safe(&answer.name));
            ApiError::without_answer("GET", &url, why)
        })
}

/// The id of the project with this number.
pub async fn project_id(http: &Http, number: u64) -> Result<ProjectId, ApiError> {
    let (url, answer) = get(http, &number.to_string()).await?;
    ProjectId::parse(&answer.project_id).map_err(|_| {
        let why = format!("`{}` is no project id", safe(&answer.project_id));
        ApiError::without_answer("GET", &url, why)
    })
}

async fn get(http: &Http, project: &str) -> Result<(String, Project), ApiError> {
    let url = http.url(Api::CloudResourceManager, &format!("v3/projects/{project}"));
    let answer = http.json(Request::new(Method::GET, url.clone())).await?;
    Ok((url, answer))
}

/// `projects.getAncestry` (v1): the folders and the organization above a project, the nearest first,
/// as `folder/N` and `organization/N`.
pub async fn ancestors(http: &Http, project: &ProjectId) -> Result<Vec<Resource>, ApiError> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Answer {
        ancestor: Vec<Ancestor>,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Ancestor {
        resource_id: ResourceId,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct ResourceId {
        r#type: String,
        id: String,
    }
    let url = http.url(
        Api::CloudResourceManager,
        &format!("v1/projects/{project}:getAncestry"),
    );
    let request = Request::new(Method::POST, url).body(serde_json::json!({}));
    let answer: Answer = http.json(request).await?;
    Ok(answer
        .ancestor
        .iter()
        .map(|a| format!("{}/{}", a.resource_id.r#type, a.resource_id.id))
        .filter(|name| !name.starts_with("project/"))
        .filter_map(|name| Resource::parse(&name, None).ok())
        .collect())
}

/// `projects.list` (v3): the active projects that are directly in a folder, every page.
pub async fn in_folder(http: &Http, folder: &str) -> Result<Vec<ProjectId>, ApiError> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Page {
        projects: Vec<Project>,
        next_page_token: String,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Project {
        project_id: String,
        state: String,
    }
    let mut all = Vec::new();
    let mut token = String::new();
    let mut budget = ListBudget::of_pages(super::MOST_PAGES);
    loop {
        let mut url = http.url(
            Api::CloudResourceManager,
            &format!("v3/projects?parent=folders/{folder}&pageSize=200"),
        );
        if !token.is_empty() {
            url.push_str(&format!("&pageToken={}", wi_core::percent::query(&token)));
        }
        let page: Page = http
            .page(Request::new(Method::GET, url), &mut budget, |p: &Page| {
                p.projects.len()
            })
            .await?;
        all.extend(
            page.projects
                .iter()
                .filter(|p| p.state.is_empty() || p.state == "ACTIVE")
                .filter_map(|p| ProjectId::parse(&p.project_id).ok()),
        );
        token = page.next_page_token;
        if token.is_empty() {
            return Ok(all);
        }
    }
}
