//! Groups changes into steps, and says which step may start: one write per policy.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use wi_core::address::Address;
use wi_core::plan::{Binding, Edit, Plan};
use wi_core::resource::Resource;

/// Changes that are carried out together.
#[derive(Debug, Clone)]
pub(super) struct Step {
    /// What is changed.
    pub addresses: BTreeSet<Address>,
    /// The policy whose members they are, for bindings.
    pub policy: Option<Resource>,
}

/// All steps of a plan, and what each still waits for.
#[derive(Debug)]
pub(super) struct Steps {
    steps: Vec<Option<Step>>,
    /// Needed addresses that have not settled, per step.
    open: Vec<usize>,
    /// The steps that wait for an address.
    waiting: BTreeMap<Address, Vec<usize>>,
    ready: VecDeque<usize>,
}

impl Steps {
    /// The edits of one policy are one step, except removals that wait for more than accounts, pools, and
    /// what is added in the same one: those follow in a second one. So the first write never waits for a pod's annotation.
    /// Where steps would wait for each other all the same, one of them is divided.
    ///
    /// Of `addresses` only. `apart`: clusters are not all changed at the same time, so that no step
    /// may wait for the workload pools of two of them.
    pub fn of(plan: &Plan, addresses: &BTreeSet<Address>, apart: bool) -> Self {
        let mut steps: Vec<Step> = Vec::new();
        let mut of_policy: BTreeMap<(&Resource, bool, Vec<&Address>), usize> = BTreeMap::new();
        let changes = plan
            .changes
            .iter()
            .filter(|(address, _)| addresses.contains(*address));
        for (address, change) in changes {
            let Edit::Binding(Binding { key, .. }) = &change.edit else {
                steps.push(Step {
                    addresses: BTreeSet::from([address.clone()]),
                    policy: None,
                });
                continue;
            };
            let late = plan.is_late(change, apart);
            let pools = change.needs.iter().filter(|need| {
                apart
                    && plan
                        .changes
                        .get(*need)
                        .is_some_and(|c| matches!(c.edit, Edit::ClusterPool(_)))
            });
            let kind = (&key.resource, late, pools.collect());
            let index = *of_policy.entry(kind).or_insert_with(|| {
                steps.push(Step {
                    addresses: BTreeSet::new(),
                    policy: Some(key.resource.clone()),
                });
                steps.len() - 1
            });
            steps[index].addresses.insert(address.clone());
        }
        while let Some(settled) = settled_before_they_wait(plan, addresses, &steps) {
            if !divide(&mut steps, plan, addresses, &settled) {
                break; // the changes themselves wait for each other: apply tells that they did not begin
            }
        }
        Self::link(plan, addresses, steps)
    }

    fn link(plan: &Plan, addresses: &BTreeSet<Address>, steps: Vec<Step>) -> Self {
        let mut waiting: BTreeMap<Address, Vec<usize>> = BTreeMap::new();
        let mut open = Vec::with_capacity(steps.len());
        for (index, step) in steps.iter().enumerate() {
            let needs: BTreeSet<&Address> = step
                .addresses
                .iter()
                .flat_map(|a| &plan.changes[a].needs)
                .filter(|need| addresses.contains(*need) && !step.addresses.contains(*need))
                .collect();
            open.push(needs.len());
            for need in needs {
                waiting.entry(need.clone()).or_default().push(index);
            }
        }
        let ready = (0..steps.len()).filter(|i| open[*i] == 0).collect();
        Self {
            steps: steps.into_iter().map(Some).collect(),
            open,
            waiting,
            ready,
        }
    }

    /// A step whose needs have all settled, each handed out once.
    pub fn next_ready(&mut self) -> Option<Step> {
        self.ready
            .pop_front()
            .and_then(|index| self.steps[index].take())
    }

    /// The change at this address ended, one way or another.
    pub fn settled(&mut self, address: &str) {
        for index in self.waiting.remove(address).unwrap_or_default() {
            self.open[index] -= 1;
            if self.open[index] == 0 {
                self.ready.push_back(index);
            }
        }
    }
}

/// What ends before steps wait for each other; `None`: they do not.
fn settled_before_they_wait(
    plan: &Plan,
    addresses: &BTreeSet<Address>,
    steps: &[Step],
) -> Option<BTreeSet<Address>> {
    let mut rest = Steps::link(plan, addresses, steps.to_vec());
    let mut settled = BTreeSet::new();
    while let Some(step) = rest.next_ready() {
        for address in step.addresses {
            rest.settled(&address);
            settled.insert(address);
        }
    }
    let all: usize = steps.iter().map(|s| s.addresses.len()).sum();
    (settled.len() < all).then_some(settled)
}

/// Divides the steps of which a part waits for nothing more; whether there was one.
fn divide(
    steps: &mut Vec<Step>,
    plan: &Plan,
    addresses: &BTreeSet<Address>,
    settled: &BTreeSet<Address>,
) -> bool {
    let waits = |address: &Address| {
        let needs = plan.changes[address].needs.iter();
        let mut open = needs.filter(|need| addresses.contains(*need));
        open.any(|need| !settled.contains(need))
    };
    let mut parts = Vec::new();
    for step in steps.iter_mut() {
        if step.addresses.iter().any(|a| settled.contains(a)) {
            continue;
        }
        let (later, now): (BTreeSet<_>, BTreeSet<_>) =
            step.addresses.iter().cloned().partition(&waits);
        if !later.is_empty() && !now.is_empty() {
            step.addresses = later;
            parts.push(Step {
                addresses: now,
                policy: step.policy.clone(),
            });
        }
    }
    let any = !parts.is_empty();
    steps.extend(parts);
    any
}
