//! Which change is carried out in which wave. What is in a cluster goes with the cluster; what
//! clusters share is added with the first wave that needs it, and removed with the last one that uses
//! it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Action, Edit, Plan, restarts};
use crate::address::Address;
use crate::desired::{Desired, Waves};
use crate::live::Live;
use crate::names::{Email, Member};
use crate::resource::Resource;

/// Sets the wave of each change.
pub(super) fn assign(desired: &Desired, plan: &mut Plan) {
    let Some(waves) = &desired.waves else {
        return;
    };
    let last = waves.waves.len().saturating_sub(1);
    let mut wave_of: BTreeMap<Address, usize> = BTreeMap::new();
    for (address, change) in &plan.changes {
        // What ends with the account's keys ends after the last cluster that may have one.
        if matches!(&change.edit, Edit::Secret(_))
            || matches!(&change.edit, Edit::Key(key) if key.ends_it())
        {
            wave_of.insert(address.clone(), last);
        } else if let Some(cluster) = change.cluster() {
            let wave = waves.wave_of.get(cluster).copied().unwrap_or(last);
            wave_of.insert(address.clone(), wave);
        }
    }
    wait_for_users(desired, plan);
    needed_first(plan, &mut wave_of);
    let users = Users::of(desired, plan, waves);
    // What a service account waits for that left the spec, since it is the last to know whose that was.
    let with_last: BTreeMap<Address, usize> = plan
        .changes
        .iter()
        .filter(|(_, c)| matches!(&c.edit, Edit::Ksa(ksa) if ksa.leaves()))
        .filter_map(|(address, c)| Some((&c.needs, *wave_of.get(address)?)))
        .flat_map(|(needs, wave)| needs.iter().map(move |n| (n, wave)))
        .filter(|(need, _)| plan.removes_member(need))
        .fold(BTreeMap::new(), |mut waves, (need, wave)| {
            let last = waves.entry(need.clone()).or_insert(wave);
            *last = (*last).max(wave);
            waves
        });
    for (address, change) in &plan.changes {
        if wave_of.contains_key(address) {
            continue;
        }
        let used = users.of_change(&change.edit);
        let wave = if let Some(wave) = with_last.get(address) {
            *wave
        } else if change.action() == Action::Delete {
            used.iter().next_back().copied().unwrap_or(last)
        } else {
            used.first().copied().unwrap_or(0)
        };
        wave_of.insert(address.clone(), wave);
    }
    not_before_its_needs(plan, &mut wave_of);
    // Those that wait for it go with it, whichever wave their cluster is of.
    for (address, change) in &plan.changes {
        if matches!(&change.edit, Edit::Ksa(ksa) if ksa.leaves()) {
            let needs = change.needs.iter().filter(|n| plan.removes_member(n));
            let latest = needs.filter_map(|n| wave_of.get(n)).max().copied();
            if let (Some(latest), Some(wave)) = (latest, wave_of.get_mut(address)) {
                *wave = (*wave).max(latest);
            }
        }
    }
    for (address, change) in &mut plan.changes {
        change.wave = wave_of.get(address).copied().unwrap_or(0);
    }
    plan.waves = Some(waves.clone());
}

impl Plan {
    /// Whether the change at this address takes a member from a policy.
    pub(super) fn removes_member(&self, address: &Address) -> bool {
        let change = self.changes.get(address);
        change.is_some_and(|c| matches!(&c.edit, Edit::Binding(b) if !b.adds()))
    }
}

/// What is taken from an account or an identity goes once all its users are as they are to be: where
/// one of them is held up, so is the removal.
fn wait_for_users(desired: &Desired, plan: &mut Plan) {
    let mut users: BTreeMap<Member, BTreeSet<Address>> = BTreeMap::new();
    for (key, ksa) in &desired.ksas {
        let address = key.address();
        if !plan.changes.contains_key(&address) {
            continue;
        }
        let account = ksa.account.clone().map(Member::ServiceAccount);
        for member in [Some(Member::Ksa(ksa.identity.clone())), account]
            .into_iter()
            .flatten()
        {
            users.entry(member).or_default().insert(address.clone());
        }
    }
    for change in plan.changes.values_mut() {
        let member = match &change.edit {
            Edit::Binding(binding) if !binding.adds() => binding.key.member.clone(),
            Edit::Account(account) if account.ends_it() => {
                Member::ServiceAccount(account.email.clone())
            }
            _ => continue,
        };
        change
            .needs
            .extend(users.get(&member).into_iter().flatten().cloned());
    }
}

