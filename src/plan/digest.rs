//! What makes two plans the same one: what they would do, and to whom it does harm.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{Action, Attribute, Fate, Plan, What};
use crate::digest::sha256;

/// One change, without what is about the moment: versions, line numbers, remarks.
#[derive(Serialize)]
struct Essence<'a> {
    address: &'a str,
    action: Action,
    what: What,
    attributes: &'a [Attribute],
    needs: &'a BTreeSet<String>,
    wave: usize,
}

impl Plan {
    /// SHA-256 in hexadecimal: the same for two plans that would do the same, whenever they were
    /// made. Versions of objects, numbers of nodes and places in the spec do not count.
    pub fn digest(&self) -> String {
        let changes: Vec<Essence> = self
            .changes
            .iter()
            .map(|(address, change)| Essence {
                address,
                action: change.action,
                what: timeless(&change.what),
                attributes: &change.attributes,
                needs: &change.needs,
                wave: change.wave,
            })
            .collect();
        let losing: BTreeSet<(&str, &super::Workload)> = self
            .impact
            .iter()
            .flat_map(|(address, impact)| {
                impact
                    .workloads
                    .iter()
                    .filter(|(fate, _)| matches!(fate, Fate::Loses(_) | Fate::LosesAccepted))
                    .flat_map(move |(_, all)| all.iter().map(move |w| (address.as_str(), w)))
            })
            .collect();
        let held: BTreeSet<&str> = self.held_back.iter().map(|h| h.address.as_str()).collect();
        let text = serde_json::to_vec(&(&self.owner, changes, losing, held))
            .expect("no key of these maps is anything but text");
        sha256(&text)
    }
}

fn timeless(what: &What) -> What {
    let mut what = what.clone();
    match &mut what {
        What::Namespace(write) | What::Ksa { change: write, .. } => write.before = None,
        What::NodePool { nodes, .. } => *nodes = 0,
        _ => {}
    }
    what
}
