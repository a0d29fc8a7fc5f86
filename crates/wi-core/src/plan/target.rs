//! `--target`: a part of the plan, with all that it needs.

use std::collections::{BTreeMap, BTreeSet};

use super::{Plan, Subject, restarts};
use crate::address::Address;
use crate::desired::Desired;
use crate::graph::Graph;
use crate::live::{Live, Seen};

/// Leaves only changes whose address is one of `targets`, or below one (`ksa.main/shop` takes all
/// accounts of that namespace), and what those need. Answers with the targets that match nothing.
pub fn restrict_to(plan: &mut Plan, live: &Live, targets: &[String]) -> Vec<String> {
    let mut keep: BTreeSet<Address> = BTreeSet::new();
    let mut unmatched = Vec::new();
    for target in targets {
        let before = keep.len();
        keep.extend(plan.changes.keys().filter(|a| a.is_in(target)).cloned());
        if keep.len() == before && !keep.iter().any(|a: &Address| a.is_in(target)) {
            unmatched.push(target.clone());
        }
    }
    let mut todo: Vec<Address> = keep.iter().cloned().collect();
    while let Some(address) = todo.pop() {
        for needed in plan
            .changes
            .get(&address)
            .into_iter()
            .flat_map(|c| &c.needs)
        {
            if keep.insert(needed.clone()) {
                todo.push(needed.clone());
            }
        }
    }
    plan.keep_only("--target", |address, _| keep.contains(address));
    // What is wrong elsewhere does not stop this part.
    plan.errors.retain(|e| match &e.subject {
        Subject::Whole | Subject::Removals => true,
        Subject::Resource(a) => keep.contains(a) || targets.iter().any(|target| a.is_in(target)),
    });
    restarts::list(live, plan);
    unmatched
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
    Graph::of(desired, &pools).into_addresses()
}
