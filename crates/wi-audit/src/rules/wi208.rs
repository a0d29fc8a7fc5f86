//! Half of an impersonation.

use super::prelude::*;
use wi_core::access::{Answer, KsaPrincipal, Principal, Question, Unseen};

pub static RULE: Audited = Audited {
    rule: Rule {
        id: "WI208",
        severity: Severity::Medium,
        title: "An annotation without the right, or the right without an annotation",
        help: "With the annotation alone pods get a 403; with the right alone anybody who may run a pod there can be the account. Both, or none.",
        can_be_accepted: true,
    },
    reads: &[Read::ServiceAccounts, Read::Policies, Read::Roles, Read::Accounts, Read::Numbers],
    offline: false,
    decides: "A Kubernetes service account is annotated with an account of which it may not make tokens, by all policies above it; or is the member of roles/iam.workloadIdentityUser on an account that none of its annotations names (low).",
    references: &["GKE: Workload Identity Federation, troubleshooting"],
    check,
};

const NO_BINDING: &str = "no binding gives it roles/iam.workloadIdentityUser";

/// Whether what was not seen is who is in a group of people.
fn is_group(unseen: &Unseen) -> bool {
    matches!(unseen, Unseen::Members(member) if member.starts_with("group:"))
}

fn check(world: &World, out: &mut Out) {
    let Some(live) = world.live() else { return };
    let mut annotated: BTreeSet<(String, String, String, String)> = BTreeSet::new();
    let mut there = BTreeSet::new();
    for (name, cluster, meta) in world.ksas(out) {
        let identity = World::identity(cluster, &meta.namespace, &meta.name);
        there.insert(identity.clone());
        let Some(email) = annotation(meta).and_then(|t| Email::parse(t).ok()) else {
            continue;
        };
        annotated.insert((identity.pool.clone(), identity.namespace.clone(), identity.name.clone(), email.to_string()));
        let principal = Principal::Ksa(KsaPrincipal {
            identity,
            project: cluster.path.project.clone(),
            cluster: cluster.path.clone(),
            uid: Seen::Found(meta.uid.clone()),
        });
        let on = Resource::ServiceAccount(email.clone());
        let question = Question { principal: &principal, permission: TOKEN, resource: &on, at: world.now };
        let fix = || match world.desired.ksa(name, &meta.namespace, &meta.name) {
            Some(_) => "wi apply".to_owned(),
            None => format!("wi explain {}/{}", meta.namespace, meta.name),
        };
        match access::ask(&live.iam, &question) {
            Answer::Allowed { .. } => {}
            Answer::Denied { first, .. } => {
                let (subject, place) = world.ksa(name, &meta.namespace, &meta.name);
                let what = format!("it is annotated with {email}, and may not act as it");
                let found = out.found(&subject, what, place);
                found.evidence.push(match first {
                    access::Reason::NoGrant | access::Reason::RoleLacks(_) => NO_BINDING.to_owned(),
                    access::Reason::Condition(_) => "the condition of its binding does not hold".to_owned(),
                    access::Reason::NoResource(_) => "the account does not exist".to_owned(),
                    access::Reason::Deny { policy, .. } => format!("deny policy {policy} takes it away"),
                    access::Reason::Boundary { .. } => "a principal access boundary keeps it from the account".to_owned(),
                });
                found.fix = Some(fix());
            }
            Answer::Unknown { because } => {
                // No Kubernetes service account is in a group, and who is in one nobody could read.
                let because: Vec<Unseen> = because.into_iter().filter(|u| !is_group(u)).collect();
                if because.is_empty() {
                    let (subject, place) = world.ksa(name, &meta.namespace, &meta.name);
                    let what = format!("it is annotated with {email}, and may not act as it");
                    let found = out.found(&subject, what, place);
                    found.evidence.push(NO_BINDING.to_owned());
                    found.fix = Some(fix());
                }
                for unseen in because {
                    out.unseen(&unseen, Read::Policies);
                }
            }
        }
    }
    for held in world.held(out) {
        let (Member::Ksa(ksa), Resource::ServiceAccount(email)) = (Member::parse(held.member), held.on) else {
            continue;
        };
        let key = (ksa.pool.clone(), ksa.namespace.clone(), ksa.name.clone(), email.to_string());
        let is_wanted = world.desired.ksas.values().any(|k| k.identity == ksa && k.account.as_ref() == Some(email));
        // Of one that is not there another rule tells.
        if !access::IMPERSONATION.contains(&held.binding.role.as_str())
            || is_wanted
            || annotated.contains(&key)
            || !there.contains(&ksa)
            || world.declares(held.on, &Member::Ksa(ksa.clone()))
        {
            continue;
        }
        let what = format!("{ksa} may act as {email}, and is not annotated with it");
        world.tell(out, &held, what).severity = Severity::Low;
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::*;

    #[test]
    fn fires_just_does_not_and_cannot_tell() {
        let wiu = "roles/iam.workloadIdentityUser";
        let other = format!("serviceaccount/{}", email("other"));
        let member = "serviceAccount:acme-prod.svc.id.goog[shop/batch]";
        let annotated = |w: &mut crate::World| w.ksa_there("shop", "batch", Some(email("other").as_str()));
        three(
            &super::RULE,
            annotated,
            |w| {
                annotated(w);
                w.bind(&other, wiu, member);
            },
            |w| {
                annotated(w);
                w.refuse(&other);
            },
        );
        // A group has no Kubernetes service account in it, and lets no other right be unseen.
        let group = |w: &mut crate::World| w.bind("project/acme-prod", wiu, "group:devs@example.com");
        three(
            &super::RULE,
            |w| {
                group(w);
                annotated(w);
            },
            |w| {
                group(w);
                annotated(w);
                w.bind(&other, wiu, member);
            },
            |w| {
                group(w);
                annotated(w);
                w.refuse(&other);
            },
        );
        three(
            &super::RULE,
            |w| {
                w.ksa_there("shop", "batch", None);
                w.bind(&other, wiu, member);
            },
            |w| {
                annotated(w);
                // A project's grant is a right, too.
                w.bind("project/acme-prod", wiu, member);
            },
            |w| {
                annotated(w);
                w.refuse("folder/7");
            },
        );
    }
}
