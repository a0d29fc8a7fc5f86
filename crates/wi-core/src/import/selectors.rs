//! Which clusters, in as few words as their labels allow.

use std::collections::{BTreeMap, BTreeSet};

use super::yaml::{list, map, scalar};

/// How clusters are selected.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Which {
    All,
    /// A label has one of these values.
    Label(String, BTreeSet<String>),
    Names(BTreeSet<String>),
}

impl Which {
    /// As YAML; `None`: all, which needs no words.
    pub fn yaml(&self) -> Option<String> {
        match self {
            Self::All => None,
            Self::Names(names) => Some(list(names)),
            Self::Label(key, values) => {
                let values: Vec<&String> = values.iter().collect();
                Some(match values.as_slice() {
                    [one] => map(&[format!("{}: {}", scalar(key), scalar(one))]),
                    several => {
                        let several: Vec<&str> = several.iter().map(|v| v.as_str()).collect();
                        format!("\"{key} in ({})\"", several.join(", "))
                    }
                })
            }
        }
    }

    /// The key of the label that it goes by.
    pub fn label(&self) -> Option<&str> {
        match self {
            Self::Label(key, _) => Some(key),
            Self::All | Self::Names(_) => None,
        }
    }
}

/// The labels of clusters by their names.
pub(super) type Labels = BTreeMap<String, BTreeMap<String, String>>;

/// Selects these clusters, and among `all` no other.
pub(super) fn select(wanted: &BTreeSet<String>, all: &BTreeSet<String>, labels: &Labels) -> Which {
    if wanted == all {
        return Which::All;
    }
    let names = || Which::Names(wanted.clone());
    if wanted.len() < 2 {
        return names();
    }
    let value = |cluster: &String, key: &str| labels.get(cluster)?.get(key).cloned();
    let of = labels.values().flat_map(BTreeMap::keys);
    let keys: BTreeSet<&String> = of.collect();
    let fits = keys.into_iter().filter_map(|key| {
        let values: Option<BTreeSet<String>> = wanted.iter().map(|c| value(c, key)).collect();
        let values = values?;
        let others = all.difference(wanted);
        let mut others = others.filter_map(|c| value(c, key));
        let is_apart = others.all(|v| !values.contains(&v));
        // More values than half as many clusters are a list of them in other words.
        (is_apart && values.len() * 2 <= wanted.len()).then_some((key, values))
    });
    // The fewest values; the key that says what project it is last, since others say more.
    let best = fits.min_by_key(|(key, values)| (*key == PROJECT, values.len(), *key));
    best.map_or_else(names, |(key, values)| Which::Label(key.clone(), values))
}

/// The label that each cluster has from us, where one is asked for: its project.
pub(super) const PROJECT: &str = "project";

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|n| (*n).to_owned()).collect()
    }

    fn selected(wanted: &[&str]) -> Option<String> {
        let labels = [
            ("a", "prod", "eu"),
            ("b", "prod", "us"),
            ("c", "dev", "eu"),
            ("d", "dev", "us"),
            ("e", "test", "eu"),
            ("f", "test", "us"),
        ];
        let all = set(&["a", "b", "c", "d", "e", "f"]);
        let labels = labels.iter().map(|(name, env, region)| {
            let labels = [("env", env), ("region", region)];
            let labels = labels.map(|(k, v)| (k.to_owned(), (*v).to_owned()));
            ((*name).to_owned(), labels.into_iter().collect())
        });
        select(&set(wanted), &all, &labels.collect()).yaml()
    }

    #[test]
    fn clusters_are_selected_by_what_they_have_in_common_alone() {
        assert_eq!(selected(&["a", "b", "c", "d", "e", "f"]), None);
        assert_eq!(selected(&["a", "b"]).as_deref(), Some("{ env: prod }"));
        assert_eq!(
            selected(&["b", "d", "f"]).as_deref(),
            Some("{ region: us }")
        );
        assert_eq!(
            selected(&["a", "b", "c", "d"]).as_deref(),
            Some("\"env in (dev, prod)\"")
        );
        assert_eq!(selected(&["a", "c"]).as_deref(), Some("[a, c]"));
        assert_eq!(selected(&["a"]).as_deref(), Some("[a]"));
    }
}
