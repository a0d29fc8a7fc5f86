//! A Google service account: made, brought back, changed, released, disabled, deleted.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Edit, Kind, Phase};
use crate::address::{AccountName, Address};
use crate::desired::Desired;
use crate::names::{Email, Member, ProjectId};
use crate::plan::integrity::{Checked, Forged, holds};
use crate::plan::observe::Reader;
use crate::plan::ownership::{owner_in_description, split_description};
use crate::plan::permissions::Permission;
use crate::plan::right::Right;
use crate::plan::terraform::Terraform;
use crate::plan::touches::Scope;
use crate::plan::{Action, Attribute};
use crate::resource::Resource;
use crate::wire::iam::ServiceAccount;

/// A Google service account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Account {
    /// Its project.
    pub project: ProjectId,
    /// Its address in IAM.
    pub email: Email,
    /// The name by which it goes.
    pub name: AccountName,
    /// As it is; `None` if it is not there, or deleted.
    pub before: Option<AccountState>,
    /// As it is to be.
    pub after: AccountAfter,
}

/// A Google service account as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountState {
    /// Another account of the same email has another one.
    pub unique_id: String,
    /// Shown in the console.
    pub display_name: String,
    /// May end in a mark.
    pub description: String,
    /// Whether nobody can act as it.
    pub disabled: bool,
}

/// What becomes of a Google service account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccountAfter {
    /// It is there, with these.
    Present {
        /// Shown in the console.
        display_name: String,
        /// Ends in the mark, unless it is released.
        description: String,
        /// Whether it stays disabled.
        disabled: bool,
        /// The unique id under which it is brought back, from the 30 days in which a deleted account can be:
        /// the email does not name a deleted account.
        undelete: Option<String>,
    },
    /// It is disabled, since it left the spec.
    Disabled {
        /// Says that the spec has let it go.
        description: String,
    },
    /// It is deleted, since it left the spec and the spec had said so.
    Deleted,
}

impl From<&ServiceAccount> for AccountState {
    fn from(account: &ServiceAccount) -> Self {
        Self {
            unique_id: account.unique_id.clone(),
            display_name: account.display_name.clone(),
            description: account.description.clone(),
            disabled: account.disabled,
        }
    }
}

impl AccountState {
    /// As a plan rests on it.
    pub(in crate::plan) fn state(&self) -> Value {
        json!({
            "uniqueId": self.unique_id,
            "displayName": self.display_name,
            "description": self.description,
            "disabled": self.disabled,
        })
    }
}

impl Account {
    /// Whether nobody can act as it afterwards.
    pub fn ends_it(&self) -> bool {
        matches!(
            self.after,
            AccountAfter::Disabled { .. } | AccountAfter::Deleted
        )
    }

    /// Whether IAM may not know it for a while.
    pub fn makes_it(&self) -> bool {
        self.action() == Action::Create
    }

    /// Whether only what is shown of it changes: whoever acts as it does so all the same.
    pub fn only_describes(&self) -> bool {
        match (&self.before, &self.after) {
            (Some(before), AccountAfter::Present { disabled, .. }) => before.disabled == *disabled,
            _ => false,
        }
    }
}

/// Of a description only the mark is ours to change.
fn only_mark(before: &AccountState, after: &str) -> Result<(), Forged> {
    let text = |description| split_description(description).0.trim_end();
    holds(text(&before.description) == text(after), Forged::Unknown)
}

impl Kind for Account {
    fn address(&self) -> Address {
        Address::account(&self.name)
    }

    fn action(&self) -> Action {
        match (&self.before, &self.after) {
            (_, AccountAfter::Disabled { .. } | AccountAfter::Deleted) => Action::Delete,
            (None, AccountAfter::Present { .. }) => Action::Create,
            (Some(_), AccountAfter::Present { .. }) => Action::Update,
        }
    }

    fn cluster(&self) -> Option<&str> {
        None
    }

    fn attributes(&self, _owner: &str) -> Vec<Attribute> {
        let email = self.email.as_str();
        let flag = |disabled: bool| if disabled { "true" } else { "false" };
        match (&self.before, &self.after) {
            (
                None,
                AccountAfter::Present {
                    display_name,
                    description,
                    ..
                },
            ) => vec![
                Attribute::new("email", None, Some(email)),
                Attribute::new("displayName", None, Some(display_name)),
                Attribute::new("description", None, Some(description)),
            ]
            .into_iter()
            .filter(|a| a.after.is_some())
            .collect(),
            (
                Some(before),
                AccountAfter::Present {
                    display_name,
                    description,
                    disabled,
                    ..
                },
            ) => [
                (
                    "displayName",
                    before.display_name.as_str(),
                    display_name.as_str(),
                ),
                ("description", &before.description, description),
                ("disabled", flag(before.disabled), flag(*disabled)),
            ]
            .into_iter()
            .filter(|(_, before, after)| before != after)
            .map(|(name, before, after)| Attribute::new(name, Some(before), Some(after)))
            .collect(),
            (before, AccountAfter::Disabled { description }) => {
                let before = before.as_ref().map(|b| b.description.as_str());
                vec![
                    Attribute::new("email", Some(email), Some(email)),
                    Attribute::new("disabled", Some("false"), Some("true")),
                    Attribute::new("description", before, Some(description)),
                ]
            }
            (_, AccountAfter::Deleted) => vec![Attribute::new("email", Some(email), None)],
        }
    }

    fn rank(&self) -> u8 {
        if self.ends_it() { 10 } else { 1 }
    }

    fn phase(&self) -> Phase {
        Phase::Cluster
    }

