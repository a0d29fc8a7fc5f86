//! Google service accounts: created, adopted, kept as declared, disabled when they leave the spec.

use std::collections::BTreeSet;

use super::{AccountChange, Action, Attribute, Change, Plan, What};
use crate::desired::Desired;
use crate::gcp::iam::ServiceAccount;
use crate::identity::{Email, ProjectId};
use crate::live::{Live, Seen, owner_in_description};
use crate::spec::model::AccountSpec;

/// IAM allows 256 bytes of description, our mark included.
const MAX_DESCRIPTION: usize = 256;

/// The description with our mark at its end.
fn marked(description: &str, owner: &str) -> String {
    let mark = format!("[wi:{owner}]");
    if description.is_empty() {
        mark
    } else {
        format!("{description} {mark}")
    }
}

pub(super) fn diff(desired: &Desired, live: &Live, plan: &mut Plan) {
    for (name, wanted) in desired.accounts.iter().filter(|(_, a)| a.managed) {
        let address = format!("gsa.{name}");
        match live.accounts.get(&wanted.project) {
            Some(Seen::Found(accounts)) => match accounts.get(&wanted.email) {
                Some(account) => update(desired, address, wanted, account, plan),
                None => create(desired, address, wanted, plan),
            },
            Some(Seen::Absent) => plan.error(
                address,
                Some(&wanted.place),
                format!("the project {} does not exist", wanted.project),
            ),
            Some(Seen::Unknown(why)) => plan.unseen(
                format!("the service accounts of project/{}", wanted.project),
                why,
            ),
            None => {}
        }
    }
    for (project, accounts) in &live.accounts {
        for (email, account) in accounts.found().into_iter().flatten() {
            let ours = owner_in_description(&account.description) == Some(desired.owner.as_str());
            let wanted = desired.accounts.values().any(|a| a.email == *email);
            plan.owned += usize::from(ours);
            if ours && !wanted && !account.disabled {
                disable(desired, project, email, plan);
            }
        }
    }
}

fn create(desired: &Desired, address: String, wanted: &AccountSpec, plan: &mut Plan) {
    let display_name = wanted.display_name.clone().unwrap_or_default();
    let description = marked("", &desired.owner);
    plan.changes.insert(
        address,
        Change {
            action: Action::Create,
            attributes: vec![
                Attribute::new("email", None, Some(wanted.email.as_str())),
                Attribute::new("displayName", None, Some(&display_name)),
                Attribute::new("description", None, Some(&description)),
            ]
            .into_iter()
            .filter(|a| a.after.is_some())
            .collect(),
            what: What::Account {
                project: wanted.project.clone(),
                email: wanted.email.clone(),
                change: AccountChange::Create {
                    display_name,
                    description,
                },
            },
            notes: Vec::new(),
            place: Some(wanted.place.clone()),
            needs: BTreeSet::new(),
        },
    );
}

fn update(
    desired: &Desired,
    address: String,
    wanted: &AccountSpec,
    account: &ServiceAccount,
    plan: &mut Plan,
) {
    let mut attributes = Vec::new();
    let mut reason = None;
    let display_name = wanted
        .display_name
        .clone()
        .filter(|d| *d != account.display_name);
    if let Some(after) = &display_name {
        attributes.push(Attribute::new(
            "displayName",
            Some(&account.display_name),
            Some(after),
        ));
    }
    let description = match owner_in_description(&account.description) {
        Some(owner) if owner == desired.owner => None,
        Some(owner) => {
            return plan.error(
                address,
                Some(&wanted.place),
                format!(
                    "{} belongs to the spec named `{owner}` (its description ends in `[wi:{owner}]`). Remove it there first, or refer to it here by `email: {}`, which uses it and leaves it to its owner",
                    wanted.email, wanted.email
                ),
            );
        }
        None => {
            let after = marked(&account.description, &desired.owner);
            if after.len() > MAX_DESCRIPTION {
                return plan.error(
                    address,
                    Some(&wanted.place),
                    format!(
                        "the description of {} leaves no room for the mark `[wi:{}]` (IAM allows {MAX_DESCRIPTION} bytes): shorten it, or refer to the account by `email:`",
                        wanted.email, desired.owner
                    ),
                );
            }
            reason = Some("adopted: it exists and nobody has marked it".to_owned());
            attributes.push(Attribute::new(
                "description",
                Some(&account.description),
                Some(&after),
            ));
            Some(after)
        }
    };
    if account.disabled {
        attributes.push(Attribute::new("disabled", Some("true"), Some("false")));
    }
    if attributes.is_empty() {
        return;
    }
    plan.changes.insert(
        address,
        Change {
            action: Action::Update,
            what: What::Account {
                project: wanted.project.clone(),
                email: wanted.email.clone(),
                change: AccountChange::Update {
                    display_name,
                    description,
                    enable: account.disabled,
                },
            },
            attributes,
            notes: reason.into_iter().collect(),
            place: Some(wanted.place.clone()),
            needs: BTreeSet::new(),
        },
    );
}

fn disable(desired: &Desired, project: &ProjectId, email: &Email, plan: &mut Plan) {
    plan.changes.insert(
        desired.account_address(email),
        Change {
            action: Action::Delete,
            what: What::Account {
                project: project.clone(),
                email: email.clone(),
                change: AccountChange::Disable,
            },
            attributes: vec![
                Attribute::new("email", Some(email.as_str()), Some(email.as_str())),
                Attribute::new("disabled", Some("false"), Some("true")),
            ],
            notes: vec![
                "marked by this spec and no longer in it: it is disabled, not deleted".to_owned(),
            ],
            place: None,
            needs: BTreeSet::new(),
        },
    );
}
