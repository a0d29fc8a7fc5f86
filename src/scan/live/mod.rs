//! Who uses which key, live: what was seen, as values. [`read`] reads them, [`verdict`] judges, and
//! [`tell`] puts them into words.

pub mod off_keys;
pub mod read;
pub mod resources;
mod secrets;
pub mod shadows;
pub mod tell;
pub mod templates;
pub mod verdict;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use wi_client::google::evidence::{KeyActivities, KeyEvents};
use wi_client::http::Http;
use wi_client::kubernetes::Kube;
use wi_core::desired::Desired;
use wi_core::findings::{NotSeen, Place};
use wi_core::live::{ConfigMaps, Seen};
use wi_core::names::{Email, ProjectId};
use wi_core::wire::iam::ServiceAccountKey;

use super::report::Sighting;

/// Which Secrets may be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadSecrets {
    /// None.
    None,
    /// Those that a workload or a custom resource names.
    Referenced,
    /// All.
    All,
}

/// A Secret, by the cluster's name in the spec.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretName {
    /// The cluster.
    pub cluster: String,
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl SecretName {
    /// `cluster.main/Secret/shop/key`.
    pub fn place(&self) -> Place {
        let cluster = format!("cluster.{}", self.cluster);
        Place::live(&[&cluster, "Secret", &self.namespace, &self.name])
    }
}

/// Somebody that a Secret is given to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct User {
    /// The Secret.
    pub secret: SecretName,
    /// The key of its data; `None`: all, or it is not said.
    pub key: Option<String>,
    /// `Deployment shop/checkout`.
    pub object: String,
    /// The container, if it is one's.
    pub container: String,
    /// The variable, flag, mount or field that leads to it.
    pub way: String,
    /// Whether it is known that something reads it as a credential.
    pub is_known_use: bool,
    /// Whether it is an old revision, which is of use for an undo alone.
    pub is_old: bool,
    /// How it would do without, where that is known.
    pub keyless: Option<&'static str>,
}

/// A pod that keeps what a Secret had when it started.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FixedPod {
    /// The Secret.
    pub secret: SecretName,
    /// `shop/checkout-6f9c5-x2x1p`.
    pub pod: String,
    /// When it was made.
    pub since: Timestamp,
}

/// A pod that is given a Secret, whatever made it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PodUser {
    /// The Secret.
    pub secret: SecretName,
    /// The key of its data; `None`: all.
    pub key: Option<String>,
    /// `checkout-6f9c5-x2x1p`, in the Secret's namespace.
    pub pod: String,
    /// What makes it: its kind and name; itself, if nothing does.
    pub workload: (String, String),
}

/// What makes pods.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Workload {
    /// The cluster's name in the spec.
    pub cluster: String,
    /// Its namespace.
    pub namespace: String,
    /// `Deployment`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// The Kubernetes service account of its pods.
    pub service_account: String,
    /// Whether `wi` has taken a key out of its template, or does so just now.
    pub is_marked: bool,
}

