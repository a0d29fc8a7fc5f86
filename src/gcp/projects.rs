//! Projects: `cloudresourcemanager.googleapis.com/v3`.

use crate::http::{ApiError, Http};
use crate::identity::ProjectId;

/// The project's number, which `principal://` members need.
pub async fn project_number(_http: &Http, _project: &ProjectId) -> Result<u64, ApiError> {
    unimplemented!()
}
