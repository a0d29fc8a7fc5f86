//! Everybody.

use super::prelude::*;

pub static RULE: Audited = Audited {
    rule: Rule {
        id: "WI305",
        severity: Severity::Critical,
        title: "A role is everybody's",
        help: "allUsers is anybody on the internet, allAuthenticatedUsers anybody with a Google account. Take the member away; what is to be public is served from a bucket of its own, which no spec of workloads looks at.",
        can_be_accepted: false,
    },
    reads: &[Read::Policies],
    offline: false,
    decides: "allUsers or allAuthenticatedUsers is a member of a policy that was looked at.",
    references: &["checkov CKV_GCP_28", "trivy AVD-GCP-0001", "CIS GCP 5.0.0: 1.10"],
    check,
};

fn check(world: &World, out: &mut Out) {
    for held in world.held(out) {
        if matches!(held.member, "allUsers" | "allAuthenticatedUsers") {
            let what = match held.member {
                "allUsers" => format!("anybody on the internet has {} on {}", held.binding.role, held.on),
                _ => format!("anybody with a Google account has {} on {}", held.binding.role, held.on),
            };
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
        for everybody in ["allUsers", "allAuthenticatedUsers"] {
            three(
                &super::RULE,
                |w| w.bind("bucket/acme-b", role, everybody),
                |w| w.bind("bucket/acme-b", role, "domain:example.com"),
                |w| w.refuse("bucket/acme-b"),
            );
        }
    }
}
