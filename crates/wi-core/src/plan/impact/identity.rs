//! Which identity a Kubernetes service account has that the spec does not declare: as its
//! annotation and the policies that were read say.

use super::{IdentityEffect, policies};
use crate::live::{Live, Seen};
use crate::names::{Email, KsaIdentity, Member, ProjectId};
use crate::resource::Resource;
use crate::wire::policy::Policy;

/// Roles that let their holder make tokens of a service account.
const IMPERSONATION: [&str; 2] = [
    "roles/iam.workloadIdentityUser",
    "roles/iam.serviceAccountTokenCreator",
];

/// What becomes of a pod of such an account on the GKE metadata server.
pub(super) fn outside_the_spec(
    live: &Live,
    project: &ProjectId,
    namespace: &str,
    name: &str,
    annotation: Option<&str>,
) -> IdentityEffect {
    let ksa = KsaIdentity {
        pool: project.workload_pool(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    };
    match annotation {
        Some(account) => impersonating(live, &ksa, account),
        None => {
            let has_roles = policies(live)
                .filter_map(|(_, policy)| policy.found())
                .any(|policy| holds_any(policy, &ksa, |_| true));
            if has_roles {
                IdentityEffect::Gets(ksa.to_string())
            } else {
                IdentityEffect::Loses(String::new())
            }
        }
    }
}

/// An annotation alone is no identity: without the right to act as the account, no token is given.
fn impersonating(live: &Live, ksa: &KsaIdentity, account: &str) -> IdentityEffect {
    let Ok(email) = Email::parse(account) else {
        return IdentityEffect::Loses(format!(
            "its service account is annotated with `{account}`, which is no account"
        ));
    };
    let mut unread = None;
    let places = [
        Some(Resource::ServiceAccount(email.clone())),
        email.project().map(Resource::Project),
    ];
    for place in places.into_iter().flatten() {
        match policies(live).find(|(r, _)| **r == place).map(|(_, p)| p) {
            Some(Seen::Found(policy))
                if holds_any(policy, ksa, |role| IMPERSONATION.contains(&role)) =>
            {
                return IdentityEffect::Gets(email.to_string());
            }
            Some(Seen::Absent) if matches!(place, Resource::ServiceAccount(_)) => {
                return IdentityEffect::Loses(format!(
                    "its service account is annotated with {email}, which does not exist"
                ));
            }
            Some(Seen::Unknown(why)) => unread = Some(why),
            _ => {}
        }
    }
    IdentityEffect::Loses(match unread {
        Some(why) => {
            format!("whether its service account may act as {email} could not be read: {why}")
        }
        None => format!(
            "its service account is annotated with {email}, but nothing lets it act as that account"
        ),
    })
}

/// Whether a policy gives this account, or a set that it is in, one of these roles.
fn holds_any(policy: &Policy, ksa: &KsaIdentity, wanted: impl Fn(&str) -> bool) -> bool {
    let in_pool = format!("/workloadIdentityPools/{}/", ksa.pool);
    policy
        .bindings
        .iter()
        .filter(|b| wanted(&b.role))
        .flat_map(|b| &b.members)
        .any(|m| match Member::parse(m) {
            Member::Ksa(other) => other == *ksa,
            Member::Other(set) => set.split_once(&in_pool).is_some_and(|(start, rest)| {
                start.starts_with("principalSet://")
                    && (rest == "*" || rest == format!("namespace/{}", ksa.namespace))
            }),
            _ => false,
        })
}
