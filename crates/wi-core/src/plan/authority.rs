//! How far authority over a principal reaches: what others may have granted to one that was theirs before is
//! kept and told.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::ownership::{ADOPTED, owner_in_description, owner_of, split_description};
use super::{Options, users};
use crate::address::BindingKey;
use crate::desired::Desired;
use crate::live::{Live, Seen};
use crate::names::{KsaIdentity, Member};
use crate::wire::kubernetes::ObjectMeta;

/// Whose grants to the spec's principals may be.
pub(super) struct Authority<'a> {
    desired: &'a Desired,
    live: &'a Live,
    /// Kubernetes service accounts that this spec has made, as IAM knows them.
    made: HashSet<KsaIdentity>,
    /// Those that it only refers to, and that no spec has marked.
    referred: HashSet<&'a KsaIdentity>,
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
        let referred = desired.ksas.values().filter(|k| k.existing);
        let referred = referred.map(|k| &k.identity);
        Self {
            desired,
            live,
            referred: referred.filter(|k| !marked.contains(*k)).collect(),
            made,
            others,
        }
    }

    /// Why a grant that the spec does not ask for stays; `None`: it is this spec's to take away. A former spec
    /// that granted on the resource and `removed` say that it was this one's.
    pub(super) fn is_kept(&self, key: &BindingKey, options: &Options) -> Option<String> {
        let Self { desired, live, .. } = self;
        if key.is_impersonation() || desired.removed.contains(&key.resource) {
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
        match &key.member {
            Member::Ksa(ksa) if self.referred.contains(ksa) && !self.others.is_empty() => {
                let others: Vec<String> = self.others.iter().map(|o| format!("`{o}`")).collect();
                Some(format!(
                    "{}/{} is only referred to (`existing: true`), and another spec ({}) may refer to it, too. If this was this spec's, plan with --base GIT_REF (the former spec), or accept that it goes: acceptLoss: [{}/ServiceAccount/{}]",
                    ksa.namespace,
                    ksa.name,
                    others.join(", "),
                    ksa.namespace,
                    ksa.name
                ))
            }
            _ => None,
        }
    }
}
