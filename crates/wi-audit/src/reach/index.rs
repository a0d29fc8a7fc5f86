//! Who is named where: members of policies by whom they mean, so that nobody is compared with all of them.

use std::collections::{BTreeSet, HashMap};

use wi_core::access::Facts;
use wi_core::names::{Email, Member};
use wi_core::resource::Resource;
use wi_core::wire::policy::Binding;

/// A member of a binding.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'w> {
    pub on: &'w Resource,
    pub binding: &'w Binding,
    pub member: &'w str,
}

/// All members of all policies that were seen.
#[derive(Debug, Default)]
pub(super) struct Index<'w> {
    pub entries: Vec<Entry<'w>>,
    /// Of one account, a Google or a Kubernetes one, in whatever spelling.
    exact: HashMap<Member, Vec<usize>>,
    /// Sets of a workload pool, by the pool.
    sets: HashMap<String, Vec<usize>>,
    /// Kubernetes service accounts that are named, by their pools.
    named: HashMap<String, BTreeSet<(String, String)>>,
    /// What may mean anybody: groups, everybody, who has a basic role, accounts of a container.
    wide: Vec<usize>,
    /// People, and what stands for some.
    people: HashMap<&'w str, Vec<usize>>,
}

impl<'w> Index<'w> {
    pub fn of(facts: &'w Facts) -> Self {
        let mut index = Self::default();
        let policies = facts.policies.iter();
        let found = policies.filter_map(|(on, policy)| Some((on, policy.found()?)));
        for (on, policy) in found {
            for binding in &policy.bindings {
                for member in &binding.members {
                    index.add(Entry {
                        on,
                        binding,
                        member,
                    });
                }
            }
        }
        index
    }

    fn add(&mut self, entry: Entry<'w>) {
        let at = self.entries.len();
        self.entries.push(entry);
        match Member::parse(entry.member) {
            member @ (Member::ServiceAccount(_) | Member::Ksa(_)) => {
                if let Member::Ksa(ksa) = &member {
                    let of_pool = self.named.entry(ksa.pool.clone()).or_default();
                    of_pool.insert((ksa.namespace.clone(), ksa.name.clone()));
                }
                self.exact.entry(member).or_default().push(at);
            }
            Member::Set(set) => self.sets.entry(set.pool).or_default().push(at),
            Member::DeletedServiceAccount { .. } => {}
            Member::Other(text) => {
                let of_people = [
                    "user:",
                    "group:",
                    "domain:",
                    "principal:",
                    "principalSet:",
                    "all",
                ];
                if of_people.iter().any(|p| text.starts_with(p)) {
                    self.people.entry(entry.member).or_default().push(at);
                }
                if !["user:", "domain:", "deleted:"]
                    .iter()
                    .any(|p| text.starts_with(p))
                {
                    self.wide.push(at);
                }
            }
        }
    }

    /// Entries that mean this account or Kubernetes service account and nobody else.
    pub fn exactly(&self, member: &Member) -> &[usize] {
        self.exact.get(member).map_or(&[], Vec::as_slice)
    }

    /// Google service accounts that are named, of whatever project.
    pub fn accounts(&self) -> impl Iterator<Item = &Email> {
        self.exact.keys().filter_map(|member| match member {
            Member::ServiceAccount(email) => Some(email),
            _ => None,
        })
    }

    /// Sets of a pool.
    pub fn sets_of(&self, pool: &str) -> &[usize] {
        self.sets.get(pool).map_or(&[], Vec::as_slice)
    }

    /// Those that may mean anybody.
    pub fn wide(&self) -> &[usize] {
        &self.wide
    }

    /// People and groups, with where they are named.
    pub fn people(&self) -> impl Iterator<Item = (&'w str, &[usize])> {
        self.people.iter().map(|(who, at)| (*who, at.as_slice()))
    }

    /// Kubernetes service accounts of a pool that are named somewhere.
    pub fn named_of(&self, pool: &str) -> impl Iterator<Item = (&str, &str)> {
        let of_pool = self.named.get(pool).into_iter().flatten();
        of_pool.map(|(namespace, name)| (namespace.as_str(), name.as_str()))
    }
}
