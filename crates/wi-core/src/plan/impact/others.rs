//! Google service accounts that others manage and pods of this spec act as.

use std::collections::BTreeSet;

use super::super::edit::KsaAfter;
use super::{Edit, Plan};
use crate::access::{self, Given, WhyNot};
use crate::address::Address;
use crate::desired::Desired;
use crate::live::Live;
use crate::names::Email;

/// Says which of them give no token. A Kubernetes service account that has another identity keeps it:
/// it would be nobody.
pub(super) fn warn_of_unusable(desired: &Desired, live: &Live, plan: &mut Plan) {
    let acted_as: BTreeSet<&Email> = desired
        .ksas
        .values()
        .filter_map(|k| k.account.as_ref())
        .collect();
    let accounts = desired.accounts.values();
    for account in accounts.filter(|a| !a.managed && acted_as.contains(&a.email)) {
        let email = &account.email;
        match access::is_usable(live, email) {
            Err(Given::Nobody(WhyNot::Disabled(_))) => {}
            Err(Given::Unseen(WhyNot::AccountUnread(_, why))) => {
                if annotates(plan, email).next().is_some() {
                    plan.warnings.push(format!(
                        "whether {email} is enabled could not be read, so that pods may be nobody as it: {why}"
                    ));
                }
                continue;
            }
            _ => continue,
        }
        let project = email.project().map(|p| format!(" --project {p}"));
        plan.warnings.push(format!(
            "{email} is disabled: its tokens will be refused, and whoever acts as it is nobody. Enable it: gcloud iam service-accounts enable {email}{}",
            project.unwrap_or_default()
        ));
        for address in switched_to(plan, email) {
            let place = plan.changes.remove(&address).and_then(|c| c.place);
            let message = format!(
                "its pods would lose the identity that they have: {email} is disabled, so that its tokens are refused"
            );
            plan.error(address, place.as_ref(), message);
        }
    }
}

/// Kubernetes service accounts whose annotation changes from another account to this one.
fn switched_to(plan: &Plan, email: &Email) -> Vec<Address> {
    annotates(plan, email)
        .filter(|(_, had_one)| *had_one)
        .map(|(address, _)| address.clone())
        .collect()
}

/// Kubernetes service accounts that are to be annotated with this account, and whether each had another.
fn annotates<'a>(plan: &'a Plan, email: &'a Email) -> impl Iterator<Item = (&'a Address, bool)> {
    plan.changes.iter().filter_map(move |(address, change)| {
        let Edit::Ksa(ksa) = &change.edit else {
            return None;
        };
        let to_it =
            matches!(&ksa.after, KsaAfter::Kept { account: Some(account), .. } if account == email);
        let annotated = to_it && ksa.changes_identity(&plan.owner);
        annotated.then(|| (address, ksa.account_before().is_some()))
    })
}
