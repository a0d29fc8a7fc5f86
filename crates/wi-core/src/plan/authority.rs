//! How far authority over a principal reaches: what others may have granted to one that was theirs before is
//! kept and told.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::ownership::{ADOPTED, owner_in_description, owner_of, split_description};
use super::{Options, users};
use crate::address::BindingKey;
use crate::desired::{Desired, GSA_ANNOTATION};
use crate::live::{Live, Seen};
use crate::names::{KsaIdentity, Member};
use crate::wire::kubernetes::ObjectMeta;

/// Whose grants to the spec's principals may be.
pub(super) struct Authority<'a> {
    desired: &'a Desired,
    live: &'a Live,
    /// Kubernetes service accounts that this spec has made, as IAM knows them.
    made: HashSet<KsaIdentity>,
    /// Those that it only refers to, and that no spec has marked; and whether it lets them act as themselves.
    referred: HashMap<&'a KsaIdentity, bool>,
    /// Names of other specs whose marks were seen.
    others: BTreeSet<&'a str>,
}

impl<'a> Authority<'a> {
    pub(super) fn of(desired: &'a Desired, live: &'a Live) -> Self {
        let mut others = BTreeSet::new();
        let mut made = HashSet::new();
        let mut marked = HashSet::new();
        let mut look = |pool: &str, meta: &'a ObjectMeta| {
            let Some(owner) = owner_of(meta) else {
                return;
            };
            let identity = || KsaIdentity::new(pool, &meta.namespace, &meta.name);
            marked.insert(identity());
            if owner != desired.owner {
                others.insert(owner);
            } else if !meta.annotations.contains_key(ADOPTED) {
                made.insert(identity());
            }
        };
        for (name, cluster) in &desired.clusters {
            let objects = live.kubernetes.get(name).and_then(Seen::found);
            let pool = cluster.path.project.workload_pool();
            for meta in objects.iter().flat_map(|o| o.service_accounts.values()) {
                look(&pool, meta);
            }
        }
        for outside in &live.outside {
            let pool = outside.path.project.workload_pool();
            for meta in outside.service_accounts.found().into_iter().flatten() {
                look(&pool, meta);
            }
        }
        let accounts = live.accounts.values().filter_map(Seen::found);
        let owners = accounts
            .flat_map(BTreeMap::values)
            .filter_map(|a| owner_in_description(&a.description));
        others.extend(owners.filter(|owner| *owner != desired.owner));
        let mut referred = HashMap::new();
        for ksa in desired.ksas.values() {
            if ksa.existing && !marked.contains(&ksa.identity) {
                *referred.entry(&ksa.identity).or_default() |= ksa.account.is_none();
            }
        }
        Self {
            desired,
            live,
            referred,
            made,
            others,
        }
    }

    /// Why a grant that the spec does not ask for stays; `None`: it is this spec's to take away. A former spec
    /// that granted on the resource and `removed` say that it was this one's.
    pub(super) fn is_kept(&self, key: &BindingKey, options: &Options) -> Option<String> {
        let Self { desired, live, .. } = self;
        if key.is_impersonation() || self.is_said_to_be_ours(key) {
            return None;
        }
        let accept = &desired.accept_loss;
        let was_before = match &key.member {
            Member::ServiceAccount(email) => {
                let account = live.account(email);
                let account = account.as_ref().and_then(Seen::found);
                account.is_some_and(|a| {
                    let mark = split_description(&a.description).1;
                    mark.is_none_or(|m| m.adopted || m.owner != desired.owner)
                })
            }
            Member::Ksa(ksa) => {
                if options.accept_loss || users::accepts(accept, &ksa.namespace, &ksa.name) {
                    return None;
                }
                !self.made.contains(ksa)
            }
            _ => return None,
        };
        if was_before && live.found_by_search.contains(&key.resource) {
            return Some(format!(
                "it was there before this spec, which does not name {}, so that others may have granted this. To take it away, list the resource under `removed:`",
                key.resource
            ));
        }
        let Member::Ksa(ksa) = &key.member else {
            return None;
        };
        let why = self.others_may_refer_to(ksa)?;
        Some(format!(
            "{namespace}/{name} is only referred to (`existing: true`), and {why}. If this was this spec's, plan with --base GIT_REF (the former spec), or accept that it goes: acceptLoss: [{namespace}/ServiceAccount/{name}]",
            namespace = ksa.namespace,
            name = ksa.name,
        ))
    }

    /// Whether a former spec, or `removed`, says that a grant was this spec's. Of what is only referred to others
    /// have something on the same resources: there each grant counts by itself.
    fn is_said_to_be_ours(&self, key: &BindingKey) -> bool {
        let Desired {
            removed,
            former_bindings,
            ..
        } = self.desired;
        let is_referred =
            matches!(&key.member, Member::Ksa(ksa) if self.referred.contains_key(ksa));
        let by_former = || former_bindings.iter().any(|k| k.resource == key.resource);
        former_bindings.contains(key)
            || (removed.contains(&key.resource) && !(is_referred && by_former()))
    }

    /// Why grants of a service account may be somebody's who refers to it as this spec does. Nothing marks it, so
    /// that of such a spec nothing need be seen.
    fn others_may_refer_to(&self, ksa: &KsaIdentity) -> Option<String> {
        let acts_as_itself = *self.referred.get(ksa)?;
        if !self.others.is_empty() {
            let others: Vec<String> = self.others.iter().map(|o| format!("`{o}`")).collect();
            let others = others.join(", ");
            return Some(format!("another spec ({others}) may refer to it, too"));
        }
        if acts_as_itself {
            return Some("whoever else refers to it may have granted this".to_owned());
        }
        // As the account in its annotation it has no use for grants of its own.
        let uses = |meta: &ObjectMeta| {
            let account = meta.annotations.get(GSA_ANNOTATION);
            meta.namespace == ksa.namespace
                && meta.name == ksa.name
                && account.is_none_or(String::is_empty)
        };
        let of_pool = self.live.outside.iter();
        let mut of_pool = of_pool.filter(|o| o.path.project.workload_pool() == ksa.pool);
        of_pool.find_map(|outside| match &outside.service_accounts {
            Seen::Found(all) => all.iter().any(uses).then(|| {
                format!(
                    "it acts as itself in {}, which is not in the spec",
                    outside.path
                )
            }),
            Seen::Unknown(why) => Some(format!(
                "whether it acts as itself in {}, which is not in the spec, could not be read: {why}",
                outside.path
            )),
            Seen::Absent => None,
        })
    }
}
