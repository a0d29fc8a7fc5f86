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
        let same = match &outside.same {
            Seen::Found(same) => same,
            Seen::Absent => continue,
            Seen::Unknown(_) => {
                unread.push(outside.path.to_string());
                continue;
            }
        };
        let same: Vec<String> = same
            .iter()
            .filter(|k| touched.contains(k))
            .map(|k| format!("{}/{}", k.namespace, k.name))
            .collect();
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