impl Workload {
    /// `Deployment shop/checkout`, as [`User::object`].
    pub fn object(&self) -> String {
        format!("{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// A Secret that was opened.
#[derive(Debug, Clone, Default)]
pub struct Opened {
    /// The keys of its data.
    pub data: BTreeSet<String>,
    /// When it was last written, as far as its managers tell.
    pub changed: Option<Timestamp>,
    /// What makes it, if something does.
    pub made_by: Option<String>,
    /// Keys of its data that are a key of a Google service account each, and nothing else.
    pub whole_keys: BTreeSet<String>,
    /// Another Secret of that name has another one.
    pub uid: String,
    /// Its resource version.
    pub version: String,
}

/// What was seen of clusters.
#[derive(Debug, Default)]
pub struct Clusters {
    /// All users of Secrets.
    pub users: BTreeSet<User>,
    /// Pods with old values.
    pub fixed: BTreeSet<FixedPod>,
    /// Running pods that are given Secrets.
    pub pod_users: BTreeSet<PodUser>,
    /// Everything that makes pods, but for old revisions and what its owner makes known.
    pub templates: BTreeSet<Workload>,
    /// ConfigMaps by which variables were followed, by cluster.
    pub config_maps: BTreeMap<String, ConfigMaps>,
    /// Secrets that were opened.
    pub opened: BTreeMap<SecretName, Opened>,
    /// Keys in Secrets, ConfigMaps and templates, with the key of the Secret's data.
    pub sightings: Vec<(Option<(SecretName, String)>, Sighting)>,
    /// Secrets that are named and were not opened.
    pub unopened: BTreeSet<SecretName>,
    /// How many workloads, custom resources and pods were looked at.
    pub workloads: usize,
    /// As above.
    pub custom: usize,
    /// As above.
    pub pods: usize,
    /// What could not be read.
    pub not_seen: Vec<NotSeen>,
    /// Remarks.
    pub warnings: Vec<String>,
}

impl Clusters {
    /// The Secrets that something is given: by its template, or by the one that it was made from.
    pub fn named(&self) -> BTreeSet<SecretName> {
        let users = self.users.iter().map(|u| &u.secret);
        let pods = self.pod_users.iter().map(|p| &p.secret);
        users.chain(pods).cloned().collect()
    }
}

/// A live key.
#[derive(Debug, Clone)]
pub struct LiveKey {
    /// The account.
    pub email: Email,
    /// Its project.
    pub project: ProjectId,
    /// As IAM has it.
    pub key: ServiceAccountKey,
    /// The digest of its public half, where that was asked for and told.
    pub public_key: Option<String>,
}

/// What is known of the use of a project's keys.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// By Cloud Monitoring.
    pub events: Seen<KeyEvents>,
    /// By the Activity Analyzer.
    pub activities: Seen<KeyActivities>,
    /// Since when Cloud Monitoring was asked.
    pub since: Timestamp,
}

/// What was seen of projects.
#[derive(Debug, Default)]
pub struct Projects {
    /// All user-managed keys, by account and id.
    pub keys: BTreeMap<(Email, String), LiveKey>,
    /// Accounts whose keys were read.
    pub accounts: BTreeSet<Email>,
    /// By project.
    pub evidence: BTreeMap<ProjectId, Evidence>,
    /// Who called, by the audit logs, or why that is not known; by the name of the key.
    pub callers: BTreeMap<String, Result<BTreeMap<String, usize>, String>>,
    /// What could not be read.
    pub not_seen: Vec<NotSeen>,
}

/// What was seen live, and what can be said of each key.
#[derive(Debug)]
pub struct Live {
    /// Of clusters.
    pub clusters: Clusters,
    /// Of projects.
    pub projects: Projects,
    /// By key.
    pub judged: BTreeMap<tell::KeyName, tell::Judged>,
    /// Clusters that could not be looked at.
    pub not_seen: Vec<NotSeen>,
    /// The clusters that were looked at, to be asked for more.
    pub kubes: BTreeMap<String, Kube>,
    /// The time, by the servers' clock.
    pub now: Timestamp,
}

/// Looks at clusters and projects. `consent` is asked before a Secret is opened, with what would be.
///
/// # Errors
/// What `consent` says.
pub async fn see<E>(
    http: &Http,
    desired: Option<&Desired>,
    ids: &BTreeSet<ProjectId>,
    wanted: &read::Wanted,
    in_files: &[Sighting],
    consent: impl FnOnce(&[read::Looked]) -> Result<(), E>,
) -> Result<Live, E> {
    let (looked, not_seen) = match desired {
        Some(desired) => read::clusters(http, desired, wanted).await,
        None => (Vec::new(), Vec::new()),
    };
    consent(&looked)?;
    let kubes = looked.iter().map(read::Looked::connection).collect();
    let (mut clusters, mut projects) = tokio::join!(
        read::open(looked, wanted.secrets),
        read::projects(http, ids, wanted)
    );
    // Users may be where nothing was seen.
    clusters.not_seen.extend(not_seen.clone());
    let sightings = clusters.sightings.iter().map(|(_, s)| s.clone());
    let sightings: Vec<Sighting> = sightings.chain(in_files.iter().cloned()).collect();
    let emails = tell::unmatched(&sightings, &projects);
    read::public_keys(http, &mut projects, &emails).await;
    let now = read::now(http);
    let judged = tell::judge(&clusters, &projects, now);
    if wanted.logs {
        let names = tell::used_by_unseen(&judged);
        read::callers(http, &mut projects, &names).await;
    }
    Ok(Live {
        clusters,
        projects,
        judged,
        not_seen,
        kubes,
        now,
    })
}
