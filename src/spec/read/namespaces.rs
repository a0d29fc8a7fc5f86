//! Namespaces, the clusters that they are on, and their Kubernetes service accounts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{At, Context, Entry, Reader, texts};
use crate::identity::{KubeName, ProjectId};
use crate::spec::model::{KsaAccess, KsaSpec, NamespaceSpec};
use crate::spec::report::Mistake;
use crate::spec::shape::nearest;
use crate::spec::tree::{Key, Node, Value};

impl Reader<'_> {
    pub(super) fn namespaces(
        &mut self,
        entries: &[Entry<'_>],
        context: &Context<'_>,
    ) -> BTreeMap<KubeName, NamespaceSpec> {
        let mut namespaces = BTreeMap::new();
        for entry in entries {
            let name = self.parsed(&entry.at, KubeName::label(entry.name));
            let clusters = self.selected(entry, context);
            let mut service_accounts = BTreeMap::new();
            for (key, node) in entry
                .node
                .get("serviceAccounts")
                .map(Node::entries)
                .unwrap_or_default()
            {
                if let Some((name, ksa)) = self.ksa(entry, key, node, &clusters, context) {
                    service_accounts.entry(name).or_insert(ksa);
                }
            }
            let create = entry
                .node
                .get("create")
                .is_none_or(|n| !matches!(n.value, Value::Bool(false)));
            if let Some(name) = name {
                namespaces.insert(
                    name,
                    NamespaceSpec {
                        clusters,
                        create,
                        service_accounts,
                        place: entry.at.place(),
                    },
                );
            }
        }
        namespaces
    }

    /// The clusters that a namespace is on.
    fn selected(&mut self, entry: &Entry<'_>, context: &Context<'_>) -> BTreeSet<String> {
        let all = || context.clusters.keys().cloned();
        let Some(node) = entry.node.get("clusters") else {
            if context.cluster_names.is_empty() {
                self.tell(
                    "no_match",
                    &entry.at,
                    format!("the namespace `{}` is on no cluster", entry.name),
                    "the spec has no clusters",
                    Some("Declare one: clusters: { main: { location: europe-west1 } }".to_owned()),
                );
            }
            return all().collect();
        };
        match &node.value {
            Value::List(items) => items
                .iter()
                .filter_map(|item| {
                    let name = item.text()?;
                    if !context.cluster_names.contains(name) {
                        self.unknown(
                            &entry.at(item.span),
                            "cluster",
                            name,
                            &context.cluster_names,
                        );
                    }
                    Some(name.to_owned())
                })
                .collect(),
            Value::Map(_) => {
                let wanted = texts(node);
                let found: BTreeSet<String> = context
                    .clusters
                    .iter()
                    .filter(|(_, c)| wanted.iter().all(|(k, v)| c.labels.get(k) == Some(v)))
                    .map(|(name, _)| name.clone())
                    .collect();
                if found.is_empty() && context.clusters.len() == context.cluster_names.len() {
                    let labels: BTreeSet<String> = context
                        .clusters
                        .values()
                        .flat_map(|c| c.labels.iter().map(|(k, v)| format!("{k}: {v}")))
                        .collect();
                    let help = if labels.is_empty() {
                        "No cluster of the spec has labels.".to_owned()
                    } else {
                        let some: Vec<String> = labels.into_iter().take(12).collect();
                        format!("Labels of the spec's clusters: {}.", some.join(", "))
                    };
                    self.tell(
                        "no_match",
                        &entry.at(node.span),
                        format!(
                            "no cluster has the labels that the namespace `{}` selects",
                            entry.name
                        ),
                        "matches nothing",
                        Some(help),
                    );
                }
                found
            }
            _ => all().collect(),
        }
    }

    fn unknown(&mut self, at: &At, what: &str, name: &str, known: &BTreeSet<&str>) {
        let label = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "not declared".to_owned(),
        };
        let help = if known.is_empty() {
            format!("The spec declares no {what}.")
        } else {
            let some: Vec<&str> = known.iter().copied().take(12).collect();
            format!(
                "Declared: {}{}",
                some.join(", "),
                if known.len() > 12 { " …" } else { "." }
            )
        };
        self.tell(
            "unknown_name",
            at,
            format!("there is no {what} `{name}`"),
            &label,
            Some(help),
        );
    }

    fn ksa(
        &mut self,
        entry: &Entry<'_>,
        key: &Key,
        node: &Node,
        clusters: &BTreeSet<String>,
        context: &Context<'_>,
    ) -> Option<(KubeName, KsaSpec)> {
        let at = entry.at(key.span);
        let name = self.parsed(&at, KubeName::parse(&key.text));
        let impersonates = node.get("impersonates").and_then(|n| Some((n, n.text()?)));
        let grants = node.get("grants").filter(|g| !g.items().is_empty());
        let identity = match (impersonates, grants) {
            (Some((account, _)), Some(grants)) => {
                self.mistakes.push(Mistake {
                    code: "two_identities",
                    message: format!("`{}` both acts as a Google service account and has roles of its own", key.text),
                    help: Some("Which is meant? With `impersonates`, Google sees the account only, and the roles of its own do nothing: move them to the account's `grants`, or take out `impersonates`.".to_owned()),
                    label: Some((Arc::clone(entry.source), account.span, "acts as this account".to_owned())),
                    other: Some((Arc::clone(entry.source), grants.span, "has these roles".to_owned())),
                });
                return None;
            }
            (Some((account, text)), None) => {
                if !context.account_names.contains(text) {
                    self.unknown(
                        &entry.at(account.span),
                        "Google service account",
                        text,
                        &context.account_names,
                    );
                }
                KsaAccess::Impersonates(text.to_owned())
            }
            (None, grants) => {
                let projects: BTreeSet<&ProjectId> = clusters
                    .iter()
                    .filter_map(|c| context.clusters.get(c))
                    .map(|c| &c.path.project)
                    .collect();
                let home = (projects.len() == 1)
                    .then(|| projects.iter().next().copied())
                    .flatten();
                let why = if projects.len() > 1 {
                    "on which project? its clusters are in several"
                } else {
                    ""
                };
                KsaAccess::Direct(self.grants(entry, grants, home, why))
            }
        };
        Some((
            name?,
            KsaSpec {
                identity,
                existing: node
                    .get("existing")
                    .is_some_and(|n| matches!(n.value, Value::Bool(true))),
                place: at.place(),
            },
        ))
    }
}
