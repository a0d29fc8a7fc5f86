//! Kubernetes service accounts that left the spec: their grants go with them, unless the same identity
//! is in a cluster where the spec does not look after it.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::ownership::{FORMER, is_given_back, is_ours, owner_of};
use super::staying::Staying;
use super::{Edit, HeldBack, HoldReason, KsaAfter, Options, Plan, Was, users};
use crate::address::{Address, BindingKey};
use crate::desired::{Desired, GSA_ANNOTATION};
use crate::live::{Live, Seen};
use crate::names::{Email, KsaIdentity, Member};
use crate::resource::Resource;
use crate::wire::kubernetes::ObjectMeta;

/// Whether its annotation outlives the spec: it is given back, and somebody else owns that, too.
fn keeps_annotation(meta: &ObjectMeta) -> bool {
    is_given_back(meta) && !Was::from(meta).annotation_managers.is_empty()
}

/// Identities that the spec no longer names: those with its mark on a Kubernetes service account, and those
/// of a former spec; with the Google service accounts in their annotations.
#[derive(Debug, Default)]
pub struct Left {
    identities: BTreeMap<KsaIdentity, BTreeSet<Email>>,
    /// As which Google service accounts they acted before this spec: that right is not this spec's.
    former: BTreeMap<KsaIdentity, BTreeSet<Email>>,
}

impl Left {
    /// Of a whole spec; of a part of one nothing is known to have left it.
    pub fn of(desired: &Desired, live: &Live) -> Self {
        let mut left = Self::default();
        if desired.leftovers.is_none() {
            return left;
        }
        let wanted = identities(desired);
        let former = desired.former_ksas.iter();
        let former = former.filter(|k| !wanted.contains(k)).cloned();
        let former = former.map(|k| (k, BTreeSet::new()));
        left.identities.extend(former);
        for (pool, _, accounts) in clusters(desired, live) {
            for meta in accounts.found().into_iter().flatten() {
                let identity = KsaIdentity::new(&pool, &meta.namespace, &meta.name);
                let account = |annotation: &str| {
                    let text = meta.annotations.get(annotation)?;
                    Email::parse(text).ok()
                };
                if wanted.contains(&identity) {
                    continue;
                }
                if !is_ours(meta, &desired.owner) {
                    // One that was released, or only referred to: what its annotation relies on is others' by now.
                    if left.identities.contains_key(&identity) {
                        let of = left.former.entry(identity).or_default();
                        of.extend(account(GSA_ANNOTATION));
                    }
                } else {
                    let former = account(FORMER);
                    let now = account(GSA_ANNOTATION).filter(|now| Some(now) != former.as_ref());
                    let of = left.former.entry(identity.clone()).or_default();
                    of.extend(former);
                    let own = left.identities.entry(identity).or_default();
                    // Where the annotation stays, since others own it too, what it relies on does.
                    match keeps_annotation(meta) {
                        true => of.extend(now),
                        false => own.extend(now),
                    }
                }
            }
        }
        left
    }

    /// The identities. (Of those that are given back what others have annotated is not this spec's.)
    pub fn identities(&self) -> impl Iterator<Item = &KsaIdentity> {
        self.identities.keys()
    }

    /// The Google service accounts that they act as, and those that they acted as before this spec.
    pub fn accounts(&self) -> impl Iterator<Item = &Email> {
        let all = self.identities.values().chain(self.former.values());
        all.flatten()
    }

    /// Whether it acted as this account before this spec.
    pub(super) fn acted_before_as(&self, identity: &KsaIdentity, account: &Email) -> bool {
        let former = self.former.get(identity);
        former.is_some_and(|accounts| accounts.contains(account))
    }

    /// Whether it is one.
    pub fn has(&self, identity: &KsaIdentity) -> bool {
        self.identities.contains_key(identity)
    }

