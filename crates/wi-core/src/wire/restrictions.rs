//! What takes rights away whatever policies allow: deny policies (IAM v2) and principal access boundaries
//! (IAM v3).

use serde::Deserialize;

use crate::names::Condition;

/// A deny policy. <https://cloud.google.com/iam/docs/reference/rest/v2/policies>
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DenyPolicy {
    /// `policies/ATTACHMENT/denypolicies/ID`
    pub name: String,
    pub display_name: String,
    pub rules: Vec<DenyPolicyRule>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DenyPolicyRule {
    pub description: String,
    pub deny_rule: DenyRule,
}

/// Who may not do what.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DenyRule {
    /// `principal://…`, `principalSet://…`
    pub denied_principals: Vec<String>,
    pub exception_principals: Vec<String>,
    /// `iam.googleapis.com/serviceAccounts.getAccessToken`, with `*` for parts
    pub denied_permissions: Vec<String>,
    pub exception_permissions: Vec<String>,
    /// It denies while this holds.
    pub denial_condition: Option<Condition>,
}

/// A principal access boundary policy, with what binds it to principals.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Boundary {
    /// `organizations/N/locations/global/principalAccessBoundaryPolicies/ID`
    pub name: String,
    pub details: BoundaryDetails,
    /// Of the binding: which of the set's principals are meant.
    pub condition: Option<Condition>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BoundaryDetails {
    pub rules: Vec<BoundaryRule>,
    /// A number: which permissions it can block. `latest` is a spelling of today's.
    pub enforcement_version: String,
}

/// What its principals may reach.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct BoundaryRule {
    /// `//cloudresourcemanager.googleapis.com/projects/P`, or of a folder or the organization
    pub resources: Vec<String>,
    /// `ALLOW`
    pub effect: String,
}

/// What binds a policy to a set of principals.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PolicyBinding {
    pub name: String,
    pub policy: String,
    /// `PRINCIPAL_ACCESS_BOUNDARY` …
    pub policy_kind: String,
    pub condition: Option<Condition>,
}
