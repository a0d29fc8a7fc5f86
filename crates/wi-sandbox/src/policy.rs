//! Allow policies as IAM stores and shows them: etags, versions, conditions.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Value, json};

use super::errors::ApiError;
use super::world::{Binding, Policy};

/// What the etag of a policy that was never written looks like.
pub const EMPTY_ETAG: &str = "ACAB";
/// The policy as the API shows it to a reader that asked for `requested_version`.
///
/// Below version 3, conditions are hidden behind role names `ROLE_withcond_HASH`.
pub fn show(policy: &Policy, requested_version: i64) -> Value {
    let conditional = policy.bindings.iter().any(|b| b.condition.is_some());
    let full = requested_version >= 3;
    let etag = if policy.etag.is_empty() {
        EMPTY_ETAG
    } else {
        &policy.etag
    };
    let mut shown = json!({ "etag": etag });
    if !policy.bindings.is_empty() {
        shown["version"] = json!(if conditional && full { 3 } else { 1 });
        let bindings: Vec<Value> = policy
            .bindings
            .iter()
            .map(|b| show_binding(b, full))
            .collect();
        shown["bindings"] = bindings.into();
    }
    if !policy.audit_configs.is_empty() {
        shown["auditConfigs"] = policy.audit_configs.clone().into();
    }
    shown
}

fn show_binding(binding: &Binding, full: bool) -> Value {
    let mut shown = json!({"role": binding.role, "members": binding.members});
    if let Some(condition) = &binding.condition {
        if full {
            shown["condition"] = json!(condition);
        } else {
            let mut hasher = DefaultHasher::new();
            (&condition.title, &condition.expression).hash(&mut hasher);
            shown["role"] = format!("{}_withcond_{:020x}", binding.role, hasher.finish()).into();
        }
    }
    shown
}

/// The version that a reader asked for; 2 and numbers above 3 are refused.
pub fn requested_version(text: Option<&str>) -> Result<i64, ApiError> {
    match text.map(str::parse::<i64>) {
        None => Ok(0),
        Some(Ok(version @ (0 | 1 | 3))) => Ok(version),
        Some(_) => Err(ApiError::invalid(
            "Request contains an invalid argument: requested_policy_version must be 0, 1 or 3.",
        )),
    }
}

/// After the deletion of an account: its members turn into `deleted:…?uid=`. Says if any did.
pub fn mark_deleted(policy: &mut Policy, email: &str, uid: &str) -> bool {
    let live = format!("serviceAccount:{email}");
    replace_member(policy, &live, &format!("deleted:{live}?uid={uid}"))
}

/// After its undeletion: they turn back. Says if any did.
pub fn mark_undeleted(policy: &mut Policy, email: &str, uid: &str) -> bool {
    let live = format!("serviceAccount:{email}");
    replace_member(policy, &format!("deleted:{live}?uid={uid}"), &live)
}

fn replace_member(policy: &mut Policy, from: &str, to: &str) -> bool {
    let members = policy
        .bindings
        .iter_mut()
        .flat_map(|b| b.members.iter_mut());
    let mut any = false;
    for member in members.filter(|m| *m == from) {
        to.clone_into(member);
        any = true;
    }
    any
}