    /// Where an identity is that the spec does not name, and the spec does not look after it; in words.
    fn elsewhere(
        &self,
        identity: &KsaIdentity,
        desired: &Desired,
        live: &Live,
        staying: &Staying<'_>,
    ) -> Vec<String> {
        let stays = staying.iter().filter(|(_, s)| s.identity == *identity);
        let stays = stays.map(|(key, _)| format!("cluster.{}, where it is held back", key.cluster));
        let is = |meta: &&&ObjectMeta| {
            meta.name == identity.name && meta.namespace == identity.namespace
        };
        let of_pool = clusters(desired, live).filter(|(pool, ..)| *pool == identity.pool);
        let places = of_pool.filter_map(|(_, place, accounts)| match (place, accounts) {
            // One of a former spec that was never marked was just referred to.
            (Place::Ours(name), Seen::Found(accounts))
                if self.has(identity) && !desired.former_ksas.contains(identity) =>
            {
                let there = accounts.iter().find(is)?;
                let others = !is_ours(there, &desired.owner);
                others.then(|| format!("cluster.{name}, where others have it"))
            }
            // Clusters of the spec that were not read hold up all that rests on them.
            (Place::Ours(_), _) | (Place::Outside(_), Seen::Absent) => None,
            (Place::Outside(path), Seen::Found(accounts)) => {
                accounts.iter().find(is)?;
                Some(format!("{path}, which is not in the spec"))
            }
            (Place::Outside(path), Seen::Unknown(_)) => Some(format!(
                "{path}, perhaps, which is not in the spec and could not be read"
            )),
        });
        stays.chain(places).collect()
    }

    /// Says of removals why, and takes those out of the plan of what an identity has that is elsewhere, too;
    /// with the right to act as an account, all that this account has.
    pub(super) fn hold(
        &self,
        desired: &Desired,
        live: &Live,
        options: &Options,
        staying: &Staying<'_>,
        plan: &mut Plan,
    ) {
        if desired.leftovers.is_none() {
            return;
        }
        let wanted = identities(desired);
        let mut held: BTreeMap<Address, String> = BTreeMap::new();
        let mut kept: BTreeMap<Email, String> = BTreeMap::new();
        for (address, change) in &mut plan.changes {
            let Edit::Binding(binding) = &change.edit else {
                continue;
            };
            if !binding.adds() && live.found_by_search.contains(&binding.key.resource) {
                let note = format!(
                    "a search found it: the spec does not name {}",
                    binding.key.resource
                );
                change.notes.push(note);
            }
            let Member::Ksa(identity) = &binding.key.member else {
                continue;
            };
            if binding.adds() || wanted.contains(identity) {
                continue;
            }
            if self.has(identity)
                && let Some(first) = change.notes.first_mut()
            {
                *first = format!("{identity} left this spec, and this with it");
            }
            let places = self.elsewhere(identity, desired, live, staying);
            let accept = &desired.accept_loss;
            let accepted =
                options.accept_loss || users::accepts(accept, &identity.namespace, &identity.name);
            if !places.is_empty() && !accepted {
                let why = format!("the same identity is in {}", places.join("; and in "));
                if let Resource::ServiceAccount(email) = &binding.key.resource {
                    kept.insert(email.clone(), why.clone());
                }
                held.insert(address.clone(), why);
            }
        }
        let ends: BTreeSet<&Email> = plan
            .changes
            .values()
            .filter_map(|c| match &c.edit {
                Edit::Account(account) if account.ends_it() => Some(&account.email),
                _ => None,
            })
            .collect();
        for (address, change) in &plan.changes {
            let account = match &change.edit {
                Edit::Account(account) if account.ends_it() => Some(&account.email),
                Edit::Binding(binding) if !binding.adds() => match &binding.key.member {
                    // Only of one that left, too: what a declared account has is the spec's to say.
                    Member::ServiceAccount(email) if ends.contains(email) => Some(email),
                    _ => None,
                },
                _ => None,
            };
            if let Some(why) = account.and_then(|email| kept.get(email)) {
                held.insert(address.clone(), why.clone());
            }
        }
        for (address, why) in held {
            plan.changes.remove(&address);
            let why = HoldReason::InUse(why);
            plan.held_back.push(HeldBack { address, why });
        }
        self.hold_marks(desired, live, plan);
    }

