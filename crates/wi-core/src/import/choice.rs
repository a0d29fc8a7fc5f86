//! What the spec is to have.

use std::collections::{BTreeMap, BTreeSet};

use super::accounts::{self, ChosenAccount};
use super::asked::Asked;
use super::clusters::{self, Fleet};
use super::facts::Facts;
use super::ksas::{self, ChosenKsa, ChosenNamespace};
use super::members::{Given, Members};
use super::owners::{Owner, Owners};
use super::refused::Refused;
use super::told::{Choices, Imported, LeftOut, LeftOutKind};
use crate::address::BindingKey;
use crate::live::Seen;
use crate::names::{Email, KubeName, Member, ProjectId};
use crate::plan::ownership::{owner_in_description, owner_of};
use crate::resource::Resource;

/// What the spec is to have, by what it is.
pub(super) struct Choice {
    pub name: String,
    /// The default project.
    pub project: Option<ProjectId>,
    pub fleet: Fleet,
    pub accounts: BTreeMap<Email, ChosenAccount>,
    pub namespaces: BTreeMap<KubeName, ChosenNamespace>,
    left_out: BTreeSet<LeftOut>,
    plain: usize,
}

impl Choice {
    pub fn of(facts: &Facts, choices: &Choices, name: String, refused: &Refused) -> Self {
        let mut left_out = BTreeSet::new();
        let members = Members::of(facts);
        let usable = clusters::usable(facts, &mut left_out);
        let asked = Asked {
            facts,
            members: &members,
            choices,
            owner: &name,
            refused,
        };
        let found = ksas::choose(&asked, &usable, &mut left_out);
        let accounts = accounts::choose(&asked, &found.ksas, &mut left_out);
        let project = default_project(facts, &accounts);
        let fleet = Fleet::of(facts, &usable, &found.ksas, &mut left_out);
        let namespaces = ksas::by_namespace(&asked, found.ksas);
        let mut choice = Self {
            name,
            project,
            fleet,
            accounts,
            namespaces,
            left_out,
            plain: found.plain,
        };
        choice.count_others(&members);
        choice
    }

    /// Members of the policies that are others' to look after.
    fn count_others(&mut self, members: &Members) {
        let others = members.all.iter().filter(|key| !self.has(key));
        let others = others.map(|key| LeftOut {
            kind: LeftOutKind::Member,
            what: format!("{} of {} on {}", key.role, key.member, key.resource),
            why: String::new(),
        });
        let others: Vec<LeftOut> = others.collect();
        self.left_out.extend(others);
    }

    /// Whether the spec asks for it.
    fn has(&self, key: &BindingKey) -> bool {
        if let Resource::ServiceAccount(email) = &key.resource
            && key.is_impersonation()
            && let Some(account) = self.accounts.get(email)
            && account.is_managed()
        {
            return true;
        }
        match &key.member {
            Member::Ksa(one) => self.ksa(&one.namespace, &one.name).is_some_and(|ksa| {
                match key.is_impersonation() {
                    true => ksa.acts_as(&one.pool, key),
                    false => ksa.has(&one.pool, key),
                }
            }),
            Member::ServiceAccount(email) => {
                let account = self.accounts.get(email);
                account.is_some_and(|a| a.grants().contains(&Given::from(key)))
            }
            _ => false,
        }
    }

    fn ksa(&self, namespace: &str, name: &str) -> Option<&ChosenKsa> {
        let namespace = self.namespaces.get(&KubeName::parse(namespace).ok()?)?;
        namespace.ksas.get(&KubeName::parse(name).ok()?)
    }

    /// Whether the spec looks after what this one has.
    fn decides_about(&self, member: &Member) -> bool {
        match member {
            Member::ServiceAccount(email) => self
                .accounts
                .get(email)
                .is_some_and(ChosenAccount::is_managed),
            Member::Ksa(one) => {
                let ksa = self.ksa(&one.namespace, &one.name);
                ksa.is_some_and(|ksa| ksa.on.keys().any(|c| c.project.workload_pool() == one.pool))
            }
            _ => false,
        }
    }

    fn to_release(&self, owners: &Owners) -> BTreeSet<Owner> {
        let managed = |email: &Email| {
            self.accounts
                .get(email)
                .is_some_and(ChosenAccount::is_managed)
        };
        let accounts = owners.accounts.iter().filter(|(email, _)| managed(email));
        let ksas = owners.ksas.iter().filter(|((namespace, name), _)| {
            let ksa = self.ksa(namespace, name);
            ksa.is_some_and(|ksa| ksa.existing.is_none())
        });
        let members = owners
            .members
            .iter()
            .filter(|(member, _)| self.decides_about(member));
        let one_by_one = accounts.map(|(_, o)| o).chain(ksas.map(|(_, o)| o));
        one_by_one
            .chain(members.flat_map(|(_, o)| o))
            .cloned()
            .collect()
    }

