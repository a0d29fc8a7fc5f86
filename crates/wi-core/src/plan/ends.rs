//! What a plan ends: that a Kubernetes service account acts as the Google one of its annotation, by whichever of its
//! changes.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use jiff::Timestamp;

use super::impact::left::Left;
use super::{Change, Edit, Plan, acting};
use crate::access::{self, Given, IMPERSONATION};
use crate::address::{Address, KsaKey};
use crate::desired::{Desired, DesiredCluster, GSA_ANNOTATION};
use crate::live::{Live, Seen};
use crate::names::{Email, KsaIdentity, Member};
use crate::resource::Resource;
use crate::wire::kubernetes::ObjectMeta;

/// Kubernetes service accounts with the account that each acts as no longer, and the changes by which.
pub(super) type Ends = BTreeMap<(KsaKey, Email), BTreeSet<Address>>;

/// What can end it, by what it is found by.
#[derive(Default)]
struct Touched<'a> {
    ksas: HashSet<&'a KsaKey>,
    identities: HashSet<&'a KsaIdentity>,
    accounts: HashSet<&'a Email>,
    /// A right that whoever is in a set has goes: it may be anybody's.
    any: bool,
}

impl<'a> Touched<'a> {
    fn by(plan: &'a Plan) -> Self {
        let mut touched = Self::default();
        for change in plan.changes.values().filter(|c| can_end(c)) {
            match &change.edit {
                Edit::Ksa(ksa) => _ = touched.ksas.insert(&ksa.key),
                Edit::Account(account) => _ = touched.accounts.insert(&account.email),
                Edit::Binding(binding) => match (&binding.key.member, &binding.key.resource) {
                    (Member::Ksa(identity), _) => _ = touched.identities.insert(identity),
                    (_, Resource::ServiceAccount(email)) => _ = touched.accounts.insert(email),
                    _ => touched.any = true,
                },
                _ => {}
            }
        }
        touched
    }

    fn is_empty(&self) -> bool {
        self.ksas.is_empty() && self.identities.is_empty() && self.accounts.is_empty() && !self.any
    }

    fn has(&self, key: &KsaKey, identity: &KsaIdentity, account: &Email) -> bool {
        self.any
            || self.ksas.contains(key)
            || self.identities.contains(identity)
            || self.accounts.contains(account)
    }
}

/// Whether a change can end that somebody acts as an account: the annotation, the right to, or the account itself.
fn can_end(change: &Change) -> bool {
    match &change.edit {
        Edit::Ksa(ksa) => ksa
            .account_before()
            .is_some_and(|before| ksa.account_after() != Some(before.as_str())),
        Edit::Binding(binding) => {
            !binding.adds() && IMPERSONATION.contains(&binding.key.role.as_str())
        }
        Edit::Account(account) => account.ends_it(),
        _ => false,
    }
}

/// Whether it is one of those by which this one ends.
fn concerns(change: &Change, key: &KsaKey, identity: &KsaIdentity, email: &Email) -> bool {
    can_end(change)
        && match &change.edit {
            Edit::Ksa(ksa) => ksa.key == *key,
            Edit::Account(account) => account.email == *email,
            Edit::Binding(binding) => {
                let is_theirs = match &binding.key.member {
                    Member::Ksa(other) => other == identity,
                    _ => true,
                };
                let on = match &binding.key.resource {
                    Resource::ServiceAccount(other) => other == email,
                    resource => resource.is_of_hierarchy(),
                };
                is_theirs && on
            }
            _ => false,
        }
}

/// What the changes of `plan` end, in the clusters of the spec.
pub(super) fn of(desired: &Desired, live: &Live, now: Option<Timestamp>, plan: &Plan) -> Ends {
    let touched = Touched::by(plan);
    let mut ends = Ends::new();
    if touched.is_empty() {
        return ends;
    }
    let left = Left::by(plan, live);
    for (name, cluster) in &desired.clusters {
        let objects = live.kubernetes.get(name).and_then(Seen::found);
        for meta in objects
            .into_iter()
            .flat_map(|o| o.service_accounts.values())
        {
            let annotation = meta.annotations.get(GSA_ANNOTATION);
            let Some(email) = annotation.and_then(|a| Email::parse(a).ok()) else {
                continue;
            };
            let (Ok(namespace), Ok(ksa)) = (meta.namespace.parse(), meta.name.parse()) else {
                continue;
            };
            let key = KsaKey {
                cluster: name.clone(),
                namespace,
                name: ksa,
            };
            let identity = key.identity(&cluster.path.project);
            if !touched.has(&key, &identity, &email) {
                continue;
            }
            let case = Case {
                desired,
                live,
                now,
                cluster,
                identity: &identity,
                meta,
                email: &email,
            };
            if case.is_ended(&key, &left) {
                let by = plan.changes.iter();
                let by = by.filter(|(_, change)| concerns(change, &key, &identity, &email));
                let by = by.map(|(address, _)| address.clone()).collect();
                ends.insert((key, email), by);
            }
        }
    }
    ends
}

struct Case<'a> {
    desired: &'a Desired,
    live: &'a Live,
    now: Option<Timestamp>,
    cluster: &'a DesiredCluster,
    identity: &'a KsaIdentity,
    meta: &'a ObjectMeta,
    email: &'a Email,
}

impl Case<'_> {
    fn given(&self, live: &Live) -> Given {
        let path = &self.cluster.path;
        let numbers = &self.live.numbers;
        let ksa = access::Ksa {
            identity: self.identity,
            cluster: path,
            number: numbers.get(&path.project).and_then(Seen::found).copied(),
            uid: &self.meta.uid,
            annotation: Some(self.email.as_str()),
        };
        access::by_metadata_server(live, &ksa, self.now)
    }

    /// What was not read is not claimed to have been nothing.
    fn is_ended(&self, key: &KsaKey, left: &Left) -> bool {
        let before = self.given(self.live);
        if matches!(before, Given::Nobody(_) | Given::Principal(_)) {
            return false; // it was not the account
        }
        let now = Some(self.email.as_str());
        if left.annotation(key, now).ok().flatten() != now {
            return true;
        }
        // What takes a right's place is no removal.
        if acting::may_act(self.desired, self.identity, self.email, self.now) != Some(false) {
            return false;
        }
        match self.given(left.live(self.live)) {
            Given::Account(_) => false,
            Given::Unseen(_) => before != self.given(left.live(self.live)),
            Given::Nobody(_) | Given::Principal(_) => true,
        }
    }
}

impl Plan {
    /// The namespaces, by the spec's names of their clusters, in which a Kubernetes service account stops acting as its
    /// account: workloads there may live on that alone, which [`Live::alone`] is to say.
    pub fn namespaces_of_ends(
        &self,
        desired: &Desired,
        live: &Live,
        now: Option<Timestamp>,
    ) -> BTreeSet<(String, String)> {
        let ends = of(desired, live, now, self).into_keys();
        ends.map(|(key, _)| (key.cluster, key.namespace.to_string()))
            .collect()
    }
}
