//! A second Deployment beside one that has a key: without the key, with one pod.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::template::{change_of, may};
use super::{Edit, Kind, Phase};
use crate::address::{Address, KsaKey, WorkloadKey};
use crate::desired::Desired;
use crate::migrate::edit::Step;
use crate::migrate::mark::Way;
use crate::migrate::shadow::decide::{Act, Why};
use crate::migrate::shadow::{LABEL, Stage, label_of};
use crate::names::{Email, KubeName, Member};
use crate::plan::integrity::{Checked, Forged, holds};
use crate::plan::observe::Reader;
use crate::plan::permissions::Permission;
use crate::plan::right::Right;
use crate::plan::terraform::Terraform;
use crate::plan::touches::Scope;
use crate::plan::{Action, Attribute};
use crate::spec::migration::Until;

/// A shadow that is made, changed or taken away.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Shadow {
    /// The Deployment beside which it stands.
    pub key: WorkloadKey,
    /// Its own name.
    pub name: String,
    /// The account whose key it does without.
    pub email: Email,
    /// The Kubernetes service account of its pod.
    pub service_account: KubeName,
    /// What is done.
    pub act: Act,
    /// How far it is then; of one that goes, how far it was.
    pub stage: Stage,
    /// The uid of the live one; empty: there is none.
    pub uid: String,
    /// The mark of the live one; empty: there is none.
    pub mark: String,
    /// Of all of the original that it was planned by; empty for one that goes.
    pub digest: String,
    /// What it does without.
    pub steps: Vec<Step>,
    /// Labels of the original's pods that its pod does not have.
    pub dropped: BTreeMap<String, String>,
    /// The Services that send requests to it then.
    pub services: BTreeSet<String>,
}

impl Shadow {
    /// The Kubernetes service account of its pod.
    pub fn ksa(&self) -> KsaKey {
        KsaKey {
            cluster: self.key.cluster.clone(),
            namespace: self.key.namespace.clone(),
            name: self.service_account.clone(),
        }
    }

    /// Why it goes; `None`: it does not.
    pub fn goes(&self) -> Option<Why> {
        match self.act {
            Act::Remove(why) => Some(why),
            Act::Make | Act::Change | Act::Prove => None,
        }
    }

    /// Whether its original counts for it.
    pub fn rests_on_template(&self) -> bool {
        match self.goes() {
            None | Some(Why::CutOver | Why::Trapped) => true,
            Some(Why::Lowered | Why::Alone) => false,
        }
    }

    /// As a plan rests on it: itself by its uid and its mark, and the template that it is made of.
    pub(in crate::plan) fn state(uid: &str, mark: &str, digest: &str) -> Value {
        json!({ "uid": uid, "mark": mark, "template": digest })
    }

    /// Whether another one would do the same.
    pub fn is_same(&self, other: &Self) -> bool {
        let of = |s: &Self| {
            let lists = (s.steps.clone(), s.dropped.clone(), s.services.clone());
            (s.act, s.stage, s.uid.clone(), s.name.clone(), lists)
        };
        of(self) == of(other)
    }
}

impl Kind for Shadow {
    fn address(&self) -> Address {
        self.key.shadow()
    }

    fn action(&self) -> Action {
        match self.act {
            Act::Make => Action::Create,
            Act::Change | Act::Prove => Action::Update,
            Act::Remove(_) => Action::Delete,
        }
    }

    fn cluster(&self) -> Option<&str> {
        Some(&self.key.cluster)
    }

    fn attributes(&self, _owner: &str) -> Vec<Attribute> {
        let requests = |services: &BTreeSet<String>| match services.is_empty() {
            true => "none".to_owned(),
            false => {
                let names: Vec<&str> = services.iter().map(String::as_str).collect();
                format!("a share of those of Service {}", names.join(", "))
            }
        };
        let mut all = vec![Attribute::new("deployment", None, Some(&self.name))];
        match self.act {
            Act::Make => {
                all.push(Attribute::new("replicas", None, Some("1")));
                all.extend(self.steps.iter().map(|step| change_of(step, Way::Out)));
                let label = label_of(self.key.name.as_str());
                all.push(Attribute::new(
                    &format!("labels.{LABEL}"),
                    None,
                    Some(&label),
                ));
                all.extend(self.dropped.iter().map(|(key, value)| {
                    Attribute::new(&format!("labels.{key}"), Some(value), None)
                }));
            }
            Act::Change => {
                let after = requests(&self.services);
                all = vec![Attribute::new("requests", None, Some(&after))];
            }
            Act::Prove => all.clear(),
            Act::Remove(_) => {
                all = vec![Attribute::new("deployment", Some(&self.name), None)];
            }
        }
        all
    }

