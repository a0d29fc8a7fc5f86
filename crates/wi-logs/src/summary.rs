//! Who used what: principals, services and classes of calls; and which permissions one of them used.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::collect::{Seen, digest};
use crate::entry::Entry;
use crate::facts::{Counts, Facts, Kind, Stat};
use crate::name;
use crate::read::Take;
use crate::services::{self, Class};

/// A line of the summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    /// Who.
    pub who: String,
    /// The service.
    pub service: String,
    /// What the calls did.
    pub class: Class,
    /// How often, and when.
    pub stat: Stat,
}

/// Who used what, in order.
pub fn summary(facts: &Facts) -> Vec<Used> {
    let mut all: BTreeMap<(&str, &str, Class), Stat> = BTreeMap::new();
    for (row, stat) in facts.of(Kind::Use) {
        all.entry((&row.who, &row.a, services::class(&row.b)))
            .and_modify(|s| s.add(*stat))
            .or_insert(*stat);
    }
    all.into_iter()
        .map(|((who, service, class), stat)| Used {
            who: who.to_owned(),
            service: service.to_owned(),
            class,
            stat,
        })
        .collect()
}

/// A permission that was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    /// How often, and when; denials are counted.
    pub stat: Stat,
    /// By which services.
    pub services: BTreeSet<String>,
    /// On what: so many names are kept.
    pub resources: BTreeSet<String>,
    /// Whether it was on more than are kept.
    pub is_more: bool,
}

/// So many resources of a permission are kept.
const MOST_RESOURCES: usize = 20;

/// Gathers the permissions that some principals used.
#[derive(Debug, Default)]
pub struct Permissions {
    /// Principals, in the spelling of [`name::principal`].
    pub who: BTreeSet<String>,
    /// By permission.
    pub used: BTreeMap<String, Permission>,
    /// Services that the principals called, and whether reads of them are logged.
    pub services: BTreeMap<String, bool>,
    /// How much was read.
    pub counts: Counts,
    seen: Arc<Seen>,
}

impl Permissions {
    /// Those of these principals; gatherers of one reading share what was seen.
    pub fn of(who: impl IntoIterator<Item = String>, seen: Arc<Seen>) -> Self {
        Self {
            who: who.into_iter().collect(),
            seen,
            ..Self::default()
        }
    }

    /// Adds what another part found.
    pub fn merge(&mut self, other: Self) {
        for (name, permission) in other.used {
            match self.used.get_mut(&name) {
                None => _ = self.used.insert(name, permission),
                Some(known) => {
                    known.stat.add(permission.stat);
                    known.services.extend(permission.services);
                    known.resources.extend(permission.resources);
                    known.is_more |= permission.is_more;
                }
            }
        }
        for (service, reads) in other.services {
            *self.services.entry(service).or_default() |= reads;
        }
        self.counts.entries += other.counts.entries;
        self.counts.unreadable += other.counts.unreadable;
    }
}

impl Take for Permissions {
    fn take(&mut self, entry: &Entry<'_>) {
        if !entry.is_audit() || entry.who().is_empty() {
            return;
        }
        let Some(at) = entry.at() else { return };
        if !self.who.contains(&name::principal(entry.who())) {
            return;
        }
        if !entry.insert_id.as_str().is_empty() && !self.seen.is_new(digest(entry, at)) {
            return;
        }
        self.counts.entries += 1;
        let service = services::service(entry.payload.service.as_str());
        let class = services::class(entry.payload.method.as_str());
        *self.services.entry(service.clone()).or_default() |= class == Class::Read;
        for right in &entry.payload.authorization.0 {
            let granted = right.granted.as_str() == "true";
            let stat = Stat {
                calls: 1,
                denied: u64::from(!granted),
                first: at,
                last: at,
            };
            let name = right.permission.as_str();
            if name.is_empty() {
                continue;
            }
            let used = self.used.entry(name.to_owned()).or_insert(Permission {
                stat: Stat {
                    calls: 0,
                    denied: 0,
                    ..stat
                },
                services: BTreeSet::new(),
                resources: BTreeSet::new(),
                is_more: false,
            });
            used.stat.add(stat);
            used.services.insert(service.clone());
            let resource = above(right.resource.as_str());
            if used.resources.len() < MOST_RESOURCES {
                used.resources.insert(resource);
            } else if !used.resources.contains(&resource) {
                used.is_more = true;
            }
        }
    }

    fn counts(&mut self) -> &mut Counts {
        &mut self.counts
    }
}

/// The bucket of an object, the dataset of a table, the secret of a version: what a role would be granted on.
fn above(resource: &str) -> String {
    let resource = resource
        .strip_prefix("//")
        .and_then(|rest| rest.split_once('/').map(|(_, path)| path))
        .unwrap_or(resource);
    resource.split('/').take(4).collect::<Vec<_>>().join("/")
}
