//! The end of objects: at once, when their finalizers are gone, or by a kubelet; and of what they own.

use std::sync::Arc;

use serde_json::{Value, json};

use super::admission;
use super::kind::Kind;
use super::manifest::{self, has_finalizers};
use super::objects::Key;
use super::status::Status;
use super::store::Store;
use super::webhook::Operation;

/// The finalizer of an object whose dependents go first.
pub const FOREGROUND: &str = "foregroundDeletion";

/// What must hold for a delete, and how it is done.
#[derive(Debug, Clone, Default)]
pub struct Preconditions {
    pub uid: Option<String>,
    pub resource_version: Option<String>,
    /// `Orphan`, `Background` or `Foreground`.
    pub propagation: Option<String>,
    pub grace_period_seconds: Option<i64>,
}

impl Store {
    /// `DELETE` on an object; the object as it was.
    pub fn delete(
        &mut self,
        key: &Key,
        preconditions: &Preconditions,
    ) -> Result<Arc<Value>, Status> {
        let live = self.get(key)?;
        for (wanted, field, label, so) in [
            (
                &preconditions.uid,
                "/metadata/uid",
                "UID",
                "deleted and then recreated",
            ),
            (
                &preconditions.resource_version,
                "/metadata/resourceVersion",
                "ResourceVersion",
                "modified",
            ),
        ] {
            let found = manifest::text(&live, field).unwrap_or_default();
            if let Some(wanted) = wanted
                && *wanted != found
            {
                let why = format!(
                    "the {label} in the precondition ({wanted}) does not match the {label} in record ({found}). The object might have been {so}"
                );
                return Err(Status::precondition(key.kind, &key.name, &why));
            }
        }
        let going = (*live).clone();
        admission::admit(&self.webhooks, key, Operation::Delete, going, self.dry_run)?;
        let propagation = preconditions.propagation.as_deref();
        if propagation == Some("Foreground") && self.clockwork.is_some() {
            self.begin_foreground(key);
            return self.get(key).or(Ok(live));
        }
        if key.kind != Kind::Namespace && has_finalizers(&live) {
            return Ok(self.begin_to_end(key, &live));
        }
        let grace = preconditions.grace_period_seconds;
        let ends_by_kubelet = self.clockwork.is_some() && grace != Some(0);
        match key.kind {
            // The kubelet ends it.
            Kind::Pod if ends_by_kubelet => {
                let grace = grace.or(live["spec"]["terminationGracePeriodSeconds"].as_i64());
                return Ok(self.begin_to_end_in(key, &live, grace.unwrap_or(30)));
            }
            Kind::Namespace if matches!(key.name.as_str(), "default" | "kube-system") => {
                let why = "this namespace may not be deleted";
                return Err(Status::forbidden(key.kind, &key.name, why));
            }
            Kind::Namespace => {
                let inside = self.objects.iter();
                let inside = inside.filter(|(other, _)| other.namespace == key.name);
                let inside: Vec<Key> = inside.map(|(other, _)| other.clone()).collect();
                for gone in inside.iter().chain([key]) {
                    self.remove(gone);
                }
            }
            Kind::Node => self.remove_node(&key.name),
            Kind::ServiceAccount => {
                self.remove(key);
                // The controller brings the default account back at once.
                self.ensure_default_account(&key.namespace);
            }
            _ if self.clockwork.is_some() && propagation == Some("Orphan") => {
                self.remove_alone(key)
            }
            _ if self.clockwork.is_some() => self.remove_with_dependents(key),
            _ => self.remove(key),
        }
        Ok(live)
    }

    /// An object with finalizers stays until they are gone.
    fn begin_to_end(&mut self, key: &Key, live: &Value) -> Arc<Value> {
        self.begin_to_end_in(key, live, 0)
    }

    fn begin_to_end_in(&mut self, key: &Key, live: &Value, grace: i64) -> Arc<Value> {
        let mut object = live.clone();
        let meta = &mut object["metadata"];
        if meta["deletionTimestamp"].is_null() {
            meta["deletionTimestamp"] = json!(manifest::now_and(grace));
            meta["deletionGracePeriodSeconds"] = json!(grace);
        }
        self.put(key.clone(), object)
    }

    /// The objects that name this uid as an owner.
    pub(super) fn dependents(&self, uid: &str) -> Vec<(Key, Arc<Value>)> {
        let names = |object: &Value| {
            let owners = object["metadata"]["ownerReferences"].as_array();
            owners.is_some_and(|owners| owners.iter().any(|owner| owner["uid"] == uid))
        };
        let all = self.objects.iter().filter(|(_, object)| names(object));
        all.map(|(key, object)| (key.clone(), object.clone()))
            .collect()
    }

    /// Removes an object, and with it all that it owns: `Background`.
    pub(super) fn remove_with_dependents(&mut self, key: &Key) {
        let Some(live) = self.objects.get(key).cloned() else {
            return;
        };
        self.remove(key);
        for (dependent, _) in self.dependents(live["metadata"]["uid"].as_str().unwrap_or("-")) {
            // Nothing hinders the garbage collector here.
            let _gone = self.delete(&dependent, &Preconditions::default());
        }
    }

    /// Removes an object, and leaves what it owns without an owner: `Orphan`.
    fn remove_alone(&mut self, key: &Key) {
        let Some(live) = self.objects.get(key).cloned() else {
            return;
        };
        self.remove(key);
        for (dependent, object) in self.dependents(live["metadata"]["uid"].as_str().unwrap_or("-"))
        {
            let mut free = (*object).clone();
            if let Some(owners) = free["metadata"]["ownerReferences"].as_array_mut() {
                owners.retain(|owner| owner["uid"] != live["metadata"]["uid"]);
            }
            self.put(dependent, free);
        }
    }

    /// An object that goes when all that it owns has gone: `Foreground`.
    pub(super) fn begin_foreground(&mut self, key: &Key) {
        let Some(live) = self.objects.get(key).cloned() else {
            return;
        };
        if key.kind == Kind::Pod {
            let _going = self.delete(key, &Preconditions::default());
            return;
        }
        let mut object = (*live).clone();
        let finalizers = &mut object["metadata"]["finalizers"];
        if !finalizers.is_array() {
            *finalizers = json!([]);
        }
        if let Some(list) = finalizers.as_array_mut()
            && !list.iter().any(|one| one == FOREGROUND)
        {
            list.push(json!(FOREGROUND));
        }
        self.begin_to_end(key, &object);
    }
}
