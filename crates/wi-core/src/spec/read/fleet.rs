//! Whole fleets: selectors, where more clusters are found, settings of selected ones.

use std::sync::Arc;

use super::{Context, Entry, Reader, SourceSpan, texts};
use crate::names::ProjectId;
use crate::spec::Document;
use crate::spec::model::{ClusterOverride, Discover, Scope, Selector};
use crate::spec::tree::{Node, Value};

/// The items of a list over all documents, as entries that are called after the list.
fn items<'d>(documents: &'d [Document], field: &'static str) -> Vec<Entry<'d>> {
    documents
        .iter()
        .filter_map(|d| Some((d, d.root.get(field)?)))
        .flat_map(|(document, list)| {
            list.items().iter().map(|node| Entry {
                name: field,
                at: SourceSpan {
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
    /// Reads a selector, and tells names of clusters that are not declared; `None`: what it selects
    /// is not known, which has been told.
    pub(super) fn selector(
        &mut self,
        entry: &Entry<'_>,
        node: &Node,
        context: &Context<'_>,
    ) -> Option<Selector> {
        for item in node.items() {
            if let Some(name) = item.text() {
                self.refer(&entry.at(item.span), name, &context.clusters.names, None);
            }
        }
        if !node.is_read() {
            return None;
        }
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
                if context.clusters.names.declared.contains(text) {
                    self.tell(
                        "selector",
                        &entry.at(node.span),
                        format!("`{text}` is a cluster's name, and a text is a selector of labels"),
                        "not a selector",
                        Some(format!("Write a list of names: clusters: [{text}]")),
                    );
                    return None;
                }
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
                            Some("`gcloud resource-manager folders list` shows it.".to_owned()),
                        );
                        None
                    } else {
                        Some(Scope::Folder(number.to_owned()))
                    }
                }
                _ => self.project(&entry, default).map(Scope::Project),
            };
            let location = entry.node.get("location");
            let location = location.and_then(|node| self.location(&entry, node));
            let Some(scope) = scope else { continue };
            all.push(Discover {
                scope,
                location,
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
            // Checked as well if it is not known for which clusters it is.
            let node = entry.node.get("clusters").filter(|n| n.is_read());
            let selector = node.and_then(|node| self.selector(&entry, node, context));
            let accept_loss = match entry.node.get("acceptLoss") {
                Some(list) => self.workload_patterns(list, &|node| entry.at(node.span)),
                None => Vec::new(),
            };
            let node_pools = self.node_pools(&entry);
            let access = self.access(&entry);
            let (Some(node), Some(clusters)) = (node, selector) else {
                continue;
            };
            if context.clusters.are_all() && context.clusters.selected(&clusters).is_empty() {
                let at = entry.at(node.span);
                self.selects_none(&at, "", "this override", &clusters, context);
            }
            all.push(ClusterOverride {
                clusters,
                manage: entry.node.get("manage").and_then(Node::boolean),
                node_pools,
                accept_loss,
                access,
            });
        }
        all
    }

    /// Tells that what selects none of the clusters (`of` something), where no more can be found.
    pub(super) fn selects_none(
        &mut self,
        at: &SourceSpan,
        of: &str,
        what: &str,
        selector: &Selector,
        context: &Context<'_>,
    ) {
        // Of names that are not declared each has been told.
        if let Selector::Labels(_) = selector {
            self.tell(
                "no_match",
                at,
                format!("no cluster{of} has the labels that {what} selects"),
                "matches nothing",
                Some(context.clusters.labels_in_words()),
            );
        }
    }
}
