//! A custom role that is off, not ready, or makes tokens.

use super::prelude::*;

pub static RULE: Audited = Audited {
    rule: Rule {
        id: "WI412",
        severity: Severity::Medium,
        title: "A custom role is off, not ready, or makes one somebody else",
        help: "A role that is disabled or deleted gives nothing; one in ALPHA changes; one with permissions to become accounts is more than its name says.",
        can_be_accepted: true,
    },
    reads: &[Read::Policies, Read::Search, Read::Roles],
    offline: false,
    decides: "An identity of the spec has a custom role that is deleted, DISABLED, DEPRECATED or ALPHA, or that has a permission to become a service account.",
    references: &["Google: creating and managing custom roles"],
    check,
};

const BECOMES: [&str; 6] = [
    TOKEN,
    "iam.serviceAccounts.signBlob",
    "iam.serviceAccounts.signJwt",
    "iam.serviceAccounts.implicitDelegation",
    "iam.serviceAccountKeys.create",
    "iam.serviceAccounts.setIamPolicy",
];

fn check(world: &World, out: &mut Out) {
    let Some(live) = world.live() else { return };
    for held in world.held_wherever(out) {
        let role = held.binding.role.as_str();
        let member = Member::parse(held.member);
        if role.starts_with("roles/") || !world.is_of_spec(&member) {
            continue;
        }
        let what = match live.iam.roles.get(role) {
            Some(Seen::Found(found)) => {
                let stage = found.stage.as_str();
                let becomes = BECOMES.iter().find(|p| found.gives(p));
                match (found.deleted, stage, becomes) {
                    (true, ..) => format!("{role} is deleted"),
                    (_, "DISABLED" | "DEPRECATED" | "ALPHA", _) => format!("{role} is {stage}"),
                    (_, _, Some(permission)) => format!("{role} has {permission}"),
                    _ => continue,
                }
            }
            Some(Seen::Absent) => format!("{role} does not exist"),
            _ => {
                world.gives(out, role, &[]);
                continue;
            }
        };
        let place = world.binding_place(&held);
        let found = out.found(&held.subject(), what, place);
        found.fix = Some(format!("gcloud iam roles describe {}", role.rsplit('/').next().unwrap_or(role)));
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::*;

    #[test]
    fn fires_just_does_not_and_cannot_tell() {
        let custom = "projects/acme-prod/roles/mine";
        let given = |w: &mut crate::World, permissions: &[&str], stage: &str| {
            w.role(custom, permissions);
            if let Some(wi_core::live::Seen::Found(role)) = w.there().iam.roles.get_mut(custom) {
                stage.clone_into(&mut role.stage);
            }
            w.bind("bucket/acme-b", custom, WEB_ACCOUNT);
        };
        for (permissions, stage) in [(&["storage.objects.get"][..], "DISABLED"), (&["iam.serviceAccountKeys.create"], "GA")] {
            three(
                &super::RULE,
                |w| given(w, permissions, stage),
                |w| given(w, &["storage.objects.get"], "GA"),
                |w| w.bind("bucket/acme-b", custom, WEB_ACCOUNT),
            );
        }
    }
}
