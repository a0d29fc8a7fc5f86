//! Whether the spec lets a Kubernetes service account act as a Google one right now.

use jiff::Timestamp;

use crate::access;
use crate::address::BindingKey;
use crate::desired::Desired;
use crate::names::{Email, KsaIdentity, Member, Role};
use crate::resource::Resource;

/// Whether the spec lets an identity act as an account at `now`; `None`: that depends on more than the time.
pub(super) fn may_act(
    desired: &Desired,
    identity: &KsaIdentity,
    account: &Email,
    now: Option<Timestamp>,
) -> Option<bool> {
    let on_itself = BindingKey {
        resource: Resource::ServiceAccount(account.clone()),
        role: Role::workload_identity_user(),
        condition: None,
        member: Member::Ksa(identity.clone()),
    };
    // Nearly all have that: no others are looked for.
    if desired.bindings.contains_key(&on_itself) {
        return Some(true);
    }
    let project = account.project().map(Resource::Project);
    let rights = desired.bindings.keys().filter(|key| {
        let is_there =
            key.resource == on_itself.resource || Some(&key.resource) == project.as_ref();
        is_there && key.role == on_itself.role && key.member == on_itself.member
    });
    let held: Vec<Option<bool>> = rights
        .map(|key| match &key.condition {
            None => Some(true),
            Some(condition) => access::holds(&condition.expression, now),
        })
        .collect();
    match (held.contains(&Some(true)), held.contains(&None)) {
        (true, _) => Some(true),
        (false, true) => None,
        (false, false) => Some(false),
    }
}
