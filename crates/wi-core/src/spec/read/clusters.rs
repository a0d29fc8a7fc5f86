//! Clusters: where GKE has them, their labels, which node pools are meant, how they are reached.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{CLUSTER, Entry, Reader, SourceSpan, texts};
use crate::names::{ClusterPath, KubeName, NameError, ProjectId, is_region_or_zone};
use crate::spec::Document;
use crate::spec::model::{Access, ClusterSpec, Endpoint, NodePools, WorkloadPattern};
use crate::spec::tree::{Node, Value};

impl Reader<'_> {
    /// The clusters that could be read as a whole, and the projects of all, as far as they could.
    pub(super) fn clusters(
        &mut self,
        entries: &[Entry<'_>],
        default: Option<&ProjectId>,
        accept_loss: &[WorkloadPattern],
    ) -> (BTreeMap<String, ClusterSpec>, BTreeMap<String, ProjectId>) {
        let mut clusters = BTreeMap::new();
        let mut projects = BTreeMap::new();
        let mut paths: HashMap<ClusterPath, SourceSpan> = HashMap::new();
        for entry in entries {
            let project = self.project(entry, default);
            projects.extend(project.clone().map(|p| (entry.name.to_owned(), p)));
            let location = entry.node.get("location");
            let location = location.and_then(|node| self.location(entry, node));
            let named = entry.node.get("name").and_then(|n| Some((n, n.text()?)));
            let name = named.map_or(entry.name, |(_, text)| text).to_owned();
            let in_gke = "a cluster name: up to 40 lower-case letters, digits and hyphens";
            let in_spec = "a name for a cluster: up to 63 lower-case letters, digits and hyphens";
            let key_is_good = match named {
                Some((node, text)) => {
                    self.is_cluster_name(&entry.at(node.span), text, 40, in_gke);
                    self.is_cluster_name(&entry.at, entry.name, 63, in_spec)
                }
                None => self.is_cluster_name(&entry.at, entry.name, 40, in_gke),
            };
            if !key_is_good {
                self.refused.insert((CLUSTER, entry.name.to_owned()));
            }
            let labels = entry.node.get("labels").map(texts).unwrap_or_default();
            let manage = entry.node.get("manage").and_then(Node::boolean);
            let node_pools = self.node_pools(entry);
            if let (Some(false), Some(node)) = (manage, entry.node.get("nodePools")) {
                self.tell(
                    "two_ways",
                    &entry.at(node.span),
                    format!("`{}` is others' to manage, with `nodePools`", entry.name),
                    "its node pools stay as they are",
                    Some("Take `nodePools` out, or `manage: false`.".to_owned()),
                );
            }
            let mut accept_loss = accept_loss.to_vec();
            if let Some(list) = entry.node.get("acceptLoss") {
                accept_loss.extend(self.workload_patterns(list, &|node| entry.at(node.span)));
            }
            let access = self.access(entry);
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
                    manage,
                    node_pools,
                    accept_loss,
                    access,
                    place: entry.at.place(),
                },
            );
        }
        (clusters, projects)
    }

    fn is_cluster_name(&mut self, at: &SourceSpan, name: &str, longest: usize, rule: &str) -> bool {
        let Err(e) = KubeName::label(name) else {
            if name.len() > longest {
                self.tell("name", at, NameError::not(name, rule).0, "too long", None);
            }
            return name.len() <= longest;
        };
        self.tell("name", at, NameError::not(name, rule).0, "not allowed", e.1);
        false
    }

    pub(super) fn location(&mut self, entry: &Entry<'_>, node: &Node) -> Option<String> {
        let text = node.text()?;
        if is_region_or_zone(text) {
            return Some(text.to_owned());
        }
        let meant = text.trim().to_lowercase().replace(['_', ' '], "-");
        self.tell(
            "name",
            &entry.at(node.span),
            format!("`{text}` is neither a region (europe-west1) nor a zone (europe-west1-b)"),
            "not a location",
            is_region_or_zone(&meant).then(|| format!("Write {meant}.")),
        );
        None
    }

    /// `acceptLoss` of all documents, which is meant for all clusters.
    pub(super) fn accepted_everywhere(&mut self, documents: &[Document]) -> Vec<WorkloadPattern> {
        let mut all = Vec::new();
        for document in documents {
            if let Some(list) = document.root.get("acceptLoss") {
                let at = |node: &Node| SourceSpan {
                    source: std::sync::Arc::clone(&document.source),
                    span: node.span,
                };
                all.extend(self.workload_patterns(list, &at));
            }
        }
        all
    }

    pub(super) fn node_pools(&mut self, entry: &Entry<'_>) -> Option<NodePools> {
        let node = entry.node.get("nodePools")?;
        Some(match &node.value {
            Value::List(items) => NodePools::Only(
                items
                    .iter()
                    .filter_map(|n| Some((n.text()?.to_owned(), entry.at(n.span).place())))
                    .collect(),
            ),
            Value::Map(_) => {
                let names: BTreeSet<String> = node
                    .get("exclude")
                    .map(Node::items)
                    .unwrap_or_default()
                    .iter()
                    .filter_map(|n| Some(n.text()?.to_owned()))
                    .collect();
                NodePools::Except(names)
            }
            _ => {
                if let Some(text) = node.text().filter(|t| *t != "all") {
                    self.tell(
                        "name",
                        &entry.at(node.span),
                        format!(
                            "`nodePools` is `all`, a list of names, or `exclude`, not `{text}`"
                        ),
                        "not a selection",
                        Some(format!("For one node pool: nodePools: [{text}]")),
                    );
                }
                NodePools::All
            }
        })
    }

    pub(super) fn workload_patterns(
        &mut self,
        list: &Node,
        at: &dyn Fn(&Node) -> SourceSpan,
    ) -> Vec<WorkloadPattern> {
        let texts = list
            .items()
            .iter()
            .filter_map(|node| Some((node, node.text()?)));
        let texts: Vec<_> = texts.collect();
        let patterns = texts.into_iter();
        patterns
            .filter_map(|(node, text)| self.workload_pattern(text, &at(node)))
            .collect()
    }

    /// Workloads as a spec means them; what is none is told.
    pub(super) fn workload_pattern(
        &mut self,
        text: &str,
        at: &SourceSpan,
    ) -> Option<WorkloadPattern> {
        let parts: Vec<&str> = text.split('/').collect();
        let owned = |s: &str| Some(s.to_owned());
        let (namespace, kind, name) = match parts.as_slice() {
            [namespace, "*"] => (*namespace, None, None),
            [namespace, name] => (*namespace, None, owned(name)),
            [namespace, kind, "*"] => (*namespace, owned(kind), None),
            [namespace, kind, name] => (*namespace, owned(kind), owned(name)),
            _ => ("", None, None),
        };
        let empty = [&kind, &name]
            .into_iter()
            .any(|part| part.as_ref().is_some_and(String::is_empty));
        if empty || KubeName::label(namespace).is_err() {
            self.tell(
                "name",
                at,
                format!("`{text}` names no workload"),
                "not a workload",
                Some(
                    "NAMESPACE/*, NAMESPACE/NAME or NAMESPACE/KIND/NAME, such as jobs/CronJob/nightly."
                        .to_owned(),
                ),
            );
            return None;
        }
        Some(WorkloadPattern {
            namespace: namespace.to_owned(),
            kind,
            name,
        })
    }

    pub(super) fn access(&mut self, entry: &Entry<'_>) -> Option<Access> {
        let node = entry.node.get("access")?;
        let text = |name: &str| node.get(name).and_then(|n| Some((n, n.text()?)));
        Some(
            match (text("endpoint"), text("kubeconfig"), text("context")) {
                (Some((endpoint, _)), Some(_), _) => {
                    self.tell(
                        "two_ways",
                        &entry.at(endpoint.span),
                        format!("`{}` is to be reached in two ways", entry.name),
                        "an endpoint, and a kubeconfig as well",
                        Some("A kubeconfig has the address in it: keep one of the two.".to_owned()),
                    );
                    Access::Offered
                }
                (Some((_, text)), None, _) => match text {
                    "dns" => Access::Endpoint(Endpoint::Dns),
                    "public" => Access::Endpoint(Endpoint::Public),
                    "private" => Access::Endpoint(Endpoint::Private),
                    "connectGateway" => Access::ConnectGateway,
                    // Told by the check of the shape.
                    _ => Access::Offered,
                },
                (None, Some((_, path)), context) => Access::Kubeconfig {
                    path: path.to_owned(),
                    context: context.map(|(_, name)| name.to_owned()),
                },
                (None, None, Some((context, _))) if node.is_clear("kubeconfig") => {
                    self.tell(
                        "missing_field",
                        &entry.at(context.span),
                        "a `context` of which kubeconfig?".to_owned(),
                        "`kubeconfig` is missing",
                        Some("access: { kubeconfig: ~/.kube/config, context: NAME }".to_owned()),
                    );
                    Access::Offered
                }
                (None, None, _) => Access::Offered,
            },
        )
    }
}
