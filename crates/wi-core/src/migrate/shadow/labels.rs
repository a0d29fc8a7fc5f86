//! The labels of a shadow's pods: by them Services, budgets, other controllers and NetworkPolicies know them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::traps::Trap;
use super::{LABEL, label_of, name_of, own_labels};
use crate::live::around::Around;
use crate::wire::budgets::Selector;

/// More labels than these that others go by are not tried.
const MOST: usize = 12;

/// The labels of a shadow's pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    /// All.
    pub all: BTreeMap<String, String>,
    /// Those of the original's pods that they do not have.
    pub dropped: BTreeMap<String, String>,
}

fn named(original: &Value) -> &str {
    original["metadata"]["name"].as_str().unwrap_or_default()
}

/// Labels under which nothing takes the pods for its own, and NetworkPolicies let them where they let the original's: the
/// fewest are dropped.
///
/// # Errors
/// There are no such labels.
pub fn dark(original: &Value, around: &Around) -> Result<Labels, Trap> {
    let mut all = own_labels(original);
    all.insert(LABEL.to_owned(), label_of(named(original)));
    let shadow = format!("Deployment {}", name_of(named(original)));
    let caught = |labels: &BTreeMap<String, String>| -> Vec<String> {
        let services = around.services.iter().filter(|s| s.selects(labels));
        let services = services.map(|s| format!("Service {}", s.name));
        let takers = around.takers.iter();
        let takers = takers.filter(|(name, by)| *name != shadow && by.selects(labels));
        let budgets = around.budgets.iter().filter(|(_, by)| by.selects(labels));
        let budgets = budgets.map(|(name, _)| format!("PodDisruptionBudget {name}"));
        services
            .chain(takers.map(|(name, _)| name.clone()))
            .chain(budgets)
            .collect()
    };
    let known = |labels: &BTreeMap<String, String>| -> Vec<bool> {
        let policies = around.policies.iter();
        policies.map(|by| by.selects(labels)).collect()
    };
    let meant = known(&all);
    let asked: Vec<&String> = all
        .keys()
        .filter(|key| *key != LABEL && is_asked(around, key))
        .collect();
    if asked.len() > MOST {
        return Err(Trap::ManyLabels(asked.len()));
    }
    let mut subsets: Vec<u32> = (0..1u32 << asked.len()).collect();
    subsets.sort_by_key(|set| (set.count_ones(), *set));
    for set in subsets {
        let is_dropped = |key: &String| {
            let at = asked.iter().position(|a| *a == key);
            at.is_some_and(|at| set & (1 << at) != 0)
        };
        let (dropped, kept): (BTreeMap<_, _>, BTreeMap<_, _>) = all
            .clone()
            .into_iter()
            .partition(|(key, _)| is_dropped(key));
        if caught(&kept).is_empty() && known(&kept) == meant {
            return Ok(Labels { all: kept, dropped });
        }
    }
    let without: BTreeMap<String, String> = all
        .iter()
        .filter(|(key, _)| !asked.contains(key))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    match caught(&without) {
        by if by.is_empty() => Err(Trap::NeededByPolicies(caught(&all))),
        by => Err(Trap::Caught(by)),
    }
}

/// Whether something goes by a label.
fn is_asked(around: &Around, key: &str) -> bool {
    let asks = |by: &Selector| {
        let mut expressions = by.match_expressions.iter();
        by.match_labels.contains_key(key) || expressions.any(|r| r.key == key)
    };
    let mut services = around.services.iter();
    let mut others = around.takers.iter().chain(&around.budgets);
    services.any(|s| s.selector.contains_key(key)) || others.any(|(_, by)| asks(by))
}

/// The labels by which its pods stand behind the Services of the original's, and which these are.
///
/// # Errors
/// What stands against it.
pub fn canary(original: &Value, around: &Around) -> Result<(Labels, BTreeSet<String>), Trap> {
    let mut all = own_labels(original);
    all.insert(LABEL.to_owned(), label_of(named(original)));
    let behind: Vec<_> = around.services.iter().filter(|s| s.selects(&all)).collect();
    if behind.is_empty() {
        return Err(Trap::NoService);
    }
    if let Some(service) = behind.iter().find(|s| s.sends_to_unready) {
        return Err(Trap::SendsToUnready(service.name.clone()));
    }
    // By the labels of what it scales an autoscaler counts pods; and what the canary takes off them, it sees, too.
    let counts = |target: &str| {
        let mut takers = around.takers.iter();
        takers.any(|(name, by)| name == target && by.selects(&all))
    };
    let scales = |(kind, name): (&str, &str)| {
        let is_own = kind == "Deployment" && name == named(original);
        is_own || counts(&format!("{kind} {name}"))
    };
    let mut autoscalers = around.autoscalers.iter();
    if let Some(by) = autoscalers.find(|a| scales((&a.kind, &a.target))) {
        return Err(Trap::Autoscaler(by.name.clone()));
    }
    let budgets = around.budgets.iter().filter(|(_, by)| by.selects(&all));
    let budgets: Vec<String> = budgets.map(|(name, _)| name.clone()).collect();
    if budgets.len() > 1 {
        return Err(Trap::TwoBudgets(budgets));
    }
    let services = behind.into_iter().map(|s| s.name.clone()).collect();
    let dropped = BTreeMap::new();
    Ok((Labels { all, dropped }, services))
}