/// Shared additions go with the first wave whose clusters need them, directly or not.
fn needed_first(plan: &Plan, wave_of: &mut BTreeMap<Address, usize>) {
    let mut todo: Vec<(usize, Address)> = wave_of
        .iter()
        .map(|(address, wave)| (*wave, address.clone()))
        .collect();
    // The last of the list is taken first: the earliest wave.
    todo.sort_by(|a, b| b.cmp(a));
    let mut ready: Vec<(usize, Address)> = Vec::new();
    while let Some((wave, address)) = ready.pop().or_else(|| todo.pop()) {
        let Some(change) = plan.changes.get(&address) else {
            continue;
        };
        for need in &change.needs {
            let shared = plan
                .changes
                .get(need)
                .is_some_and(|c| c.cluster().is_none() && c.action() != Action::Delete);
            if shared && !wave_of.contains_key(need) {
                wave_of.insert(need.clone(), wave);
                ready.push((wave, need.clone()));
            }
        }
    }
}

/// A shared change never comes before what it waits for.
fn not_before_its_needs(plan: &Plan, wave_of: &mut BTreeMap<Address, usize>) {
    loop {
        let mut moved = false;
        for (address, change) in &plan.changes {
            if change.cluster().is_some() {
                continue;
            }
            let latest = change
                .needs
                .iter()
                .filter_map(|need| wave_of.get(need).copied())
                .max();
            if let (Some(latest), Some(wave)) = (latest, wave_of.get_mut(address))
                && *wave < latest
            {
                *wave = latest;
                moved = true;
            }
        }
        if !moved {
            return;
        }
    }
}

/// The waves whose clusters use an identity or an account.
struct Users<'a> {
    desired: &'a Desired,
    waves: &'a Waves,
    of_account: BTreeMap<Email, BTreeSet<usize>>,
}

impl<'a> Users<'a> {
    fn of(desired: &'a Desired, plan: &Plan, waves: &'a Waves) -> Self {
        let mut of_account: BTreeMap<Email, BTreeSet<usize>> = BTreeMap::new();
        for (key, ksa) in &desired.ksas {
            if let (Some(email), Some(wave)) = (&ksa.account, waves.wave_of.get(&key.cluster)) {
                of_account.entry(email.clone()).or_default().insert(*wave);
            }
        }
        for change in plan.changes.values() {
            if let Edit::Ksa(ksa) = &change.edit
                && let Some(email) = ksa.account_before()
                && let Some(wave) = waves.wave_of.get(&ksa.key.cluster)
            {
                of_account.entry(email).or_default().insert(*wave);
            }
        }
        Self {
            desired,
            waves,
            of_account,
        }
    }

    fn of_change(&self, edit: &Edit) -> BTreeSet<usize> {
        match edit {
            Edit::Account(account) => self.account(&account.email),
            Edit::Binding(binding) => match &binding.key.member {
                Member::ServiceAccount(email) => self.account(email),
                Member::Ksa(ksa) => self
                    .desired
                    .clusters_of_pool(&ksa.pool)
                    .filter_map(|c| self.waves.wave_of.get(c).copied())
                    .collect(),
                _ => match &binding.key.resource {
                    Resource::ServiceAccount(email) => self.account(email),
                    _ => BTreeSet::new(),
                },
            },
            _ => BTreeSet::new(),
        }
    }

    fn account(&self, email: &Email) -> BTreeSet<usize> {
        self.of_account.get(email).cloned().unwrap_or_default()
    }
}

/// Leaves only the changes of these waves, as `flag` asks for. Answers with changes of earlier ones that they need.
pub fn restrict_to(
    plan: &mut Plan,
    live: &Live,
    waves: &BTreeSet<usize>,
    flag: &str,
) -> BTreeSet<Address> {
    let kept = |wave: usize| waves.contains(&wave);
    let open: BTreeSet<Address> = plan
        .changes
        .values()
        .filter(|c| kept(c.wave))
        .flat_map(|c| &c.needs)
        .filter(|need| plan.changes.get(*need).is_some_and(|c| !kept(c.wave)))
        .cloned()
        .collect();
    plan.keep_only(flag, |_, c| kept(c.wave));
    if let Some(all) = &mut plan.waves {
        all.only = Some(waves.clone());
    }
    restarts::list(live, plan);
    open
}
