//! Which cluster is in which wave.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{Rollout, Selector};

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
    /// The other wave that it takes.
    pub other: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// The way out.
    pub help: Option<String>,
}

/// What is not known of clusters and waves, so that it breaks no rule.
#[derive(Debug, Default)]
pub struct Doubts {
    /// There may be more clusters.
    pub more: bool,
    /// Waves of which it is not known which clusters they have.
    pub waves: BTreeSet<usize>,
    /// Clusters that a wave means, though it calls them otherwise.
    pub meant: BTreeSet<String>,
}

/// Puts every cluster, by its name and its labels, into exactly one wave.
pub fn assign<'a>(
    rollout: &Rollout,
    clusters: impl Iterator<Item = (&'a str, &'a BTreeMap<String, String>)>,
    doubts: &Doubts,
) -> Assigned {
    let mut assigned = Assigned::default();
    let mut broken = |wave: Option<usize>, other: Option<usize>, message: String, help: &str| {
        assigned.broken.push(Broken {
            wave,
            other,
            message,
            help: (!help.is_empty()).then(|| help.to_owned()),
        });
    };
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    let mut remaining = None;
    for (index, wave) in rollout.waves.iter().enumerate() {
        if let Some(first) = names.insert(&wave.name, index) {
            let message = format!("two waves are called `{}`", wave.name);
            let help = "Give each a name of its own.";
            broken(Some(index), Some(first), message, help);
        }
        if wave.clusters.is_none()
            && let Some(first) = remaining.replace(index)
        {
            let message = "two waves have the remaining clusters".to_owned();
            broken(Some(index), Some(first), message, "One wave can have them.");
        }
    }
    let mut wave_of = BTreeMap::new();
    let mut counts = vec![0_usize; rollout.waves.len()];
    let mut nowhere = Vec::new();
    let mut twice: BTreeMap<(usize, usize), Vec<&str>> = BTreeMap::new();
    for (name, labels) in clusters {
        let mut of: Vec<usize> = rollout
            .waves
            .iter()
            .enumerate()
            .filter(|(_, wave)| {
                wave.clusters
                    .as_ref()
                    .is_some_and(|s| s.selects(name, labels))
            })
            .map(|(index, _)| index)
            .collect();
        if of.is_empty() {
            of.extend(remaining);
        }
        match of.as_slice() {
            [] => nowhere.push(name),
            [index] => {
                wave_of.insert(name.to_owned(), *index);
                counts[*index] += 1;
            }
            [first, second, ..] => {
                twice.entry((*first, *second)).or_default().push(name);
                counts[*first] += 1;
                counts[*second] += 1;
            }
        }
    }
    for ((first, second), clusters) in twice {
        let (message, help) = (
            format!(
                "{} in the waves `{}` and `{}`",
                match clusters.as_slice() {
                    [one] => format!("the cluster `{one}` is"),
                    several => format!("the clusters {} are", some_of(several.iter().copied())),
                },
                rollout.waves[first].name,
                rollout.waves[second].name
            ),
            "Every cluster is in exactly one: narrow one of the two, or let the last wave have the `remaining` ones.",
        );
        broken(Some(second), Some(first), message, help);
    }
    nowhere.retain(|name| doubts.waves.is_empty() && !doubts.meant.contains(*name));
    let mut no_wave =
        (!nowhere.is_empty()).then(|| format!("no wave has {}", some_of(nowhere.iter().copied())));
    for (index, wave) in rollout.waves.iter().enumerate() {
        let known = !doubts.more && !doubts.waves.contains(&index);
        let selects = match &wave.clusters {
            // That nothing remains is no mistake: the wave is for clusters to come.
            None => false,
            // Names that are not there are told one by one.
            Some(Selector::Names(names)) => names.is_empty(),
            Some(_) => true,
        };
        if known && counts[index] == 0 && selects {
            let mut message = format!("the wave `{}` has no cluster", wave.name);
            // Most likely it should have these.
            if let Some(no_wave) = no_wave.take() {
                message = format!("{message}, and {no_wave}");
            }
            broken(Some(index), None, message, "");
        }
    }
    if let Some(message) = no_wave {
        let help = "Add a last wave that has what is left: { name: rest, clusters: remaining }";
        broken(None, None, message, help);
    }
    assigned.wave_of = wave_of;
    assigned
}

/// The first few names, and how many there are besides.
pub fn some_of<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = names.len().saturating_sub(5);
    let mut some: Vec<String> = names.take(5).map(|n| format!("`{n}`")).collect();
    let last = match (more, some.len()) {
        (0, 0 | 1) => return some.concat(),
        (0, _) => some.pop().unwrap_or_default(),
        (n, _) => format!("{n} more"),
    };
    format!("{} and {last}", some.join(", "))
}
