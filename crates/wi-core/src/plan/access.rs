//! Who gains and who loses what.

use super::{AccessChange, AccountChange, Action, Plan, What};
use crate::desired::Desired;
use crate::names::Member;
use crate::resource::Resource;

pub(super) fn list(desired: &Desired, plan: &mut Plan) {
    plan.access = rows(desired, plan);
}

/// What the changes of a plan give and take.
pub(super) fn rows(desired: &Desired, plan: &Plan) -> Vec<AccessChange> {
    let mut rows: Vec<AccessChange> = Vec::new();
    for change in plan.changes.values() {
        match &change.what {
            // A deleted account loses nothing any more.
            What::Binding { key, .. }
                if matches!(key.member, Member::DeletedServiceAccount { .. }) => {}
            What::Binding { key, .. } => {
                let clusters = match &key.member {
                    Member::Ksa(ksa) => desired.clusters_of_pool(&ksa.pool).count(),
                    _ => 0,
                };
                let (role, resource) = match &key.resource {
                    Resource::ServiceAccount(email) if key.is_impersonation() => {
                        ("the right to act as".to_owned(), email.to_string())
                    }
                    resource => (key.role.to_string(), format!("on {resource}")),
                };
                let role = match &key.condition {
                    Some(condition) => format!("{role} ({})", condition.name()),
                    None => role,
                };
                rows.push(AccessChange {
                    gains: change.action != Action::Delete,
                    principal: key.member.to_string(),
                    role,
                    resource,
                    clusters,
                });
            }
            What::Account { email, change, .. } if change.ends_it() => rows.push(AccessChange {
                gains: false,
                principal: email.to_string(),
                role: "everything:".to_owned(),
                resource: if *change == AccountChange::Delete {
                    "it is deleted"
                } else {
                    "it is disabled"
                }
                .to_owned(),
                clusters: 0,
            }),
            _ => {}
        }
    }
    rows.sort();
    rows
}
