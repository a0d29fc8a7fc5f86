//! `--target`: a part of the plan, with all that it needs.

use std::collections::BTreeSet;

use super::{Plan, access, restarts};
use crate::desired::Desired;
use crate::live::Live;

/// An error of the whole plan has this address: it counts whatever is targeted.
pub const WHOLE: &str = "the plan as a whole";

/// Leaves only changes whose address is one of `targets`, or below one (`ksa.main/shop` takes all
/// accounts of that namespace), and what those need. Answers with the targets that match nothing.
pub fn restrict_to(
    plan: &mut Plan,
    desired: &Desired,
    live: &Live,
    targets: &[String],
) -> Vec<String> {
    let matches = |target: &str, address: &str| {
        address == target
            || address
                .strip_prefix(target)
                .is_some_and(|rest| rest.starts_with(['/', ':', '@', '.']))
    };
    let mut keep = BTreeSet::new();
    let mut unmatched = Vec::new();
    for target in targets {
        let before = keep.len();
        keep.extend(plan.changes.keys().filter(|a| matches(target, a)).cloned());
        if keep.len() == before && !keep.iter().any(|a: &String| matches(target, a)) {
            unmatched.push(target.clone());
        }
    }
    let mut todo: Vec<String> = keep.iter().cloned().collect();
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
    plan.errors.retain(|e| {
        e.address == WHOLE
            || keep.contains(&e.address)
            || targets.iter().any(|target| matches(target, &e.address))
    });
    access::list(desired, plan);
    restarts::list(live, plan);
    unmatched
}
