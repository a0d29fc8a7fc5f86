//! Service accounts: `iam.googleapis.com/v1`.

use serde::Deserialize;

use crate::http::{ApiError, Http};
use crate::identity::{Email, ProjectId};

/// A Google service account.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceAccount {
    pub email: String,
    pub unique_id: String,
    pub display_name: String,
    pub description: String,
    pub disabled: bool,
}

/// All accounts of a project, every page; deleted ones are not listed.
pub async fn list_service_accounts(
    _http: &Http,
    _project: &ProjectId,
) -> Result<Vec<ServiceAccount>, ApiError> {
    unimplemented!()
}
pub async fn get_service_account(
    _http: &Http,
    _project: &ProjectId,
    _email: &Email,
) -> Result<ServiceAccount, ApiError> {
    unimplemented!()
}
pub async fn create_service_account(
    _http: &Http,
    _project: &ProjectId,
    _id: &str,
    _display_name: &str,
    _description: &str,
) -> Result<ServiceAccount, ApiError> {
    unimplemented!()
}
/// `None` leaves a field as it is. The mask is part of the body.
pub async fn patch_service_account(
    _http: &Http,
    _project: &ProjectId,
    _email: &Email,
    _display_name: Option<&str>,
    _description: Option<&str>,
) -> Result<(), ApiError> {
    unimplemented!()
}
pub async fn enable_service_account(
    _http: &Http,
    _project: &ProjectId,
    _email: &Email,
) -> Result<(), ApiError> {
    unimplemented!()
}
pub async fn disable_service_account(
    _http: &Http,
    _project: &ProjectId,
    _email: &Email,
) -> Result<(), ApiError> {
    unimplemented!()
}
