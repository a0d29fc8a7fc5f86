//! A namespace or a cluster may be an account.

use super::prelude::*;

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
        let before = out.unchecked.len();
        for (name, cluster, meta) in world.ksas(out) {
            let inside = cluster.path.project.workload_pool() == set.pool
                && match set.namespace() {
                    Some(namespace) => meta.namespace == namespace,
                    None => set.set.ends_with(&format!("/{}", cluster.path)),
                };
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
        found.fix = Some(held.removal());
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
