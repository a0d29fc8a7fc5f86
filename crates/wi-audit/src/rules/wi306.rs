//! A right of a Kubernetes service account that does not exist.

use super::prelude::*;

pub static RULE: Audited = Audited {
    rule: Rule {
        id: "WI306",
        severity: Severity::Medium,
        title: "A right of a Kubernetes service account that does not exist",
        help: "Whoever can make the namespace and the service account, in any cluster of the project, has the right. Take it away.",
        can_be_accepted: true,
    },
    reads: &[Read::Policies, Read::Search, Read::ServiceAccounts, Read::Clusters],
    offline: false,
    decides: "A member names a Kubernetes service account of a pool of the spec that is in no cluster of that pool, all of which were read, and not in the spec.",
    references: &["Google: best practices for using service accounts in GKE"],
    check,
};

fn check(world: &World, out: &mut Out) {
    let Some(live) = world.live() else { return };
    // Per pool: who is there, and why there may be more.
    let mut there: BTreeMap<String, BTreeSet<(String, String)>> = BTreeMap::new();
    let mut unsure: BTreeMap<String, (String, String)> = BTreeMap::new();
    for (name, cluster) in &live.clusters {
        let pool = cluster.path.project.workload_pool();
        let of_pool = there.entry(pool.clone()).or_default();
        let what = format!("the Kubernetes service accounts of cluster {name}");
        match &cluster.ksas {
            Seen::Found(ksas) => {
                of_pool.extend(ksas.keys().cloned());
                if !cluster.all_namespaces {
                    unsure.insert(pool, (what, "only the spec's namespaces may be read".to_owned()));
                }
            }
            Seen::Absent => {}
            Seen::Unknown(why) => _ = unsure.insert(pool, (what, why.to_string())),
        }
    }
    for (project, why) in &live.more_clusters {
        unsure.insert(project.workload_pool(), (format!("all clusters of project/{project}"), why.clone()));
    }
    for held in world.held_wherever(out) {
        let Member::Ksa(ksa) = Member::parse(held.member) else {
            continue;
        };
        let Some(of_pool) = there.get(&ksa.pool) else {
            continue;
        };
        let declared = world.has_ksa(&ksa);
        let is_user = world.declares(held.on, &Member::Ksa(ksa.clone()));
        if declared || is_user || of_pool.contains(&(ksa.namespace.clone(), ksa.name.clone())) {
            continue;
        }
        if let Some((what, why)) = unsure.get(&ksa.pool) {
            out.unchecked(what.clone(), why.clone(), Read::ServiceAccounts);
            continue;
        }
        let what = format!("{}/{} is in no cluster of {}", ksa.namespace, ksa.name, ksa.pool);
        world.tell(out, &held, what);
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::*;

    #[test]
    fn fires_just_does_not_and_cannot_tell() {
        let role = "roles/storage.objectViewer";
        let gone = "serviceAccount:acme-prod.svc.id.goog[gone/web]";
        three(
            &super::RULE,
            |w| w.bind("bucket/acme-b", role, gone),
            |w| {
                w.bind("bucket/acme-b", role, gone);
                w.ksa_there("gone", "web", None);
            },
            |w| {
                w.bind("bucket/acme-b", role, gone);
                w.main().all_namespaces = false;
            },
        );
        // It may be in a cluster that did not answer.
        three(
            &super::RULE,
            |w| w.bind("bucket/acme-b", role, gone),
            |w| w.bind("bucket/acme-b", role, "serviceAccount:elsewhere-1.svc.id.goog[gone/web]"),
            |w| {
                w.bind("bucket/acme-b", role, gone);
                w.there().more_clusters.insert(project(), "missing zones".to_owned());
            },
        );
    }
}
