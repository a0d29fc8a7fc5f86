//! A member of a binding of a policy: added, or removed.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Edit, Kind, Phase};
use crate::address::{AccountName, Address, BindingKey};
use crate::desired::Desired;
use crate::names::{Email, Member};
use crate::plan::integrity::{Checked, Forged, holds};
use crate::plan::observe::Reader;
use crate::plan::permissions::Permission;
use crate::plan::right::Right;
use crate::plan::terraform::{Terraform, iam_member};
use crate::plan::touches::Scope;
use crate::plan::{Action, Attribute};
use crate::resource::Resource;

/// A member of a binding.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Binding {
    /// On what, which role, under which condition, whose.
    pub key: BindingKey,
    /// The name by which the account goes whose policy it is.
    pub on: Option<AccountName>,
    /// The name by which the account goes that is the member.
    pub who: Option<AccountName>,
    /// All spellings under which the member is there; none where it is to be added.
    pub before: Vec<String>,
    /// The spelling to add; none where it is to be removed.
    pub after: Vec<String>,
}

impl Binding {
    /// Whether it gives access, instead of taking it.
    pub fn adds(&self) -> bool {
        self.before.is_empty()
    }

    /// The spellings that are added or removed.
    pub fn members(&self) -> &[String] {
        if self.adds() {
            &self.after
        } else {
            &self.before
        }
    }

    fn account(&self) -> Option<&Email> {
        match &self.key.resource {
            Resource::ServiceAccount(email) => Some(email),
            _ => None,
        }
    }

    fn member(&self) -> Option<&Email> {
        match &self.key.member {
            Member::ServiceAccount(email) => Some(email),
            _ => None,
        }
    }
}

impl Kind for Binding {
    fn address(&self) -> Address {
        Address::binding(&self.key, |email| {
            let name = if self.member() == Some(email) {
                &self.who
            } else {
                &self.on
            };
            match name {
                Some(name) => Cow::Borrowed(name),
                None => Cow::Owned(AccountName::of_email(email)),
            }
        })
    }

    fn action(&self) -> Action {
        if self.adds() {
            Action::Create
        } else {
            Action::Delete
        }
    }

    fn cluster(&self) -> Option<&str> {
        None
    }

    fn attributes(&self, _owner: &str) -> Vec<Attribute> {
        let attribute = |name: &str, value: &str| match self.adds() {
            true => Attribute::new(name, None, Some(value)),
            false => Attribute::new(name, Some(value), None),
        };
        let mut rows = vec![
            attribute("resource", &self.key.resource.to_string()),
            attribute("role", self.key.role.as_str()),
        ];
        rows.extend(self.members().iter().map(|m| attribute("member", m)));
        if let Some(condition) = &self.key.condition {
            rows.push(attribute("condition.title", &condition.title));
            if !condition.description.is_empty() {
                rows.push(attribute("condition.description", &condition.description));
            }
            rows.push(attribute("condition.expression", &condition.expression));
        }
        rows
    }

    fn rank(&self) -> u8 {
        match self.adds() {
            true => 2 + u8::from(self.key.is_impersonation()),
            false => 10,
        }
    }

    fn phase(&self) -> Phase {
        Phase::Cluster
    }

    fn verb(&self) -> &'static str {
        if self.adds() {
            "will be created"
        } else {
            "will be removed"
        }
    }

    /// A deleted account loses nothing any more.
    fn access(&self) -> Option<(bool, Member, Right)> {
        if matches!(self.key.member, Member::DeletedServiceAccount { .. }) {
            return None;
        }
        let condition = self.key.condition.clone();
        let right = match &self.key.resource {
            Resource::ServiceAccount(account) if self.key.is_impersonation() => Right::ActAs {
                account: account.clone(),
                condition,
            },
            resource => Right::Role {
                role: self.key.role.clone(),
                on: resource.clone(),
                condition,
            },
        };
        Some((self.adds(), self.key.member.clone(), right))
    }

    fn permissions(&self, _desired: &Desired) -> Vec<Permission> {
        let resource = &self.key.resource;
        vec![Permission::google(
            resource.clone(),
            resource.kind().permission,
        )]
    }

    fn terraform(&self, _owner: &str, _desired: &Desired) -> Terraform {
        let (kind, mut values) = iam_member(&self.key.resource);
        values.insert("role".to_owned(), self.key.role.to_string().into());
        let member = self.members().first().cloned().unwrap_or_default();
        values.insert("member".to_owned(), member.into());
        if let Some(c) = &self.key.condition {
            let condition = json!([{
                "title": c.title,
                "description": c.description,
                "expression": c.expression,
            }]);
            values.insert("condition".to_owned(), condition);
        }
        Terraform::new(&kind, self.action(), values.clone(), values)
    }

    fn scope(&self, scope: &mut Scope) {
        scope.policy(&self.key.resource);
        if !self.adds() {
            scope.takes();
            if let Member::Ksa(identity) = &self.key.member {
                scope.takes_from(identity);
            }
        }
        if !self.adds() && self.key.is_impersonation() {
            scope.users(&self.key);
        }
    }

    fn observe(&self, reader: &mut Reader<'_>) {
        reader.policy(&self.key.resource);
    }

    fn seen(&self) -> Option<Value> {
        None
    }

    fn timeless(&self) -> Edit {
        Edit::Binding(self.clone())
    }

    fn check(&self, plan: &Checked<'_>) -> Result<(), Forged> {
        match (self.account(), &self.on) {
            (Some(email), Some(name)) => plan.named(email, name)?,
            (None, None) => {}
            _ => return Err(Forged::Other),
        }
        match (self.member(), &self.who) {
            (Some(email), Some(name)) => plan.member_named(email, name)?,
            (None, None) => {}
            _ => return Err(Forged::Other),
        }
        holds(
            self.before.is_empty() != self.after.is_empty(),
            Forged::Unknown,
        )?;
        let is_it = |m: &String| Member::parse(m) == self.key.member;
        holds(self.members().iter().all(is_it), Forged::Other)
    }
}
