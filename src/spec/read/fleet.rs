//! Whole fleets: selectors, where more clusters are found, settings of selected ones.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{At, Context, Entry, Reader, texts};
use crate::identity::ProjectId;
use crate::spec::Document;
use crate::spec::model::{ClusterOverride, ClusterSpec, Discover, Scope, Selector};
use crate::spec::tree::{Node, Value};

/// The items of a list over all documents, as entries that are called after the list.
fn items<'d>(documents: &'d [Document], field: &'static str) -> Vec<Entry<'d>> {
    documents
        .iter()
        .filter_map(|d| Some((d, d.root.get(field)?)))
        .flat_map(|(document, list)| {
            list.items().iter().map(|node| Entry {
                name: field,
                at: At {
                    source: Arc::clone(&document.source),
                    span: node.span,
                },
                node,
                source: &document.source,
            })
        })
        .collect()
}

impl Reader<'_> {
    /// Reads a selector; what has another shape has been told already.
    pub(super) fn selector(&mut self, entry: &Entry<'_>, node: &Node) -> Option<Selector> {
        match &node.value {
            Value::Map(_) => Some(Selector::labels(texts(node))),
            Value::List(items) => Some(Selector::Names(
                items
                    .iter()
                    .filter_map(|n| n.text().map(str::to_owned))
                    .collect(),
            )),
            _ => {
                let text = node.text()?;
                match Selector::parse(text) {
                    Ok(selector) => Some(selector),
                    Err(why) => {
                        self.tell(
                            "selector",
                            &entry.at(node.span),
                            format!("`{text}` selects nothing: {why}"),
                            "not a selector",
                            Some("As kubectl takes them: env=prod, ring in (1, 2), !legacy; or `all`, a map of labels, or a list of names.".to_owned()),
                        );
                        None
                    }
                }
            }
        }
    }

    /// Tells names of clusters that are not declared, unless they may be found.
    pub(super) fn names_exist(&mut self, entry: &Entry<'_>, node: &Node, context: &Context<'_>) {
        if context.finds_more() {
            return;
        }
        for item in node.items() {
            if let Some(name) = item.text()
                && !context.cluster_names.contains(name)
            {
                self.unknown(
                    &entry.at(item.span),
                    "cluster",
                    name,
                    &context.cluster_names,
                );
            }
        }
    }

    pub(super) fn discover(
        &mut self,
        documents: &[Document],
        default: Option<&ProjectId>,
    ) -> Vec<Discover> {
        let mut all = Vec::new();
        for entry in items(documents, "discover") {
            let text = |name: &str| entry.node.get(name).and_then(|n| Some((n, n.text()?)));
            let scope = match (text("project"), text("folder")) {
                (Some(_), Some((folder, _))) => {
                    self.tell(
                        "two_scopes",
                        &entry.at(folder.span),
                        "a `project`, and a `folder` as well".to_owned(),
                        "one of the two",
                        Some("Make two entries of it.".to_owned()),
                    );
                    None
                }
                (None, Some((node, folder))) => {
                    let number = folder.strip_prefix("folders/").unwrap_or(folder);
                    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
                        self.tell(
                            "name",
                            &entry.at(node.span),
                            format!("`{folder}` is not the number of a folder"),
                            "a number, quoted",
                            Some("gcloud resource-manager folders list".to_owned()),
                        );
                        None
                    } else {
                        Some(Scope::Folder(number.to_owned()))
                    }
                }
                _ => self.project(&entry, default).map(Scope::Project),
            };
            let Some(scope) = scope else { continue };
            all.push(Discover {
                scope,
                location: text("location").map(|(_, l)| l.to_owned()),
                resource_labels: entry
                    .node
                    .get("resourceLabels")
                    .map(texts)
                    .unwrap_or_default(),
                labels: entry.node.get("labels").map(texts).unwrap_or_default(),
                place: entry.at.place(),
            });
        }
        all
    }

    pub(super) fn overrides(
        &mut self,
        documents: &[Document],
        context: &Context<'_>,
    ) -> Vec<ClusterOverride> {
        let mut all = Vec::new();
        for entry in items(documents, "overrides") {
            let Some(node) = entry.node.get("clusters") else {
                continue; // told already
            };
            self.names_exist(&entry, node, context);
            let Some(clusters) = self.selector(&entry, node) else {
                continue;
            };
            let accept_loss = match entry.node.get("acceptLoss") {
                Some(list) => self.workload_patterns(list, &|node| entry.at(node.span)),
                None => Vec::new(),
            };
            all.push(ClusterOverride {
                clusters,
                node_pools: self.node_pools(&entry),
                accept_loss,
                access: self.access(&entry),
            });
        }
        all
    }

    /// Tells a selector that selects none of the clusters, where no more can be found.
    pub(super) fn selects_some(
        &mut self,
        at: &At,
        what: &str,
        found: &BTreeSet<String>,
        clusters: &BTreeMap<String, ClusterSpec>,
    ) {
        if !found.is_empty() {
            return;
        }
        let labels: BTreeSet<String> = clusters
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
            at,
            format!("no cluster has the labels that {what} selects"),
            "matches nothing",
            Some(help),
        );
    }
}
