//! A member that is deleted.

use super::prelude::*;

pub static RULE: Audited = Audited {
    rule: Rule {
        id: "WI308",
        severity: Severity::Low,
        title: "A deleted member is left in a policy",
        help: "It gives nobody anything, until the account is undeleted. Take it away, so that policies show who has something.",
        can_be_accepted: true,
    },
    reads: &[Read::Policies],
    offline: false,
    decides: "A member begins with deleted: in a policy that was looked at.",
    references: &["Google: managing deleted principals in policies"],
    check,
};

fn check(world: &World, out: &mut Out) {
    for held in world.held(out) {
        if let Some(who) = held.member.strip_prefix("deleted:") {
            let what = format!("{who} is deleted");
            world.tell(out, &held, what);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::*;

    #[test]
    fn fires_just_does_not_and_cannot_tell() {
        let role = "roles/storage.objectViewer";
        three(
            &super::RULE,
            |w| w.bind("bucket/acme-b", role, "deleted:serviceAccount:x@acme-prod.iam.gserviceaccount.com?uid=7"),
            |w| w.bind("bucket/acme-b", role, "serviceAccount:deleted@acme-prod.iam.gserviceaccount.com"),
            |w| w.refuse("bucket/acme-b"),
        );
    }
}
