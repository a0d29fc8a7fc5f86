//! The pod template of a workload: a static key is taken out of it, or comes back.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Edit, Kind, Phase};
use crate::address::{Address, KsaKey, WorkloadKey};
use crate::desired::Desired;
use crate::migrate::edit::{METADATA_NODES, Step};
use crate::migrate::mark::Way;
use crate::migrate::templates::Strategy;
use crate::names::{Email, KubeName, Member};
use crate::plan::integrity::{Checked, Forged, holds};
use crate::plan::observe::Reader;
use crate::plan::permissions::Permission;
use crate::plan::right::Right;
use crate::plan::terraform::Terraform;
use crate::plan::touches::Scope;
use crate::plan::{Action, Attribute};
use crate::spec::migration::Until;

/// A workload's template that is changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Template {
    /// Which.
    pub key: WorkloadKey,
    /// The account whose key it is.
    pub email: Email,
    /// The Kubernetes service account of its pods.
    pub service_account: KubeName,
    /// Another object of that name has another one.
    pub uid: String,
    /// Of all that it was planned by.
    pub digest: String,
    /// Whether the key goes or comes back.
    pub way: Way,
    /// How.
    pub strategy: Strategy,
    /// Whether a run that did not come to its end has begun with it.
    pub goes_on: bool,
    /// What goes, or comes back.
    pub steps: Vec<Step>,
}

impl Template {
    /// The Kubernetes service account of its pods.
    pub fn ksa(&self) -> KsaKey {
        KsaKey {
            cluster: self.key.cluster.clone(),
            namespace: self.key.namespace.clone(),
            name: self.service_account.clone(),
        }
    }

    /// Whether pods are to do without the key afterwards.
    pub fn takes_out(&self) -> bool {
        self.way == Way::Out
    }

    /// As a plan rests on it.
    pub(in crate::plan) fn state(uid: &str, digest: &str) -> Value {
        json!({ "uid": uid, "template": digest })
    }

    /// Whether another one would do the same.
    pub fn is_same(&self, other: &Self) -> bool {
        let of = |t: &Self| (t.uid.clone(), t.way, t.strategy, t.goes_on, t.steps.clone());
        of(self) == of(other)
    }
}

/// The name of what a step changes, and what is there while the key is; values of variables are not told.
fn shown(step: &Step) -> (String, Option<String>, Option<String>) {
    let text = |text: &str| Some(text.to_owned());
    match step {
        Step::RemoveVariable {
            container, name, ..
        } => (format!("{container}.env.{name}"), text("(set)"), None),
        Step::RemoveMount {
            container,
            at,
            volume,
            ..
        } => (format!("{container}.volumeMounts.{at}"), text(volume), None),
        Step::RemoveVolume { name } => (format!("volumes.{name}"), text("(the key)"), None),
        Step::ReplaceVolume { name, .. } => (
            format!("volumes.{name}"),
            text("(with the key)"),
            text("(without the key)"),
        ),
        Step::RemoveArgument {
            container,
            field,
            text: argument,
            ..
        } => (format!("{container}.{field}"), text(argument), None),
        Step::AddVariable {
            container,
            name,
            value,
            ..
        } => (format!("{container}.env.{name}"), None, text(value)),
        Step::SelectNodes => (format!("nodeSelector.{METADATA_NODES}"), None, text("true")),
    }
}

/// What a step changes, this way.
pub(super) fn change_of(step: &Step, way: Way) -> Attribute {
    let (name, with, without) = shown(step);
    let (before, after) = match way {
        Way::Out => (with, without),
        Way::Back => (without, with),
    };
    Attribute::new(&name, before.as_deref(), after.as_deref())
}

/// A verb in the namespace of a workload.
pub(super) fn may(key: &WorkloadKey, verb: &'static str, resource: &'static str) -> Permission {
    Permission::Kubernetes {
        cluster: key.cluster.clone(),
        namespace: key.namespace.to_string(),
        verb,
        resource,
    }
}

impl Kind for Template {
    fn address(&self) -> Address {
        self.key.template()
    }

