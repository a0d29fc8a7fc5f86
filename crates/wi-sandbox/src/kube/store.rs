//! The objects of one cluster, and the writes that the API offers on them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::{Value, json};

use super::admission;
use super::changes::Changes;
use super::clockwork::Clockwork;
use super::fields::{self, Manager};
use super::kind::Kind;
use super::manifest::{self, has_finalizers};
use super::objects::{Key, Objects};
use super::patch::{PatchKind, check_lock, json_patch, merge_patch};
use super::state::PodState;
use super::status::Status;
use super::strategic;
use super::webhook::{Operation, Webhook};
use super::{uid, validation, workloads};

/// The store.
#[derive(Debug)]
pub struct Store {
    pub(super) objects: Objects,
    pub(super) revision: u64,
    pub(super) snapshots: VecDeque<(u64, Objects)>,
    /// For watches.
    pub(super) changes: Changes,
    pub(super) cluster_id: String,
    pub(super) denied: Vec<String>,
    pub(super) custom: Arc<Vec<Value>>,
    pub(super) webhooks: Vec<Webhook>,
    /// What pods of DaemonSets are like, by namespace and name of the DaemonSet.
    pub(super) daemons: BTreeMap<(String, String), PodState>,
    /// Writes get no version of their own: what a dry run is answered.
    pub(super) dry_run: bool,
    /// The controllers, where they run.
    pub(super) clockwork: Option<Arc<Clockwork>>,
}

impl Store {
    /// Whether role-based access control lets the caller do this in a namespace, or, without one, in all of them.
    pub fn permits(&self, verb: &str, resource: &str, namespace: &str) -> bool {
        let asked = format!("{verb} {resource}");
        !self
            .denied
            .iter()
            .any(|denied| match denied.split_once(" in ") {
                None => *denied == asked,
                Some((what, place)) => {
                    what == asked && (namespace.is_empty() || place == namespace)
                }
            })
    }

    pub fn get(&self, key: &Key) -> Result<Arc<Value>, Status> {
        let object = self.objects.get(key).cloned();
        object.ok_or_else(|| Status::not_found(key.kind, &key.name))
    }

    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = (&Key, &Arc<Value>)> {
        self.objects.of_kind(kind)
    }

    /// `POST` on a collection.
    pub fn create(
        &mut self,
        kind: Kind,
        namespace: &str,
        mut body: Value,
        manager: &Manager,
    ) -> Result<Arc<Value>, Status> {
        if let Some(prefix) = manifest::text(&body, "/metadata/generateName")
            && manifest::name_of(&body).is_empty()
        {
            let revision = self.revision.to_string();
            let suffix = uid::suffix(&[&self.cluster_id, kind.plural(), namespace, &revision]);
            body["metadata"]["name"] = json!(format!("{prefix}{suffix}"));
        }
        let key = Key::new(kind, namespace, &manifest::name_of(&body));
        if self.objects.contains(&key) {
            return Err(Status::already_exists(kind, &key.name));
        }
        self.admit_new(&key, &body)?;
        if let Some(meta) = body["metadata"].as_object_mut() {
            meta.remove("managedFields");
        }
        let object = self.sealed(&key, body, None)?;
        let object = fields::record_update(kind, None, object, manager);
        let object = admission::admit(
            &self.webhooks,
            &key,
            Operation::Create,
            object,
            self.dry_run,
        )?;
        Ok(self.put(key, object))
    }

    /// `PUT` on an object.
    pub fn update(
        &mut self,
        key: &Key,
        body: Value,
        manager: &Manager,
    ) -> Result<Arc<Value>, Status> {
        let live = self.get(key)?;
        check_lock(key, &live, &body, true)?;
        self.write(key, &live, body, manager)
    }

    /// `PATCH` on an object with a merge patch of either kind, or a JSON patch.
    pub fn patch(
        &mut self,
        key: &Key,
        patch: &Value,
        kind: PatchKind,
        manager: &Manager,
    ) -> Result<Arc<Value>, Status> {
        let live = self.get(key)?;
        let mut object = (*live).clone();
        match kind {
            PatchKind::Json => {
                json_patch(&mut object, patch)?;
                validation::shape(key.kind, &object)?;
            }
            PatchKind::Merge => merge_patch(&mut object, patch),
            PatchKind::StrategicMerge => strategic::patch(key.kind, &mut object, patch)?,
        }
        check_lock(key, &live, &object, false)?;
        self.write(key, &live, object, manager)
    }

