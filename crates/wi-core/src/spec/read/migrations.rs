//! Accounts that get off their static keys.

use std::collections::{BTreeMap, BTreeSet};

use super::{Context, Entry, Reader};
use crate::spec::migration::{Accept, Migration, Soak, Strategy, Until};
use crate::spec::model::WorkloadPattern;
use crate::spec::tree::Node;
use crate::words::duration as in_words;

impl Reader<'_> {
    pub(super) fn migrations(
        &mut self,
        entries: &[Entry<'_>],
        context: &Context<'_>,
    ) -> BTreeMap<String, Migration> {
        let mut migrations = BTreeMap::new();
        for entry in entries {
            self.refer(&entry.at, entry.name, &context.accounts, None);
            let exclude = match entry.node.get("exclude") {
                Some(list) => self.workload_patterns(list, &|node| entry.at(node.span)),
                None => Vec::new(),
            };
            let accept = self.accepted(entry);
            let strategies = self.strategies(entry);
            let soak = self.soak(entry);
            let Some(until) = self.until(entry) else {
                continue;
            };
            let migration = Migration {
                until,
                exclude,
                accept,
                strategies,
                soak,
                place: entry.at.place(),
            };
            migrations.insert(entry.name.to_owned(), migration);
        }
        migrations
    }

    fn until(&mut self, entry: &Entry<'_>) -> Option<Until> {
        let node = entry.node.get("until")?;
        let text = node.text()?;
        let until = Until::parse(text);
        if until.is_none() {
            self.tell(
                "migration",
                &entry.at(node.span),
                format!("an account is not migrated until `{text}`"),
                "bound, shadow, canary, cutover, disabled, deleted or pruned",
                Some("bound: its workloads could do without a key. shadow, canary: a second Deployment without it stands beside each, in the dark or with a share of its requests. cutover: none has one any more. disabled, deleted: its keys are. pruned: so are the Secrets that held them.".to_owned()),
            );
        }
        until
    }

    fn soak(&mut self, entry: &Entry<'_>) -> Soak {
        let mut soak = Soak::default();
        let Some(node) = entry.node.get("soak") else {
            return soak;
        };
        for (field, (least, most), value) in [
            ("quiet", Soak::QUIET, &mut soak.quiet),
            ("disabled", Soak::DISABLED, &mut soak.disabled),
            ("canary", Soak::CANARY, &mut soak.canary),
        ] {
            let Some(node) = node.get(field) else {
                continue;
            };
            let Some(asked) = self.duration(entry, Some(node)) else {
                continue;
            };
            if asked < least || asked > most {
                self.tell(
                    "migration",
                    &entry.at(node.span),
                    format!("`{field}` is not between {} and {}", in_words(least), in_words(most)),
                    "too short, or too long",
                    Some("Evidence of use is hours late and kept for six weeks, and tokens that were made with a key outlive it by an hour.".to_owned()),
                );
                continue;
            }
            *value = asked;
        }
        soak
    }

    fn strategies(&mut self, entry: &Entry<'_>) -> Vec<(WorkloadPattern, Strategy)> {
        let mut strategies = Vec::new();
        let map = entry.node.get("strategy").map(Node::entries);
        for (key, node) in map.unwrap_or_default() {
            let pattern = self.workload_pattern(&key.text, &entry.at(key.span));
            let Some(text) = node.text() else { continue };
            match (pattern, Strategy::parse(text)) {
                (Some(pattern), Some(strategy)) => strategies.push((pattern, strategy)),
                (_, Some(_)) => {}
                (_, None) => self.tell(
                    "migration",
                    &entry.at(node.span),
                    format!("`{text}` is no strategy"),
                    "shadow or rolling",
                    Some("shadow: a second Deployment without the key stands beside it first. rolling: its own pods are replaced, one of them first.".to_owned()),
                ),
            }
        }
        strategies
    }

    fn accepted(&mut self, entry: &Entry<'_>) -> BTreeSet<Accept> {
        let mut accepted = BTreeSet::new();
        let list = entry.node.get("accept").map(Node::items);
        for node in list.unwrap_or_default() {
            let Some(text) = node.text() else { continue };
            match Accept::parse(text) {
                Some(accept) => _ = accepted.insert(accept),
                None => {
                    let names = Accept::ALL.map(Accept::name).join(", ");
                    self.tell(
                        "migration",
                        &entry.at(node.span),
                        format!("`{text}` is nothing that can be accepted"),
                        "not known",
                        Some(format!(
                            "There are {names}; `wi migrate` says which is needed."
                        )),
                    );
                }
            }
        }
        accepted
    }
}