    fn verb(&self) -> &'static str {
        match &self.after {
            AccountAfter::Disabled { .. } => "will be disabled",
            AccountAfter::Deleted => "will be destroyed",
            AccountAfter::Present {
                undelete: Some(_), ..
            } => "will be undeleted",
            AccountAfter::Present { .. } if self.before.is_none() => "will be created",
            AccountAfter::Present { .. } => "will be updated in-place",
        }
    }

    fn access(&self) -> Option<(bool, Member, Right)> {
        let account = || Member::ServiceAccount(self.email.clone());
        let right = match &self.after {
            AccountAfter::Present { disabled, .. } => {
                let was_disabled = self.before.as_ref().is_some_and(|b| b.disabled);
                return (was_disabled && !disabled).then(|| (true, account(), Right::Enabled));
            }
            AccountAfter::Disabled { .. } => Right::All { deleted: false },
            AccountAfter::Deleted => Right::All { deleted: true },
        };
        Some((false, account(), right))
    }

    fn permissions(&self, _desired: &Desired) -> Vec<Permission> {
        let project = Resource::Project(self.project.clone());
        let account = Resource::ServiceAccount(self.email.clone());
        match (&self.before, &self.after) {
            (_, AccountAfter::Disabled { .. }) => {
                let disable = Permission::google(account.clone(), "iam.serviceAccounts.disable");
                let update = Permission::google(account, "iam.serviceAccounts.update");
                vec![disable, update]
            }
            (_, AccountAfter::Deleted) => {
                vec![Permission::google(account, "iam.serviceAccounts.delete")]
            }
            (None, AccountAfter::Present { undelete: None, .. }) => {
                vec![Permission::google(project, "iam.serviceAccounts.create")]
            }
            (None, AccountAfter::Present { .. }) => {
                vec![Permission::google(project, "iam.serviceAccounts.undelete")]
            }
            (Some(before), AccountAfter::Present { disabled, .. }) => {
                let mut all = vec![Permission::google(
                    account.clone(),
                    "iam.serviceAccounts.update",
                )];
                if before.disabled && !disabled {
                    all.push(Permission::google(account, "iam.serviceAccounts.enable"));
                }
                all
            }
        }
    }

    fn terraform(&self, owner: &str, _desired: &Desired) -> Terraform {
        let attributes = self.attributes(owner);
        let values = |side: fn(&Attribute) -> Option<&String>| {
            let mut values = Map::new();
            values.insert("project".to_owned(), self.project.to_string().into());
            values.insert("account_id".to_owned(), self.email.account_id().into());
            values.insert("email".to_owned(), self.email.to_string().into());
            for attribute in &attributes {
                let name = match attribute.name.as_str() {
                    "displayName" => "display_name",
                    name => name,
                };
                let value = match side(attribute).map(String::as_str) {
                    Some(text @ ("true" | "false")) if name == "disabled" => {
                        (text == "true").into()
                    }
                    Some(text) => text.into(),
                    None => Value::Null,
                };
                values.insert(name.to_owned(), value);
            }
            values
        };
        let (before, after) = (values(|a| a.before.as_ref()), values(|a| a.after.as_ref()));
        Terraform {
            removal: match &self.after {
                AccountAfter::Disabled { .. } => Some("disable"),
                AccountAfter::Deleted => Some("delete"),
                AccountAfter::Present { .. } => None,
            },
            ..Terraform::new("google_service_account", self.action(), before, after)
        }
    }

    fn scope(&self, scope: &mut Scope) {
        scope.account(&self.email, &self.project);
        if self.ends_it() {
            scope.takes();
            scope.ends(&self.email);
        }
    }

    fn observe(&self, reader: &mut Reader<'_>) {
        reader.account(self.address(), &self.project, &self.email, |account| {
            AccountState::from(account).state()
        });
    }

    fn seen(&self) -> Option<Value> {
        let state = self.before.as_ref().map(AccountState::state);
        Some(state.unwrap_or(Value::Null))
    }

    fn timeless(&self) -> Edit {
        let mut edit = self.clone();
        if let Some(before) = &mut edit.before {
            before.unique_id = String::new();
        }
        Edit::Account(edit)
    }

    fn check(&self, plan: &Checked<'_>) -> Result<(), Forged> {
        plan.named(&self.email, &self.name)?;
        holds(
            self.email.project().is_none_or(|p| p == self.project),
            Forged::Other,
        )?;
        match (&self.before, &self.after) {
            (None, AccountAfter::Disabled { .. } | AccountAfter::Deleted)
            | (
                Some(_),
                AccountAfter::Present {
                    undelete: Some(_), ..
                },
            ) => Err(Forged::Unknown),
            (
                None,
                AccountAfter::Present {
                    description,
                    disabled,
                    undelete,
                    ..
                },
            ) => {
                let digits = |id: &String| !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit());
                holds(undelete.as_ref().is_none_or(digits), Forged::Other)?;
                holds(
                    !disabled && owner_in_description(description) == Some(plan.owner),
                    Forged::Unknown,
                )
            }
            (
                Some(before),
                AccountAfter::Present {
                    description,
                    disabled,
                    ..
                },
            ) => {
                holds(before.disabled || !disabled, Forged::Unknown)?;
                only_mark(before, description)?;
                plan.may_take(owner_in_description(&before.description))?;
                let after = owner_in_description(description);
                holds(after.is_none_or(|o| o == plan.owner), Forged::Unknown)
            }
            (Some(before), AccountAfter::Disabled { description }) => {
                only_mark(before, description)?;
                holds(owner_in_description(description).is_none(), Forged::Unknown)?;
                holds(
                    owner_in_description(&before.description) == Some(plan.owner),
                    Forged::Unknown,
                )
            }
            (Some(before), AccountAfter::Deleted) => holds(
                owner_in_description(&before.description) == Some(plan.owner),
                Forged::Unknown,
            ),
        }
    }
}
