//! The caller's own access is never removed: whoever saws off that branch cannot fix anything.

use crate::address::Address;
use crate::names::Member;
use crate::plan::{Edit, Plan};

/// Whether the plan takes anything from Google service accounts, of which the caller may be one.
pub fn takes_from_accounts(plan: &Plan) -> bool {
    plan.changes.values().any(|c| account_of(&c.edit).is_some())
}

/// Takes out what would be removed from the caller; `None`: who that is could not be found out.
pub fn protect(plan: &mut Plan, caller: Option<&str>) {
    let Some(caller) = caller else {
        plan.warnings.push(
            "whose access token this is could not be found out: make sure that none of the accounts that lose something here is your own".to_owned(),
        );
        return;
    };
    let own: Vec<Address> = plan
        .changes
        .iter()
        .filter(|(_, c)| account_of(&c.edit).is_some_and(|a| a.eq_ignore_ascii_case(caller)))
        .map(|(address, _)| address.clone())
        .collect();
    for address in own {
        plan.changes.remove(&address);
        plan.warnings.push(format!(
            "{address} is kept: it is the access of {caller}, who you are. Somebody else has to remove it"
        ));
    }
}

/// The account that loses something by a change.
fn account_of(edit: &Edit) -> Option<&str> {
    match edit {
        Edit::Binding(binding) if !binding.adds() => match &binding.key.member {
            Member::ServiceAccount(email) => Some(email.as_str()),
            _ => None,
        },
        Edit::Account(account) if account.ends_it() => Some(account.email.as_str()),
        _ => None,
    }
}
