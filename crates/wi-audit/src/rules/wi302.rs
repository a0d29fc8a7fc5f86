//! The right to act as accounts, on a whole project.

use super::prelude::*;

pub static RULE: Audited = Audited {
    rule: Rule {
        id: "WI302",
        severity: Severity::High,
        title: "Service Account Token Creator or User on a whole project, folder or organization",
        help: "Whoever has it can act as every account below, workloads' among them. Grant it on single accounts.",
        can_be_accepted: true,
    },
    reads: &[Read::Policies, Read::Roles],
    offline: false,
    decides: "Anybody but Google's own service agents has on a project, a folder or an organization a role with getAccessToken, getOpenIdToken, signBlob, signJwt, implicitDelegation or actAs of iam.serviceAccounts. Of members of workload pools whose role makes tokens WI301 tells, and basic roles, which let people change all there is, are not counted.",
    references: &["CIS GCP 5.0.0: 1.7", "checkov CKV_GCP_41, CKV_GCP_49", "prowler iam_no_service_roles_at_project_level"],
    check,
};

fn check(world: &World, out: &mut Out) {
    for held in world.held(out) {
        if !held.on.is_of_hierarchy() || is_of_google(held.member) || held.member.starts_with("deleted:") {
            continue;
        }
        let role = held.binding.role.as_str();
        let of_pool = is_of_pool(held.member);
        if !of_pool && basic(role) > 0 {
            continue;
        }
        let makes_tokens = is_token_role(world, out, role);
        if (makes_tokens && of_pool) || !(makes_tokens || world.gives(out, role, &[ACT_AS])) {
            continue;
        }
        let what = format!("{} can act as every service account of {}", held.member, held.on);
        world.tell(out, &held, what);
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::*;

    #[test]
    fn fires_just_does_not_and_cannot_tell() {
        let role = "roles/iam.serviceAccountTokenCreator";
        three(
            &super::RULE,
            |w| w.bind("project/acme-prod", role, "group:devs@example.com"),
            |w| w.bind("project/acme-prod", role, "serviceAccount:service-42@gcp-sa-pubsub.iam.gserviceaccount.com"),
            |w| w.refuse("organization/9"),
        );
        three(
            &super::RULE,
            |w| w.bind("folder/7", "roles/iam.serviceAccountUser", "user:ann@example.com"),
            |w| w.bind(&format!("serviceaccount/{}", email("webapp")), role, "user:ann@example.com"),
            |w| w.refuse("folder/7"),
        );
        let wiu = "roles/iam.workloadIdentityUser";
        let other = format!("serviceAccount:{}", email("other"));
        for member in ["user:ann@example.com", "group:devs@example.com", "domain:example.com", &other] {
            three(
                &super::RULE,
                |w| w.bind("project/acme-prod", wiu, member),
                // Whoever owns a project may do all in it.
                |w| w.bind("project/acme-prod", "roles/editor", member),
                |w| w.bind("project/acme-prod", "projects/acme-prod/roles/unread", member),
            );
        }
        let custom = "projects/acme-prod/roles/mine";
        for permission in super::TOKENS.into_iter().chain([super::ACT_AS]) {
            three(
                &super::RULE,
                |w| {
                    w.role(custom, &[permission]);
                    w.bind("project/acme-prod", custom, "user:ann@example.com");
                },
                |w| {
                    w.role(custom, &["iam.serviceAccounts.list"]);
                    w.bind("project/acme-prod", custom, "user:ann@example.com");
                },
                |w| w.bind("project/acme-prod", custom, "user:ann@example.com"),
            );
        }
        // The name of a subject makes nobody Google's own agent.
        let github = "iam.googleapis.com/projects/7/locations/global/workloadIdentityPools/github";
        let agent = "a@gcp-sa-pubsub.iam.gserviceaccount.com";
        three(
            &super::RULE,
            |w| w.bind("folder/7", "roles/iam.serviceAccountUser", &format!("principal://{github}/subject/{agent}")),
            |w| w.bind("folder/7", "roles/iam.serviceAccountUser", &format!("serviceAccount:{agent}")),
            |w| w.refuse("folder/7"),
        );
        // Of a pool the rule tells that is about pools, but for what makes no tokens.
        three(
            &super::RULE,
            |w| w.bind("project/acme-prod", "roles/iam.serviceAccountUser", WEB),
            |w| w.bind("project/acme-prod", wiu, WEB),
            |w| w.bind("project/acme-prod", "projects/acme-prod/roles/unread", WEB),
        );
    }
}
