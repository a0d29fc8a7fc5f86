//! Rights to act as an account under conditions: pods live on one only while it surely holds.

use std::collections::{BTreeMap, BTreeSet};

use crate::address::{Address, KsaKey};
use crate::desired::{Desired, DesiredKsa};
use crate::names::{Condition, Email, KsaIdentity, Member};
use crate::plan::acting::may_act;
use crate::plan::{Edit, Options, Plan, users};
use crate::resource::Resource;

/// Stops what makes pods rely on a right that does not surely hold; tells of rights that hold no more.
pub(in crate::plan) fn check(desired: &Desired, options: &Options, plan: &mut Plan) {
    // By whom, for a spec has few: its bindings are many.
    let mut limited: BTreeMap<&KsaIdentity, Vec<&Condition>> = BTreeMap::new();
    for key in desired.bindings.keys() {
        if let (Member::Ksa(identity), Some(condition)) = (&key.member, &key.condition)
            && (key.is_impersonation() || key.is_wide())
        {
            limited.entry(identity).or_default().push(condition);
        }
    }
    if limited.is_empty() {
        return;
    }
    let mut told = BTreeSet::new();
    for (key, ksa) in &desired.ksas {
        let (Some(account), Some(conditions)) = (&ksa.account, limited.get(&ksa.identity)) else {
            continue;
        };
        let holds = may_act(desired, &ksa.identity, account, options.now);
        if holds == Some(true) {
            continue;
        }
        let names: Vec<&str> = conditions.iter().map(|c| c.name()).collect();
        let names = names.join(", ");
        let when = match holds {
            Some(false) => "does not hold now",
            _ => "does not hold at all times, as far as can be told",
        };
        match relies(plan, key, ksa, account) {
            Some(address) if accepted(desired, options, key) => plan.warnings.push(format!(
                "{address}: the right of {} to act as {account} {when} ({names}); that its pods may lose by it is accepted",
                ksa.identity
            )),
            Some(address) => plan.error(
                address,
                Some(&ksa.place),
                format!(
                    "pods of {} live on its right to act as {account} from then on, which {when} ({names}). Give it one that does, or accept that: acceptLoss: [{}/ServiceAccount/{}]",
                    ksa.identity, key.namespace, key.name
                ),
            ),
            // Once for all clusters.
            None if holds == Some(false) => _ = told.insert(format!(
                "{} may not act as {account} now: its right {when} ({names})",
                ksa.identity
            )),
            None => {}
        }
    }
    plan.warnings.extend(told);
}

fn accepted(desired: &Desired, options: &Options, key: &KsaKey) -> bool {
    let (namespace, name) = (key.namespace.as_str(), key.name.as_str());
    let of_cluster = desired.clusters.get(&key.cluster);
    options.accept_loss
        || users::accepts(&desired.accept_loss, namespace, name)
        || of_cluster.is_some_and(|c| users::accepts(&c.accept_loss, namespace, name))
}

/// The change by which pods that are there come to rely on what the spec gives: they get the account, or lose the
/// right that they have to act as it.
fn relies(plan: &Plan, key: &KsaKey, ksa: &DesiredKsa, account: &Email) -> Option<Address> {
    let of_account = Resource::ServiceAccount(account.clone());
    let found = plan.changes.iter().find(|(_, change)| match &change.edit {
        Edit::Ksa(edit) => {
            edit.key == *key && edit.before.is_some() && edit.changes_identity(&plan.owner)
        }
        Edit::Binding(binding) => {
            let of = &binding.key;
            !binding.adds()
                && of.member == Member::Ksa(ksa.identity.clone())
                && (of.is_wide() || (of.is_impersonation() && of.resource == of_account))
        }
        _ => false,
    });
    found.map(|(address, _)| address.clone())
}
