//! Clusters: where GKE has them, and their labels.

use std::collections::{BTreeMap, HashMap};

use super::{At, Entry, Reader, texts};
use crate::identity::{ClusterPath, KubeName, ProjectId};
use crate::spec::model::ClusterSpec;

impl Reader<'_> {
    pub(super) fn clusters(
        &mut self,
        entries: &[Entry<'_>],
        default: Option<&ProjectId>,
    ) -> BTreeMap<String, ClusterSpec> {
        let mut clusters = BTreeMap::new();
        let mut paths: HashMap<ClusterPath, At> = HashMap::new();
        for entry in entries {
            if KubeName::label(entry.name).is_err() {
                self.tell("name", &entry.at, format!("`{}` is not a name for a cluster: up to 63 lower-case letters, digits and hyphens", entry.name), "not allowed", None);
            }
            let project = self.project(entry, default);
            let location = entry.node.get("location");
            let location = location.and_then(|node| {
                let text = node.text()?;
                let ok = text.split('-').count() >= 2
                    && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
                if !ok {
                    self.tell("name", &entry.at(node.span), format!("`{text}` is neither a region (europe-west1) nor a zone (europe-west1-b)"), "not a location", None);
                }
                ok.then(|| text.to_owned())
            });
            let named = entry.node.get("name").and_then(|n| Some((n, n.text()?)));
            let name = named.map_or(entry.name, |(_, text)| text).to_owned();
            if let Some((node, text)) = named
                && (text.len() > 40 || KubeName::label(text).is_err())
            {
                self.tell("name", &entry.at(node.span), format!("`{text}` is not a cluster name: up to 40 lower-case letters, digits and hyphens"), "not allowed", None);
            }
            let labels = entry.node.get("labels").map(texts).unwrap_or_default();
            let (Some(project), Some(location)) = (project, location) else {
                continue;
            };
            let path = ClusterPath {
                project,
                location,
                name,
            };
            if let Some(first) = paths.insert(path.clone(), entry.at.clone()) {
                self.tell_both(
                    "same_cluster",
                    &entry.at,
                    &first,
                    format!("{path} has two names in the spec"),
                    "Keep one of them.",
                );
            }
            clusters.insert(
                entry.name.to_owned(),
                ClusterSpec {
                    path,
                    labels,
                    place: entry.at.place(),
                },
            );
        }
        clusters
    }
}