    /// `PATCH` on an object by server-side apply; true when it was created.
    pub fn apply(
        &mut self,
        key: &Key,
        applied: &Value,
        manager: &Manager,
        force: bool,
    ) -> Result<(Arc<Value>, bool), Status> {
        validation::place(key, applied)?;
        let live = self.objects.get(key).cloned();
        match &live {
            Some(live) => check_lock(key, live, applied, false)?,
            None => {
                // A resourceVersion without a uid is no lock here: the object is made.
                if let Some(uid) = manifest::text(applied, "/metadata/uid") {
                    let why = format!(
                        "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
                    );
                    return Err(Status::conflict(key.kind, &key.name, &why));
                }
                self.admit_new(key, applied)?;
            }
        }
        let merged = fields::apply(key.kind, live.as_deref(), applied, manager, force)?;
        let sealed = self.sealed(key, merged, live.as_deref())?;
        let operation = match &live {
            Some(_) => Operation::Update,
            None => Operation::Create,
        };
        let sealed = admission::admit(&self.webhooks, key, operation, sealed, self.dry_run)?;
        match &live {
            Some(live) if **live == sealed => Ok((live.clone(), false)),
            Some(_) => Ok((self.end(key, sealed)?, false)),
            None => Ok((self.put(key.clone(), sealed), true)),
        }
    }

    /// Sets `spec.replicas` by the subresource `scale`.
    pub fn set_scale(
        &mut self,
        key: &Key,
        replicas: i64,
        version: Option<&str>,
        manager: &Manager,
    ) -> Result<Arc<Value>, Status> {
        let live = self.get(key)?;
        let mut object = (*live).clone();
        object["spec"]["replicas"] = json!(replicas);
        if let Some(version) = version {
            let wanted = json!({ "metadata": { "resourceVersion": version } });
            check_lock(key, &live, &wanted, true)?;
        }
        self.write_by(key, &live, object, manager, workloads::SCALE)
    }

    /// Stores what a write made of an object; one that is going and has no finalizer left is gone.
    fn end(&mut self, key: &Key, object: Value) -> Result<Arc<Value>, Status> {
        let going = !object["metadata"]["deletionTimestamp"].is_null();
        let by_kubelet = key.kind == Kind::Pod && self.clockwork.is_some();
        if going && !by_kubelet && key.kind != Kind::Namespace && !has_finalizers(&object) {
            self.remove(key);
            if key.kind == Kind::ServiceAccount {
                self.ensure_default_account(&key.namespace);
            }
            return Ok(Arc::new(object));
        }
        Ok(self.put(key.clone(), object))
    }

    pub(super) fn remove(&mut self, key: &Key) {
        if let Some(gone) = self.objects.remove(key) {
            self.revision += 1;
            let (revision, key) = (self.revision, key.clone());
            self.changes.note(revision, key, Some(gone), None);
        }
    }

