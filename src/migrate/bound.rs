//! Whether a workload would be its account without a key: by what the plan still has to do, and by what the
//! metadata server would give it right now.

use std::collections::BTreeSet;

use jiff::Timestamp;
use wi_core::access::{self, Given};
use wi_core::address::{Address, KsaKey};
use wi_core::desired::{Desired, DesiredKsa, GSA_ANNOTATION};
use wi_core::live::{Live, Seen};
use wi_core::migrate::state::Bound;
use wi_core::names::{Email, Member};
use wi_core::plan::{Edit, HoldReason, Plan};
use wi_core::resource::Resource;

use crate::engine::pipeline::Made;
use crate::scan::live::Workload;

fn key_of(workload: &Workload) -> Option<KsaKey> {
    Some(KsaKey {
        cluster: workload.cluster.clone(),
        namespace: workload.namespace.parse().ok()?,
        name: workload.service_account.parse().ok()?,
    })
}

/// The account that the spec lets a workload act as.
pub fn acts_as<'a>(desired: &'a Desired, workload: &Workload) -> Option<&'a Email> {
    desired.ksas.get(&key_of(workload)?)?.account.as_ref()
}

/// Whether some node pools of a cluster have the GKE metadata server, and some have not.
pub fn has_mixed_nodes(live: &Live, cluster: &str) -> bool {
    let Some(Seen::Found(cluster)) = live.clusters.get(cluster) else {
        return false;
    };
    let mut pools = cluster
        .node_pools
        .iter()
        .map(|p| cluster.has_node_identity(p));
    let has_one = cluster
        .node_pools
        .iter()
        .any(|p| !cluster.has_node_identity(p));
    has_one && pools.any(|without| without)
}

/// Whether a workload would be the account without a key.
pub fn of(made: &Made, workload: &Workload, email: &Email, now: Timestamp) -> Bound {
    let ksa = key_of(workload).and_then(|key| {
        let ksa = made.desired.ksas.get(&key)?;
        (ksa.account.as_ref() == Some(email)).then_some((key, ksa))
    });
    let Some((key, ksa)) = ksa else {
        return Bound::NotDeclared;
    };
    if let Some(problem) = made.plan.errors.first() {
        return Bound::CannotSay(format!("`wi plan` has errors: {}", problem.message));
    }
    let waits = waits(&made.plan, &key, ksa, email);
    if !waits.is_empty() {
        return Bound::Waits(waits);
    }
    match given(made, &key, ksa, now) {
        Ok(Given::Account(given)) if given == *email => nodes(&made.live, &workload.cluster),
        Ok(Given::Account(other)) => {
            Bound::CannotSay(format!("it would be {other}: its annotation says so"))
        }
        Ok(Given::Principal(_)) => {
            Bound::CannotSay("its Kubernetes service account has no annotation".to_owned())
        }
        Ok(Given::Nobody(why) | Given::Unseen(why)) => Bound::CannotSay(why.to_string()),
        Err(why) => Bound::CannotSay(why),
    }
}

/// Changes of the plan, and what it holds back, on which the workload's identity rests.
fn waits(plan: &Plan, key: &KsaKey, ksa: &DesiredKsa, email: &Email) -> BTreeSet<Address> {
    let concerns = |edit: &Edit| match edit {
        Edit::ClusterPool(_) | Edit::NodePool(_) => edit.cluster() == Some(key.cluster.as_str()),
        Edit::RestoreSettings(_) | Edit::Key(_) | Edit::Secret(_) => false,
        Edit::Namespace(_) => edit.address() == key.namespace_key().address(),
        Edit::Ksa(_) => edit.address() == key.address(),
        Edit::Account(account) => account.email == *email,
        Edit::Binding(binding) => {
            let of_account = binding.key.resource == Resource::ServiceAccount(email.clone());
            of_account && binding.key.member == Member::Ksa(ksa.identity.clone())
        }
    };
    let changes = plan.changes.iter();
    let changes = changes.filter(|(_, change)| concerns(&change.edit));
    let held = plan.held_back.iter();
    let held = held.filter(|h| !matches!(h.why, HoldReason::Keys { .. }));
    let held = held.map(|h| &h.address);
    let held = held.filter(|a| a.cluster() == Some(key.cluster.as_str()));
    changes
        .map(|(address, _)| address)
        .chain(held)
        .cloned()
        .collect()
}

/// What the metadata server gives the Kubernetes service account.
fn given(made: &Made, key: &KsaKey, ksa: &DesiredKsa, now: Timestamp) -> Result<Given, String> {
    let live = &made.live;
    let objects = match live.kubernetes.get(&key.cluster) {
        Some(Seen::Found(objects)) => objects,
        Some(Seen::Unknown(why)) => return Err(why.to_string()),
        Some(Seen::Absent) | None => return Err("its cluster could not be read".to_owned()),
    };
    let name = (key.namespace.to_string(), key.name.to_string());
    let meta = objects.service_accounts.get(&name);
    let meta = meta.ok_or("its Kubernetes service account is not there")?;
    let cluster = made.desired.clusters.get(&key.cluster);
    let path = &cluster.ok_or("its cluster is not of the spec")?.path;
    let annotation = meta.annotations.get(GSA_ANNOTATION).map(String::as_str);
    let number = live
        .numbers
        .get(&path.project)
        .and_then(|n| n.found().copied());
    let ksa = access::Ksa {
        identity: &ksa.identity,
        cluster: path,
        number,
        uid: &meta.uid,
        annotation,
    };
    Ok(access::by_metadata_server(live, &ksa, Some(now)))
}

fn nodes(live: &Live, cluster: &str) -> Bound {
    match live.clusters.get(cluster) {
        Some(Seen::Found(cluster)) => {
            let has_server = |p| !cluster.has_node_identity(p);
            match cluster.autopilot.enabled || cluster.node_pools.iter().any(has_server) {
                true => Bound::Yes,
                false => Bound::CannotSay(
                    "no node pool of its cluster runs the GKE metadata server".to_owned(),
                ),
            }
        }
        Some(Seen::Unknown(why)) => Bound::CannotSay(why.to_string()),
        Some(Seen::Absent) | None => Bound::CannotSay("its cluster was not found".to_owned()),
    }
}
