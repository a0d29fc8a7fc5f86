//! `--target` and `--cluster`: a part of the plan, with all that it needs.

use std::collections::{BTreeMap, BTreeSet};

use super::diff::keys::key_of;
use super::diff::templates::workload_of;
use super::{Action, Edit, Plan, Subject, restarts};
use crate::address::{AccountName, Address, WorkloadKey};
use crate::desired::{Desired, DesiredKsa};
use crate::graph::Graph;
use crate::live::{Live, Seen};
use crate::names::{Email, KsaIdentity, Member};

/// Leaves only changes whose address is one of `targets`, or below one (`ksa.main/shop` takes all
/// accounts of that namespace), and what those need. Answers with the targets that match nothing.
pub fn restrict_to(plan: &mut Plan, live: &Live, targets: &[String]) -> Vec<String> {
    let is_wanted = |address: &Address| targets.iter().any(|target| address.is_in(target));
    let wanted = plan.changes.keys().filter(|a| is_wanted(a)).cloned();
    let wanted: BTreeSet<Address> = wanted.collect();
    let is_unmatched = |target: &&String| !wanted.iter().any(|a| a.is_in(target));
    let unmatched = targets.iter().filter(is_unmatched).cloned().collect();
    keep(plan, live, "--target", wanted, is_wanted);
    unmatched
}

/// Leaves only what is in these clusters, what the workloads of their service accounts are given, and what all
/// that needs. What is taken from an identity is left out: other clusters may have it, too.
pub fn restrict_to_clusters(
    plan: &mut Plan,
    desired: &Desired,
    live: &Live,
    clusters: &BTreeSet<String>,
) {
    let here = desired.ksas.iter();
    let here = here.filter(|(key, _)| clusters.contains(&key.cluster));
    let here: Vec<&DesiredKsa> = here.map(|(_, ksa)| ksa).collect();
    let accounts = here.iter().filter_map(|ksa| ksa.account.as_ref());
    let accounts: BTreeSet<&Email> = accounts.collect();
    let identities: BTreeSet<&KsaIdentity> = here.iter().map(|ksa| &ksa.identity).collect();
    let given = |edit: &Edit| match edit {
        Edit::Account(account) => accounts.contains(&account.email),
        Edit::Binding(binding) if binding.adds() => match &binding.key.member {
            Member::Ksa(ksa) => identities.contains(ksa),
            Member::ServiceAccount(email) => accounts.contains(email),
            _ => false,
        },
        _ => false,
    };
    let wanted = plan.changes.iter().filter(|(_, change)| {
        // A Secret goes after the key that it held, which other clusters may have, too. What an identity had goes in
        // all clusters at once, and the marks that tell of it after that.
        let goes_with_all = match &change.edit {
            Edit::Secret(_) => true,
            Edit::Ksa(ksa) if ksa.leaves() => change.needs.iter().any(|n| plan.removes_member(n)),
            _ => false,
        };
        let cluster = change.cluster().filter(|_| !goes_with_all);
        cluster.is_some_and(|c| clusters.contains(c))
            || change.action() != Action::Delete && given(&change.edit)
    });
    let wanted = wanted.map(|(address, _)| address.clone()).collect();
    keep(plan, live, "--cluster", wanted, |address| {
        address.cluster().is_some_and(|c| clusters.contains(c))
    });
}

/// Leaves only these changes and what they need, and of the errors those about them or about what is wanted.
fn keep(
    plan: &mut Plan,
    live: &Live,
    flag: &str,
    wanted: BTreeSet<Address>,
    is_wanted: impl Fn(&Address) -> bool,
) {
    let mut todo: Vec<Address> = wanted.iter().cloned().collect();
    let mut keep = wanted;
    while let Some(address) = todo.pop() {
        let change = plan.changes.get(&address);
        for needed in change.into_iter().flat_map(|c| &c.needs) {
            if keep.insert(needed.clone()) {
                todo.push(needed.clone());
            }
        }
        // Whose annotation is given back before that is taken.
        if plan.removes_member(&address) {
            let given_back = plan.changes.iter().filter(|(_, c)| {
                c.needs.contains(&address)
                    && matches!(&c.edit, Edit::Ksa(ksa) if ksa.gives_back().is_some())
            });
            for (address, _) in given_back {
                if keep.insert(address.clone()) {
                    todo.push(address.clone());
                }
            }
        }
    }
    plan.keep_only(flag, |address, _| keep.contains(address));
    // What is wrong elsewhere does not stop this part.
    plan.errors.retain(|e| match &e.subject {
        Subject::Whole | Subject::Removals => true,
        Subject::Resource(a) => keep.contains(a) || is_wanted(a),
    });
    restarts::list(live, plan);
}

/// The addresses of what the spec asks for, and of the node pools of its clusters, as far as these were seen.
pub fn addresses(desired: &Desired, live: &Live) -> BTreeSet<Address> {
    let mut pools = BTreeMap::new();
    for name in desired.clusters.keys() {
        if let Some(Seen::Found(cluster)) = live.clusters.get(name) {
            let names = cluster.node_pools.iter().map(|p| p.name.clone());
            pools.insert(name.clone(), names.collect());
        }
    }
    let mut all = Graph::of(desired, &pools).into_addresses();
    // Keys that migrations are about, and Secrets that have them.
    for name in desired.migrations.keys() {
        let account = desired.accounts.get(name);
        let keys = account.and_then(|a| live.keys.get(&a.email)?.found());
        let of_spec = AccountName::of_spec(name);
        let keys = keys.into_iter().flatten();
        all.extend(keys.map(|key| Address::key(&of_spec, key.id())));
        let of = live.off_keys.get(name).into_iter();
        let secrets = of.clone().flat_map(|of| &of.secrets);
        all.extend(secrets.filter_map(|s| Some(key_of(s)?.address())));
        let templates = of.flat_map(|of| of.templates.iter().flatten());
        let templates: Vec<_> = templates.filter_map(workload_of).collect();
        all.extend(templates.iter().map(WorkloadKey::template));
        all.extend(templates.iter().map(WorkloadKey::shadow));
    }
    all
}
