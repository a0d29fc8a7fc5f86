//! Projects: `cloudresourcemanager.googleapis.com/v3`.

use http::Method;
use serde::Deserialize;

use crate::http::{Api, ApiError, Http, Request};
use crate::identity::ProjectId;

/// The project's number, which `principal://` members need; v3 has it in `name` alone.
pub async fn project_number(http: &Http, project: &ProjectId) -> Result<u64, ApiError> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Project {
        name: String,
    }
    let url = http.url(Api::CloudResourceManager, &format!("v3/projects/{project}"));
    let answer: Project = http.json(Request::new(Method::GET, url.clone())).await?;
    answer
        .name
        .strip_prefix("projects/")
        .and_then(|n| n.parse().ok())
        .ok_or_else(|| {
            ApiError::without_answer(
                "GET",
                &url,
                format!(
                    "`{}` holds no project number",
                    crate::render::safe(&answer.name)
                ),
            )
        })
}
