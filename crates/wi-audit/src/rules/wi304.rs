//! A namespace or a cluster may be an account.

use super::prelude::*;
use wi_core::names::KsaIdentity;

pub static RULE: Audited = Audited {
    rule: Rule {
        id: "WI304",
        severity: Severity::Low,
        title: "A whole namespace or cluster may be an account",
        help: "Whoever can run a pod in the namespace, or make one in the cluster, can be the account. Name the Kubernetes service accounts.",
        can_be_accepted: true,
    },
    reads: &[Read::Policies, Read::Roles, Read::ServiceAccounts],
    offline: false,
    decides: "The policy of a service account has a namespace or a cluster as the member of a role that makes tokens; high where Kubernetes service accounts are in it that the spec does not name.",
    references: &["Google: best practices for Workload Identity Federation", "OWASP Kubernetes Top 10 2025: K08"],
    check,
};

fn check(world: &World, out: &mut Out) {
    for held in world.held(out) {
        let (Resource::ServiceAccount(email), Member::Set(set)) = (held.on, Member::parse(held.member)) else {
            continue;
        };
        let of_cluster = set.set.starts_with("kubernetes.cluster/");
        if (set.namespace().is_none() && !of_cluster) || !makes_tokens(world, out, &held.binding.role) {
            continue;
        }
        let mut others = BTreeSet::new();
        // Whose pods are the account by the set alone.
        let mut rest_on_it = BTreeSet::new();
        let before = out.unchecked.len();
        for (name, cluster, meta) in world.ksas(out) {
            let inside = cluster.path.project.workload_pool() == set.pool
                && match set.namespace() {
                    Some(namespace) => meta.namespace == namespace,
                    None => set.set.ends_with(&format!("/{}", cluster.path)),
                };
            let identity = World::identity(cluster, &meta.namespace, &meta.name);
            let acts = annotation(meta).is_some_and(|a| a.eq_ignore_ascii_case(email.as_str()));
            if inside && acts && !is_user(world, email, &Member::Ksa(identity.clone())) {
                rest_on_it.insert(identity);
            }
            if inside && world.desired.ksa(name, &meta.namespace, &meta.name).is_none() {
                others.insert(format!("{}/{}", meta.namespace, meta.name));
            }
        }
        // How wide it is cannot be told then.
        if others.is_empty() && out.unchecked.len() > before {
            continue;
        }
        let what = format!("{set} can be {email}");
        let place = world.binding_place(&held);
        let found = out.found(&held.subject(), what, place);
        if !others.is_empty() {
            found.severity = Severity::High;
            let few: Vec<&str> = others.iter().take(5).map(String::as_str).collect();
            found.evidence.push(format!("{} service accounts in it are not in the spec: {}", others.len(), few.join(", ")));
        }
        let first: Vec<String> = rest_on_it.iter().map(KsaIdentity::legacy_member).collect();
        // As `users` has them.
        let users: Vec<String> = rest_on_it.iter().map(ToString::to_string).collect();
        let is_all = out.unchecked.len() == before;
        let fix = match (world.declares(held.on, &Member::Set(set)), is_all) {
            (true, _) if first.is_empty() => "name service accounts in place of the set in users".to_owned(),
            (true, _) => format!("name the service accounts in users in place of the set, these among them: {}", users.join(", ")),
            (false, true) => removal_after(&held, email, &first),
            (false, false) => format!("give each service account that acts as it roles/iam.workloadIdentityUser on {email}, and take the set away some minutes later"),
        };
        if let Some(found) = out.findings.last_mut() {
            found.fix = Some(fix);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::*;
    use wi_core::findings::Severity;

    #[test]
    fn fires_just_does_not_and_cannot_tell() {
        let account = format!("serviceaccount/{}", email("webapp"));
        let wiu = "roles/iam.workloadIdentityUser";
        let namespace = format!("principalSet://{POOL}/namespace/shop");
        three(
            &super::RULE,
            |w| w.bind(&account, wiu, &namespace),
            |w| w.bind(&account, wiu, &format!("principal://{POOL}/kubernetes.serviceaccount.uid/7")),
            |w| {
                w.bind(&account, wiu, &namespace);
                w.main().ksas = refused();
            },
        );
        // Who acts as the account by the set alone is given a right of its own first.
        let fix = |change: &dyn Fn(&mut crate::World)| {
            let mut world = world();
            world.bind(&account, wiu, &namespace);
            change(&mut world);
            ask(&super::RULE, &world).0[0].fix.clone().expect("a way out")
        };
        let at_once = fix(&|_| {});
        assert!(at_once.starts_with("gcloud iam service-accounts remove-iam-policy-binding"), "{at_once}");
        let by_the_set = fix(&|w| w.ksa_there("shop", "batch", Some(email("webapp").as_str())));
        let given = by_the_set.find("add-iam-policy-binding webapp@");
        assert!(given.is_some() && given < by_the_set.find("remove-iam-policy-binding"), "{by_the_set}");
        assert!(by_the_set.contains("--member='serviceAccount:acme-prod.svc.id.goog[shop/batch]'") && !by_the_set.contains("[shop/web]"), "{by_the_set}");
        let of_spec = SPEC.replace("id: webapp, grants", "id: webapp, users: [acme-prod/shop/*], grants");
        let by_spec = fix(&|w| w.desired = desired(&of_spec));
        assert!(by_spec.contains("in users") && !by_spec.contains("gcloud"), "{by_spec}");
        let severity = |change: &dyn Fn(&mut crate::World)| {
            let mut world = world();
            world.bind(&account, wiu, &namespace);
            change(&mut world);
            ask(&super::RULE, &world).0[0].severity
        };
        assert_eq!(severity(&|_| {}), Severity::High, "shop/default is in it");
        let only_web = |w: &mut crate::World| match &mut w.main().ksas {
            wi_core::live::Seen::Found(ksas) => ksas.retain(|key, _| key.1 == "web"),
            other => panic!("{other:?}"),
        };
        assert_eq!(severity(&only_web), Severity::Low);
        let url = "https://container.googleapis.com/v1/projects/acme-prod/locations/europe-west1/clusters";
        three(
            &super::RULE,
            |w| w.bind(&account, wiu, &format!("principalSet://{POOL}/kubernetes.cluster/{url}/main")),
            |_| {},
            |w| w.refuse(&account),
        );
    }
}
