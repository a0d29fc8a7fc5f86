//! Which cluster is in which wave.

use std::collections::BTreeMap;

use super::model::{ClusterSpec, Rollout};

/// The waves of clusters, and what breaks their rules.
#[derive(Debug, Default)]
pub struct Assigned {
    /// The index of each cluster's wave.
    pub wave_of: BTreeMap<String, usize>,
    /// Rules that do not hold.
    pub broken: Vec<Broken>,
}

/// A rule of waves that does not hold.
#[derive(Debug)]
pub struct Broken {
    /// The wave where it shows; `None`: the rollout as a whole.
    pub wave: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// The way out.
    pub help: Option<String>,
}

/// Puts every cluster into exactly one wave. `more`: clusters may still be found, so that waves
/// without any, and names that are not known, are no mistakes.
pub fn assign(rollout: &Rollout, clusters: &BTreeMap<String, ClusterSpec>, more: bool) -> Assigned {
    let mut assigned = Assigned::default();
    let mut broken = |wave: Option<usize>, message: String, help: &str| {
        assigned.broken.push(Broken {
            wave,
            message,
            help: (!help.is_empty()).then(|| help.to_owned()),
        });
    };
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    let mut remaining = None;
    for (index, wave) in rollout.waves.iter().enumerate() {
        if names.insert(&wave.name, index).is_some() {
            let message = format!("two waves are called `{}`", wave.name);
            broken(Some(index), message, "Give each a name of its own.");
        }
        if wave.clusters.is_none() && remaining.replace(index).is_some() {
            let message = "two waves have the remaining clusters".to_owned();
            broken(Some(index), message, "One wave can have them.");
        }
    }
    let mut wave_of = BTreeMap::new();
    let mut counts = vec![0_usize; rollout.waves.len()];
    let mut nowhere = Vec::new();
    for (name, cluster) in clusters {
        let mut of: Vec<usize> = rollout
            .waves
            .iter()
            .enumerate()
            .filter(|(_, wave)| {
                wave.clusters
                    .as_ref()
                    .is_some_and(|s| s.selects(name, &cluster.labels))
            })
            .map(|(index, _)| index)
            .collect();
        if of.is_empty() {
            of.extend(remaining);
        }
        match of.as_slice() {
            [] => nowhere.push(name.as_str()),
            [index] => {
                wave_of.insert(name.clone(), *index);
                counts[*index] += 1;
            }
            [first, second, ..] => {
                let message = format!(
                    "the cluster `{name}` is in the waves `{}` and `{}`",
                    rollout.waves[*first].name, rollout.waves[*second].name
                );
                let help = "Every cluster is in exactly one: narrow one of the two, or let the last wave have the `remaining` ones.";
                broken(Some(*second), message, help);
                counts[*first] += 1;
                counts[*second] += 1;
            }
        }
    }
    if !nowhere.is_empty() {
        let some: Vec<String> = nowhere.iter().take(5).map(|n| format!("`{n}`")).collect();
        let more = match nowhere.len() - some.len() {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        let message = format!("no wave has {}{more}", some.join(", "));
        let help = "Add a last wave that has what is left: { name: rest, clusters: remaining }";
        broken(None, message, help);
    }
    if !more {
        for (index, wave) in rollout.waves.iter().enumerate() {
            // That nothing remains is no mistake: the wave is for clusters to come.
            if counts[index] == 0 && wave.clusters.is_some() {
                let message = format!("the wave `{}` has no cluster", wave.name);
                broken(Some(index), message, "");
            }
        }
    }
    assigned.wave_of = wave_of;
    assigned
}
