//! Which change waits for which: the dependency graph for what is added, and for what is removed
//! all that takes its place.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::{Change, Edit, KsaAfter, Plan, bound};
use crate::address::Address;
use crate::desired::Desired;
use crate::graph::Graph;
use crate::live::Live;
use crate::names::{Email, KsaIdentity, Member};
use crate::resource::Resource;

/// What removals have to wait for, found by what they have in common. Addresses of changes.
#[derive(Default)]
struct Index<'a> {
    /// What a principal gains.
    additions: BTreeMap<&'a Member, Vec<&'a Address>>,
    /// Kubernetes service accounts that are made or kept in a cluster.
    kept: BTreeMap<&'a str, Vec<&'a Address>>,
    /// Kubernetes service accounts that stop acting as an account.
    leaving: BTreeMap<Email, Vec<&'a Address>>,
    /// Removals of what an account has, and of who may act as it.
    removals: BTreeMap<&'a Email, Vec<&'a Address>>,
    /// Kubernetes service accounts of an identity, in all clusters.
    identities: BTreeMap<KsaIdentity, Vec<&'a Address>>,
    /// Of each identity that left the spec the Kubernetes service accounts that go last: their marks say whose
    /// its grants were, should they not all go in one run. Those that are released stay, so that the same identity
    /// would be others' in their clusters: all of them; or else the last one that is deleted.
    last_of: BTreeMap<KsaIdentity, BTreeSet<&'a Address>>,
    /// Removals of what such an identity has.
    grants_of_left: BTreeMap<&'a KsaIdentity, Vec<&'a Address>>,
    /// Node pools whose pods live on an account until the pool is moved.
    node_pools: BTreeMap<Email, Vec<&'a Address>>,
    /// Keys that end.
    keys: BTreeMap<&'a Email, Vec<&'a Address>>,
    /// Keys that come back.
    enabled: BTreeMap<&'a Email, Vec<&'a Address>>,
    /// Templates that change.
    templates: BTreeMap<&'a Email, Vec<&'a Address>>,
    /// Shadows that go: their pods live on the account until then.
    shadows: BTreeMap<&'a Email, Vec<&'a Address>>,
}

impl<'a> Index<'a> {
    fn of(plan: &'a Plan, desired: &'a Desired, live: &'a Live) -> Self {
        let mut index = Self::default();
        for (address, change) in &plan.changes {
            match &change.edit {
                Edit::Binding(binding) if binding.adds() => {
                    let gains = index.additions.entry(&binding.key.member).or_default();
                    gains.push(address);
                }
                Edit::Binding(binding) => {
                    if let Member::ServiceAccount(email) = &binding.key.member {
                        index.removals.entry(email).or_default().push(address);
                    }
                    if let Resource::ServiceAccount(email) = &binding.key.resource {
                        index.removals.entry(email).or_default().push(address);
                    }
                }
                Edit::Ksa(ksa) => {
                    if let Some(before) = ksa.account_before() {
                        index.leaving.entry(before).or_default().push(address);
                    }
                    if matches!(ksa.after, KsaAfter::Kept { .. }) {
                        let kept = index.kept.entry(&ksa.key.cluster).or_default();
                        kept.push(address);
                    }
                }
                Edit::Key(key) if key.ends_it() => {
                    index.keys.entry(&key.email).or_default().push(address);
                }
                Edit::Key(key) => {
                    index.enabled.entry(&key.email).or_default().push(address);
                }
                Edit::Template(template) => {
                    let templates = index.templates.entry(&template.email).or_default();
                    templates.push(address);
                }
                Edit::Shadow(shadow) if shadow.goes().is_some() => {
                    let shadows = index.shadows.entry(&shadow.email).or_default();
                    shadows.push(address);
                }
                Edit::NodePool(pool) => {
                    if let Some(account) =
                        live.node_account(desired, &pool.cluster, &pool.node_pool)
                    {
                        index.node_pools.entry(account).or_default().push(address);
                    }
                }
                _ => {}
            }
        }
        let mut released: BTreeMap<KsaIdentity, BTreeSet<&Address>> = BTreeMap::new();
        let mut deleted: BTreeMap<KsaIdentity, (usize, &Address)> = BTreeMap::new();
        for (address, change) in &plan.changes {
            if let Edit::Ksa(ksa) = &change.edit
                && let Some(cluster) = desired.clusters.get(&ksa.key.cluster)
            {
                let identity = ksa.key.identity(&cluster.path.project);
                if ksa.after == KsaAfter::Released {
                    let all = released.entry(identity.clone()).or_default();
                    all.insert(address);
                } else if ksa.leaves() {
                    let wave = desired.wave_of(&ksa.key.cluster);
                    let last = deleted.entry(identity.clone()).or_insert((wave, address));
                    *last = (*last).max((wave, address));
                }
                index.identities.entry(identity).or_default().push(address);
            }
        }
        let mut last_of = released;
        for (identity, (_, last)) in deleted {
            let one = || BTreeSet::from([last]);
            last_of.entry(identity).or_insert_with(one);
        }
        if !last_of.is_empty() {
            let wanted = desired.ksas.values().map(|k| &k.identity);
            let wanted: HashSet<&KsaIdentity> =
                wanted.filter(|k| last_of.contains_key(k)).collect();
            last_of.retain(|k, _| !wanted.contains(k));
            index.last_of = last_of;
        }
        for (address, change) in &plan.changes {
            if let Edit::Binding(binding) = &change.edit
                && let Member::Ksa(identity) = &binding.key.member
                && !binding.adds()
                && index.last_of.contains_key(identity)
            {
                let grants = index.grants_of_left.entry(identity).or_default();
                grants.push(address);
            }
        }
        index
    }

