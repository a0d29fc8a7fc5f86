//! What the live annotation of a Kubernetes service account relies on that is only referred to
//! (`existing: true`): it stays until the annotation, which others write, reads as it is to be.

use std::collections::BTreeMap;

use crate::address::{BindingKey, KsaKey};
use crate::desired::{Desired, GSA_ANNOTATION};
use crate::live::{Live, Seen};
use crate::names::{Email, KsaIdentity, Member};
use crate::resource::Resource;

/// Who relies on what.
#[derive(Debug, Default)]
pub(super) struct Reliance<'a> {
    /// Accounts that are still in an annotation, and those identities.
    accounts: BTreeMap<Email, BTreeMap<&'a KsaIdentity, &'a KsaKey>>,
    /// Identities that still act as themselves.
    themselves: BTreeMap<&'a KsaIdentity, &'a KsaKey>,
}

impl<'a> Reliance<'a> {
    pub(super) fn of(desired: &'a Desired, live: &Live) -> Self {
        let mut reliance = Self::default();
        for (key, ksa) in desired.ksas.iter().filter(|(_, ksa)| ksa.existing) {
            let objects = live.kubernetes.get(&key.cluster).and_then(Seen::found);
            let name = (key.namespace.to_string(), key.name.to_string());
            let Some(there) = objects.and_then(|o| o.service_accounts.get(&name)) else {
                continue;
            };
            let now = there.annotations.get(GSA_ANNOTATION).map(String::as_str);
            let wanted = ksa.account.as_ref().map(Email::as_str);
            match now.filter(|now| !now.is_empty()) {
                now if now == wanted => {}
                None => {
                    reliance.themselves.insert(&ksa.identity, key);
                }
                Some(now) => {
                    if let Ok(account) = Email::parse(now) {
                        let users = reliance.accounts.entry(account).or_default();
                        users.insert(&ksa.identity, key);
                    }
                }
            }
        }
        reliance
    }

    /// Who relies on an account.
    pub(super) fn on_account(&self, email: &Email) -> Option<&'a KsaKey> {
        self.accounts.get(email)?.values().next().copied()
    }

    /// Who relies on a member of a policy.
    pub(super) fn on_binding(&self, key: &BindingKey) -> Option<&'a KsaKey> {
        match (&key.member, &key.resource) {
            (Member::ServiceAccount(email), _) => self.on_account(email),
            (Member::Ksa(ksa), Resource::ServiceAccount(email)) if key.is_impersonation() => {
                self.accounts.get(email)?.get(ksa).copied()
            }
            (Member::Ksa(ksa), _) => self.themselves.get(ksa).copied(),
            _ => None,
        }
    }
}

/// What is said of what stays.
pub(super) fn is_kept(what: &str, by: &KsaKey) -> String {
    format!(
        "{what} stays, though the spec does not ask for it: the annotation of {by}, which others write (`existing: true`), relies on it. Once that reads as it is to be, plan again: then it is removed"
    )
}