    fn rank(&self) -> u8 {
        // After the template, which comes to do without the key while it stands there.
        8
    }

    fn phase(&self) -> Phase {
        Phase::NodePools
    }

    fn verb(&self) -> &'static str {
        match (self.act, self.stage) {
            (Act::Make, _) => "will be created, in the dark",
            (Act::Change, Stage::Dark) => {
                "will be in the dark, by the template that its original has now"
            }
            (Act::Change, Stage::Canary) => "will get a share of the requests",
            (Act::Prove, _) => "will be waited for: its pod is not ready",
            (Act::Remove(Why::CutOver), _) => {
                "will be destroyed: its original does without the key itself"
            }
            (Act::Remove(Why::Lowered), _) => "will be destroyed: the spec does not ask for it",
            (Act::Remove(Why::Alone), _) => {
                "will be destroyed: its original is gone, or another one by now"
            }
            (Act::Remove(Why::Trapped), _) => "will be destroyed: it may not stand there any more",
        }
    }

    fn access(&self) -> Option<(bool, Member, Right)> {
        // Its pod acts as the account as those of its original do, by their key.
        None
    }

    fn permissions(&self, _desired: &Desired) -> Vec<Permission> {
        const DEPLOYMENTS: &str = "deployments.apps";
        let may = |verb, resource| may(&self.key, verb, resource);
        let mut all = match self.act {
            // What does not work is taken away.
            Act::Make => vec![may("create", DEPLOYMENTS), may("delete", DEPLOYMENTS)],
            Act::Change => vec![may("patch", DEPLOYMENTS), may("delete", DEPLOYMENTS)],
            Act::Prove => vec![may("delete", DEPLOYMENTS)],
            Act::Remove(_) => return vec![may("delete", DEPLOYMENTS)],
        };
        all.extend([may("list", "replicasets.apps"), may("list", "pods")]);
        all
    }

    fn terraform(&self, owner: &str, _desired: &Desired) -> Terraform {
        let metadata = json!([{ "namespace": self.key.namespace, "name": self.name }]);
        let of = |before: bool| {
            let mut values = Map::new();
            values.insert("metadata".to_owned(), metadata.clone());
            let changed = self.attributes(owner).into_iter().filter_map(|a| {
                let value = if before { a.before } else { a.after };
                Some((a.name, Value::from(value?)))
            });
            let changed: Map<String, Value> = changed.collect();
            values.insert("template".to_owned(), Value::Object(changed));
            values
        };
        Terraform::new(
            "kubernetes_deployment_v1",
            self.action(),
            of(true),
            of(false),
        )
    }

    fn scope(&self, scope: &mut Scope) {
        scope.namespace(&self.key.namespace_key());
        scope.shadows();
        if self.rests_on_template() {
            scope.template(&self.email);
        }
    }

    fn observe(&self, reader: &mut Reader<'_>) {
        let with_template = self.goes().is_none();
        reader.shadow(&self.key, &self.email, with_template, Self::state);
    }

    fn seen(&self) -> Option<Value> {
        Some(Self::state(&self.uid, &self.mark, &self.digest))
    }

    fn timeless(&self) -> Edit {
        Edit::Shadow(Self {
            uid: String::new(),
            mark: String::new(),
            digest: String::new(),
            ..self.clone()
        })
    }

    fn check(&self, plan: &Checked<'_>) -> Result<(), Forged> {
        plan.cluster(&self.key.cluster)?;
        let is_its = self.name == crate::migrate::shadow::name_of(self.key.name.as_str());
        holds(is_its && self.key.kind == "Deployment", Forged::Other)?;
        let until = plan.until(&self.email);
        let asked = match (self.goes(), self.stage) {
            (None, Stage::Dark) => matches!(until, Some(Until::Shadow | Until::Canary)),
            (None, Stage::Canary) => until == Some(Until::Canary),
            (Some(_), _) => true,
        };
        // One that there is has both.
        let is_there = !self.uid.is_empty() && !self.mark.is_empty();
        let is_none = self.uid.is_empty() && self.mark.is_empty();
        let fits = match self.act {
            Act::Make => is_none && !self.steps.is_empty(),
            Act::Change | Act::Prove | Act::Remove(_) => is_there,
        };
        holds(asked && fits, Forged::Unknown)
    }
}