    /// What the same principal gains comes before what it loses, on whatever policy.
    fn additions(&self, member: &Member) -> impl Iterator<Item = &'a Address> {
        self.additions.get(member).into_iter().flatten().copied()
    }

    fn identity_changes(&self, member: &Member) -> &[&'a Address] {
        match member {
            Member::Ksa(identity) => self.identities.get(identity).map_or(&[], Vec::as_slice),
            _ => &[],
        }
    }

    fn last_of(&self, member: &Member) -> Option<&BTreeSet<&'a Address>> {
        match member {
            Member::Ksa(identity) => self.last_of.get(identity),
            _ => None,
        }
    }

    fn leaving(&self, email: &Email) -> &[&'a Address] {
        self.leaving.get(email).map_or(&[], Vec::as_slice)
    }

    fn removals_of(&self, email: &Email) -> &[&'a Address] {
        self.removals.get(email).map_or(&[], Vec::as_slice)
    }

    fn shadows_of(&self, email: &Email) -> &[&'a Address] {
        self.shadows.get(email).map_or(&[], Vec::as_slice)
    }

    fn node_pools_running_as(&self, email: &Email) -> &[&'a Address] {
        self.node_pools.get(email).map_or(&[], Vec::as_slice)
    }

    /// All that gives pods an account: itself, what it is granted, and who acts as it.
    fn identity_of<'b>(&self, plan: &'b Plan, email: &Email) -> Vec<&'b Address> {
        let gives = |change: &Change| match &change.edit {
            Edit::Account(account) => account.email == *email,
            Edit::Binding(binding) => {
                binding.adds()
                    && (matches!(&binding.key.member, Member::ServiceAccount(e) if e == email)
                        || matches!(&binding.key.resource, Resource::ServiceAccount(e) if e == email))
            }
            Edit::Ksa(ksa) => ksa.account_after() == Some(email.as_str()),
            _ => false,
        };
        let all = plan.changes.iter().filter(|(_, c)| gives(c));
        all.map(|(address, _)| address).collect()
    }

    /// What a removal waits for; `None` for what is no removal.
    fn waits_for(&self, plan: &'a Plan, change: &Change) -> Option<Vec<&'a Address>> {
        let mut waits = Vec::new();
        match &change.edit {
            Edit::Binding(binding) if !binding.adds() => {
                let key = &binding.key;
                waits.extend(self.identity_changes(&key.member));
                waits.extend(self.additions(&key.member));
                if let Some(last) = self.last_of(&key.member) {
                    // Before the last of its service accounts goes, and after all that takes its place.
                    waits.retain(|w| !last.contains(w));
                    let clusters = last.iter().filter_map(|a| plan.changes.get(*a)?.cluster());
                    let kept = clusters.filter_map(|c| self.kept.get(c));
                    waits.extend(kept.flatten());
                    return Some(waits);
                }
                match &key.resource {
                    Resource::ServiceAccount(email) if key.is_impersonation() => {
                        waits.extend(self.leaving(email));
                        waits.extend(self.shadows_of(email));
                    }
                    _ => {
                        if let Member::ServiceAccount(email) = &key.member {
                            waits.extend(self.leaving(email));
                            waits.extend(self.node_pools_running_as(email));
                            waits.extend(self.shadows_of(email));
                        }
                    }
                }
            }
            Edit::Account(account) if account.ends_it() => {
                waits.extend(self.leaving(&account.email));
                waits.extend(self.node_pools_running_as(&account.email));
                waits.extend(self.shadows_of(&account.email));
                // Deleted first, its members would turn into dead ones under our hands; disabled first, and let
                // go, the next plan would not know that they are to go.
                waits.extend(self.removals_of(&account.email));
            }
            // Whatever is to take the key's place is there before.
            Edit::Key(key) if key.ends_it() => {
                waits.extend(self.identity_of(plan, &key.email));
                waits.extend(self.templates.get(&key.email).into_iter().flatten());
            }
            // All that its pods are to live on is there before: the identity, or the key.
            Edit::Template(template) if template.takes_out() => {
                waits.extend(bound::changes(plan, &template.ksa(), &template.email));
            }
            Edit::Template(template) => {
                waits.extend(self.enabled.get(&template.email).into_iter().flatten());
            }
            // As of a template.
            Edit::Shadow(shadow) => match shadow.goes() {
                None => {
                    waits.extend(bound::changes(plan, &shadow.ksa(), &shadow.email));
                }
                Some(_) => {
                    let template = plan.changes.get_key_value(&shadow.key.template());
                    waits.extend(template.map(|(address, _)| address));
                }
            },
            // While it is there, a key that is disabled can come back into use.
            Edit::Secret(secret) => {
                waits.extend(self.keys.get(&secret.email).into_iter().flatten());
            }
            // Whatever takes its place is there before: under another name, in another namespace.
            Edit::Ksa(ksa) if ksa.leaves() => {
                let kept = self.kept.get(ksa.key.cluster.as_str());
                waits.extend(kept.into_iter().flatten());
                let before = ksa.account_before();
                let shadows = before.map(|email| self.shadows_of(&email).to_vec());
                waits.extend(shadows.into_iter().flatten());
                let address = ksa.key.address();
                let left = self
                    .last_of
                    .iter()
                    .find(|(_, last)| last.contains(&address));
                let grants = left.and_then(|(identity, _)| self.grants_of_left.get(identity));
                waits.extend(grants.into_iter().flatten());
            }
            _ => return None,
        }
        Some(waits)
    }
}

