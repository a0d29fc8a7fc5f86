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
        let Resource::ServiceAccount(email) = held.on else {
            continue;
        };
        let member = Member::parse(held.member);
        if !member.is_gke_pool_member() {
            continue;
        }
        if world.gives(out, &held.binding.role, &signs) {
            let what = format!("{} can sign as the account, too", held.member);
            let place = world.binding_place(&held);
            let first = match is_user(world, email, &member) {
                true => Vec::new(),
                false => vec![held.member.to_owned()],
            };
            let fix = removal_after(&held, email, &first);
            out.found(&held.subject(), what, place).fix = Some(fix);
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

    #[test]
    fn the_way_out_gives_the_right_to_be_the_account_before_it_takes_the_other() {
        let role = "roles/iam.serviceAccountTokenCreator";
        let fix = |account: &str| {
            let mut world = world();
            world.bind(&format!("serviceaccount/{}", email(account)), role, WEB);
            ask(&super::RULE, &world).0[0].fix.clone().expect("a way out")
        };
        let only = fix("other");
        let (given, taken) = (only.find("add-iam-policy-binding other@"), only.find("remove-iam-policy-binding other@"));
        assert!(given.is_some() && given < taken && only.contains("--role='roles/iam.workloadIdentityUser'"), "{only}");
        // shop/web has it on its own account.
        let both = fix("webapp");
        assert!(both.starts_with("gcloud iam service-accounts remove-iam-policy-binding"), "{both}");
    }
}
