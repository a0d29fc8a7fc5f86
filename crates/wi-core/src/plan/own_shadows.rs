//! The shadows that this spec has made, and what a template waits for that has one.

use std::collections::BTreeMap;

use crate::address::WorkloadKey;
use crate::desired::Desired;
use crate::live::Live;
use crate::live::shadows::ShadowSeen;
use crate::migrate::shadow::{Mark, standing};
use crate::migrate::templates::Hold;
use crate::spec::migration::Migration;

/// Those that this spec has made, by the Deployments beside which they stand.
pub(super) fn own<'a>(
    live: &'a Live,
    owner: &str,
) -> BTreeMap<WorkloadKey, (&'a ShadowSeen, Mark)> {
    let all = live.shadows.values().flatten().flatten();
    let own = all.filter(|shadow| shadow.owner().as_deref() == Some(owner));
    own.filter_map(|shadow| {
        let mark = shadow.mark()?;
        let key = WorkloadKey {
            cluster: shadow.cluster.clone(),
            namespace: shadow.meta().namespace.parse().ok()?,
            kind: "Deployment".to_owned(),
            name: mark.name.parse().ok()?,
        };
        Some((key, (shadow, mark)))
    })
    .collect()
}

/// Whether the shadow of a template that is to be without its key has shown for long enough that it can.
///
/// # Errors
/// Why not yet.
pub(super) fn gate(
    desired: &Desired,
    live: &Live,
    migration: &Migration,
    key: &WorkloadKey,
) -> Result<(), Vec<Hold>> {
    let own = own(live, &desired.owner);
    let Some((shadow, _)) = own.get(key) else {
        return Ok(());
    };
    let soaked = standing::soaked(shadow, &migration.soak);
    soaked.map_err(|(why, passes)| vec![Hold::Shadow { why, passes }])
}
