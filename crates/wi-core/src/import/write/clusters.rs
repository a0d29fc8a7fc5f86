//! The head of a spec: its name, its clusters, and what is to be said of them.

use std::collections::{BTreeMap, BTreeSet};

use super::super::clusters::Settings;
use super::super::selectors::PROJECT;
use super::super::yaml::{list, map, scalar};
use super::Writer;
use super::text::Text;
use crate::names::ProjectId;
use crate::spec::model::{Access, Endpoint};

impl Writer<'_> {
    pub fn head(&self, text: &mut Text) {
        text.line(0, &format!("name: {}", scalar(&self.choice.name)));
        if let Some(project) = &self.choice.project {
            text.line(0, &format!("project: {}", scalar(project.as_str())));
        }
        let fleet = &self.choice.fleet;
        let listed = fleet
            .clusters
            .iter()
            .filter(|(name, _)| !fleet.found.contains(*name));
        let listed: Vec<String> = listed
            .map(|(name, (path, settings))| {
                let mut fields = Vec::new();
                if Some(&path.project) != self.choice.project.as_ref() {
                    fields.push(format!("project: {}", scalar(path.project.as_str())));
                }
                fields.push(format!("location: {}", scalar(&path.location)));
                if path.name != *name {
                    fields.push(format!("name: {}", scalar(&path.name)));
                }
                let labels = self.labels(name);
                if !labels.is_empty() {
                    fields.push(format!("labels: {}", pairs(&labels)));
                }
                fields.extend(settings_field(settings));
                fields.extend(fleet.access.get(name).and_then(access_field));
                format!("{}: {}", scalar(name), map(&fields))
            })
            .collect();
        if !listed.is_empty() {
            text.section("clusters");
            for line in listed {
                text.line(1, &line);
            }
        }
        let discover = self.discover();
        if !discover.is_empty() {
            text.section("discover");
            for line in discover {
                text.line(1, &line);
            }
        }
        let settings = self.which.settings();
        if !settings.is_empty() {
            text.section("overrides");
        }
        for (which, settings) in settings {
            let clusters = which.yaml().unwrap_or_else(|| "all".to_owned());
            let fields: Vec<String> = [format!("clusters: {clusters}")]
                .into_iter()
                .chain(settings_field(settings))
                .collect();
            text.line(1, &format!("- {}", map(&fields)));
        }
    }

    /// The labels of a cluster that selectors go by.
    fn labels(&self, cluster: &str) -> BTreeMap<String, String> {
        let all = self.choice.fleet.labels.get(cluster).into_iter().flatten();
        all.filter(|(key, _)| self.which.labels.contains(*key))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    /// Where to look for clusters: those with more labels first, since the first that finds one counts.
    fn discover(&self) -> Vec<String> {
        let fleet = &self.choice.fleet;
        let mut entries: BTreeSet<(
            std::cmp::Reverse<usize>,
            &ProjectId,
            BTreeMap<String, String>,
        )> = BTreeSet::new();
        for name in &fleet.found {
            let (path, _) = &fleet.clusters[name];
            let labels = self.labels(name);
            entries.insert((std::cmp::Reverse(labels.len()), &path.project, labels));
        }
        let entries = entries.into_iter();
        let entries = entries.map(|(_, project, labels)| {
            let mut fields = vec![format!("project: {}", scalar(project.as_str()))];
            let mut of_gke = labels.clone();
            of_gke.remove(PROJECT);
            if !of_gke.is_empty() {
                fields.push(format!("resourceLabels: {}", pairs(&of_gke)));
            }
            if !labels.is_empty() {
                fields.push(format!("labels: {}", pairs(&labels)));
            }
            format!("- {}", map(&fields))
        });
        entries.collect()
    }
}

fn pairs(labels: &BTreeMap<String, String>) -> String {
    let pairs = labels
        .iter()
        .map(|(k, v)| format!("{}: {}", scalar(k), scalar(v)));
    map(&pairs.collect::<Vec<_>>())
}

/// `None`: as GKE offers it.
fn access_field(access: &Access) -> Option<String> {
    let endpoint = |word: &str| Some(format!("access: {{ endpoint: {word} }}"));
    match access {
        Access::Offered => None,
        Access::Endpoint(Endpoint::Dns) => endpoint("dns"),
        Access::Endpoint(Endpoint::Public) => endpoint("public"),
        Access::Endpoint(Endpoint::Private) => endpoint("private"),
        Access::ConnectGateway => endpoint("connectGateway"),
        Access::Kubeconfig { path, context } => {
            let context = context.as_ref().map(|c| format!("context: {}", scalar(c)));
            let fields = [format!("kubeconfig: {}", scalar(path))].into_iter();
            let fields: Vec<String> = fields.chain(context).collect();
            Some(format!("access: {}", map(&fields)))
        }
    }
}

fn settings_field(settings: &Settings) -> Option<String> {
    match settings {
        Settings::Plain => None,
        Settings::NotManaged => Some("manage: false".to_owned()),
        Settings::NoPool => Some("nodePools: []".to_owned()),
        Settings::Without(pools) => Some(format!(
            "nodePools: {}",
            map(&[format!("exclude: {}", list(pools))])
        )),
    }
}
