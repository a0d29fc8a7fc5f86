//! Clusters that the spec does not mention, in which a change takes effect all the same.

use std::collections::BTreeSet;

use crate::desired::{Desired, GSA_ANNOTATION};
use crate::live::{Live, Outside, Seen};
use crate::names::{KsaIdentity, Member};
use crate::plan::ownership::owner_of;
use crate::plan::{Edit, Plan};
use crate::wire::kubernetes::ObjectMeta;

/// Says which of them carry this spec's mark: they were in the spec, until somebody took them out of it, or
/// took the label away by which they were found.
pub(in crate::plan) fn tell_dropped(desired: &Desired, live: &Live, plan: &mut Plan) {
    for outside in &live.outside {
        let marked = marked(outside, &desired.owner);
        let names: Vec<String> = marked
            .map(|meta| {
                let account = meta.annotations.get(GSA_ANNOTATION);
                let account = account.filter(|a| !a.is_empty());
                let acts = account.map(|a| format!(" as {a}")).unwrap_or_default();
                format!("{}/{}{acts}", meta.namespace, meta.name)
            })
            .collect();
        if names.is_empty() {
            continue;
        }
        plan.warnings.push(format!(
            "{} was in this spec and is not any more: nothing on it is changed, and what its service accounts rely on stays, which carry the spec's mark: {}. Put it back (into `clusters`, or the label by which `discover` finds it); or, if it is to go, delete them there, and plan again",
            outside.path,
            names.join(", ")
        ));
    }
}

/// The Kubernetes service accounts of a cluster that carry the mark of the spec named so.
pub(in crate::plan) fn marked<'a>(
    outside: &'a Outside,
    owner: &str,
) -> impl Iterator<Item = &'a ObjectMeta> {
    let all = outside.service_accounts.found().into_iter().flatten();
    all.filter(move |meta| owner_of(meta) == Some(owner))
}

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
            .map(|meta| KsaIdentity::new(&pool, &meta.namespace, &meta.name))
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
