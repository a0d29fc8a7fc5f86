//! The order in which clusters are changed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::{Context, Entry, Reader, SourceSpan};
use crate::spec::Document;
use crate::spec::diagnostics::Diagnostic;
use crate::spec::model::{Parallel, Rollout, Selector, Wave};
use crate::spec::tree::{Node, Value};
use crate::spec::waves::{self, Doubts};

impl Reader<'_> {
    pub(super) fn rollout(
        &mut self,
        documents: &[Document],
        context: &Context<'_>,
    ) -> Option<Rollout> {
        let mut found: Option<(Rollout, SourceSpan)> = None;
        for document in documents {
            let Some(node) = document.root.get("rollout") else {
                continue;
            };
            let entry = Entry {
                name: "rollout",
                at: SourceSpan {
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
        let list = entry.node.get("waves");
        let mut waves = Vec::new();
        let mut places = Vec::new();
        let mut doubts = Doubts {
            more: !context.clusters.are_all(),
            ..Doubts::default()
        };
        for (index, node) in list.map(Node::items).unwrap_or_default().iter().enumerate() {
            let named = node.get("name").and_then(|n| Some((n.span, n.text()?)));
            // One without a name, which has been told, is called by its number.
            let number = format!("{}", index + 1);
            let wave = Entry {
                name: named.map_or(&number, |(_, name)| name),
                at: entry.at(named.map_or(node.span, |(span, _)| span)),
                node,
                source: entry.source,
            };
            places.push(wave.at.clone());
            for list in [node.get("clusters"), node.get("select")]
                .into_iter()
                .flatten()
            {
                let names = list.items().iter().filter_map(Node::text);
                let meant = names.filter_map(|name| context.clusters.names.meant(name));
                doubts.meant.extend(meant.map(str::to_owned));
            }
            let (wave, is_clear) = self.wave(&wave, context);
            if !is_clear {
                doubts.waves.insert(index);
            }
            waves.push(wave);
        }
        let rollout = Rollout {
            waves,
            max_failures: number(entry.node.get("maxFailures")).unwrap_or(0),
            continues: entry.node.get("onFailure").and_then(Node::text) == Some("continue"),
            deadline: self.duration(entry, entry.node.get("deadline")),
            place: entry.at.place(),
        };
        let key = entry.node.entries().iter().find(|(k, _)| k.text == "waves");
        let at = key.map_or(entry.at.clone(), |(key, _)| entry.at(key.span));
        if !rollout.waves.is_empty() {
            self.tell_broken(&rollout, &doubts, &at, &places, context);
        } else if list.is_some_and(Node::is_read) {
            self.tell(
                "no_match",
                &at,
                "the rollout has no waves".to_owned(),
                "an empty list",
                Some("waves: [{ name: canary, clusters: { ring: \"1\" } }, { name: rest, clusters: remaining }]".to_owned()),
            );
        }
        rollout
    }

    /// Tells the rules that the waves break.
    fn tell_broken(
        &mut self,
        rollout: &Rollout,
        doubts: &Doubts,
        at: &SourceSpan,
        places: &[SourceSpan],
        context: &Context<'_>,
    ) {
        let labels = &context.clusters.labels;
        let clusters = labels.iter().map(|(name, labels)| (*name, labels));
        for broken in waves::assign(rollout, clusters, doubts).broken {
            let (at, label) = match (broken.wave, broken.other) {
                (Some(wave), Some(_)) => (&places[wave], "and this one"),
                (Some(wave), None) => (&places[wave], "this wave"),
                (None, _) => (at, "none of these"),
            };
            let selects = broken.wave.and_then(|w| rollout.waves[w].clusters.as_ref());
            let help = broken.help.or_else(|| {
                matches!(selects, Some(Selector::Labels(_)))
                    .then(|| context.clusters.labels_in_words())
            });
            let other = broken.other.map(|wave| &places[wave]);
            self.mistakes.push(Diagnostic {
                code: "waves",
                message: broken.message,
                help,
                label: Some((Arc::clone(&at.source), at.span, label.to_owned())),
                other: other.map(|at| (Arc::clone(&at.source), at.span, "this wave".to_owned())),
            });
        }
    }

    /// A wave, and whether it is known which clusters it has.
    fn wave(&mut self, entry: &Entry<'_>, context: &Context<'_>) -> (Wave, bool) {
        let node = entry.node;
        let there = |field: &str| node.get(field).filter(|n| !matches!(n.value, Value::Null));
        let mut is_clear = node.is_clear("clusters") && node.is_clear("select");
        let clusters = match (there("clusters"), there("select")) {
            (Some(_), Some(select)) => {
                self.tell(
                    "two_ways",
                    &entry.at(select.span),
                    format!("the wave `{}` has `clusters` and `select`", entry.name),
                    "the same in two words",
                    Some("Keep one of them.".to_owned()),
                );
                is_clear = false;
                None
            }
            (None, None) => {
                if is_clear {
                    self.tell(
                        "missing_field",
                        &entry.at,
                        format!("the wave `{}` has no clusters", entry.name),
                        "which ones?",
                        Some("A selector, a list of names, or `remaining`.".to_owned()),
                    );
                }
                is_clear = false;
                None
            }
            (Some(chosen), None) | (None, Some(chosen)) if chosen.text() == Some("remaining") => {
                None
            }
            (Some(chosen), None) | (None, Some(chosen)) => {
                let selector = self.selector(entry, chosen, context);
                is_clear &= selector.is_some();
                selector
            }
        };
        let gate = node.get("gate");
        let flag = |name: &str| {
            gate.and_then(|g| g.get(name))
                .map(|n| matches!(n.value, Value::Bool(true)))
        };
        let soak = node.get("soak").or_else(|| gate?.get("soak"));
        let wave = Wave {
            name: entry.name.to_owned(),
            // What is not known is not what remains.
            clusters: clusters.or_else(|| (!is_clear).then(|| Selector::Names(BTreeSet::new()))),
            max_parallel: self.parallel(entry, node.get("maxParallel")),
            verify: flag("verify").unwrap_or(true),
            soak: self.duration(entry, soak).unwrap_or_default(),
            manual: flag("manual").unwrap_or(false),
            max_failures: number(node.get("maxFailures")),
            place: entry.at.place(),
        };
        (wave, is_clear)
    }

    fn parallel(&mut self, entry: &Entry<'_>, node: Option<&Node>) -> Parallel {
        let Some(node) = node.filter(|n| n.is_read()) else {
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

    pub(super) fn duration(&mut self, entry: &Entry<'_>, node: Option<&Node>) -> Option<Duration> {
        let node = node?;
        let text = node.text()?;
        let days = text.strip_suffix('d').and_then(|n| n.parse::<u32>().ok());
        let days = days.map(|n| Duration::from_secs(u64::from(n) * 24 * 3600));
        let parsed = || text.parse::<jiff::SignedDuration>().ok();
        match days.or_else(|| Duration::try_from(parsed()?).ok()) {
            Some(duration) => Some(duration),
            None => {
                self.tell(
                    "name",
                    &entry.at(node.span),
                    format!("`{text}` is no duration"),
                    "such as 90s, 30m, 2h, 7d",
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
