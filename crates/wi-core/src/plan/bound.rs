//! Whether a workload would be its account without a key: by what the plan still has to do, and by what the
//! metadata server would give it right now.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{Edit, HoldReason, Plan};
use crate::access::{self, Given};
use crate::address::{Address, KsaKey};
use crate::desired::{Desired, DesiredKsa, GSA_ANNOTATION};
use crate::live::{Live, Seen};
use crate::migrate::state::Bound;
use crate::names::{Email, Member};
use crate::resource::Resource;

/// The account that the spec lets a Kubernetes service account act as.
pub fn acts_as<'a>(desired: &'a Desired, key: &KsaKey) -> Option<&'a Email> {
    desired.ksas.get(key)?.account.as_ref()
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

/// Whether pods of a Kubernetes service account would be the account without a key.
pub fn of(
    desired: &Desired,
    live: &Live,
    plan: &Plan,
    key: &KsaKey,
    email: &Email,
    now: Option<Timestamp>,
) -> Bound {
    let ksa = desired.ksas.get(key);
    let Some(ksa) = ksa.filter(|ksa| ksa.account.as_ref() == Some(email)) else {
        return Bound::NotDeclared;
    };
    if let Some(problem) = plan.errors.first() {
        return Bound::CannotSay(format!("`wi plan` has errors: {}", problem.message));
    }
    let mut waits: BTreeSet<Address> = changes(plan, key, email).cloned().collect();
    waits.extend(held(plan, key).cloned());
    if !waits.is_empty() {
        return Bound::Waits(waits);
    }
    match given(desired, live, key, ksa, now) {
        Ok(Given::Account(given)) if given == *email => nodes(live, &key.cluster),
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

/// Changes of the plan on which the identity of pods of a Kubernetes service account rests.
pub fn changes<'a>(
    plan: &'a Plan,
    key: &KsaKey,
    email: &Email,
) -> impl Iterator<Item = &'a Address> {
    let concerns = move |edit: &Edit| match edit {
        Edit::ClusterPool(_) | Edit::NodePool(_) => edit.cluster() == Some(key.cluster.as_str()),
        Edit::RestoreSettings(_)
        | Edit::Key(_)
        | Edit::Secret(_)
        | Edit::Template(_)
        | Edit::Shadow(_) => false,
        Edit::Namespace(_) => edit.address() == key.namespace_key().address(),
        Edit::Ksa(_) => edit.address() == key.address(),
        Edit::Account(account) => account.email == *email,
        Edit::Binding(binding) => {
            let on = &binding.key.resource;
            let is_right = *on == Resource::ServiceAccount(email.clone()) || binding.key.is_wide();
            is_right
                && matches!(&binding.key.member, Member::Ksa(k)
                    if k.namespace == key.namespace.as_str() && k.name == key.name.as_str())
        }
    };
    let changes = plan.changes.iter();
    let changes = changes.filter(move |(_, change)| concerns(&change.edit));
    let all: Vec<&Address> = changes.map(|(address, _)| address).collect();
    all.into_iter()
}

/// What the plan holds back in the cluster, keys and templates aside.
pub fn held<'a>(plan: &'a Plan, key: &KsaKey) -> impl Iterator<Item = &'a Address> {
    let cluster = key.cluster.clone();
    let held = plan.held_back.iter();
    let held = held.filter(|h| !matches!(h.why, HoldReason::Keys { .. }));
    held.map(|h| &h.address)
        .filter(move |a| a.cluster() == Some(cluster.as_str()))
}

/// What the metadata server gives the Kubernetes service account.
fn given(
    desired: &Desired,
    live: &Live,
    key: &KsaKey,
    ksa: &DesiredKsa,
    now: Option<Timestamp>,
) -> Result<Given, String> {
    let objects = match live.kubernetes.get(&key.cluster) {
        Some(Seen::Found(objects)) => objects,
        Some(Seen::Unknown(why)) => return Err(why.to_string()),
        Some(Seen::Absent) | None => return Err("its cluster could not be read".to_owned()),
    };
    let name = (key.namespace.to_string(), key.name.to_string());
    let meta = objects.service_accounts.get(&name);
    let meta = meta.ok_or("its Kubernetes service account is not there")?;
    let cluster = desired.clusters.get(&key.cluster);
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
    Ok(access::by_metadata_server(live, &ksa, now))
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
