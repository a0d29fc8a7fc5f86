//! The right to make tokens, on a whole project.

use super::prelude::*;

pub static RULE: Audited = Audited {
    rule: Rule {
        id: "WI301",
        severity: Severity::Critical,
        title: "Workload Identity User on a whole project, folder or organization",
        help: "Those pods, or whoever the pool takes for its own, can be every service account below it, those that are made later included. Grant it on the one account that they are to be.",
        can_be_accepted: false,
    },
    reads: &[Read::Policies, Read::Roles],
    offline: false,
    decides: "A member of a workload pool, GKE's or another (of GitHub, of another cloud), or a set of them, has on a project, a folder or an organization a role with getAccessToken, getOpenIdToken, signBlob, signJwt or implicitDelegation of iam.serviceAccounts.",
    references: &["CIS GCP 5.0.0: 1.7", "checkov CKV_GCP_44, CKV_GCP_45, CKV_GCP_49", "trivy AVD-GCP-0005, AVD-GCP-0009, AVD-GCP-0011", "prowler iam_no_service_roles_at_project_level", "OWASP Kubernetes Top 10 2025: K08"],
    check,
};

fn check(world: &World, out: &mut Out) {
    for held in world.held(out) {
        if !held.on.is_of_hierarchy() || !is_of_pool(held.member) {
            continue;
        }
        if is_token_role(world, out, &held.binding.role) {
            let what = format!("{} can be every service account of {}", held.member, held.on);
            world.tell(out, &held, what);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::*;

    #[test]
    fn fires_just_does_not_and_cannot_tell() {
        let wiu = "roles/iam.workloadIdentityUser";
        three(
            &super::RULE,
            |w| w.bind("project/acme-prod", wiu, WEB),
            |w| w.bind("project/acme-prod", wiu, "user:ann@example.com"),
            |w| w.refuse("project/acme-prod"),
        );
        let github = "iam.googleapis.com/projects/7/locations/global/workloadIdentityPools/github";
        let workforce = "iam.googleapis.com/locations/global/workforcePools/staff";
        for of_pool in [
            format!("principalSet://{github}/*"),
            format!("principalSet://{github}/attribute.repository/acme/shop"),
            format!("principal://{github}/subject/repo:acme/shop"),
        ] {
            three(
                &super::RULE,
                |w| w.bind("folder/7", wiu, &of_pool),
                // People of a workforce are another rule's.
                |w| w.bind("folder/7", wiu, &format!("principalSet://{workforce}/*")),
                |w| w.bind("folder/7", "projects/acme-prod/roles/unread", &of_pool),
            );
        }
        let custom = "projects/acme-prod/roles/tokens";
        for permission in super::TOKENS {
            three(
                &super::RULE,
                |w| {
                    w.role(custom, &[permission]);
                    w.bind("organization/9", custom, WEB);
                },
                |w| {
                    w.role(custom, &[super::ACT_AS]);
                    w.bind("organization/9", custom, WEB);
                },
                |w| w.bind("organization/9", custom, WEB),
            );
        }
        three(
            &super::RULE,
            |w| {
                w.role(custom, &[super::TOKEN]);
                w.bind("folder/7", custom, &format!("principalSet://{POOL}/namespace/shop"));
            },
            |w| {
                w.role(custom, &["iam.serviceAccounts.list"]);
                w.bind("folder/7", custom, WEB);
            },
            |w| w.bind("folder/7", custom, WEB),
        );
    }
}
