//! Accounts that left the spec, and that others use.

use std::collections::{BTreeMap, BTreeSet};

use super::users::Users;
use super::{Change, Edit, HeldBack, HoldReason, Plan};
use crate::address::BindingKey;
use crate::desired::Desired;
use crate::names::{Email, Member};

/// Holds back what ends an account that left the spec and that others use: with the right to act as it they
/// would lose all that it has.
pub(super) fn hold(held: BTreeMap<BindingKey, Users>, desired: &Desired, plan: &mut Plan) {
    let mut of_account: BTreeMap<Email, Users> = BTreeMap::new();
    for (key, users) in held {
        let ends = |c: &Change| matches!(&c.edit, Edit::Account(a) if a.ends_it() && a.email == users.account);
        if !plan.changes.values().any(ends) {
            let address = desired.binding_address(&key);
            let why = HoldReason::Users(Box::new(users));
            plan.held_back.push(HeldBack { address, why });
            continue;
        }
        let all = of_account
            .entry(users.account.clone())
            .or_insert_with(|| Users {
                seen: BTreeSet::new(),
                unseen: BTreeSet::new(),
                leaves: true,
                declare: String::new(),
                accept_loss: String::new(),
                ..users.clone()
            });
        all.seen.extend(users.seen);
        all.unseen.extend(users.unseen);
        all.accept_loss.push_str(&users.accept_loss);
    }
    for (email, users) in of_account {
        plan.changes.retain(|_, change| match &change.edit {
            Edit::Account(account) => account.email != email,
            Edit::Binding(binding) => {
                binding.adds() || binding.key.member != Member::ServiceAccount(email.clone())
            }
            _ => true,
        });
        let address = desired.account_address(&email);
        let why = HoldReason::Users(Box::new(users));
        plan.held_back.push(HeldBack { address, why });
    }
}