    fn whole(&self, owners: &Owners) -> BTreeSet<Owner> {
        let whole = owners.whole.iter();
        let ours = whole.filter(|(_, members)| members.iter().any(|m| self.decides_about(m)));
        ours.map(|(owner, _)| owner.clone()).collect()
    }

    /// Something that has this spec's mark and is not in it as its own: a plan would take it for what left the spec.
    pub fn unclaimed(&self, facts: &Facts) -> Option<String> {
        let listed = facts.accounts.values().filter_map(Seen::found).flatten();
        let mut marked =
            listed.filter(|(_, a)| owner_in_description(&a.description) == Some(&self.name));
        let is_managed = |email: &Email| {
            self.accounts
                .get(email)
                .is_some_and(ChosenAccount::is_managed)
        };
        if let Some((email, _)) = marked.find(|(email, _)| !is_managed(email)) {
            return Some(email.to_string());
        }
        facts.clusters.iter().find_map(|(path, found)| {
            let metas = found.objects.found()?.service_accounts.values();
            let mut ours = metas.filter(|meta| owner_of(meta) == Some(&self.name));
            let meta = ours.find(|meta| {
                let ksa = self.ksa(&meta.namespace, &meta.name);
                ksa.is_none_or(|ksa| ksa.existing.is_some() || !ksa.on.contains_key(path))
            })?;
            Some(format!("{}/{} in {path}", meta.namespace, meta.name))
        })
    }

    pub fn told(&self, files: BTreeMap<String, String>, choices: &Choices) -> Imported {
        let of_accounts: usize = self.accounts.values().map(|a| a.grants().len()).sum();
        let ksas = || self.namespaces.values().flat_map(|n| n.ksas.values());
        let managed = self.accounts.values().filter(|a| a.is_managed()).count();
        Imported {
            name: self.name.clone(),
            instead_of: None,
            files,
            clusters: self.fleet.len(),
            accounts: (managed, self.accounts.len() - managed),
            ksas: ksas().count(),
            grants: of_accounts + ksas().map(ChosenKsa::grants).sum::<usize>(),
            to_release: match choices.take_over {
                true => self.to_release(&choices.owners),
                false => BTreeSet::new(),
            },
            whole: self.whole(&choices.owners),
            left_out: self.left_out.clone(),
            plain: self.plain,
        }
    }
}

/// The names on the marks that are there, that on most of them first.
pub(super) fn marks(facts: &Facts) -> Vec<String> {
    let mut owners: BTreeMap<&str, usize> = BTreeMap::new();
    let accounts = facts.accounts.values().filter_map(Seen::found).flatten();
    for owner in accounts.filter_map(|(_, a)| owner_in_description(&a.description)) {
        *owners.entry(owner).or_default() += 1;
    }
    let objects = facts.clusters.values().filter_map(|c| c.objects.found());
    let metas = objects.flat_map(|o| o.service_accounts.values().chain(o.namespaces.values()));
    for owner in metas.filter_map(owner_of) {
        *owners.entry(owner).or_default() += 1;
    }
    let mut owners: Vec<(&str, usize)> = owners.into_iter().collect();
    owners.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    owners
        .into_iter()
        .map(|(owner, _)| owner.to_owned())
        .collect()
}

/// The name of the project with most clusters, or one like it that is on no mark.
pub(super) fn new_name(facts: &Facts, marks: &[String]) -> String {
    let project = default_project(facts, &BTreeMap::new());
    // Of `example.com:acme` the second part is a name.
    let id = project.as_ref().and_then(|p| p.as_str().rsplit(':').next());
    let id = id.unwrap_or("imported");
    let numbered = (2..).map(|n| format!("{id}-{n}"));
    let mut names = std::iter::once(id.to_owned()).chain(numbered);
    names.find(|name| !marks.contains(name)).unwrap_or_default()
}

/// The project of most accounts that are managed, or else of most clusters.
fn default_project(facts: &Facts, accounts: &BTreeMap<Email, ChosenAccount>) -> Option<ProjectId> {
    let most = |projects: &mut dyn Iterator<Item = ProjectId>| {
        let mut count: BTreeMap<ProjectId, usize> = BTreeMap::new();
        for project in projects {
            *count.entry(project).or_default() += 1;
        }
        let most = count.into_iter().rev().max_by_key(|(_, n)| *n);
        most.map(|(project, _)| project)
    };
    let managed = accounts.values().filter_map(ChosenAccount::project);
    most(&mut managed.cloned())
        .or_else(|| most(&mut facts.clusters.keys().map(|c| c.project.clone())))
        .or_else(|| facts.accounts.keys().next().cloned())
}
