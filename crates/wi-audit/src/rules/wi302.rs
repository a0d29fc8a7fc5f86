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
    reads: &[Read::Policies],
    offline: false,
    decides: "roles/iam.serviceAccountTokenCreator or roles/iam.serviceAccountUser on a project, a folder or an organization, for anybody but Google's own service agents and members of workload pools, of which another rule tells.",
    references: &["CIS GCP 5.0.0: 1.7", "checkov CKV_GCP_41, CKV_GCP_49", "prowler iam_no_service_roles_at_project_level"],
    check,
};

fn check(world: &World, out: &mut Out) {
    for held in world.held(out) {
        let role = held.binding.role.as_str();
        let strong = matches!(role, "roles/iam.serviceAccountTokenCreator" | "roles/iam.serviceAccountUser");
        let of_pool = Member::parse(held.member).is_gke_pool_member() && role.ends_with("TokenCreator");
        if !is_container(held.on) || !strong || of_pool || is_of_google(held.member) || held.member.starts_with("deleted:") {
            continue;
        }
        let what = format!("{} can act as every service account of {}", held.member, held.on);
        let place = world.binding_place(&held);
        out.found(&held.subject(), what, place).fix = Some(held.removal());
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
    }
}
