//! The caller's own access is never removed: whoever saws off that branch cannot fix anything. That is what the
//! caller's account has, and the way by which the caller's pod or job comes to be that account.

use crate::address::Address;
use crate::names::{Email, Member};
use crate::plan::{Edit, KsaAfter, Plan};
use crate::resource::Resource;

/// Whose access token it is, as far as that is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caller {
    /// The email of the account.
    pub account: Option<String>,
    /// Namespace and name of the Kubernetes service account of the pod in which `wi` runs.
    pub ksa: Option<(String, String)>,
}

impl Caller {
    fn is(&self, account: &Email) -> bool {
        self.account
            .as_ref()
            .is_some_and(|own| own.eq_ignore_ascii_case(account.as_str()))
    }

    /// Whether this pod is the member, or may be in it: all are, where it is not known that `wi` runs in a pod.
    fn may_act_by(&self, member: &Member) -> bool {
        match (member, &self.ksa) {
            (Member::Ksa(ksa), Some((namespace, name))) => {
                ksa.namespace == *namespace && ksa.name == *name
            }
            _ => true,
        }
    }

    /// Whether a change takes something of the caller's.
    fn loses_by(&self, edit: &Edit) -> bool {
        match edit {
            Edit::Account(account) => account.ends_it() && self.is(&account.email),
            // It may be the one that `wi` runs with.
            Edit::Key(key) => key.ends_it() && self.is(&key.email),
            Edit::Binding(binding) if !binding.adds() => {
                let key = &binding.key;
                let is_member = match &key.member {
                    Member::ServiceAccount(email) => self.is(email),
                    Member::Ksa(ksa) => self.ksa.as_ref().is_some_and(|(namespace, name)| {
                        ksa.namespace == *namespace && ksa.name == *name
                    }),
                    _ => false,
                };
                let is_dead = matches!(key.member, Member::DeletedServiceAccount { .. });
                let is_way_in =
                    matches!(&key.resource, Resource::ServiceAccount(email) if self.is(email));
                is_member || (is_way_in && !is_dead && self.may_act_by(&key.member))
            }
            Edit::Ksa(ksa) => {
                let own = |(namespace, name): &(String, String)| {
                    ksa.key.namespace.as_str() == namespace && ksa.key.name.as_str() == name
                };
                let before = ksa.account_before();
                let is_own = match &self.ksa {
                    Some(pod) => own(pod),
                    None => before.as_ref().is_some_and(|account| self.is(account)),
                };
                let after = ksa.account_after();
                let is_left = before.is_some_and(|b| Some(b.as_str()) != after);
                is_own && (is_left || ksa.after == KsaAfter::Deleted)
            }
            _ => false,
        }
    }
}

/// Whether the plan takes anything from Google service accounts, of which the caller may be one, or from those
/// who may act as one.
pub fn takes_from_accounts(plan: &Plan) -> bool {
    plan.changes.values().any(|c| match &c.edit {
        Edit::Account(account) => account.ends_it(),
        Edit::Key(key) => key.ends_it(),
        Edit::Binding(binding) => {
            !binding.adds()
                && (matches!(binding.key.member, Member::ServiceAccount(_))
                    || matches!(binding.key.resource, Resource::ServiceAccount(_)))
        }
        Edit::Ksa(ksa) => ksa
            .account_before()
            .is_some_and(|before| Some(before.as_str()) != ksa.account_after()),
        _ => false,
    })
}

/// Takes out what would be removed from the caller, and says what of that cannot be known.
pub fn protect(plan: &mut Plan, caller: &Caller) {
    let own: Vec<Address> = plan
        .changes
        .iter()
        .filter(|(_, c)| caller.loses_by(&c.edit))
        .map(|(address, _)| address.clone())
        .collect();
    for address in own {
        plan.changes.remove(&address);
        plan.warnings.push(format!(
            "{address} is kept: it is the access of {}, who you are, or the way to it. Somebody else has to remove it",
            caller.in_words()
        ));
    }
    if caller.account.is_none() && takes_from_accounts(plan) {
        plan.warnings.push(
            "whose access token this is could not be found out: make sure that none of the accounts that lose something here is your own, nor one that you act as".to_owned(),
        );
    }
    let sets: Vec<String> = plan
        .changes
        .iter()
        .filter(|(_, c)| matches!(&c.edit, Edit::Binding(b) if !b.adds() && matches!(b.key.member, Member::Set(_))))
        .map(|(address, _)| format!("{address}: who is in it cannot be seen. Make sure that it is not you"))
        .collect();
    plan.warnings.extend(sets);
}

impl Caller {
    /// The account, or the Kubernetes service account.
    pub fn in_words(&self) -> String {
        match (&self.account, &self.ksa) {
            (Some(account), _) => account.clone(),
            (None, Some((namespace, name))) => format!("the service account {namespace}/{name}"),
            (None, None) => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Caller, protect};
    use crate::plan::fixture::{Case, HEAD, marked};

    const KSA: &str = "ksa.main/apps/web";

    /// Whether `apps/web`, which acts as `one-sa`, is kept as it is where it is to be this.
    fn is_kept(access: &str, adopted: bool, caller: &Caller) -> bool {
        let spec = format!("{HEAD}googleServiceAccounts: {{ two-sa: {{}} }}\n{access}");
        let mut case = Case::of(&spec);
        case.ksa("main", "apps", "web", marked(Some("one-sa"), adopted));
        case.node_pool("main", "p", "GKE_METADATA", json!({}));
        let mut plan = case.plan();
        assert!(plan.changes.contains_key(KSA), "{:?}", plan.changes.keys());
        protect(&mut plan, caller);
        let told = plan.warnings.iter().any(|w| w.contains("who you are"));
        let kept = !plan.changes.contains_key(KSA);
        assert_eq!(kept, told, "{:?}", plan.warnings);
        kept
    }

    #[test]
    fn the_annotation_by_which_the_caller_acts_is_kept() {
        let other =
            "namespaces: { apps: { serviceAccounts: { web: { impersonates: two-sa } } } }\n";
        let account = |name: &str| Caller {
            account: Some(format!("{name}@acme-prod.iam.gserviceaccount.com")),
            ksa: None,
        };
        let pod = |namespace: &str, name: &str| Caller {
            account: account("one-sa").account,
            ksa: Some((namespace.to_owned(), name.to_owned())),
        };
        // Another account, one that is given back, and one that is deleted.
        for (access, adopted) in [(other, true), ("", true), ("", false)] {
            assert!(is_kept(access, adopted, &account("One-SA")), "{access}");
            assert!(is_kept(access, adopted, &pod("apps", "web")), "{access}");
            assert!(!is_kept(access, adopted, &account("two-sa")), "{access}");
            assert!(!is_kept(access, adopted, &pod("apps", "db")), "{access}");
            assert!(!is_kept(access, adopted, &pod("db", "web")), "{access}");
        }
    }
}
