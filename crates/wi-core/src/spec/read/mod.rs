//! From trees to the checked [`Spec`]: parses names, resolves references, and tells every mistake.

mod accounts;
mod audit;
mod clusters;
mod fleet;
mod grants;
pub mod guard;
mod identity;
mod key_rules;
mod migrations;
mod namespaces;
mod references;
mod rollout;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use references::{Clusters, Context, Names};

use super::Document;
use super::diagnostics::{Diagnostic, Source};
use super::model::{SourceLine, Spec};
use super::tree::{Node, Span};
use super::waves::some_of;
use crate::names::{KubeName, NameError, ProjectId};

/// What names are of.
const CLUSTER: &str = "cluster";
const ACCOUNT: &str = "Google service account";

/// Where something is: the file and the words.
#[derive(Clone)]
struct SourceSpan {
    source: Arc<Source>,
    span: Span,
}

impl SourceSpan {
    fn place(&self) -> SourceLine {
        self.source.place(self.span)
    }
}

struct Reader<'a> {
    mistakes: &'a mut Vec<Diagnostic>,
    rules: guard::RoleRules,
    /// Whether the spec has a project that is wrong, and has been told of.
    project_is_told: bool,
    /// What has no project.
    without_project: Vec<(String, SourceSpan)>,
    /// Namespaces that are on no cluster, since there is none.
    without_cluster: Vec<(String, SourceSpan)>,
    /// Keys that have been refused: what means them is no mistake of its own.
    refused: BTreeSet<(&'static str, String)>,
}

/// An entry of a map of the spec, of whichever document.
struct Entry<'a> {
    name: &'a str,
    at: SourceSpan,
    node: &'a Node,
    source: &'a Arc<Source>,
}

impl Entry<'_> {
    fn at(&self, span: Span) -> SourceSpan {
        SourceSpan {
            source: Arc::clone(self.source),
            span,
        }
    }
}

/// Reads documents whose shape has been checked; what has the wrong shape has been told already.
/// `is_whole`: no file or document is missing that may have what these lack.
pub(super) fn read(
    documents: &[Document],
    is_whole: bool,
    mistakes: &mut Vec<Diagnostic>,
) -> Option<Spec> {
    let mut reader = Reader {
        mistakes,
        rules: guard::RoleRules::default(),
        project_is_told: !is_whole,
        without_project: Vec::new(),
        without_cluster: Vec::new(),
        refused: BTreeSet::new(),
    };
    let name = reader.setting(documents, "name");
    let project = reader.setting(documents, "project");
    let is_named = !is_whole
        || documents
            .iter()
            .any(|d| d.root.get("name").is_some_and(|n| n.kind() != "nothing"));
    if let (false, Some(first)) = (is_named, documents.first()) {
        let at = SourceSpan {
            source: Arc::clone(&first.source),
            span: first
                .root
                .get("apiVersion")
                .map_or(first.root.span, |n| n.span),
        };
        reader.tell(
            "missing_field",
            &at,
            "the spec has no `name`".to_owned(),
            "`name` is needed in one document",
            Some("It marks what the spec creates as its own: name: shop".to_owned()),
        );
    }
    let name = name.and_then(|(text, at)| {
        reader
            .parsed(&at, KubeName::label(&text))
            .map(|n| n.to_string())
    });
    let project = project.and_then(|(text, at)| reader.parsed(&at, ProjectId::parse(&text)));
    let has_project = documents.iter().any(|d| d.root.get("project").is_some());
    reader.project_is_told |= project.is_none() && has_project;
    let cluster_entries = reader.entries(documents, "clusters");
    let account_entries = reader.entries(documents, "googleServiceAccounts");
    let namespace_entries = reader.entries(documents, "namespaces");
    let migration_entries = reader.entries(documents, "migrate");
    let guard = reader.guard(documents);
    let removed = reader.removed(documents, project.as_ref());
    let search = reader.search(documents);
    let accept_loss = reader.accepted_everywhere(documents);
    let (clusters, cluster_projects) =
        reader.clusters(&cluster_entries, project.as_ref(), &accept_loss);
    let accounts = reader.accounts(&account_entries, project.as_ref());
    let discover = reader.discover(documents, project.as_ref());
    let context = Context {
        projects: &cluster_projects,
        discover: &discover,
        read_accounts: &accounts,
        clusters: Clusters::new(documents, &cluster_entries, is_whole),
        accounts: Names::new(
            ACCOUNT,
            documents,
            "googleServiceAccounts",
            &account_entries,
            is_whole,
        ),
    };
    let namespaces = reader.namespaces(&namespace_entries, &context);
    let overrides = reader.overrides(documents, &context);
    let rollout = reader.rollout(documents, &context);
    let migrations = reader.migrations(&migration_entries, &context);
    let audit = reader.audit(documents, &context);
    reader.tell_what_lacks();
    let mut spec = Spec {
        name: name?,
        clusters,
        discover,
        overrides,
        rollout,
        wave_of: BTreeMap::new(),
        accept_loss,
        accounts,
        namespaces,
        project,
        search,
        removed,
        guard,
        migrations,
        audit,
        files: documents
            .iter()
            .map(|d| (d.source.name.clone(), d.source.digest.clone()))
            .collect(),
    };
    // What does not fit has been told with its words, or is not known before clusters are found.
    spec.settle();
    Some(spec)
}

