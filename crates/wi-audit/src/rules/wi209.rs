//! Both a Google service account and roles of its own.

use super::prelude::*;

pub static RULE: Audited = Audited {
    rule: Rule {
        id: "WI209",
        severity: Severity::Medium,
        title: "A Kubernetes service account has a Google one and roles of its own",
        help: "While it is annotated its pods act as the account, and its own roles serve nobody but who takes a token apart. Keep one of the two.",
        can_be_accepted: true,
    },
    reads: &[Read::ServiceAccounts, Read::Policies, Read::Search],
    offline: false,
    decides: "A Kubernetes service account is annotated, and is itself the member of a binding whose role makes no tokens of an account.",
    references: &["GKE: Workload Identity Federation, linking to IAM service accounts"],
    check,
};

fn check(world: &World, out: &mut Out) {
    let mut annotated = BTreeMap::new();
    for (name, cluster, meta) in world.ksas(out) {
        if annotation(meta).is_some() {
            let identity = World::identity(cluster, &meta.namespace, &meta.name);
            annotated.insert(identity, name);
        }
    }
    // On another cluster of the project the same identity may not be annotated, and need them.
    for (_, cluster, meta) in world.ksas(out) {
        if annotation(meta).is_none() {
            annotated.remove(&World::identity(cluster, &meta.namespace, &meta.name));
        }
    }
    for held in world.held_wherever(out) {
        let Member::Ksa(ksa) = Member::parse(held.member) else {
            continue;
        };
        if access::IMPERSONATION.contains(&held.binding.role.as_str()) || matches!(held.on, Resource::ServiceAccount(_)) {
            continue;
        }
        let Some(cluster) = annotated.get(&ksa) else {
            continue;
        };
        let what = format!("{ksa} acts as the account that it is annotated with on {cluster}, and has {} of its own", held.binding.role);
        world.tell(out, &held, what);
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::*;

    #[test]
    fn fires_just_does_not_and_cannot_tell() {
        let own = "serviceAccount:acme-prod.svc.id.goog[shop/default]";
        three(
            &super::RULE,
            |w| w.bind("bucket/acme-b", "roles/storage.objectViewer", WEB),
            |w| w.bind("bucket/acme-b", "roles/storage.objectViewer", own),
            |w| w.main().ksas = refused(),
        );
        three(
            &super::RULE,
            |w| w.bind("bucket/acme-b", "roles/storage.objectViewer", &format!("principal://{POOL}/subject/ns/shop/sa/web")),
            |_| {},
            |w| w.refuse("bucket/acme-b"),
        );
    }
}
