//! What comes of requests: the values of the request oracle, and what it remembers.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Value, json};

use super::access::Token;
use super::clock::Millis;

/// By which identity something was asked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum By {
    /// A key of an account.
    Key {
        /// The account's email.
        account: String,
        /// The key's id.
        id: String,
    },
    /// What the metadata server hands out.
    Metadata(Token),
    /// None: the program found no credential.
    Nobody,
}

/// What a process has found when it started; it does not look again.
#[derive(Debug, Clone, PartialEq)]
pub enum Credential {
    Key { account: String, id: String },
    MetadataServer,
    Broken(String),
}

/// A program in a pod, from its start to its end.
#[derive(Debug, Clone)]
pub struct Process {
    /// Another number is another process.
    pub restarts: i64,
    pub credential: Credential,
    /// Until when it has an access token by its key.
    pub token_until: Option<Millis>,
    /// Until when its audit entries are written.
    pub logged_until: Option<Millis>,
}

/// Processes by cluster and uid of the pod.
pub type Processes = BTreeMap<(String, String), Process>;

/// Requests of one workload for one Service that went the same way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Requests {
    /// `PROJECT/LOCATION/NAME`.
    pub cluster: String,
    /// `NAMESPACE/NAME`; none: what a program does by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// `NAMESPACE/KIND/NAME` of what makes the pods: the Deployment, not its ReplicaSet. Empty: no pod took them.
    pub workload: String,
    /// By which identity.
    pub by: By,
    /// Why they failed; none: they were served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// How many of each there are in a minute, as things are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestSample {
    /// When (RFC 3339, simulated).
    pub at: String,
    /// What had just happened.
    pub after: String,
    /// Requests a minute.
    #[serde(serialize_with = "listed")]
    pub requests: BTreeMap<Requests, u64>,
}

impl RequestSample {
    /// How many of a minute's requests fail.
    pub fn failed(&self) -> u64 {
        let failed = self.requests.iter().filter(|(r, _)| r.failed.is_some());
        failed.map(|(_, count)| count).sum()
    }
}

/// What the oracle remembers.
#[derive(Debug, Default)]
pub struct Record {
    pub processes: Processes,
    /// Services that had a program behind them once: when they have none, their requests fail.
    pub services: BTreeSet<(String, String)>,
    /// How many requests a minute each pod has, by cluster and uid.
    pub loads: BTreeMap<(String, String), u64>,
    /// The minute that is counted next.
    pub minute: Option<Millis>,
    /// Each different from the one before. `None`: nobody asked.
    pub samples: Option<Vec<RequestSample>>,
    /// The requests of all minutes so far.
    pub totals: BTreeMap<Requests, u64>,
}

/// As JSON, each with its `count`.
pub fn list(requests: &BTreeMap<Requests, u64>) -> Vec<Value> {
    let all = requests.iter();
    all.map(|(requests, count)| {
        let mut shown = json!(requests);
        shown["count"] = json!(count);
        shown
    })
    .collect()
}

fn listed<S: serde::Serializer>(
    requests: &BTreeMap<Requests, u64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(list(requests))
}
