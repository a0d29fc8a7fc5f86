//! What a plan leaves of what is there. A pod whose node pool moves has no more than that afterwards, unless
//! the spec gives it something.

use std::collections::BTreeMap;

use crate::address::KsaKey;
use crate::live::{Live, Seen};
use crate::plan::{AccountAfter, Binding, Edit, Ksa, KsaAfter, Plan};

/// What the changes of a plan take away.
#[derive(Debug, Default)]
pub(in crate::plan) struct Left {
    /// What the rest is looked up in; `None`: nothing is taken.
    live: Option<Live>,
    /// Annotations of the service accounts that change; `Err`: it goes.
    annotations: BTreeMap<KsaKey, Result<Option<String>, Goes>>,
}

/// A service account that is deleted.
#[derive(Debug, Clone, Copy)]
pub(in crate::plan) struct Goes;

impl Left {
    pub(in crate::plan) fn by(plan: &Plan, live: &Live) -> Self {
        let mut left = Self::default();
        for change in plan.changes.values() {
            match &change.edit {
                Edit::Ksa(ksa) => {
                    let after = annotation(ksa);
                    left.annotations.insert(ksa.key.clone(), after);
                }
                Edit::Binding(binding) if !binding.adds() => {
                    without(left.live_of(live), binding);
                }
                Edit::Account(account) => {
                    let accounts = left.live_of(live).accounts.get_mut(&account.project);
                    let Some(Seen::Found(accounts)) = accounts else {
                        continue;
                    };
                    match (&account.after, accounts.get_mut(&account.email)) {
                        (AccountAfter::Deleted, _) => {
                            accounts.remove(&account.email);
                        }
                        (AccountAfter::Disabled { .. }, Some(found)) => found.disabled = true,
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        left
    }

    /// A copy of what is looked up, without the objects of the clusters.
    fn live_of(&mut self, live: &Live) -> &mut Live {
        self.live.get_or_insert_with(|| Live {
            accounts: live.accounts.clone(),
            accounts_of_others: live.accounts_of_others.clone(),
            policies: live.policies.clone(),
            background: live.background.clone(),
            numbers: live.numbers.clone(),
            ..Live::default()
        })
    }

    /// What is there but for what is taken.
    pub(in crate::plan) fn live<'a>(&'a self, live: &'a Live) -> &'a Live {
        self.live.as_ref().unwrap_or(live)
    }

    /// The annotation of a service account that reads so now.
    ///
    /// # Errors
    /// The service account goes.
    pub(in crate::plan) fn annotation<'a>(
        &'a self,
        key: &KsaKey,
        now: Option<&'a str>,
    ) -> Result<Option<&'a str>, Goes> {
        match self.annotations.get(key) {
            Some(Ok(after)) => Ok(after.as_deref()),
            Some(Err(goes)) => Err(*goes),
            None => Ok(now),
        }
    }
}

fn annotation(ksa: &Ksa) -> Result<Option<String>, Goes> {
    match ksa.after {
        KsaAfter::Deleted => Err(Goes),
        _ => Ok(ksa.account_after().map(str::to_owned)),
    }
}

fn without(live: &mut Live, removed: &Binding) {
    let key = &removed.key;
    for policies in [&mut live.policies, &mut live.background] {
        let Some(Seen::Found(policy)) = policies.get_mut(&key.resource) else {
            continue;
        };
        let same = policy
            .bindings
            .iter_mut()
            .filter(|b| b.role == key.role.as_str() && b.condition == key.condition);
        for binding in same {
            binding.members.retain(|m| !removed.before.contains(m));
        }
    }
}
