//! A namespace: made, taken over from another spec, or released when it left the spec. It is never deleted: all in it would go.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::object::{self, Was};
use super::{Edit, Kind, Phase};
use crate::address::{Address, NamespaceKey};
use crate::desired::Desired;
use crate::names::Member;
use crate::plan::integrity::{Checked, Forged, holds};
use crate::plan::observe::Reader;
use crate::plan::ownership::OWNER;
use crate::plan::permissions::Permission;
use crate::plan::right::Right;
use crate::plan::terraform::Terraform;
use crate::plan::touches::Scope;
use crate::plan::{Action, Attribute};

/// A namespace that is made; or one that is there, and is released or taken over.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Namespace {
    /// In which cluster, and its name.
    pub key: NamespaceKey,
    /// As it is; `None` if it is not there.
    pub before: Option<Was>,
    /// Whether the mark of another spec becomes this one's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub taken_over: bool,
}

impl Namespace {
    /// The whole applied configuration.
    pub fn configuration(&self, owner: &str) -> Value {
        let name = &self.key.namespace;
        if self.is_released() {
            object::released("Namespace", name, None)
        } else {
            object::configuration("Namespace", name, None, owner, None, false)
        }
    }

    /// Whether the marks go.
    pub fn is_released(&self) -> bool {
        self.before.is_some() && !self.taken_over
    }
}

impl Kind for Namespace {
    fn address(&self) -> Address {
        self.key.address()
    }

    fn action(&self) -> Action {
        match self.before {
            None => Action::Create,
            Some(_) => Action::Update,
        }
    }

    fn cluster(&self) -> Option<&str> {
        Some(&self.key.cluster)
    }

    fn attributes(&self, owner: &str) -> Vec<Attribute> {
        let was = self.before.as_ref();
        let after = self.taken_over.then_some(owner);
        let mark = was.and_then(|was| object::annotation(OWNER, Some(was), after));
        mark.into_iter().collect()
    }

    fn rank(&self) -> u8 {
        4
    }

    fn phase(&self) -> Phase {
        Phase::Kubernetes
    }

    fn access(&self) -> Option<(bool, Member, Right)> {
        None
    }

    fn permissions(&self, _desired: &Desired) -> Vec<Permission> {
        Permission::to_write(&self.key.cluster, "", self.action(), "namespaces")
    }

    fn terraform(&self, owner: &str, _desired: &Desired) -> Terraform {
        let before = object::terraform_before(self.before.as_ref(), &self.key.namespace, None);
        let after = object::terraform_after(Some(self.configuration(owner)));
        Terraform::new("kubernetes_namespace_v1", self.action(), before, after)
    }

    fn scope(&self, scope: &mut Scope) {
        scope.namespace(&self.key);
    }

    fn observe(&self, reader: &mut Reader<'_>) {
        reader.namespace(&self.key, |meta| Was::from(meta).state());
    }

    fn seen(&self) -> Option<Value> {
        let state = self.before.as_ref().map(Was::state);
        Some(state.unwrap_or(Value::Null))
    }

    fn timeless(&self) -> Edit {
        Edit::Namespace(Self {
            before: self.before.as_ref().map(Was::timeless),
            ..self.clone()
        })
    }

    fn check(&self, plan: &Checked<'_>) -> Result<(), Forged> {
        plan.cluster(&self.key.cluster)?;
        match &self.before {
            Some(was) if self.taken_over => {
                plan.may_take(was.owner())?;
                holds(
                    was.owner().is_some() && !was.uid.is_empty(),
                    Forged::Unknown,
                )
            }
            Some(was) => holds(
                was.owner() == Some(plan.owner) && !was.uid.is_empty(),
                Forged::Unknown,
            ),
            None => Ok(()),
        }
    }
}