    /// With what an identity has, the mark stays that tells of it: of service accounts that are released all of
    /// them, since the same identity would be others' where one is let go, and of those that are deleted the last.
    fn hold_marks(&self, desired: &Desired, live: &Live, plan: &mut Plan) {
        let mut leaving: BTreeMap<KsaIdentity, Vec<(bool, usize, Address)>> = BTreeMap::new();
        for (address, change) in &plan.changes {
            if let Edit::Ksa(ksa) = &change.edit
                && ksa.leaves()
                && let Some(cluster) = desired.clusters.get(&ksa.key.cluster)
            {
                let identity = ksa.key.identity(&cluster.path.project);
                let is_released = ksa.after == KsaAfter::Released;
                let wave = desired.wave_of(&ksa.key.cluster);
                let all = leaving.entry(identity).or_default();
                all.push((is_released, wave, address.clone()));
            }
        }
        leaving.retain(|identity, _| self.has(identity));
        if leaving.is_empty() {
            return;
        }
        let mut has: BTreeMap<KsaIdentity, Address> = BTreeMap::new();
        for (resource, policy) in &live.policies {
            let Seen::Found(policy) = policy else {
                continue;
            };
            for key in BindingKey::of_policy(resource, policy).into_keys() {
                let Member::Ksa(identity) = &key.member else {
                    continue;
                };
                if leaving.contains_key(identity) && !desired.bindings.contains_key(&key) {
                    let address = desired.binding_address(&key);
                    if plan.tells_of(&address) && !plan.changes.contains_key(&address) {
                        has.entry(identity.clone()).or_insert(address);
                    }
                }
            }
        }
        for (identity, grant) in has {
            let mut all = leaving.remove(&identity).unwrap_or_default();
            all.sort();
            // Those that are released come after those that are deleted.
            let any_released = all.last().is_some_and(|(is_released, ..)| *is_released);
            let last = all.len().saturating_sub(1);
            let kept = all.into_iter().enumerate();
            let kept = kept.filter(|(at, (is_released, ..))| match any_released {
                true => *is_released,
                false => *at == last,
            });
            for (_, (_, _, address)) in kept {
                plan.changes.remove(&address);
                let why = format!(
                    "its mark tells whose {grant} is, which stays for now: it goes with that"
                );
                let why = HoldReason::InUse(why);
                plan.held_back.push(HeldBack { address, why });
            }
        }
    }
}

/// What `plan` takes from identities that the spec does not name, and that are others' somewhere by now: `part` is what
/// the plan touches, so that nothing else tells of them.
pub(super) fn appeared(
    plan: &Plan,
    part: &Desired,
    live: &Live,
    options: &Options,
) -> BTreeMap<Address, String> {
    let taken = plan
        .changes
        .iter()
        .filter_map(|(address, c)| match &c.edit {
            Edit::Binding(binding) if !binding.adds() => match &binding.key.member {
                Member::Ksa(identity) => Some((address, identity)),
                _ => None,
            },
            _ => None,
        });
    let wanted = identities(part);
    let gone = taken.filter(|(_, identity)| {
        let accept = &part.accept_loss;
        !wanted.contains(identity)
            && !options.accept_loss
            && !users::accepts(accept, &identity.namespace, &identity.name)
    });
    let appeared = gone.filter_map(|(address, identity)| {
        let of_pool = clusters(part, live).filter(|(pool, ..)| *pool == identity.pool);
        let mut places = of_pool.filter_map(|(_, place, accounts)| {
            let mut there = accounts.found()?.iter();
            let there = there
                .find(|m| m.name == identity.name && m.namespace == identity.namespace)
                .filter(|m| !is_ours(m, &part.owner))?;
            match place {
                // One without a mark may be that which the spec referred to.
                Place::Ours(name) => {
                    let owner = owner_of(there)?;
                    Some(format!(
                        "cluster.{name}, where the spec named `{owner}` has it"
                    ))
                }
                Place::Outside(path) => Some(format!("{path}, which is not in the spec")),
            }
        });
        let place = places.next()?;
        Some((address.clone(), format!("the same identity is in {place}")))
    });
    appeared.collect()
}

