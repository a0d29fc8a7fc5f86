//! A Secret that held nothing but keys, which are gone: it is deleted.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Edit, Kind, Phase};
use crate::address::{Address, SecretKey};
use crate::desired::Desired;
use crate::names::{Email, Member};
use crate::plan::integrity::{Checked, Forged, holds};
use crate::plan::observe::Reader;
use crate::plan::permissions::Permission;
use crate::plan::right::Right;
use crate::plan::terraform::Terraform;
use crate::plan::touches::Scope;
use crate::plan::{Action, Attribute};
use crate::spec::migration::Until;

/// A Secret that is deleted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Secret {
    /// Where it is, and its name.
    pub key: SecretKey,
    /// The account whose keys it held.
    pub email: Email,
    /// Another Secret of that name has another one.
    pub uid: String,
}

impl Secret {
    /// As a plan rests on it.
    pub(in crate::plan) fn state(uid: &str) -> Value {
        json!({ "uid": uid })
    }
}

impl Kind for Secret {
    fn address(&self) -> Address {
        self.key.address()
    }

    fn action(&self) -> Action {
        Action::Delete
    }

    fn cluster(&self) -> Option<&str> {
        Some(&self.key.cluster)
    }

    fn attributes(&self, _owner: &str) -> Vec<Attribute> {
        let keys = format!("keys of {}, which are gone", self.email);
        vec![Attribute::new("data", Some(&keys), None)]
    }

    fn rank(&self) -> u8 {
        12
    }

    fn phase(&self) -> Phase {
        Phase::NodePools
    }

    fn access(&self) -> Option<(bool, Member, Right)> {
        None
    }

    fn permissions(&self, _desired: &Desired) -> Vec<Permission> {
        let SecretKey {
            cluster, namespace, ..
        } = &self.key;
        Permission::to_write(cluster, namespace.as_str(), Action::Delete, "secrets")
    }

    fn terraform(&self, _owner: &str, _desired: &Desired) -> Terraform {
        let mut before = Map::new();
        let metadata = json!([{ "namespace": self.key.namespace, "name": self.key.name }]);
        before.insert("metadata".to_owned(), metadata);
        Terraform::new("kubernetes_secret_v1", Action::Delete, before, Map::new())
    }

    fn scope(&self, scope: &mut Scope) {
        scope.cluster(&self.key.cluster);
        scope.keys(&self.email);
    }

    fn observe(&self, reader: &mut Reader<'_>) {
        reader.secret(&self.key, &self.email, Self::state);
    }

    fn seen(&self) -> Option<Value> {
        Some(Self::state(&self.uid))
    }

    fn timeless(&self) -> Edit {
        Edit::Secret(Self {
            uid: String::new(),
            ..self.clone()
        })
    }

    fn check(&self, plan: &Checked<'_>) -> Result<(), Forged> {
        plan.cluster(&self.key.cluster)?;
        let asked = plan.until(&self.email) == Some(Until::Pruned);
        holds(asked && !self.uid.is_empty(), Forged::Unknown)
    }
}