pub(super) fn set_needs(graph: &Graph, desired: &Desired, live: &Live, plan: &mut Plan) {
    let index = Index::of(plan, desired, live);
    let needs: Vec<BTreeSet<Address>> = plan
        .changes
        .iter()
        .map(|(address, change)| {
            let mut needs = match index.waits_for(plan, change) {
                Some(waits) => waits.into_iter().cloned().collect(),
                None => graph.needs_among(address, &plan.changes),
            };
            needs.remove(address);
            needs
        })
        .collect();
    for (change, needs) in plan.changes.values_mut().zip(needs) {
        change.needs = needs;
    }
}

impl Plan {
    /// Whether a change of a policy's members is a write of its own, after the first one: a removal that
    /// waits for more than accounts, pools, and additions of the first write. `apart`: those of the first
    /// write wait for no pools either, since clusters are not all changed at the same time.
    pub fn is_late(&self, change: &Change, apart: bool) -> bool {
        let Edit::Binding(binding) = &change.edit else {
            return false;
        };
        let waits_for_pool = |change: &Change| {
            let mut needs = change.needs.iter().filter_map(|n| self.changes.get(n));
            needs.any(|c| matches!(c.edit, Edit::ClusterPool(_)))
        };
        let mut needs = change.needs.iter().filter_map(|n| self.changes.get(n));
        needs.any(|need| match &need.edit {
            Edit::Account(_) | Edit::ClusterPool(_) => false,
            Edit::Binding(other) => {
                !other.adds()
                    || other.key.resource != binding.key.resource
                    || (apart && waits_for_pool(need))
                    || need.wave != change.wave
            }
            _ => true,
        })
    }
}
