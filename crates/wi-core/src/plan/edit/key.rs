//! A static key of a Google service account: disabled, enabled again, deleted.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Edit, Kind, Phase};
use crate::address::{AccountName, Address};
use crate::desired::Desired;
use crate::names::{Email, Member, ProjectId};
use crate::plan::integrity::{Checked, Forged, holds};
use crate::plan::observe::Reader;
use crate::plan::permissions::Permission;
use crate::plan::right::Right;
use crate::plan::terraform::Terraform;
use crate::plan::touches::Scope;
use crate::plan::{Action, Attribute};
use crate::resource::Resource;
use crate::spec::migration::Until;

/// A user-managed key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Key {
    /// The project of its account.
    pub project: ProjectId,
    /// Its account.
    pub email: Email,
    /// The name by which the account goes.
    pub name: AccountName,
    /// Its id.
    pub id: String,
    /// What becomes of it.
    pub after: KeyAfter,
}

/// What becomes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyAfter {
    /// It was enabled, and is disabled.
    Disabled,
    /// It was disabled, and is enabled.
    Enabled,
    /// It was disabled, and is deleted: there is no way back.
    Deleted,
}

impl Key {
    /// Whether it was disabled before.
    pub fn was_disabled(&self) -> bool {
        self.after != KeyAfter::Disabled
    }

    /// Whether nobody can authenticate with it afterwards.
    pub fn ends_it(&self) -> bool {
        self.after != KeyAfter::Enabled
    }

    /// As a plan rests on it.
    pub(in crate::plan) fn state(disabled: bool) -> Value {
        json!({ "disabled": disabled })
    }
}

impl Kind for Key {
    fn address(&self) -> Address {
        Address::key(&self.name, &self.id)
    }

    fn action(&self) -> Action {
        match self.after {
            KeyAfter::Disabled | KeyAfter::Enabled => Action::Update,
            KeyAfter::Deleted => Action::Delete,
        }
    }

    fn cluster(&self) -> Option<&str> {
        None
    }

    fn attributes(&self, _owner: &str) -> Vec<Attribute> {
        let email = self.email.as_str();
        match self.after {
            KeyAfter::Disabled => vec![
                Attribute::new("account", Some(email), Some(email)),
                Attribute::new("disabled", Some("false"), Some("true")),
            ],
            KeyAfter::Enabled => vec![
                Attribute::new("account", Some(email), Some(email)),
                Attribute::new("disabled", Some("true"), Some("false")),
            ],
            KeyAfter::Deleted => vec![Attribute::new("account", Some(email), None)],
        }
    }

    fn rank(&self) -> u8 {
        if self.ends_it() { 11 } else { 1 }
    }

    fn phase(&self) -> Phase {
        Phase::Cluster
    }

    fn verb(&self) -> &'static str {
        match self.after {
            KeyAfter::Disabled => "will be disabled",
            KeyAfter::Enabled => "will be enabled again",
            KeyAfter::Deleted => "will be deleted: THERE IS NO WAY BACK",
        }
    }

    fn access(&self) -> Option<(bool, Member, Right)> {
        let right = Right::Key {
            id: self.id.clone(),
            deleted: self.after == KeyAfter::Deleted,
        };
        let account = Member::ServiceAccount(self.email.clone());
        Some((!self.ends_it(), account, right))
    }

    fn permissions(&self, _desired: &Desired) -> Vec<Permission> {
        let permission = match self.after {
            KeyAfter::Disabled => "iam.serviceAccountKeys.disable",
            KeyAfter::Enabled => "iam.serviceAccountKeys.enable",
            KeyAfter::Deleted => "iam.serviceAccountKeys.delete",
        };
        let account = Resource::ServiceAccount(self.email.clone());
        vec![Permission::google(account, permission)]
    }

    fn terraform(&self, _owner: &str, _desired: &Desired) -> Terraform {
        let values = |disabled: bool| {
            let (project, email) = (&self.project, &self.email);
            let account = format!("projects/{project}/serviceAccounts/{email}");
            let mut values = Map::new();
            values.insert("service_account_id".to_owned(), account.clone().into());
            let name = format!("{account}/keys/{}", self.id);
            values.insert("name".to_owned(), name.into());
            values.insert("disabled".to_owned(), disabled.into());
            values
        };
        let before = values(self.was_disabled());
        let after = values(self.after == KeyAfter::Disabled);
        Terraform {
            removal: (self.after == KeyAfter::Deleted).then_some("delete"),
            ..Terraform::new("google_service_account_key", self.action(), before, after)
        }
    }

    fn scope(&self, scope: &mut Scope) {
        scope.account(&self.email, &self.project);
        scope.keys(&self.email);
    }

    fn observe(&self, reader: &mut Reader<'_>) {
        reader.key(self.address(), &self.email, &self.id, Self::state);
    }

    fn seen(&self) -> Option<Value> {
        Some(Self::state(self.was_disabled()))
    }

    fn timeless(&self) -> Edit {
        Edit::Key(self.clone())
    }

    fn check(&self, plan: &Checked<'_>) -> Result<(), Forged> {
        plan.named(&self.email, &self.name)?;
        let project = self.email.project();
        holds(project.is_none_or(|p| p == self.project), Forged::Other)?;
        let is_id = !self.id.is_empty() && self.id.bytes().all(|b| b.is_ascii_alphanumeric());
        holds(is_id, Forged::Other)?;
        let until = plan.until(&self.email);
        let asked = match self.after {
            KeyAfter::Disabled => until >= Some(Until::Disabled),
            KeyAfter::Deleted => until >= Some(Until::Deleted),
            KeyAfter::Enabled => until.is_some_and(|until| !until.ends_keys()),
        };
        holds(asked, Forged::Unknown)
    }
}
