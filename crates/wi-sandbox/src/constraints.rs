//! Organization policies: what they keep callers with every permission from doing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::errors::ApiError;
use super::faults::matches;

/// An organization policy that is enforced.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OrganizationPolicy {
    /// `iam.allowedPolicyMemberDomains`, `iam.disableServiceAccountCreation` or
    /// `iam.disableWorkloadIdentityClusterCreation`; another has no effect.
    pub constraint: String,
    /// The projects that it holds for, by id. Absent: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub projects: Vec<String>,
    /// Of `iam.allowedPolicyMemberDomains`: the members that may not be added to a policy; `*` stands for anything
    /// (`user:*@example.org`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused_members: Vec<String>,
}

/// Refuses what a constraint forbids in a project.
///
/// # Errors
/// 400 `FAILED_PRECONDITION` with a violation.
pub fn check(
    policies: &[OrganizationPolicy],
    constraint: &str,
    project: &str,
    message: &str,
) -> Result<(), ApiError> {
    if policies.iter().any(|p| p.holds(constraint, project)) {
        return Err(refused(
            constraint,
            message,
            &[violation(constraint, project, None)],
        ));
    }
    Ok(())
}

/// Refuses members that are new in a policy of this project. Those that it has may stay.
///
/// # Errors
/// As [`check`], with a violation for each member.
pub fn check_members<'a>(
    policies: &[OrganizationPolicy],
    project: &str,
    new: impl Iterator<Item = &'a str>,
) -> Result<(), ApiError> {
    const DOMAINS: &str = "iam.allowedPolicyMemberDomains";
    let patterns: Vec<&String> = policies
        .iter()
        .filter(|policy| policy.holds(DOMAINS, project))
        .flat_map(|policy| &policy.refused_members)
        .collect();
    let violations: Vec<Value> = new
        .filter(|member| patterns.iter().any(|p| matches(&format!("{p}$"), member)))
        .map(|member| violation(DOMAINS, project, Some(member)))
        .collect();
    if violations.is_empty() {
        return Ok(());
    }
    let message = "One or more users named in the policy do not belong to a permitted customer,  perhaps due to an organization policy.";
    Err(refused(DOMAINS, message, &violations))
}

fn violation(constraint: &str, project: &str, member: Option<&str>) -> Value {
    let value = member.map_or(String::new(), |m| format!("?configvalue={m}"));
    let description = match member {
        Some(member) => format!("User {member} is not in permitted organization."),
        None => format!("Constraint constraints/{constraint} is violated."),
    };
    json!({
        "type": format!("constraints/{constraint}"),
        "subject": format!("orgpolicy:projects/{project}{value}"),
        "description": description,
    })
}

fn refused(constraint: &str, message: &str, violations: &[Value]) -> ApiError {
    let mut error = ApiError::precondition(message);
    error.details.push(json!({
        "@type": "type.googleapis.com/google.rpc.PreconditionFailure",
        "violations": violations,
    }));
    error.with_info(
        "ORG_POLICY_VIOLATION",
        "googleapis.com",
        json!({ "constraint": format!("constraints/{constraint}") }),
    )
}

impl OrganizationPolicy {
    fn holds(&self, constraint: &str, project: &str) -> bool {
        let name = self.constraint.trim_start_matches("constraints/");
        name == constraint
            && (self.projects.is_empty() || self.projects.iter().any(|p| p == project))
    }
}
