//! From trees to the checked [`Spec`]: parses names, resolves references, and tells every mistake.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::Document;
use super::model::{
    AccountSpec, ClusterSpec, Grant, KsaAccess, KsaSpec, NamespaceSpec, Place, Spec,
};
use super::report::{Mistake, Source};
use super::shape::nearest;
use super::tree::{Key, Node, Span, Value};
use crate::identity::{
    ClusterPath, Condition, Email, KubeName, NameError, ProjectId, Resource, Role,
    check_service_account_id,
};

/// Where something is: the file and the words.
#[derive(Clone)]
struct At {
    source: Arc<Source>,
    span: Span,
}

impl At {
    fn place(&self) -> Place {
        self.source.place(self.span)
    }
}

struct Reader<'a> {
    mistakes: &'a mut Vec<Mistake>,
}

/// An entry of a map of the spec, of whichever document.
struct Entry<'a> {
    name: &'a str,
    at: At,
    node: &'a Node,
    source: &'a Arc<Source>,
}

impl Entry<'_> {
    fn at(&self, span: Span) -> At {
        At {
            source: Arc::clone(self.source),
            span,
        }
    }
}

/// Reads documents whose shape has been checked; what has the wrong shape has been told already.
pub(super) fn read(documents: &[Document], mistakes: &mut Vec<Mistake>) -> Option<Spec> {
    let mut reader = Reader { mistakes };
    let name = reader.setting(documents, "name");
    let project = reader.setting(documents, "project");
    if let (None, Some(first)) = (&name, documents.first()) {
        let at = At {
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
    let cluster_entries = reader.entries(documents, "clusters");
    let account_entries = reader.entries(documents, "googleServiceAccounts");
    let namespace_entries = reader.entries(documents, "namespaces");
    let clusters = reader.clusters(&cluster_entries, project.as_ref());
    let accounts = reader.accounts(&account_entries, project.as_ref());
    let context = Context {
        clusters: &clusters,
        cluster_names: cluster_entries.iter().map(|e| e.name).collect(),
        account_names: account_entries.iter().map(|e| e.name).collect(),
    };
    let namespaces = reader.namespaces(&namespace_entries, &context);
    Some(Spec {
        name: name?,
        clusters,
        accounts,
        namespaces,
    })
}

/// What references may point at. Names that are declared, rightly or not, are not unknown.
struct Context<'a> {
    clusters: &'a BTreeMap<String, ClusterSpec>,
    cluster_names: BTreeSet<&'a str>,
    account_names: BTreeSet<&'a str>,
}

impl Reader<'_> {
    fn tell(
        &mut self,
        code: &'static str,
        at: &At,
        message: String,
        label: &str,
        help: Option<String>,
    ) {
        self.mistakes.push(Mistake {
            code,
            message,
            help,
            label: Some((Arc::clone(&at.source), at.span, label.to_owned())),
            other: None,
        });
    }

    fn tell_both(&mut self, code: &'static str, at: &At, other: &At, message: String, help: &str) {
        self.mistakes.push(Mistake {
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

    fn parsed<T>(&mut self, at: &At, result: Result<T, NameError>) -> Option<T> {
        result
            .map_err(|e| self.tell("name", at, e.0, "not allowed", None))
            .ok()
    }

    /// A setting of the whole spec: it may stand in several documents if it is the same.
    fn setting(&mut self, documents: &[Document], field: &str) -> Option<(String, At)> {
        let mut found: Option<(String, At)> = None;
        for document in documents {
            let Some(node) = document.root.get(field) else {
                continue;
            };
            let Some(text) = node.text() else {
                continue;
            };
            let at = At {
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
                let at = At {
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
                if default.is_none() {
                    self.tell(
                        "missing_field",
                        &entry.at,
                        format!("`{}` has no project", entry.name),
                        "in which project?",
                        Some(
                            "Give it a `project`, or give the spec one for all: project: acme-prod"
                                .to_owned(),
                        ),
                    );
                }
                default.cloned()
            }
        }
    }

    fn clusters(
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

    fn accounts(
        &mut self,
        entries: &[Entry<'_>],
        default: Option<&ProjectId>,
    ) -> BTreeMap<String, AccountSpec> {
        let mut accounts = BTreeMap::new();
        let mut emails: HashMap<Email, At> = HashMap::new();
        for entry in entries {
            let Some(account) = self.account(entry, default) else {
                continue;
            };
            if let Some(first) = emails.insert(account.email.clone(), entry.at.clone()) {
                self.tell_both(
                    "same_account",
                    &entry.at,
                    &first,
                    format!("{} has two names in the spec", account.email),
                    "Keep one of them.",
                );
            }
            accounts.insert(entry.name.to_owned(), account);
        }
        accounts
    }

    fn account(&mut self, entry: &Entry<'_>, default: Option<&ProjectId>) -> Option<AccountSpec> {
        let external = entry.node.get("email").and_then(|n| Some((n, n.text()?)));
        let (email, project) = if let Some((node, text)) = external {
            for field in ["id", "project", "displayName"] {
                if let Some((key, _)) = entry.node.entries().iter().find(|(k, _)| k.text == field) {
                    self.tell(
                        "external_account",
                        &entry.at(key.span),
                        format!("`{}` has an `email` and so exists elsewhere; `{field}` would change it", entry.name),
                        "not with `email`",
                        Some(format!("Take out `{field}`; or take out `email`, and this spec makes the account.")),
                    );
                }
            }
            let email = self.parsed(&entry.at(node.span), Email::parse(text))?;
            // Accounts that Google made have no project in their address.
            let project = email.project().or_else(|| default.cloned());
            let Some(project) = project else {
                self.project(entry, default);
                return None;
            };
            (email, project)
        } else {
            let project = self.project(entry, default);
            let id = entry.node.get("id").and_then(|n| Some((n.span, n.text()?)));
            let (at, id) = match id {
                Some((span, id)) => (entry.at(span), id),
                None => (entry.at.clone(), entry.name),
            };
            if let Err(e) = check_service_account_id(id) {
                let help = (id == entry.name).then(|| {
                    "The key is the account's id. Rename it, or keep it and give an `id`."
                        .to_owned()
                });
                self.tell("name", &at, e.0, "not allowed", help);
                return None;
            }
            let project = project?;
            (project.service_account(id), project)
        };
        let display_name = entry
            .node
            .get("displayName")
            .and_then(|n| Some((n.span, n.text()?)));
        if let Some((span, text)) = display_name
            && text.len() > 100
        {
            self.tell(
                "too_long",
                &entry.at(span),
                format!(
                    "a display name has at most 100 bytes; this has {}",
                    text.len()
                ),
                "too long",
                None,
            );
        }
        let grants = self.grants(entry, entry.node.get("grants"), Some(&project), "");
        Some(AccountSpec {
            email,
            project,
            managed: external.is_none(),
            display_name: display_name.map(|(_, text)| text.to_owned()),
            grants,
            place: entry.at.place(),
        })
    }

    /// Grants of an account; a role without a resource is on `home`.
    fn grants(
        &mut self,
        entry: &Entry<'_>,
        list: Option<&Node>,
        home: Option<&ProjectId>,
        why_no_home: &str,
    ) -> Vec<Grant> {
        let mut grants: Vec<Grant> = Vec::new();
        let mut places: Vec<At> = Vec::new();
        for item in list.map(Node::items).unwrap_or_default() {
            let role_node = if item.text().is_some() {
                Some(item)
            } else {
                item.get("role")
            };
            let Some((role_node, role)) = role_node.and_then(|n| Some((n, n.text()?))) else {
                continue;
            };
            let role = self.role(&entry.at(role_node.span), role);
            let resource = match item.get("resource").and_then(|n| Some((n, n.text()?))) {
                Some((node, text)) => self.parsed(&entry.at(node.span), Resource::parse(text)),
                None => {
                    if home.is_none() && !why_no_home.is_empty() {
                        self.tell(
                            "missing_field",
                            &entry.at(item.span),
                            "this role has no resource".to_owned(),
                            why_no_home,
                            Some("Write it as a map: { role: …, resource: project/ID }".to_owned()),
                        );
                    }
                    home.cloned().map(Resource::Project)
                }
            };
            let condition = item
                .get("condition")
                .and_then(|node| self.condition(entry, node, role.as_ref()));
            let (Some(role), Some(resource)) = (role, resource) else {
                continue;
            };
            let at = entry.at(item.span);
            let grant = Grant {
                role,
                resource,
                condition,
                place: at.place(),
            };
            let same = |g: &Grant| {
                (&g.role, &g.resource, &g.condition)
                    == (&grant.role, &grant.resource, &grant.condition)
            };
            if let Some(first) = grants.iter().position(same) {
                let first = places[first].clone();
                self.tell_both(
                    "duplicate_grant",
                    &at,
                    &first,
                    format!("{} on {} is granted twice", grant.role, grant.resource),
                    "Keep one of the two.",
                );
                continue;
            }
            grants.push(grant);
            places.push(at);
        }
        grants
    }

    fn role(&mut self, at: &At, text: &str) -> Option<Role> {
        match Role::parse(text) {
            Ok(role) => Some(role),
            Err(e) => {
                let bare = format!("roles/{text}");
                let help = (!text.contains('/') && Role::parse(&bare).is_ok())
                    .then(|| format!("Did you mean `{bare}`?"));
                self.tell("name", at, e.0, "not a role", help);
                None
            }
        }
    }

    fn condition(
        &mut self,
        entry: &Entry<'_>,
        node: &Node,
        role: Option<&Role>,
    ) -> Option<Condition> {
        let text = |field: &str| node.get(field).and_then(Node::text);
        if let Some(role) = role.filter(|r| r.is_basic()) {
            self.tell(
                "condition",
                &entry.at(node.span),
                format!("IAM allows no condition on the basic role {role}"),
                "not with this role",
                Some("Grant a predefined or custom role instead.".to_owned()),
            );
        }
        Some(Condition {
            title: text("title")?.to_owned(),
            description: text("description").unwrap_or_default().to_owned(),
            expression: text("expression")?.to_owned(),
        })
    }

    fn namespaces(
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
                place: at.place(),
            },
        ))
    }
}

/// Whether a key lies in this very map (and not in another document of the same file).
fn same_map(key: &At, map: Span) -> bool {
    (map.start..=map.start + map.len).contains(&key.span.start)
}

/// A map of texts. Values of other kinds have been told already.
fn texts(node: &Node) -> BTreeMap<String, String> {
    node.entries()
        .iter()
        .filter_map(|(k, v)| Some((k.text.clone(), v.text()?.to_owned())))
        .collect()
}
