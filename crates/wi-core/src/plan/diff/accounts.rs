//! Google service accounts: created, adopted, kept as declared, disabled when they leave the spec.

use std::collections::{BTreeMap, BTreeSet};

use crate::desired::Desired;
use crate::live::{Live, Seen};
use crate::names::{Email, Member, ProjectId};
use crate::plan::ownership::{
    AccountMark, marked_description, owner_in_description, split_description,
};
use crate::plan::reliance::{Kept, Reliance};
use crate::plan::{Account, AccountAfter, Change, Edit, Options, Plan};
use crate::spec::model::{AccountSpec, OnRemove};
use crate::wire::iam::ServiceAccount;

/// IAM allows 256 bytes of description, our mark included.
const MAX_DESCRIPTION: usize = 256;

pub(in crate::plan) fn diff(
    desired: &Desired,
    live: &Live,
    options: &Options,
    reliance: &Reliance<'_>,
    kept: &mut Kept,
    plan: &mut Plan,
) {
    let deleted = deleted_ids(live);
    for wanted in desired.accounts.values().filter(|a| a.managed) {
        let address = desired.account_address(&wanted.email);
        match live.accounts.get(&wanted.project) {
            Some(Seen::Found(accounts)) => match accounts.get(&wanted.email) {
                Some(account) => update(desired, wanted, account, options, plan),
                None => create(desired, &deleted, wanted, plan),
            },
            Some(Seen::Absent) => plan.error(
                address,
                Some(&wanted.place),
                format!("the project {} does not exist", wanted.project),
            ),
            Some(Seen::Unknown(why)) => plan.unseen(
                format!("the service accounts of project/{}", wanted.project),
                why.clone(),
            ),
            None => {}
        }
    }
    for (project, accounts) in &live.accounts {
        for (email, account) in accounts.found().into_iter().flatten() {
            let ours = owner_in_description(&account.description) == Some(desired.owner.as_str());
            plan.owned += usize::from(ours);
            let is_known = desired.account_name(email).is_some();
            if ours && !is_known && !desired.of_the_whole.contains(email) {
                if let Some(by) = ends(account).and_then(|()| reliance.on_account(email)) {
                    kept.add(&desired.account_address(email), by, plan);
                    continue;
                }
                leave(desired, project, email, account, plan);
            }
        }
    }
    for kept in desired.accounts.values().filter(|a| !a.managed) {
        if let Some(Seen::Found(account)) = live.account(&kept.email) {
            let_go(desired, kept, account, plan);
        }
    }
}

/// Whether one that left the spec ends with it.
fn ends(account: &ServiceAccount) -> Option<()> {
    let mark = split_description(&account.description).1?;
    let ends = match mark.fate() {
        OnRemove::Disable => !account.disabled,
        OnRemove::Delete => true,
        OnRemove::Keep => false,
    };
    ends.then_some(())
}

/// What carries our mark and left the spec.
fn leave(
    desired: &Desired,
    project: &ProjectId,
    email: &Email,
    account: &ServiceAccount,
    plan: &mut Plan,
) {
    let (text, Some(mark)) = split_description(&account.description) else {
        return;
    };
    let fate = mark.fate();
    let present = |description: String| AccountAfter::Present {
        display_name: account.display_name.clone(),
        description,
        disabled: account.disabled,
        undelete: None,
    };
    let (after, note) = match fate {
        OnRemove::Disable if account.disabled => (
            present(released(text, mark)),
            "let go: marked by this spec and no longer in it, and disabled already",
        ),
        OnRemove::Disable => (
            AccountAfter::Disabled {
                description: released(text, mark),
            },
            "marked by this spec and no longer in it: it is disabled, not deleted",
        ),
        OnRemove::Delete => (
            AccountAfter::Deleted,
            "marked by this spec with `onRemove: delete` and no longer in it; it can be undeleted for 30 days",
        ),
        OnRemove::Keep if mark.on_remove.is_none() => (
            present(text.to_owned()),
            "released: it was there before this spec, which no longer names it; it stays with its roles. To have it disabled or deleted, apply `onRemove` first",
        ),
        OnRemove::Keep => (
            present(text.to_owned()),
            "released: marked with `onRemove: keep` and no longer in the spec; it stays with its roles",
        ),
    };
    let edit = Account {
        project: project.clone(),
        email: email.clone(),
        name: desired.account_label(email),
        before: Some(account.into()),
        after,
    };
    plan.insert(Change::new(
        Edit::Account(edit),
        vec![note.to_owned()],
        None,
    ));
}

