//! Google service accounts: created, adopted, kept as declared, disabled when they leave the spec.

use std::collections::{BTreeMap, BTreeSet};

use crate::desired::Desired;
use crate::live::{Live, Seen};
use crate::names::Member;
use crate::plan::ownership::{marked_description, split_description};
use crate::plan::reliance::{Reliance, is_kept};
use crate::plan::{Account, AccountAfter, Change, Edit, Plan};
use crate::spec::model::{AccountSpec, OnRemove};
use crate::wire::iam::ServiceAccount;

/// IAM allows 256 bytes of description, our mark included.
const MAX_DESCRIPTION: usize = 256;

pub(in crate::plan) fn diff(
    desired: &Desired,
    live: &Live,
    reliance: &Reliance<'_>,
    plan: &mut Plan,
) {
    let deleted = deleted_ids(live);
    for wanted in desired.accounts.values().filter(|a| a.managed) {
        let address = desired.account_address(&wanted.email);
        match live.accounts.get(&wanted.project) {
            Some(Seen::Found(accounts)) => match accounts.get(&wanted.email) {
                Some(account) => update(desired, wanted, account, plan),
                None => create(desired, &deleted, wanted, plan),
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
            let leaves = |after, note: &str| {
                let edit = Account {
                    project: project.clone(),
                    email: email.clone(),
                    name: desired.account_label(email),
                    before: Some(account.into()),
                    after,
                };
                Change::new(Edit::Account(edit), vec![note.to_owned()], None)
            };
            let on_remove = mark.map(|m| m.on_remove);
            let ends = match on_remove {
                Some(OnRemove::Disable) => !account.disabled,
                Some(OnRemove::Delete) => true,
                _ => false,
            };
            if ends && let Some(by) = reliance.on_account(email) {
                let address = desired.account_address(email);
                plan.warnings.push(is_kept(&address, by));
                continue;
            }
            match on_remove {
                Some(OnRemove::Disable) if !account.disabled => plan.insert(leaves(
                    AccountAfter::Disabled,
                    "marked by this spec and no longer in it: it is disabled, not deleted",
                )),
                Some(OnRemove::Delete) => plan.insert(leaves(
                    AccountAfter::Deleted,
                    "marked by this spec with `onRemove: delete` and no longer in it; it can be undeleted for 30 days",
                )),
                Some(OnRemove::Keep) => plan.insert(leaves(
                    AccountAfter::Present {
                        display_name: account.display_name.clone(),
                        description: text.to_owned(),
                        disabled: account.disabled,
                        undelete: None,
                    },
                    "released: marked with `onRemove: keep` and no longer in the spec; it stays with its roles",
                )),
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

fn create(desired: &Desired, deleted: &Deleted, wanted: &AccountSpec, plan: &mut Plan) {
    // Several ids: which one is meant is not known.
    let undelete = deleted
        .get(wanted.email.as_str())
        .filter(|ids| ids.len() == 1)
        .and_then(|ids| ids.first().cloned());
    let notes = undelete
        .iter()
        .map(|id| format!("it was deleted, and policies still name it (unique id {id}): undeleted, it has its roles and keys again. After 30 days that is no longer possible, and it is made anew"))
        .collect();
    let edit = Account {
        project: wanted.project.clone(),
        email: wanted.email.clone(),
        name: desired.account_label(&wanted.email),
        before: None,
        after: AccountAfter::Present {
            display_name: wanted.display_name.clone().unwrap_or_default(),
            description: marked_description("", &desired.owner, wanted.on_remove),
            disabled: false,
            undelete,
        },
    };
    plan.insert(Change::new(Edit::Account(edit), notes, Some(&wanted.place)));
}

fn update(desired: &Desired, wanted: &AccountSpec, account: &ServiceAccount, plan: &mut Plan) {
    let address = desired.account_address(&wanted.email);
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
    let mut description = marked_description(text, &desired.owner, wanted.on_remove);
    let mut notes = Vec::new();
    if description == account.description.trim_end() {
        description.clone_from(&account.description);
    } else if description.len() > MAX_DESCRIPTION {
        return plan.error(
            address,
            Some(&wanted.place),
            format!(
                "the description of {} leaves no room for the mark `[wi:{}]` (IAM allows {MAX_DESCRIPTION} bytes): shorten it, or refer to the account by `email:`",
                wanted.email, desired.owner
            ),
        );
    } else if mark.is_none() {
        notes.push("adopted: it exists and nobody has marked it".to_owned());
    }
    let edit = Account {
        project: wanted.project.clone(),
        email: wanted.email.clone(),
        name: desired.account_label(&wanted.email),
        before: Some(account.into()),
        after: AccountAfter::Present {
            display_name: wanted
                .display_name
                .clone()
                .unwrap_or_else(|| account.display_name.clone()),
            description,
            disabled: false,
            undelete: None,
        },
    };
    let edit = Edit::Account(edit);
    if !edit.attributes(&desired.owner).is_empty() {
        plan.insert(Change::new(edit, notes, Some(&wanted.place)));
    }
}
