//! The `default` Kubernetes service account of a namespace has rights.

use super::prelude::*;

pub static RULE: Audited = Audited {
    rule: Rule {
        id: "WI201",
        severity: Severity::High,
        title: "The default service account of a namespace has rights",
        help: "Every pod of the namespace that names no other account has them. Give the workload a Kubernetes service account of its own.",
        can_be_accepted: true,
    },
    reads: &[Read::ServiceAccounts, Read::Policies, Read::Search],
    offline: true,
    decides: "The account called default is in the spec with an account or roles, is annotated, or is a member of a binding.",
    references: &["CIS GKE 1.9.0: 4.1.4", "OWASP Kubernetes Top 10 2025: K09", "kubescape C-0189"],
    check,
};

fn check(world: &World, out: &mut Out) {
    let mut told = BTreeSet::new();
    let fix = "give the workload a Kubernetes service account of its own, and take the rights from default";
    for (key, ksa) in &world.desired.ksas {
        let has_rights = ksa.account.is_some() || ksa.has_direct_grants;
        if key.name.as_str() == "default" && has_rights {
            told.insert(ksa.identity.clone());
            let (subject, place) = world.ksa(&key.cluster, key.namespace.as_str(), "default");
            let what = "the spec gives rights to every pod of the namespace that names no account";
            out.found(&subject, what.to_owned(), place).fix = Some(fix.to_owned());
        }
    }
    if world.live.is_none() {
        return;
    }
    for (name, cluster, meta) in world.ksas(out) {
        let identity = World::identity(cluster, &meta.namespace, &meta.name);
        if meta.name == "default" && annotation(meta).is_some() && told.insert(identity) {
            let (subject, place) = world.ksa(name, &meta.namespace, "default");
            let what = "it is annotated with a Google service account";
            out.found(&subject, what.to_owned(), place).fix = Some(fix.to_owned());
        }
    }
    for held in world.held_wherever(out) {
        if let Member::Ksa(ksa) = Member::parse(held.member)
            && ksa.name == "default"
            && told.insert(ksa.clone())
        {
            let what = format!("every pod of {} that names no account has {}", ksa.namespace, held.binding.role);
            world.tell(out, &held, what);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::*;

    #[test]
    fn fires_just_does_not_and_cannot_tell() {
        let member = |name: &str| format!("serviceAccount:acme-prod.svc.id.goog[shop/{name}]");
        three(
            &super::RULE,
            |w| w.ksa_there("shop", "default", Some(NODES)),
            |w| w.ksa_there("shop", "defaults", Some(NODES)),
            |w| w.main().ksas = refused(),
        );
        three(
            &super::RULE,
            |w| w.bind("bucket/acme-b", "roles/storage.objectViewer", &member("default")),
            |w| w.bind("bucket/acme-b", "roles/storage.objectViewer", &member("other")),
            |w| w.refuse("bucket/acme-b"),
        );
        by_spec(&super::RULE, &SPEC.replace("{ web: { impersonates", "{ default: { impersonates"), SPEC);
    }
}
