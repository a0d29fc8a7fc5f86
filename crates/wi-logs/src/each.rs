//! Which permissions each of some principals used, and of which projects logs were read, in one reading.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::collect::Seen;
use crate::entry::Entry;
use crate::facts::Counts;
use crate::name;
use crate::read::Take;
use crate::summary::Permissions;
use crate::when::{DAY, Micros};

/// Gathers them.
#[derive(Debug, Default)]
pub struct EachUsed {
    /// By principal, in the spelling of [`name::principal`].
    pub by: BTreeMap<String, Permissions>,
    /// The first and the last audit entry of each project, whoever it is of.
    pub projects: BTreeMap<String, (Micros, Micros)>,
    counts: Counts,
}

impl EachUsed {
    /// Of these principals; gatherers of one reading share what was seen.
    pub fn of(who: impl IntoIterator<Item = String>, seen: &Arc<Seen>) -> Self {
        let by = who.into_iter().map(|who| {
            let used = Permissions::of([who.clone()], Arc::clone(seen));
            (who, used)
        });
        Self {
            by: by.collect(),
            ..Self::default()
        }
    }

    /// Adds what another part found.
    pub fn merge(&mut self, other: Self) {
        for (who, used) in other.by {
            match self.by.get_mut(&who) {
                Some(known) => known.merge(used),
                None => _ = self.by.insert(who, used),
            }
        }
        for (project, (first, last)) in other.projects {
            self.saw(project, first, last);
        }
        self.counts.entries += other.counts.entries;
        self.counts.unreadable += other.counts.unreadable;
    }

    /// How many lines were no entries.
    pub fn unreadable(&self) -> u64 {
        self.counts.unreadable
    }

    /// Whole days between the first and the last entry of each project.
    pub fn days(&self) -> BTreeMap<String, u32> {
        let all = self.projects.iter();
        all.map(|(project, (first, last))| {
            let days = u32::try_from((last - first) / DAY).unwrap_or(0);
            (project.clone(), days)
        })
        .collect()
    }

    fn saw(&mut self, project: String, first: Micros, last: Micros) {
        let known = self.projects.entry(project).or_insert((first, last));
        *known = (known.0.min(first), known.1.max(last));
    }
}

impl Take for EachUsed {
    fn take(&mut self, entry: &Entry<'_>) {
        if !entry.is_audit() {
            return;
        }
        let Some(at) = entry.at() else { return };
        let of = entry.log_name.as_str().strip_prefix("projects/");
        if let Some((project, _)) = of.and_then(|rest| rest.split_once('/')) {
            self.saw(project.to_owned(), at, at);
        }
        if let Some(used) = self.by.get_mut(&name::principal(entry.who())) {
            used.take(entry);
        }
    }

    fn counts(&mut self) -> &mut Counts {
        &mut self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::{Input, read};

    #[test]
    fn each_principal_has_its_own_and_projects_their_days() {
        let line = |project: &str, day: &str, who: &str, permission: &str| {
            format!(
                r#"{{"logName":"projects/{project}/logs/cloudaudit.googleapis.com%2Fdata_access","timestamp":"2026-{day}T00:00:00Z","insertId":"{day}{who}","protoPayload":{{"@type":"type.googleapis.com/google.cloud.audit.AuditLog","serviceName":"storage.googleapis.com","methodName":"storage.objects.get","authenticationInfo":{{"principalEmail":"{who}"}},"authorizationInfo":[{{"permission":"{permission}","granted":true,"resource":"projects/_/buckets/b/objects/o"}}]}}}}"#
            )
        };
        let (a, b) = (
            "a@p-one.iam.gserviceaccount.com",
            "b@p-one.iam.gserviceaccount.com",
        );
        let text = [
            line("p-one", "10-01", a, "storage.objects.get"),
            line("p-one", "11-12", b, "storage.objects.list"),
            line(
                "p-two",
                "11-12",
                "someone@example.com",
                "storage.objects.get",
            ),
        ]
        .join("\n");
        let seen = Arc::new(Seen::default());
        let input = Input {
            name: "log".to_owned(),
            open: Box::new(|| Ok(Box::new(text.as_bytes()))),
        };
        let make = || EachUsed::of([a.to_owned(), b.to_owned()], &seen);
        let outcome = read([input], 1, make);
        let mut all = make();
        for part in outcome.parts {
            all.merge(part);
        }
        let used = |who: &str| all.by[who].used.keys().cloned().collect::<Vec<_>>();
        assert_eq!(
            (used(a), used(b)),
            (
                vec!["storage.objects.get".to_owned()],
                vec!["storage.objects.list".to_owned()]
            )
        );
        assert_eq!(
            all.days(),
            BTreeMap::from([("p-one".to_owned(), 42), ("p-two".to_owned(), 0)])
        );
        assert_eq!(all.unreadable(), 0);
    }
}
