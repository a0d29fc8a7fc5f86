//! All rules over one world, and what came of it.

use std::collections::{BTreeMap, BTreeSet};

use wi_core::findings::{Finding, NotSeen};

use crate::out::{Out, Unchecked};
use crate::rule::Audited;
use crate::world::World;

/// What the rules found.
#[derive(Debug, Default)]
pub struct Audit {
    /// In the order of the rules.
    pub findings: Vec<Finding>,
    /// What could not be looked at, with the rules that wanted to.
    pub not_seen: Vec<NotSeen>,
    /// How many rules looked at all that they wanted to.
    pub checked: usize,
    /// Ids of those that could not look at all of it.
    pub unchecked: BTreeSet<&'static str>,
    /// Ids of those that say nothing of a spec alone.
    pub left_out: Vec<&'static str>,
}

/// Asks these rules. Of a spec alone only those that say something of one are asked.
pub fn audit(world: &World, rules: &[&'static Audited]) -> Audit {
    let mut all = Audit::default();
    let mut unseen: BTreeMap<Unchecked, BTreeSet<&str>> = BTreeMap::new();
    for rule in rules {
        if world.live.is_none() && !rule.offline {
            all.left_out.push(rule.id());
            continue;
        }
        let mut out = Out::new(&rule.rule);
        (rule.check)(world, &mut out);
        match out.unchecked.is_empty() {
            true => all.checked += 1,
            false => _ = all.unchecked.insert(rule.id()),
        }
        all.findings.append(&mut out.findings);
        for unchecked in out.unchecked {
            unseen.entry(unchecked).or_default().insert(rule.id());
        }
    }
    let not_seen = unseen.into_iter().map(|(thing, rules)| {
        let rules: Vec<&str> = rules.into_iter().collect();
        NotSeen {
            what: thing.what,
            why: format!(
                "{} (it takes {}; not checked: {})",
                thing.why,
                thing.takes.permission(),
                rules.join(", ")
            ),
        }
    });
    all.not_seen = not_seen.collect();
    all
}
