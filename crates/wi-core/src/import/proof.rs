//! Whether a plan of an imported spec only adopts.

use crate::address::Address;
use crate::plan::{AccountAfter, Action, Edit, KsaAfter, Plan};

/// What a plan of an imported spec does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proof {
    /// What it marks as this spec's, and changes in nothing else.
    pub adopted: Vec<Address>,
    /// What it does besides, or cannot say: with any of it the spec is not what is there.
    pub against: Vec<String>,
}

impl Proof {
    /// Whether the spec is what is there.
    pub fn holds(&self) -> bool {
        self.against.is_empty()
    }
}

/// Reads a plan of an imported spec.
pub fn proof(plan: &Plan) -> Proof {
    let mut proof = Proof::default();
    for (address, change) in &plan.changes {
        if adopts(&change.edit, &plan.owner) {
            proof.adopted.push(address.clone());
            continue;
        }
        let sign = match change.action() {
            Action::Create => '+',
            Action::Update => '~',
            Action::Delete => '-',
        };
        proof.against.push(format!("{sign} {address}"));
    }
    let errors = plan.errors.iter();
    let errors = errors.map(|e| format!("! {}: {}", e.subject, e.message));
    let unseen = plan.unseen.iter();
    let unseen = unseen.map(|u| format!("? {}: {}", u.what, u.why));
    let held = plan.held_back.iter();
    let held = held.map(|h| format!("- {}, which is held back", h.address));
    proof.against.extend(errors.chain(unseen).chain(held));
    proof
}

/// Whether only the mark comes to be there.
fn adopts(edit: &Edit, owner: &str) -> bool {
    match edit {
        Edit::Account(account) => {
            let shown = match (&account.before, &account.after) {
                (Some(before), AccountAfter::Present { display_name, .. }) => {
                    before.display_name == *display_name
                }
                _ => false,
            };
            shown && account.only_describes()
        }
        Edit::Ksa(ksa) => {
            let kept = matches!(ksa.after, KsaAfter::Kept { .. });
            kept && ksa.before.is_some() && !ksa.changes_identity(owner)
        }
        _ => false,
    }
}
