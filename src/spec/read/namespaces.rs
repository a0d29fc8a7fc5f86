//! Namespaces, the clusters that they are on, and their Kubernetes service accounts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{At, Context, Entry, Reader};
use crate::identity::{KubeName, ProjectId};
use crate::spec::model::{KsaAccess, KsaSpec, NamespaceSpec, Scope, Selector};
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
            let (selector, clusters) = self.selected(entry, context);
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
                        selector,
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

    /// The clusters that a namespace is on, as far as they are declared.
    fn selected(
        &mut self,
        entry: &Entry<'_>,
        context: &Context<'_>,
    ) -> (Selector, BTreeSet<String>) {
        let Some(node) = entry.node.get("clusters") else {
            if context.cluster_names.is_empty() && !context.finds_more() {
                self.tell(
                    "no_match",
                    &entry.at,
                    format!("the namespace `{}` is on no cluster", entry.name),
                    "the spec has no clusters",
                    Some("Declare one: clusters: { main: { location: europe-west1 } }".to_owned()),
                );
            }
            let all = context.clusters.keys().cloned().collect();
            return (Selector::All, all);
        };
        if matches!(&node.value, Value::List(items) if items.is_empty()) {
            self.tell(
                "no_match",
                &entry.at(node.span),
                format!("the namespace `{}` is on no cluster", entry.name),
                "an empty list",
                Some("Name some, or leave `clusters` out for all.".to_owned()),
            );
        }
        if let Some(name) = node.text().filter(|t| context.cluster_names.contains(t)) {
            self.tell(
                "selector",
                &entry.at(node.span),
                format!("`{name}` is a cluster's name, and a text is a selector of labels"),
                "not a selector",
                Some(format!("Write a list of names: clusters: [{name}]")),
            );
            return (Selector::All, BTreeSet::new());
        }
        self.names_exist(entry, node, context);
        let selector = self.selector(entry, node).unwrap_or(Selector::All);
        let found: BTreeSet<String> = context
            .clusters
            .iter()
            .filter(|(name, c)| selector.selects(name, &c.labels))
            .map(|(name, _)| name.clone())
            .collect();
        let all_read = context.clusters.len() == context.cluster_names.len();
        if matches!(selector, Selector::Labels(_)) && all_read && !context.finds_more() {
            let what = format!("the namespace `{}`", entry.name);
            self.selects_some(&entry.at(node.span), &what, &found, context.clusters);
        }
        (selector, found)
    }

    pub(super) fn unknown(&mut self, at: &At, what: &str, name: &str, known: &BTreeSet<&str>) {
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
        let identity = self.identity(entry, &key.text, node, clusters, context)?;
        let mut overrides = Vec::new();
        for item in node.get("overrides").map(Node::items).unwrap_or_default() {
            let Some(on) = item.get("clusters") else {
                continue; // told already
            };
            self.names_exist(entry, on, context);
            let selector = self.selector(entry, on);
            let of: BTreeSet<String> = clusters
                .iter()
                .filter(|name| {
                    context.clusters.get(*name).is_some_and(|c| {
                        selector
                            .as_ref()
                            .is_some_and(|s| s.selects(name, &c.labels))
                    })
                })
                .cloned()
                .collect();
            let identity = self.identity(entry, &key.text, item, &of, context)?;
            overrides.extend(selector.map(|s| (s, identity)));
        }
        Some((
            name?,
            KsaSpec {
                identity,
                overrides,
                existing: node
                    .get("existing")
                    .is_some_and(|n| matches!(n.value, Value::Bool(true))),
                place: at.place(),
            },
        ))
    }

    /// How its pods reach Google APIs: everywhere, or where an override says.
    fn identity(
        &mut self,
        entry: &Entry<'_>,
        name: &str,
        node: &Node,
        clusters: &BTreeSet<String>,
        context: &Context<'_>,
    ) -> Option<KsaAccess> {
        let impersonates = node.get("impersonates").and_then(|n| Some((n, n.text()?)));
        let grants = node.get("grants").filter(|g| !g.items().is_empty());
        Some(match (impersonates, grants) {
            (Some((account, _)), Some(grants)) => {
                self.mistakes.push(Mistake {
                    code: "two_identities",
                    message: format!("`{}` both acts as a Google service account and has roles of its own", name),
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
                let mut projects: BTreeSet<&ProjectId> = clusters
                    .iter()
                    .filter_map(|c| context.clusters.get(c))
                    .map(|c| &c.path.project)
                    .collect();
                let mut anywhere = false;
                for found in context.discover {
                    match &found.scope {
                        Scope::Project(project) => {
                            projects.insert(project);
                        }
                        Scope::Folder(_) => anywhere = true,
                    }
                }
                let home = (projects.len() == 1 && !anywhere)
                    .then(|| projects.iter().next().copied())
                    .flatten();
                let why = if projects.len() > 1 || anywhere {
                    "on which project? its clusters are in several"
                } else {
                    ""
                };
                KsaAccess::Direct(self.grants(entry, grants, home, why))
            }
        })
    }
}