/// The description of an account that this spec lets go: the next one that names it adopts it.
fn released(text: &str, mark: AccountMark<'_>) -> String {
    let mark = AccountMark {
        released: true,
        ..mark
    };
    let description = marked_description(text, mark);
    match description.len() > MAX_DESCRIPTION {
        true => text.to_owned(),
        false => description,
    }
}

/// An account that the spec refers to by its email now, and whose mark it still has: the mark goes, and
/// nothing else.
fn let_go(desired: &Desired, kept: &AccountSpec, account: &ServiceAccount, plan: &mut Plan) {
    let (text, mark) = split_description(&account.description);
    if mark.is_none_or(|m| m.owner != desired.owner) {
        return;
    }
    let edit = Account {
        project: kept.project.clone(),
        email: kept.email.clone(),
        name: desired.account_label(&kept.email),
        before: Some(account.into()),
        after: AccountAfter::Present {
            display_name: account.display_name.clone(),
            description: text.to_owned(),
            disabled: account.disabled,
            undelete: None,
        },
    };
    let note = "released: the spec refers to it by its email now, and takes nothing away from it";
    let change = Change::new(
        Edit::Account(edit),
        vec![note.to_owned()],
        Some(&kept.place),
    );
    plan.insert(change);
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
            description: AccountMark::of(&desired.owner, wanted.on_remove).to_string(),
            disabled: false,
            undelete,
        },
    };
    plan.insert(Change::new(Edit::Account(edit), notes, Some(&wanted.place)));
}

/// Whose an account is that the spec names, and how it comes to be ours.
enum Claim {
    /// It is ours.
    Ours,
    /// It becomes ours; why, for the reader.
    Taken { adopted: bool, note: String },
    /// It is this other spec's.
    Other(String),
}

fn claim(desired: &Desired, options: &Options, mark: Option<AccountMark<'_>>) -> Claim {
    let Some(mark) = mark else {
        return Claim::Taken {
            adopted: true,
            note: "adopted: it exists and nobody has marked it".to_owned(),
        };
    };
    let owner = mark.owner;
    match mark {
        AccountMark { released: true, .. } if owner == desired.owner => Claim::Taken {
            adopted: mark.adopted,
            note: "taken back: this spec had let it go".to_owned(),
        },
        AccountMark { released: true, .. } => Claim::Taken {
            adopted: true,
            note: format!("adopted: the spec named `{owner}` has let it go"),
        },
        _ if owner == desired.owner => Claim::Ours,
        _ if options.adopt_from.contains(owner) => Claim::Taken {
            adopted: mark.adopted,
            note: format!("taken over from the spec named `{owner}`, as --adopt-from says"),
        },
        _ => Claim::Other(owner.to_owned()),
    }
}

fn update(
    desired: &Desired,
    wanted: &AccountSpec,
    account: &ServiceAccount,
    options: &Options,
    plan: &mut Plan,
) {
    let address = desired.account_address(&wanted.email);
    let (text, mark) = split_description(&account.description);
    let (adopted, note) = match claim(desired, options, mark) {
        Claim::Ours => (mark.is_some_and(|m| m.adopted), None),
        Claim::Taken { adopted, note } => (adopted, Some(note)),
        Claim::Other(owner) => {
            return plan.error(
                address,
                Some(&wanted.place),
                format!(
                    "{} belongs to the spec named `{owner}` (its description ends in `[wi:{owner}]`). Take it over with --adopt-from {owner}, and out of that spec afterwards; or let it go there first, by `email:` or by taking it out, and this spec adopts it; or refer to it here by `email: {}`, which uses it and leaves it to its owner",
                    wanted.email, wanted.email
                ),
            );
        }
    };
    let wanted_mark = AccountMark {
        adopted,
        ..AccountMark::of(&desired.owner, wanted.on_remove)
    };
    let mut description = marked_description(text, wanted_mark);
    let mut notes = Vec::new();
    if description == account.description.trim_end() {
        description.clone_from(&account.description);
    } else if description.len() > MAX_DESCRIPTION {
        return plan.error(
            address,
            Some(&wanted.place),
            format!(
                "the description of {} leaves no room for the mark `{wanted_mark}` (IAM allows {MAX_DESCRIPTION} bytes): shorten it, or refer to the account by `email:`",
                wanted.email
            ),
        );
    } else {
        notes.extend(note);
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
