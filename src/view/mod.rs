//! Turns values into what people and programs read. Nothing else prints.

pub mod access;
pub mod audit;
mod cause;
pub mod doctor;
pub mod explain;
pub mod findings;
pub mod graph;
mod impact;
pub mod importing;
pub mod json;
pub mod logs;
pub mod markdown;
pub mod migrate;
pub mod outcome;
pub mod page;
pub mod print;
pub mod progress;
pub mod reading;
pub mod scanning;
pub mod style;
pub mod suggest;
pub mod text;
pub mod verify;
mod wave_table;
pub mod wrap;
mod xml;

use std::collections::BTreeMap;

use wi_core::live::ReachedBy;
use wi_core::words::safe;

/// How the Kubernetes APIs of clusters were reached: each one, or how many of each kind.
pub fn reached_by(clusters: &BTreeMap<String, ReachedBy>) -> Option<String> {
    if clusters.is_empty() {
        return None;
    }
    if clusters.len() <= 3 {
        let each = clusters
            .iter()
            .map(|(cluster, by)| format!("cluster.{} by its {by}", safe(cluster)));
        return Some(format!("Read {}.\n", each.collect::<Vec<_>>().join(", ")));
    }
    let mut kinds = BTreeMap::new();
    for by in clusters.values() {
        *kinds.entry(by.kind()).or_insert(0) += 1;
    }
    let each = kinds
        .iter()
        .map(|(kind, count)| format!("{count} by their {kind}"));
    Some(format!(
        "Read {} clusters: {}.\n",
        clusters.len(),
        each.collect::<Vec<_>>().join(", ")
    ))
}

/// What a saved plan is, in two lines.
pub fn saved(file: &wi_core::plan::saved::PlanFile) -> String {
    let made_on = file
        .made_on
        .as_ref()
        .map(|on| format!(" on {}", safe(on)))
        .unwrap_or_default();
    format!(
        "Plan of `{}`, made {} by wi {}{made_on}.\nHash: {}\n",
        safe(&file.plan.owner),
        file.made_at.strftime("%Y-%m-%d %H:%M UTC"),
        safe(&file.wi_version),
        file.hash()
    )
}