impl Reader<'_> {
    fn tell(
        &mut self,
        code: &'static str,
        at: &SourceSpan,
        message: String,
        label: &str,
        help: Option<String>,
    ) {
        self.mistakes.push(Diagnostic {
            code,
            message,
            help,
            label: Some((Arc::clone(&at.source), at.span, label.to_owned())),
            other: None,
        });
    }

    fn tell_both(
        &mut self,
        code: &'static str,
        at: &SourceSpan,
        other: &SourceSpan,
        message: String,
        help: &str,
    ) {
        self.mistakes.push(Diagnostic {
            code,
            message,
            help: Some(help.to_owned()),
            label: Some((Arc::clone(&at.source), at.span, "again here".to_owned())),
            other: Some((
                Arc::clone(&other.source),
                other.span,
                "first here".to_owned(),
            )),
        });
    }

    /// A name, or `None` and a mistake.
    fn parsed<T>(&mut self, at: &SourceSpan, result: Result<T, NameError>) -> Option<T> {
        result
            .map_err(|e| self.tell("name", at, e.0, "not allowed", e.1))
            .ok()
    }

    /// A setting of the whole spec: it may stand in several documents if it is the same.
    fn setting(&mut self, documents: &[Document], field: &str) -> Option<(String, SourceSpan)> {
        let mut found: Option<(String, SourceSpan)> = None;
        for document in documents {
            let Some(node) = document.root.get(field) else {
                continue;
            };
            let Some(text) = node.text() else {
                continue;
            };
            let at = SourceSpan {
                source: Arc::clone(&document.source),
                span: node.span,
            };
            match &found {
                Some((first, other)) if first != text => {
                    let message =
                        format!("two documents disagree on `{field}`: `{first}` and `{text}`");
                    self.tell_both(
                        "disagreement",
                        &at,
                        other,
                        message,
                        "Files that are read together are one spec: say it once, or the same.",
                    );
                }
                Some(_) => {}
                None => found = Some((text.to_owned(), at)),
            }
        }
        found
    }

    /// The entries of a map over all documents. One key in two files is a mistake; twice in one
    /// file has been told already.
    fn entries<'d>(&mut self, documents: &'d [Document], field: &str) -> Vec<Entry<'d>> {
        let mut entries: Vec<Entry<'d>> = Vec::new();
        let mut seen: HashMap<&str, usize> = HashMap::new();
        for document in documents {
            let Some(map) = document.root.get(field) else {
                continue;
            };
            for (key, node) in map.entries() {
                let at = SourceSpan {
                    source: Arc::clone(&document.source),
                    span: key.span,
                };
                if let Some(first) = seen.get(key.text.as_str()) {
                    let first = entries[*first].at.clone();
                    if first.source.name != at.source.name || !same_map(&first, map.span) {
                        let message = format!("`{}` is declared twice among `{field}`", key.text);
                        self.tell_both(
                            "duplicate_key",
                            &at,
                            &first,
                            message,
                            "Keep one of the two: files are merged, their entries are not.",
                        );
                    }
                    continue;
                }
                seen.insert(&key.text, entries.len());
                entries.push(Entry {
                    name: &key.text,
                    at,
                    node,
                    source: &document.source,
                });
            }
        }
        entries
    }

    /// The entry's `project`, or the spec's.
    fn project(&mut self, entry: &Entry<'_>, default: Option<&ProjectId>) -> Option<ProjectId> {
        match entry.node.get("project").and_then(|n| Some((n, n.text()?))) {
            Some((node, text)) => self.parsed(&entry.at(node.span), ProjectId::parse(text)),
            None => {
                if default.is_none() && !self.project_is_told && entry.node.is_clear("project") {
                    self.without_project
                        .push((entry.name.to_owned(), entry.at.clone()));
                }
                default.cloned()
            }
        }
    }

    /// Tells once what many lack for one reason.
    fn tell_what_lacks(&mut self) {
        let lacking = std::mem::take(&mut self.without_project);
        if let Some((subject, at)) = first_of(&lacking, "has", "have") {
            self.tell(
                "missing_field",
                &at,
                format!("{subject} no project"),
                "in which project?",
                Some(
                    "Give the spec one for all: project: acme-prod; or give each its own."
                        .to_owned(),
                ),
            );
        }
        let lacking = std::mem::take(&mut self.without_cluster);
        if let Some((subject, at)) = first_of(&lacking, "is", "are") {
            self.tell(
                "no_match",
                &at,
                format!("{subject} on no cluster"),
                "the spec has no clusters",
                Some("Declare one: clusters: { main: { location: europe-west1 } }".to_owned()),
            );
        }
    }
}

/// A sentence's subject and verb for what lacks something, and the first of its places.
fn first_of(
    lacking: &[(String, SourceSpan)],
    one: &str,
    several: &str,
) -> Option<(String, SourceSpan)> {
    let (_, at) = lacking.first()?;
    let names = lacking.iter().map(|(name, _)| name.as_str());
    let verb = if lacking.len() == 1 { one } else { several };
    Some((format!("{} {verb}", some_of(names)), at.clone()))
}

/// Whether a key lies in this very map (and not in another document of the same file).
fn same_map(key: &SourceSpan, map: Span) -> bool {
    (map.start..=map.start + map.len).contains(&key.span.start)
}

/// A map of texts. Values of other kinds have been told already.
fn texts(node: &Node) -> BTreeMap<String, String> {
    node.entries()
        .iter()
        .filter_map(|(k, v)| Some((k.text.clone(), v.text()?.to_owned())))
        .collect()
}