    fn action(&self) -> Action {
        Action::Update
    }

    fn cluster(&self) -> Option<&str> {
        Some(&self.key.cluster)
    }

    fn attributes(&self, _owner: &str) -> Vec<Attribute> {
        let each = self.steps.iter();
        each.map(|step| change_of(step, self.way)).collect()
    }

    fn rank(&self) -> u8 {
        7
    }

    fn phase(&self) -> Phase {
        Phase::NodePools
    }

    fn verb(&self) -> &'static str {
        match (self.goes_on, self.way) {
            (true, Way::Out) => "will do without the key, as was begun",
            (true, Way::Back) => "will have its key again",
            (false, Way::Out) => "will do without the key",
            (false, Way::Back) => "will get its key back",
        }
    }

    fn access(&self) -> Option<(bool, Member, Right)> {
        // It acts as the same account, with the key and without.
        None
    }

    fn permissions(&self, _desired: &Desired) -> Vec<Permission> {
        let may = |verb, resource| may(&self.key, verb, resource);
        let (patched, history) = match &*self.key.kind {
            "StatefulSet" => ("statefulsets.apps", Some("controllerrevisions.apps")),
            "DaemonSet" => ("daemonsets.apps", Some("controllerrevisions.apps")),
            "CronJob" => ("cronjobs.batch", None),
            _ => ("deployments.apps", Some("replicasets.apps")),
        };
        let mut all = vec![may("patch", patched)];
        if let Some(history) = history {
            all.extend([may("list", history), may("list", "pods")]);
        }
        // Of a StatefulSet a pod that does not come up is never replaced otherwise, of a DaemonSet the first one.
        if matches!(self.strategy, Strategy::Ordered | Strategy::OnNodes) {
            all.push(may("delete", "pods"));
        }
        all
    }

    fn terraform(&self, _owner: &str, _desired: &Desired) -> Terraform {
        let metadata = json!([{ "namespace": self.key.namespace, "name": self.key.name }]);
        let of = |before: bool| {
            let mut values = Map::new();
            values.insert("metadata".to_owned(), metadata.clone());
            let changed = self.attributes("").into_iter().filter_map(|a| {
                let value = if before { a.before } else { a.after };
                Some((a.name, Value::from(value?)))
            });
            let changed: Map<String, Value> = changed.collect();
            values.insert("template".to_owned(), Value::Object(changed));
            values
        };
        let kind = match &*self.key.kind {
            "StatefulSet" => "kubernetes_stateful_set_v1",
            "DaemonSet" => "kubernetes_daemon_set_v1",
            "CronJob" => "kubernetes_cron_job_v1",
            _ => "kubernetes_deployment_v1",
        };
        Terraform::update(kind, of(true), of(false))
    }

    fn scope(&self, scope: &mut Scope) {
        scope.namespace(&self.key.namespace_key());
        scope.template(&self.email);
    }

    fn observe(&self, reader: &mut Reader<'_>) {
        reader.template(&self.key, &self.email, Self::state);
    }

    fn seen(&self) -> Option<Value> {
        Some(Self::state(&self.uid, &self.digest))
    }

    fn timeless(&self) -> Edit {
        Edit::Template(Self {
            uid: String::new(),
            digest: String::new(),
            ..self.clone()
        })
    }

    fn check(&self, plan: &Checked<'_>) -> Result<(), Forged> {
        plan.cluster(&self.key.cluster)?;
        let kinds = ["Deployment", "StatefulSet", "DaemonSet", "CronJob"];
        holds(kinds.contains(&&*self.key.kind), Forged::Other)?;
        let until = plan.until(&self.email);
        let asked = match (self.goes_on, self.way) {
            (true, _) => until.is_some(),
            (false, Way::Out) => until >= Some(Until::Cutover),
            (false, Way::Back) => until.is_some() && until < Some(Until::Cutover),
        };
        let is_one = self.goes_on == self.steps.is_empty() && !self.uid.is_empty();
        holds(asked && is_one, Forged::Unknown)
    }
}
