//! What controllers and kubelets are set to, what they are told, and what they remember between two passes.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::Millis;

/// How fast controllers and kubelets are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Controllers {
    /// From a pod's place on a node until it is ready, in simulated seconds.
    pub pod_start_seconds: u32,
    /// From the end of a pod being asked for until it is gone.
    pub pod_stop_seconds: u32,
    /// How long a pod of a Job works.
    pub job_seconds: u32,
    /// Owners that put their templates back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<Owner>,
    /// Makers that put their Secrets back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub makers: Vec<Maker>,
}

impl Default for Controllers {
    fn default() -> Self {
        Self {
            pod_start_seconds: 5,
            pod_stop_seconds: 2,
            job_seconds: 30,
            owners: Vec::new(),
            makers: Vec::new(),
        }
    }
}

/// An owner such as Argo CD: its object's template is put back when it has been another for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Owner {
    /// `NAMESPACE/KIND/NAME`.
    pub object: String,
    /// Its field manager: `argocd-controller`.
    pub manager: String,
    /// So long it takes to see it, in simulated seconds.
    #[serde(default = "half_a_minute")]
    pub after_seconds: u32,
    /// The pod template in its Git. Absent: what the object has when the sandbox starts.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub template: Value,
}

/// A maker of a Secret, such as External Secrets: what is in it, or that it is there, is put back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Maker {
    /// `NAMESPACE/NAME`.
    pub secret: String,
    /// Its field manager: `external-secrets`.
    pub manager: String,
    /// How often it looks, in simulated seconds.
    #[serde(default = "an_hour")]
    pub every_seconds: u32,
    /// It makes keys of this account as well, as Config Connector does: one that is deleted is replaced by another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys_of: Option<String>,
}

/// A key that a maker sees to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub account: String,
    pub namespace: String,
    pub secret: String,
    pub manager: String,
}

fn half_a_minute() -> u32 {
    30
}

fn an_hour() -> u32 {
    3600
}

/// The moments of a pod, simulated.
#[derive(Debug, Clone, Copy, Default)]
pub struct Moments {
    /// When its containers started, or will again.
    pub started: Option<Millis>,
    pub ready: Option<Millis>,
    /// When it is gone.
    pub ends: Option<Millis>,
    pub restarts: i64,
}

/// The figures of a Deployment's status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub replicas: i64,
    pub updated: i64,
    pub ready: i64,
    pub available: i64,
}

impl Counts {
    pub fn is_progress(self, former: Self) -> bool {
        let old = |counts: Self| counts.replicas - counts.updated;
        self.updated > former.updated
            || old(self) < old(former)
            || self.ready > former.ready
            || self.available > former.available
    }
}

/// What only the program in a pod decides.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Health {
    /// From its start until it answers; `None`: as the cluster's pods do.
    pub start_seconds: Option<u32>,
    /// Why it is not ready.
    pub unready: Option<String>,
    /// Why its container ends, over and over.
    pub crashes: Option<String>,
    /// Why its work as a Job fails.
    pub fails: Option<String>,
    /// What it has printed.
    pub says: Option<String>,
    /// How much of the CPU that it asks for it uses, in percent.
    pub utilization: Option<f64>,
}

/// Of pods, by namespace and name. Of others: they get ready, and what they do succeeds.
pub type Healths = BTreeMap<(String, String), Health>;

/// What the controllers remember between two passes.
#[derive(Debug, Clone)]
pub struct Clockwork {
    pub settings: Controllers,
    /// Simulated.
    pub now: Millis,
    /// The world begins: what it asks for has been there since yesterday.
    pub beginning: bool,
    pub healths: Arc<Healths>,
    /// The moments of pods, by uid.
    pub pods: BTreeMap<String, Moments>,
    /// When a rollout last got on, and how far it was then.
    pub progress: BTreeMap<String, (Millis, Counts)>,
    /// When a CronJob was first seen.
    pub first_seen: BTreeMap<String, Millis>,
    /// What autoscalers would have had, by uid.
    pub advice: BTreeMap<String, Vec<(Millis, i64)>>,
    /// What owners and makers want, by the names of their objects.
    pub remembered: BTreeMap<String, Value>,
    /// Since when an owner's object is not as it wants it.
    pub differs_since: BTreeMap<String, Millis>,
    /// When makers last looked.
    pub made: BTreeMap<String, Millis>,
    /// Keys that makers ask for.
    pub orders: Vec<Order>,
    /// When something is due that is under way.
    pub due: Option<Millis>,
    /// When something is due by a schedule.
    pub scheduled: Option<Millis>,
    /// What all of this has seen.
    pub seen: u64,
}

impl Clockwork {
    pub fn new(settings: Controllers) -> Self {
        Self {
            settings,
            now: 0,
            beginning: true,
            healths: Arc::default(),
            pods: BTreeMap::new(),
            progress: BTreeMap::new(),
            first_seen: BTreeMap::new(),
            advice: BTreeMap::new(),
            remembered: BTreeMap::new(),
            differs_since: BTreeMap::new(),
            made: BTreeMap::new(),
            orders: Vec::new(),
            due: None,
            scheduled: None,
            seen: 0,
        }
    }

    /// As the world file has them.
    pub fn settings(&self) -> Controllers {
        self.settings.clone()
    }

    pub fn wake(&mut self, at: Millis) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    pub fn wake_by_schedule(&mut self, at: Millis) {
        self.scheduled = Some(self.scheduled.map_or(at, |due| due.min(at)));
    }
}
