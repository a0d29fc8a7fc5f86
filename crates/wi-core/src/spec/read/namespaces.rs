//! Namespaces, the clusters that they are on, and their Kubernetes service accounts.

use std::collections::{BTreeMap, BTreeSet};

use super::{Context, Entry, Reader};
use crate::names::KubeName;
use crate::spec::model::{KsaSpec, NamespaceSpec, Selector};
use crate::spec::tree::{Key, Node, Value};

/// On which of its namespace's clusters a service account is.
enum Own<'c> {
    All,
    /// Those that are declared, as far as the namespace's could be read.
    Some(Selector, Option<BTreeSet<&'c str>>),
    /// What it says could not be read, which has been told.
    Unread,
}

impl Reader<'_> {
    pub(super) fn namespaces(
        &mut self,
        entries: &[Entry<'_>],
        context: &Context<'_>,
    ) -> BTreeMap<KubeName, NamespaceSpec> {
        let mut namespaces = BTreeMap::new();
        for entry in entries {
            let name = self.parsed(&entry.at, KubeName::label(entry.name));
            let selected = self.selected(entry, context);
            let clusters = selected.as_ref().map(|(_, clusters)| clusters);
            let mut service_accounts = BTreeMap::new();
            for (key, node) in entry
                .node
                .get("serviceAccounts")
                .map(Node::entries)
                .unwrap_or_default()
            {
                if let Some((name, ksa)) = self.ksa(entry, key, node, clusters, context) {
                    service_accounts.entry(name).or_insert(ksa);
                }
            }
            let create = entry
                .node
                .get("create")
                .is_none_or(|n| !matches!(n.value, Value::Bool(false)));
            if let (Some(name), Some((selector, clusters))) = (name, selected) {
                namespaces.insert(
                    name,
                    NamespaceSpec {
                        selector,
                        clusters: clusters.into_iter().map(str::to_owned).collect(),
                        create,
                        service_accounts,
                        place: entry.at.place(),
                    },
                );
            }
        }
        namespaces
    }

    /// The clusters that a namespace is on, as far as they are declared; `None` if that could not be
    /// read.
    fn selected<'c>(
        &mut self,
        entry: &Entry<'_>,
        context: &Context<'c>,
    ) -> Option<(Selector, BTreeSet<&'c str>)> {
        if !entry.node.is_clear("clusters") {
            return None;
        }
        let names = &context.clusters.names;
        let node = entry.node.get("clusters");
        let Some(node) = node.filter(|n| !matches!(n.value, Value::Null)) else {
            if names.declared.is_empty() && names.are_all {
                self.without_cluster
                    .push((entry.name.to_owned(), entry.at.clone()));
            }
            return Some((Selector::All, names.declared.clone()));
        };
        if matches!(&node.value, Value::List(items) if items.is_empty()) {
            self.tell(
                "no_match",
                &entry.at(node.span),
                format!("the namespace `{}` is on no cluster", entry.name),
                "an empty list",
                Some("Name some, or leave `clusters` out for all.".to_owned()),
            );
            return None;
        }
        let selector = self.selector(entry, node, context)?;
        let found = context.clusters.selected(&selector);
        if found.is_empty() && context.clusters.are_all() {
            let what = format!("the namespace `{}`", entry.name);
            self.selects_none(&entry.at(node.span), "", &what, &selector, context);
        }
        Some((selector, found))
    }

    fn ksa(
        &mut self,
        entry: &Entry<'_>,
        key: &Key,
        node: &Node,
        clusters: Option<&BTreeSet<&str>>,
        context: &Context<'_>,
    ) -> Option<(KubeName, KsaSpec)> {
        let at = entry.at(key.span);
        let name = self.parsed(&at, KubeName::parse(&key.text));
        let (selector, own) = match self.own_clusters(entry, node, clusters, context) {
            Own::All => (Some(Selector::All), None),
            Own::Some(selector, own) => (Some(selector), own),
            Own::Unread => (None, None),
        };
        let clusters = own.as_ref().or(clusters);
        let identity = self.identity(entry, &key.text, node, clusters, context);
        let mut overrides = Vec::new();
        for item in node.get("overrides").map(Node::items).unwrap_or_default() {
            let on = item.get("clusters").filter(|_| item.is_clear("clusters"));
            let selector = on.and_then(|on| self.selector(entry, on, context));
            let of = match (&selector, clusters) {
                (Some(selector), Some(clusters)) => {
                    let mut of = context.clusters.selected(selector);
                    of.retain(|name| clusters.contains(name));
                    Some(of)
                }
                _ => None,
            };
            if let (Some(on), Some(of), Some(selector)) = (on, &of, &selector)
                && of.is_empty()
                && clusters.is_some_and(|c| !c.is_empty())
                && context.clusters.are_all()
            {
                let whose = format!(" of the namespace `{}`", entry.name);
                let at = entry.at(on.span);
                self.selects_none(&at, &whose, "this override", selector, context);
            }
            let identity = self.identity(entry, &key.text, item, of.as_ref(), context);
            overrides.extend(selector.zip(identity));
        }
        Some((
            name?,
            KsaSpec {
                selector: selector?,
                identity: identity?,
                overrides,
                existing: node
                    .get("existing")
                    .is_some_and(|n| matches!(n.value, Value::Bool(true))),
                place: at.place(),
            },
        ))
    }

    /// On which of the namespace's clusters it is.
    fn own_clusters<'c>(
        &mut self,
        entry: &Entry<'_>,
        node: &Node,
        clusters: Option<&BTreeSet<&'c str>>,
        context: &Context<'c>,
    ) -> Own<'c> {
        if !node.is_clear("clusters") {
            return Own::Unread;
        }
        let on = node.get("clusters");
        let Some(on) = on.filter(|n| !matches!(n.value, Value::Null)) else {
            return Own::All;
        };
        if matches!(&on.value, Value::List(items) if items.is_empty()) {
            self.tell(
                "no_match",
                &entry.at(on.span),
                "this service account is on no cluster".to_owned(),
                "an empty list",
                Some("Name some, or leave `clusters` out for all of its namespace.".to_owned()),
            );
            return Own::Unread;
        }
        let Some(selector) = self.selector(entry, on, context) else {
            return Own::Unread;
        };
        let own = clusters.map(|clusters| {
            let mut own = context.clusters.selected(&selector);
            own.retain(|name| clusters.contains(name));
            own
        });
        if own.as_ref().is_some_and(BTreeSet::is_empty)
            && clusters.is_some_and(|c| !c.is_empty())
            && context.clusters.are_all()
        {
            let whose = format!(" of the namespace `{}`", entry.name);
            let at = entry.at(on.span);
            self.selects_none(&at, &whose, "this service account", &selector, context);
        }
        Own::Some(selector, own)
    }
}