    /// Stores an object under the next resourceVersion.
    pub(super) fn put(&mut self, key: Key, mut object: Value) -> Arc<Value> {
        if !self.dry_run {
            self.revision += 1;
            object["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        }
        let object = Arc::new(object);
        let made_namespace = key.kind == Kind::Namespace && !self.objects.contains(&key);
        let name = key.name.clone();
        let before = self.objects.get(&key).cloned();
        let (revision, after) = (self.revision, Some(object.clone()));
        self.changes.note(revision, key.clone(), before, after);
        self.objects.insert(key, object.clone());
        if made_namespace {
            self.ensure_default_account(&name);
        }
        object
    }

    /// Stores an object that is not made through the API: missing system fields are filled in.
    pub(super) fn adopt(&mut self, key: Key, mut object: Value) {
        complete(&key, &mut object);
        let meta = &mut object["metadata"];
        if meta["uid"].is_null() {
            meta["uid"] = json!(self.new_uid(&key));
        }
        if meta["creationTimestamp"].is_null() {
            meta["creationTimestamp"] = json!(self.stamp());
        }
        if meta["resourceVersion"].is_null() {
            self.revision += 1;
            meta["resourceVersion"] = json!(self.revision.to_string());
        }
        if key.kind == Kind::Pod {
            self.note_daemon(&object);
        }
        if self.clockwork.is_some() {
            object = workloads::loaded(&key, object);
        }
        manifest::without_nulls(&mut object);
        let object = Arc::new(object);
        let before = self.objects.get(&key).cloned();
        let (revision, after) = (self.revision, Some(object.clone()));
        self.changes.note(revision, key.clone(), before, after);
        self.objects.insert(key, object);
    }

    pub(super) fn new_uid(&self, key: &Key) -> String {
        let revision = self.revision.to_string();
        uid::derive(&[
            &self.cluster_id,
            key.kind.plural(),
            &key.namespace,
            &key.name,
            &revision,
        ])
    }

    fn write(
        &mut self,
        key: &Key,
        live: &Arc<Value>,
        body: Value,
        manager: &Manager,
    ) -> Result<Arc<Value>, Status> {
        self.write_by(key, live, body, manager, "")
    }

    fn write_by(
        &mut self,
        key: &Key,
        live: &Arc<Value>,
        mut body: Value,
        manager: &Manager,
        subresource: &str,
    ) -> Result<Arc<Value>, Status> {
        if let Some(meta) = body["metadata"].as_object_mut() {
            let given = meta.remove("managedFields");
            let entries = fields::given_entries(key.kind, given.as_ref(), live);
            if !entries.is_null() {
                meta.insert("managedFields".to_owned(), entries);
            }
        }
        let object = self.sealed(key, body, Some(live))?;
        if object == **live {
            return Ok(live.clone());
        }
        let object = fields::record_update_by(key.kind, Some(live), object, manager, subresource);
        let object =
            admission::admit(&self.webhooks, key, Operation::Update, object, self.dry_run)?;
        self.end(key, object)
    }

    /// The object with the fields that only the server sets: those of `live`, or fresh ones.
    fn sealed(&self, key: &Key, mut object: Value, live: Option<&Value>) -> Result<Value, Status> {
        object = validation::tidied(object);
        validation::object(key, &object)?;
        object["apiVersion"] = json!(key.kind.api_version());
        object["kind"] = json!(key.kind.name());
        object["metadata"]["name"] = json!(key.name);
        if key.kind.namespaced() {
            object["metadata"]["namespace"] = json!(key.namespace);
        }
        let meta = &mut object["metadata"];
        match live {
            Some(live) => {
                for field in ["uid", "creationTimestamp", "resourceVersion"] {
                    meta[field] = live["metadata"][field].clone();
                }
                for field in ["deletionTimestamp", "deletionGracePeriodSeconds"] {
                    match live["metadata"].get(field) {
                        Some(set) => meta[field] = set.clone(),
                        None => forget(meta, field),
                    }
                }
            }
            None => {
                meta["uid"] = json!(self.new_uid(key));
                meta["creationTimestamp"] = json!(self.stamp());
                for field in [
                    "resourceVersion",
                    "deletionTimestamp",
                    "deletionGracePeriodSeconds",
                ] {
                    forget(meta, field);
                }
            }
        }
        complete(key, &mut object);
        if self.clockwork.is_some() {
            object = workloads::completed(key, object, live);
            workloads::check(key, &object, live)?;
        }
        manifest::without_nulls(&mut object);
        Ok(object)
    }

    /// What a new object needs beside itself.
    fn admit_new(&self, key: &Key, body: &Value) -> Result<(), Status> {
        validation::name(key)?;
        if !key.kind.namespaced() {
            return Ok(());
        }
        let namespace = Key::new(Kind::Namespace, "", &key.namespace);
        if !self.objects.contains(&namespace) {
            return Err(Status::not_found(Kind::Namespace, &key.namespace));
        }
        admission::not_terminating(&self.objects, key)?;
        admission::within_quota(&self.objects, key)?;
        if key.kind == Kind::Pod {
            let account = manifest::text(body, "/spec/serviceAccountName");
            let account = account.as_deref().unwrap_or("default");
            if !self
                .objects
                .contains(&Key::new(Kind::ServiceAccount, &key.namespace, account))
            {
                let why = format!(
                    "error looking up service account {}/{account}: serviceaccount {account:?} not found",
                    key.namespace
                );
                return Err(Status::forbidden(key.kind, &key.name, &why));
            }
        }
        Ok(())
    }

    pub(super) fn ensure_namespace(&mut self, name: &str) {
        let key = Key::new(Kind::Namespace, "", name);
        if !self.objects.contains(&key) {
            let mut object = manifest::namespace(name, &Default::default());
            complete(&key, &mut object);
            let server = Manager("kube-apiserver".to_owned());
            let object = fields::record_update(Kind::Namespace, None, object, &server);
            self.adopt(key, object);
        }
    }

    pub(super) fn ensure_default_account(&mut self, namespace: &str) {
        let key = Key::new(Kind::ServiceAccount, namespace, "default");
        if !self.objects.contains(&key) {
            let account = manifest::service_account(namespace, "default", &Default::default());
            self.adopt(key, account);
        }
    }
}

fn forget(meta: &mut Value, field: &str) {
    if let Some(meta) = meta.as_object_mut() {
        meta.remove(field);
    }
}

/// Fields that the server itself adds to any object of a kind.
fn complete(key: &Key, object: &mut Value) {
    workloads::complete_templates(key.kind, object);
    match key.kind {
        Kind::Namespace => {
            object["metadata"]["labels"]["kubernetes.io/metadata.name"] = json!(key.name);
            if object["spec"]["finalizers"].is_null() {
                object["spec"]["finalizers"] = json!(["kubernetes"]);
            }
            let going = !object["metadata"]["deletionTimestamp"].is_null();
            object["status"]["phase"] = json!(if going { "Terminating" } else { "Active" });
        }
        Kind::Node => {
            object["metadata"]["labels"]["kubernetes.io/hostname"] = json!(key.name);
            object["metadata"]["labels"]["kubernetes.io/os"] = json!("linux");
        }
        Kind::Pod => {
            if object["spec"]["serviceAccountName"].is_null() {
                object["spec"]["serviceAccountName"] = json!("default");
            }
            if object["status"]["phase"].is_null() {
                object["status"]["phase"] = json!("Pending");
            }
        }
        Kind::PodDisruptionBudget => {
            if object["spec"].is_null() {
                object["spec"] = json!({});
            }
            if let Some(object) = object.as_object_mut() {
                // Computed when it is shown; what a client sends is ignored.
                object.remove("status");
            }
        }
        _ => {}
    }
}
