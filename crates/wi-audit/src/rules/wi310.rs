//! Somebody who may act as an account of the spec without being in it.

use super::prelude::*;

pub static RULE: Audited = Audited {
    rule: Rule {
        id: "WI310",
        severity: Severity::High,
        title: "Somebody may act as an account of the spec whom it does not name",
        help: "Whoever makes tokens of the account is the account. Name him in users, or take the right away.",
        can_be_accepted: true,
    },
    reads: &[Read::Policies, Read::Roles],
    offline: false,
    decides: "The policy of an account of the spec has a member with a role that makes tokens, keys or signatures of it, or edits its policy, and the spec does not ask for that member.",
    references: &["OWASP Kubernetes Top 10 2025: K08"],
    check,
};

/// What makes one the account.
const BECOMES: [&str; 5] = [
    TOKEN,
    "iam.serviceAccounts.signBlob",
    "iam.serviceAccounts.signJwt",
    "iam.serviceAccountKeys.create",
    "iam.serviceAccounts.setIamPolicy",
];

fn check(world: &World, out: &mut Out) {
    for held in world.held(out) {
        let Resource::ServiceAccount(email) = held.on else {
            continue;
        };
        let member = Member::parse(held.member);
        if world.desired.account_name(email).is_none()
            || world.declares(held.on, &member)
            || is_of_google(held.member)
            || held.member.starts_with("deleted:")
            // Everybody, and all of a pool, are findings of their own.
            || held.member.starts_with("all")
        {
            continue;
        }
        if world.gives(out, &held.binding.role, &BECOMES) {
            let what = format!("{} may act as it, and the spec does not say so", held.member);
            let found = world.tell(out, &held, what);
            found.evidence.push(format!("by {} on {email}", held.binding.role));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::*;

    #[test]
    fn fires_just_does_not_and_cannot_tell() {
        let web = format!("serviceaccount/{}", email("webapp"));
        let ann = "user:ann@example.com";
        three(
            &super::RULE,
            |w| w.bind(&web, "roles/iam.serviceAccountKeyAdmin", ann),
            // To deploy as it is another right.
            |w| w.bind(&web, "roles/iam.serviceAccountUser", ann),
            |w| w.refuse(&web),
        );
        let declared = SPEC.replace("id: webapp, grants", "id: webapp, users: [acme-prod/ci/runner], grants");
        let runner = "serviceAccount:acme-prod.svc.id.goog[ci/runner]";
        three(
            &super::RULE,
            |w| w.bind(&web, "roles/iam.workloadIdentityUser", runner),
            |w| {
                w.desired = desired(&declared);
                w.bind(&web, "roles/iam.workloadIdentityUser", runner);
            },
            |w| w.bind(&web, "projects/acme-prod/roles/unread", ann),
        );
    }
}
