//! An account of both nodes and a workload.

use super::prelude::*;

pub static RULE: Audited = Audited {
    rule: Rule {
        id: "WI109",
        severity: Severity::High,
        title: "An account is used by nodes and by a workload",
        help: "What the workload may do every node may do, and the other way round. Give the workload an account of its own.",
        can_be_accepted: true,
    },
    reads: &[Read::Clusters, Read::ServiceAccounts, Read::Numbers],
    offline: false,
    decides: "The account of a node pool is also that of a Kubernetes service account, in the spec or by its annotation.",
    references: &["Google: best practices for using service accounts (single-purpose accounts)"],
    check,
};

fn check(world: &World, out: &mut Out) {
    let mut users: BTreeMap<String, String> = BTreeMap::new();
    for (key, ksa) in &world.desired.ksas {
        if let Some(account) = &ksa.account {
            let who = format!("ksa.{}/{}/{}", key.cluster, key.namespace, key.name);
            users.entry(account.to_string()).or_insert(who);
        }
    }
    for (name, _, meta) in world.ksas(out) {
        if let Some(account) = annotation(meta) {
            let who = format!("ksa.{name}/{}/{}", meta.namespace, meta.name);
            users.entry(account.to_ascii_lowercase()).or_insert(who);
        }
    }
    for (name, cluster, pool) in world.node_pools(out) {
        let email = match world.node_account(&cluster.path.project, pool) {
            Ok(email) | Err(Some(email)) => email,
            Err(None) => {
                let what = format!("the number of project/{}", cluster.path.project);
                out.unchecked(what, "it was not read", Read::Numbers);
                continue;
            }
        };
        if let Some(user) = users.get(email.as_str()) {
            let (subject, place) = world.node_pool(name, &pool.name);
            let what = format!("its nodes run as {email}, and so does {user}");
            out.found(&subject, what, place).fix = Some(format!("give {user} an account of its own in the spec"));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::*;

    #[test]
    fn fires_just_does_not_and_cannot_tell() {
        let set = |email: &'static str| {
            move |w: &mut crate::World| email.clone_into(&mut w.general().config.service_account)
        };
        three(
            &super::RULE,
            set("webapp@acme-prod.iam.gserviceaccount.com"),
            set("other@acme-prod.iam.gserviceaccount.com"),
            |w| w.main().ksas = refused(),
        );
        three(
            &super::RULE,
            |w| w.ksa_there("tools", "agent", Some(NODES)),
            |_| {},
            |w| w.main().gke = refused(),
        );
    }
}
