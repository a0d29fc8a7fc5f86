//! A member of another project.

use super::prelude::*;

pub static RULE: Audited = Audited {
    rule: Rule {
        id: "WI309",
        severity: Severity::Medium,
        title: "A member of another project",
        help: "Who looks after that project decides who the member is. Name the project in audit.trustedProjects, or take the member away.",
        can_be_accepted: true,
    },
    reads: &[Read::Policies],
    offline: false,
    decides: "In a policy that is no folder's and no organization's a service account or a workload pool is a member whose project neither the spec has nor audit.trustedProjects names; Google's own service agents apart.",
    references: &["Google: best practices for using service accounts (same project)", "Recommender: lateral movement insights"],
    check,
};

fn check(world: &World, out: &mut Out) {
    let own = world.own_projects();
    for held in world.held(out) {
        if matches!(held.on.kind().short, "folder" | "organization") || is_of_google(held.member) {
            continue;
        }
        let member = Member::parse(held.member);
        let project = match &member {
            Member::ServiceAccount(email) => email.project(),
            Member::Ksa(ksa) => ProjectId::of_workload_pool(&ksa.pool),
            Member::Set(set) => ProjectId::of_workload_pool(&set.pool),
            _ => None,
        };
        let Some(project) = project.filter(|p| !own.contains(p)) else {
            continue;
        };
        if world.is_of_spec(&member) || world.declares(held.on, &member) {
            continue;
        }
        let what = format!("{} is of project {project}", held.member);
        let place = world.binding_place(&held);
        let fix = format!("audit: {{ trustedProjects: [{project}] }} in the spec, or {}", held.removal());
        out.found(&held.subject(), what, place).fix = Some(fix);
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::*;

    #[test]
    fn fires_just_does_not_and_cannot_tell() {
        let role = "roles/storage.objectViewer";
        let foreign = "serviceAccount:x@elsewhere-1.iam.gserviceaccount.com";
        three(
            &super::RULE,
            |w| w.bind("bucket/acme-b", role, foreign),
            |w| {
                w.bind("bucket/acme-b", role, foreign);
                let project = wi_core::names::ProjectId::parse("elsewhere-1").expect("a project");
                w.trusted.insert(project);
            },
            |w| w.refuse("bucket/acme-b"),
        );
        three(
            &super::RULE,
            |w| w.bind("project/acme-prod", role, "serviceAccount:elsewhere-1.svc.id.goog[a/b]"),
            |w| w.bind("project/acme-prod", role, "serviceAccount:service-42@container-engine-robot.iam.gserviceaccount.com"),
            |w| w.refuse("project/acme-prod"),
        );
    }
}
