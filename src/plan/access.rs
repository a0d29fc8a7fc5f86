//! Who gains and who loses what.

use super::{AccessChange, AccountChange, Action, Plan, What};
use crate::desired::Desired;
use crate::identity::Member;
use crate::resources::Resource;

pub(super) fn list(desired: &Desired, plan: &mut Plan) {
    let mut rows: Vec<AccessChange> = Vec::new();
    for change in plan.changes.values() {
        match &change.what {
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
                    Some(condition) => format!("{role} if {}", condition.title),
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
            What::Account {
                email,
                change: AccountChange::Disable,
                ..
            } => rows.push(AccessChange {
                gains: false,
                principal: email.to_string(),
                role: "everything:".to_owned(),
                resource: "it is disabled".to_owned(),
                clusters: 0,
            }),
            _ => {}
        }
    }
    rows.sort();
    plan.access = rows;
}
