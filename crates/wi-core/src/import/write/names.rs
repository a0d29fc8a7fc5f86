//! What the spec calls accounts.

use std::collections::{BTreeMap, BTreeSet};

use crate::names::Email;

/// Their ids, where no other has the same.
pub(super) fn account_names<'a>(
    emails: impl Iterator<Item = &'a Email>,
) -> BTreeMap<Email, String> {
    let emails: Vec<&Email> = emails.collect();
    let mut ids: BTreeMap<&str, usize> = BTreeMap::new();
    for email in &emails {
        *ids.entry(email.account_id()).or_default() += 1;
    }
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut names = BTreeMap::new();
    for email in emails {
        let id = email.account_id();
        let domain = email.as_str().split_once('@').map_or("", |(_, d)| d);
        let project = domain.split('.').next().unwrap_or_default();
        let plain = |c: char| {
            if c.is_ascii_alphanumeric() || "-_.".contains(c) {
                c
            } else {
                '-'
            }
        };
        let long: String = format!("{id}-{project}").chars().map(plain).collect();
        let short: String = id.chars().map(plain).collect();
        let name = match ids[id] {
            1 => short,
            _ => long,
        };
        let mut name: String = name.chars().take(60).collect();
        while taken.contains(&name) {
            name.push('x');
        }
        taken.insert(name.clone());
        names.insert(email.clone(), name);
    }
    names
}