/// Identities on which some spec's mark was seen.
pub(super) fn marked(desired: &Desired, live: &Live) -> HashSet<KsaIdentity> {
    let seen = clusters(desired, live).flat_map(|(pool, _, accounts)| {
        let accounts = match accounts {
            Seen::Found(accounts) => accounts,
            Seen::Absent | Seen::Unknown(_) => Vec::new(),
        };
        let marked = accounts.into_iter().filter(|m| owner_of(m).is_some());
        marked.map(move |m| KsaIdentity::new(&pool, &m.namespace, &m.name))
    });
    seen.collect()
}

/// All identities that the spec names.
fn identities(desired: &Desired) -> HashSet<&KsaIdentity> {
    desired.ksas.values().map(|k| &k.identity).collect()
}

/// A cluster, as it is called here.
enum Place<'a> {
    /// By the spec's name.
    Ours(&'a str),
    /// By its path.
    Outside(String),
}

/// The Kubernetes service accounts of all clusters of the spec's projects, with their workload pools.
fn clusters<'a>(
    desired: &'a Desired,
    live: &'a Live,
) -> impl Iterator<Item = (String, Place<'a>, Seen<Vec<&'a ObjectMeta>>)> {
    let ours = desired.clusters.iter().filter_map(|(name, cluster)| {
        let objects = live.kubernetes.get(name)?.as_ref();
        let accounts = objects.map(|o| o.service_accounts.values().collect());
        let pool = cluster.path.project.workload_pool();
        Some((pool, Place::Ours(name), accounts))
    });
    let outside = live.outside.iter().map(|cluster| {
        let accounts = cluster
            .service_accounts
            .as_ref()
            .map(|a| a.iter().collect());
        let pool = cluster.path.project.workload_pool();
        (pool, Place::Outside(cluster.path.to_string()), accounts)
    });
    ours.chain(outside)
}

#[cfg(test)]
mod tests {

    use crate::plan::fixture::{Case, HEAD, marked};

    const WEB: &str = "ksa.main/apps/web";
    const OWN: &str = "grant.acme-prod/apps/web:roles/logging.logWriter@project/acme-prod";

    /// `apps/web` left the spec, in these clusters.
    fn case(clusters: &[&str]) -> Case {
        let mut case = Case::of(&HEAD.replace(
            "clusters: { main: { location: europe-west1 } }",
            "clusters: { main: { location: europe-west1 }, far: { location: us-east1 } }",
        ));
        let own = "principal://iam.googleapis.com/projects/123/locations/global/workloadIdentityPools/acme-prod.svc.id.goog/subject/ns/apps/sa/web";
        case.grant("project/acme-prod", "roles/logging.logWriter", own);
        case.options.allow_mass_removal = true;
        for cluster in clusters {
            case.ksa(cluster, "apps", "web", marked(None, false));
        }
        // Read again, as of a whole spec.
        case.desired.leftovers.get_or_insert_default();
        case
    }

    #[test]
    fn the_last_mark_of_what_left_goes_after_all_that_it_tells_of() {
        let plan = case(&["main"]).plan();
        assert!(plan.changes.contains_key(OWN), "{:?}", plan.changes.keys());
        assert!(
            plan.changes[WEB].needs.contains(OWN),
            "{:?}",
            plan.changes[WEB].needs
        );
        let plan = case(&["main", "far"]).plan();
        let waits = |address: &str| plan.changes[address].needs.contains(OWN);
        let (main, far) = (waits(WEB), waits("ksa.far/apps/web"));
        assert!(main != far, "one of them is the last: {main} {far}");
    }
}
