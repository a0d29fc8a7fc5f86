//! Google service accounts: created, adopted, kept as declared, disabled when they leave the spec.

use std::collections::{BTreeMap, BTreeSet};

use super::marks::{marked_description, split_description};
use super::{AccountChange, Action, Attribute, Change, Plan, What};
use crate::address::Address;
use crate::desired::Desired;
use crate::live::{Live, Seen};
use crate::names::{Email, Member, ProjectId};
use crate::spec::model::{AccountSpec, OnRemove};
use crate::wire::iam::ServiceAccount;

/// IAM allows 256 bytes of description, our mark included.
const MAX_DESCRIPTION: usize = 256;

pub(super) fn diff(desired: &Desired, live: &Live, plan: &mut Plan) {
    let deleted = deleted_ids(live);
    for wanted in desired.accounts.values().filter(|a| a.managed) {
        let address = desired.account_address(&wanted.email);
        match live.accounts.get(&wanted.project) {
            Some(Seen::Found(accounts)) => match accounts.get(&wanted.email) {
                Some(account) => update(desired, address, wanted, account, plan),
                None => create(desired, &deleted, address, wanted, plan),
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
            let (text, mark) = split_description(&account.description);
            let mark = mark.filter(|m| m.owner == desired.owner);
            let ours = mark.is_some();
            let wanted = desired.account_name(email).is_some();
            plan.owned += usize::from(ours);
            if wanted {
                continue;
            }
            match mark.map(|m| m.on_remove) {
                Some(OnRemove::Disable) if !account.disabled => {
                    let change = AccountChange::Disable;
                    end(desired, project, email, change, plan);
                }
                Some(OnRemove::Delete) => {
                    let change = AccountChange::Delete;
                    end(desired, project, email, change, plan);
                }
                Some(OnRemove::Keep) => release(desired, project, email, account, text, plan),
                _ => {}
            }
        }
    }
}

/// The unique ids of deleted accounts by their former emails, as dead members of policies tell them:
/// deleted accounts are not listed.
type Deleted = BTreeMap<String, BTreeSet<String>>;

fn deleted_ids(live: &Live) -> Deleted {
    let mut deleted = Deleted::new();
    let members = live
        .policies
        .values()
        .chain(live.background.values())
        .filter_map(Seen::found)
        .flat_map(|p| &p.bindings)
        .flat_map(|b| &b.members);
    for member in members.filter(|m| m.starts_with("deleted:")) {
        if let Member::DeletedServiceAccount { email, uid } = Member::parse(member) {
            deleted.entry(email).or_default().insert(uid);
        }
    }
    deleted
}

fn create(
    desired: &Desired,
    deleted: &Deleted,
    address: Address,
    wanted: &AccountSpec,
    plan: &mut Plan,
) {
    let display_name = wanted.display_name.clone().unwrap_or_default();
    let description = marked_description("", &desired.owner, wanted.on_remove);
    // Several ids: which one is meant is not known.
    let deleted = deleted
        .get(wanted.email.as_str())
        .filter(|ids| ids.len() == 1)
        .and_then(|ids| ids.first().cloned());
    let notes = deleted
        .iter()
        .map(|id| format!("it was deleted, and policies still name it (unique id {id}): undeleted, it has its roles and keys again. After 30 days that is no longer possible, and it is made anew"))
        .collect();
    plan.insert(
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
                change: match deleted {
                    Some(unique_id) => AccountChange::Undelete {
                        unique_id,
                        display_name,
                        description,
                    },
                    None => AccountChange::Create {
                        display_name,
                        description,
                    },
                },
            },
            notes,
            place: Some(wanted.place.clone()),
            needs: BTreeSet::new(),
            wave: 0,
        },
    );
}

fn update(
    desired: &Desired,
    address: Address,
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
    let (text, mark) = split_description(&account.description);
    if let Some(mark) = mark.filter(|m| m.owner != desired.owner) {
        let owner = mark.owner;
        return plan.error(
            address,
            Some(&wanted.place),
            format!(
                "{} belongs to the spec named `{owner}` (its description ends in `[wi:{owner}]`). Remove it there first, or refer to it here by `email: {}`, which uses it and leaves it to its owner",
                wanted.email, wanted.email
            ),
        );
    }
    let after = marked_description(text, &desired.owner, wanted.on_remove);
    let description = (after != account.description.trim_end()).then_some(after);
    if let Some(after) = &description {
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
        if mark.is_none() {
            reason = Some("adopted: it exists and nobody has marked it".to_owned());
        }
        attributes.push(Attribute::new(
            "description",
            Some(&account.description),
            Some(after),
        ));
    }
    if account.disabled {
        attributes.push(Attribute::new("disabled", Some("true"), Some("false")));
    }
    if attributes.is_empty() {
        return;
    }
    plan.insert(
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
            wave: 0,
        },
    );
}

/// Disables or deletes what left the spec.
fn end(
    desired: &Desired,
    project: &ProjectId,
    email: &Email,
    change: AccountChange,
    plan: &mut Plan,
) {
    let deletes = change == AccountChange::Delete;
    let mut attributes = vec![Attribute::new(
        "email",
        Some(email.as_str()),
        (!deletes).then(|| email.as_str()),
    )];
    if !deletes {
        attributes.push(Attribute::new("disabled", Some("false"), Some("true")));
    }
    let note = if deletes {
        "marked by this spec with `onRemove: delete` and no longer in it; it can be undeleted for 30 days"
    } else {
        "marked by this spec and no longer in it: it is disabled, not deleted"
    };
    plan.insert(
        desired.account_address(email),
        Change {
            action: Action::Delete,
            what: What::Account {
                project: project.clone(),
                email: email.clone(),
                change,
            },
            attributes,
            notes: vec![note.to_owned()],
            place: None,
            needs: BTreeSet::new(),
            wave: 0,
        },
    );
}

/// Takes the mark from what left the spec and stays.
fn release(
    desired: &Desired,
    project: &ProjectId,
    email: &Email,
    account: &ServiceAccount,
    text: &str,
    plan: &mut Plan,
) {
    plan.insert(
        desired.account_address(email),
        Change {
            action: Action::Update,
            what: What::Account {
                project: project.clone(),
                email: email.clone(),
                change: AccountChange::Update {
                    display_name: None,
                    description: Some(text.to_owned()),
                    enable: false,
                },
            },
            attributes: vec![Attribute::new(
                "description",
                Some(&account.description),
                Some(text),
            )],
            notes: vec![
                "released: marked with `onRemove: keep` and no longer in the spec; it stays with its roles"
                    .to_owned(),
            ],
            place: None,
            needs: BTreeSet::new(),
            wave: 0,
        },
    );
}
