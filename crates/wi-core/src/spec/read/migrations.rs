//! Accounts that get off their static keys.

use std::collections::{BTreeMap, BTreeSet};

use super::{Context, Entry, Reader};
use crate::spec::migration::{self, Accept, Migration, Until};
use crate::spec::tree::Node;

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
            let Some(until) = self.until(entry) else {
                continue;
            };
            let migration = Migration {
                until,
                exclude,
                accept,
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
            let later = migration::LATER.iter().find(|(name, _)| *name == text);
            let (message, label, help) = match later {
                Some((_, help)) => (
                    format!("`until: {text}` is not built yet"),
                    "bound or cutover",
                    *help,
                ),
                None => (
                    format!("an account is not migrated until `{text}`"),
                    "bound or cutover",
                    "bound: its workloads could do without a key. cutover: none has one any more.",
                ),
            };
            self.tell(
                "migration",
                &entry.at(node.span),
                message,
                label,
                Some(help.to_owned()),
            );
        }
        until
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
