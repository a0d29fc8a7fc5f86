//! The order in which clusters are changed.

use std::time::Duration;

use super::{At, Context, Entry, Reader};
use crate::spec::model::{Parallel, Rollout, Selector, Wave};
use crate::spec::tree::{Node, Value};
use crate::spec::{Document, waves};

impl Reader<'_> {
    pub(super) fn rollout(
        &mut self,
        documents: &[Document],
        context: &Context<'_>,
    ) -> Option<Rollout> {
        let mut found: Option<(Rollout, At)> = None;
        for document in documents {
            let Some(node) = document.root.get("rollout") else {
                continue;
            };
            let entry = Entry {
                name: "rollout",
                at: At {
                    source: std::sync::Arc::clone(&document.source),
                    span: node.span,
                },
                node,
                source: &document.source,
            };
            if let Some((_, first)) = &found {
                let first = first.clone();
                self.tell_both(
                    "duplicate_key",
                    &entry.at,
                    &first,
                    "there are two rollouts".to_owned(),
                    "Keep one of the two: files that are read together are one spec.",
                );
                continue;
            }
            let rollout = self.one_rollout(&entry, context);
            found = Some((rollout, entry.at.clone()));
        }
        found.map(|(rollout, _)| rollout)
    }

    fn one_rollout(&mut self, entry: &Entry<'_>, context: &Context<'_>) -> Rollout {
        let mut list = Vec::new();
        let mut places = Vec::new();
        for node in entry.node.get("waves").map(Node::items).unwrap_or_default() {
            let at = entry.at(node.span);
            let wave = Entry {
                name: node.get("name").and_then(Node::text).unwrap_or("wave"),
                at: at.clone(),
                node,
                source: entry.source,
            };
            list.push(self.wave(&wave, context));
            places.push(at);
        }
        let rollout = Rollout {
            waves: list,
            max_failures: number(entry.node.get("maxFailures")).unwrap_or(0),
            continues: entry.node.get("onFailure").and_then(Node::text) == Some("continue"),
            deadline: self.duration(entry, entry.node.get("deadline")),
            place: entry.at.place(),
        };
        if rollout.waves.is_empty() {
            self.tell(
                "no_match",
                &entry.at,
                "the rollout has no waves".to_owned(),
                "an empty list",
                Some("waves: [{ name: canary, clusters: { ring: \"1\" } }, { name: rest, clusters: remaining }]".to_owned()),
            );
        }
        for broken in waves::assign(&rollout, context.clusters, context.finds_more()).broken {
            let at = broken.wave.map_or(&entry.at, |wave| &places[wave]).clone();
            self.tell("waves", &at, broken.message, "this wave", broken.help);
        }
        rollout
    }

    fn wave(&mut self, entry: &Entry<'_>, context: &Context<'_>) -> Wave {
        let node = entry.node;
        let chosen = match (node.get("clusters"), node.get("select")) {
            (Some(_), Some(select)) => {
                self.tell(
                    "two_ways",
                    &entry.at(select.span),
                    format!("the wave `{}` has `clusters` and `select`", entry.name),
                    "the same in two words",
                    Some("Keep one of them.".to_owned()),
                );
                None
            }
            (clusters, select) => clusters.or(select),
        };
        let clusters = match chosen {
            Some(node) if node.text() == Some("remaining") => None,
            Some(node) => {
                self.names_exist(entry, node, context);
                self.selector(entry, node)
            }
            None => {
                self.tell(
                    "missing_field",
                    &entry.at,
                    format!("the wave `{}` has no clusters", entry.name),
                    "which ones?",
                    Some("A selector, a list of names, or `remaining`.".to_owned()),
                );
                Some(Selector::Names(std::collections::BTreeSet::new()))
            }
        };
        let gate = node.get("gate");
        let flag = |name: &str| {
            gate.and_then(|g| g.get(name))
                .map(|n| matches!(n.value, Value::Bool(true)))
        };
        let soak = node.get("soak").or_else(|| gate?.get("soak"));
        Wave {
            name: entry.name.to_owned(),
            clusters,
            max_parallel: self.parallel(entry, node.get("maxParallel")),
            verify: flag("verify").unwrap_or(true),
            soak: self.duration(entry, soak).unwrap_or_default(),
            manual: flag("manual").unwrap_or(false),
            max_failures: number(node.get("maxFailures")),
            place: entry.at.place(),
        }
    }

    fn parallel(&mut self, entry: &Entry<'_>, node: Option<&Node>) -> Parallel {
        let Some(node) = node else {
            return Parallel::All;
        };
        let percent = node
            .text()
            .and_then(|t| t.strip_suffix('%')?.trim().parse::<usize>().ok());
        match (number(Some(node)), percent) {
            (Some(n), _) if n > 0 => Parallel::Number(n),
            (None, Some(p)) if (1..=100).contains(&p) => Parallel::Percent(p),
            _ => {
                self.tell(
                    "name",
                    &entry.at(node.span),
                    format!(
                        "`maxParallel` of the wave `{}` is no number of clusters",
                        entry.name
                    ),
                    "1 or more, or 1% to 100%",
                    None,
                );
                Parallel::All
            }
        }
    }

    fn duration(&mut self, entry: &Entry<'_>, node: Option<&Node>) -> Option<Duration> {
        let node = node?;
        let text = node.text()?;
        let parsed: Option<jiff::SignedDuration> = text.parse().ok();
        match parsed.and_then(|d| Duration::try_from(d).ok()) {
            Some(duration) => Some(duration),
            None => {
                self.tell(
                    "name",
                    &entry.at(node.span),
                    format!("`{text}` is no duration"),
                    "such as 90s, 30m, 2h",
                    None,
                );
                None
            }
        }
    }
}

fn number(node: Option<&Node>) -> Option<usize> {
    match &node?.value {
        Value::Number(text) => text.parse().ok(),
        _ => None,
    }
}
