//! Clusters that the spec does not mention, in which a change takes effect all the same.

use std::collections::BTreeSet;

use crate::live::{Live, Seen};
use crate::names::{KsaIdentity, Member};
use crate::plan::{Edit, Plan};

/// Warns of them by name.
pub(in crate::plan) fn warn(live: &Live, plan: &mut Plan) {
    let touched: BTreeSet<&KsaIdentity> = plan
        .changes
        .values()
        .filter_map(|c| match &c.edit {
            Edit::Binding(binding) => match &binding.key.member {
                Member::Ksa(ksa) => Some(ksa),
                _ => None,
            },
            _ => None,
        })
        .collect();
    if touched.is_empty() {
        return;
    }
    let mut unread = Vec::new();
    let mut warnings = Vec::new();
    for outside in &live.outside {
        let there = match &outside.service_accounts {
            Seen::Found(there) => there,
            Seen::Absent => continue,
            Seen::Unknown(_) => {
                unread.push(outside.path.to_string());
                continue;
            }
        };
        let pool = outside.path.project.workload_pool();
        let same: BTreeSet<String> = there
            .iter()
            .map(|meta| KsaIdentity {
                pool: pool.clone(),
                namespace: meta.namespace.clone(),
                name: meta.name.clone(),
            })
            .filter(|k| touched.contains(k))
            .map(|k| format!("{}/{}", k.namespace, k.name))
            .collect();
        let same: Vec<String> = same.into_iter().collect();
        if !same.is_empty() {
            warnings.push(format!(
                "{}, which is not in the spec, has {}, too: it is the same identity there, and gains and loses the same at once",
                outside.path,
                same.join(", ")
            ));
        }
    }
    if !unread.is_empty() {
        warnings.push(format!(
            "whether these clusters, which are not in the spec, have the same identities could not be read: {}",
            unread.join(", ")
        ));
    }
    plan.warnings.extend(warnings);
}
