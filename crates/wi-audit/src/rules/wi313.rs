//! More than the right to be the account.

use super::prelude::*;

pub static RULE: Audited = Audited {
    rule: Rule {
        id: "WI313",
        severity: Severity::Low,
        title: "The role of a pod on its account is bigger than Workload Identity User",
        help: "Signatures make tokens that outlive the right to make them. roles/iam.workloadIdentityUser is all that a pod needs to be the account.",
        can_be_accepted: true,
    },
    reads: &[Read::Policies, Read::Roles],
    offline: false,
    decides: "A Kubernetes service account, or a set of them, has a role on a service account that makes tokens and signs, too.",
    references: &["Google: roles for service account authentication"],
    check,
};

fn check(world: &World, out: &mut Out) {
    let signs = ["iam.serviceAccounts.signBlob", "iam.serviceAccounts.signJwt"];
    for held in world.held(out) {
        let of_account = matches!(held.on, Resource::ServiceAccount(_));
        if !of_account || !Member::parse(held.member).is_gke_pool_member() {
            continue;
        }
        if world.gives(out, &held.binding.role, &signs) {
            let what = format!("{} can sign as the account, too", held.member);
            let place = world.binding_place(&held);
            out.found(&held.subject(), what, place).fix = Some(held.removal());
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::*;

    #[test]
    fn fires_just_does_not_and_cannot_tell() {
        let web = format!("serviceaccount/{}", email("webapp"));
        let role = "roles/iam.serviceAccountTokenCreator";
        three(
            &super::RULE,
            |w| w.bind(&web, role, WEB),
            |w| w.bind(&web, role, "user:ann@example.com"),
            |w| w.bind(&web, "projects/acme-prod/roles/unread", WEB),
        );
    }
}
