//! A whole pool may be an account.

use super::prelude::*;

pub static RULE: Audited = Audited {
    rule: Rule {
        id: "WI303",
        severity: Severity::Critical,
        title: "A whole workload pool may be an account",
        help: "Every pod of every cluster of the project can be it, of clusters that are made tomorrow, too. Name the Kubernetes service accounts.",
        can_be_accepted: false,
    },
    reads: &[Read::Policies, Read::Roles],
    offline: true,
    decides: "The policy of a service account has all of a pool (…/workloadIdentityPools/POOL/*) as the member of a role that makes tokens, or the spec names it among users.",
    references: &["Google: best practices for Workload Identity Federation (avoid granting to all members)", "OWASP Kubernetes Top 10 2025: K08"],
    check,
};

fn check(world: &World, out: &mut Out) {
    let mut told = BTreeSet::new();
    for (key, place) in &world.desired.bindings {
        if let (Member::Set(set), Resource::ServiceAccount(email)) = (&key.member, &key.resource)
            && set.set == "*"
        {
            told.insert((email.clone(), key.member.clone()));
            let (subject, _) = world.account(email);
            let what = format!("the spec lets every pod of {} be it", set.pool);
            let place = world.place(Some(place), &[]);
            out.found(&subject, what, place).fix = Some("name namespaces and service accounts in users".to_owned());
        }
    }
    if world.live.is_none() {
        return;
    }
    for held in world.held(out) {
        let Resource::ServiceAccount(email) = held.on else {
            continue;
        };
        let Some((_, pool)) = held.member.split_once("/workloadIdentityPools/") else {
            continue;
        };
        let is_all = held.member.starts_with("principalSet://") && pool.ends_with("/*");
        if is_all
            && makes_tokens(world, out, &held.binding.role)
            && told.insert((email.clone(), Member::parse(held.member)))
        {
            let what = format!("all of {} can be {email}", pool.trim_end_matches("/*"));
            world.tell(out, &held, what);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::*;

    #[test]
    fn fires_just_does_not_and_cannot_tell() {
        let account = format!("serviceaccount/{}", email("webapp"));
        let wiu = "roles/iam.workloadIdentityUser";
        three(
            &super::RULE,
            |w| w.bind(&account, wiu, &format!("principalSet://{POOL}/*")),
            |w| w.bind(&account, wiu, &format!("principalSet://{POOL}/namespace/shop")),
            |w| w.refuse(&account),
        );
        let spec = |user: &str| SPEC.replace("id: webapp, grants", &format!("id: webapp, users: [\"{user}\"], grants"));
        by_spec(&super::RULE, &spec("acme-prod/*/*"), &spec("acme-prod/shop/*"));
    }
}
