//! The state behind all simulated services, and the questions that several of them ask.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio_util::sync::CancellationToken;

use super::access::Recorder;
use super::assets::Index;
use super::calls::Calls;
use super::clock::{self, Clock, Millis};
use super::hub::complete;
use super::ids::{ClusterKey, hash, unique_id};
use super::issued::Tokens;
use super::kube::{self, KubeCluster};
use super::policy;
use super::traffic::Record;
use super::world::{Binding, Bucket, DeletedServiceAccount, Policy, ServiceAccount, World};

/// Deleted accounts can be undeleted for 30 days.
const UNDELETE_WINDOW: Millis = 30 * 24 * 3600 * 1000;

/// The Kubernetes side of a cluster, while the sandbox runs.
#[derive(Debug, Clone)]
pub struct RunningKube {
    /// What it holds.
    pub kube: KubeCluster,
    /// Its API.
    pub api: kube::Api,
    /// `127.0.0.1:PORT`.
    pub endpoint: String,
    /// Base64 of the PEM of its CA.
    pub ca: String,
}

/// Everything that requests read and write.
pub struct State {
    /// What is saved.
    pub world: World,
    /// Simulated time.
    pub clock: Clock,
    /// The clusters' Kubernetes sides.
    pub kubes: BTreeMap<ClusterKey, RunningKube>,
    /// The requests so far.
    pub calls: Calls,
    /// Samples of all pods' access.
    pub recorder: Recorder,
    /// What the request oracle remembers.
    pub requests: Record,
    /// What a search of policies finds.
    pub index: Index,
    /// Tokens that were given out.
    pub tokens: Tokens,
    /// After so many writes it stands still.
    pub hold_after: Option<usize>,
    /// While the sandbox stands still: what ends that.
    pub stands_still: Option<CancellationToken>,
}

impl State {
    /// Fills in what people leave out of a world file.
    pub fn new(mut world: World, time_scale: Option<f64>) -> Self {
        if let Some(scale) = time_scale {
            world.time_scale = scale;
        }
        let clock = Clock::start(
            world.clock.as_deref(),
            world.time_scale,
            world.clock_ahead_seconds,
        );
        let mut state = Self {
            world,
            clock,
            kubes: BTreeMap::new(),
            calls: Calls::default(),
            recorder: Recorder::default(),
            requests: Record::default(),
            index: Index::default(),
            tokens: Tokens::default(),
            hold_after: None,
            stands_still: None,
        };
        state.complete_projects();
        state.complete_buckets();
        state.complete_clusters();
        complete::complete(&mut state.world);
        state
    }

    fn complete_projects(&mut self) {
        let mut revision = self.world.revision;
        let mut complete = |policy: &mut Policy| {
            let written = !policy.bindings.is_empty() || !policy.audit_configs.is_empty();
            if policy.etag.is_empty() && written {
                revision += 1;
                policy.etag = policy_etag(revision);
            }
        };
        for (id, project) in &mut self.world.projects {
            project
                .number
                .get_or_insert_with(|| 100_000_000_000 + hash(id) % 800_000_000_000);
            complete(&mut project.policy);
            for (name, account) in &mut project.service_accounts {
                if account.unique_id.is_empty() {
                    account.unique_id = unique_id(&(id, name));
                }
                complete(&mut account.policy);
            }
        }
        for resource in self.world.resources.values_mut() {
            complete(&mut resource.policy);
        }
        self.world.revision = revision;
    }

    fn complete_buckets(&mut self) {
        for bucket in self.world.buckets.values_mut() {
            let project = &bucket.project;
            let stored = bucket.policy.get_or_insert_with(|| Policy {
                bindings: vec![
                    Binding {
                        role: "roles/storage.legacyBucketOwner".to_owned(),
                        members: vec![
                            format!("projectEditor:{project}"),
                            format!("projectOwner:{project}"),
                        ],
                        condition: None,
                    },
                    Binding {
                        role: "roles/storage.legacyBucketReader".to_owned(),
                        members: vec![format!("projectViewer:{project}")],
                        condition: None,
                    },
                ],
                ..Policy::default()
            });
            if stored.etag.is_empty() {
                stored.etag = bucket_etag(1);
            }
        }
    }

    fn complete_clusters(&mut self) {
        let mut revision = self.world.revision;
        let now = clock::text(self.clock.now());
        for cluster in &mut self.world.clusters {
            let pool = pool_of(&cluster.project);
            cluster.complete(&pool, &mut revision);
            if cluster.workload_pool.is_some()
                && let Some(project) = self.world.projects.get_mut(&cluster.project)
            {
                project
                    .workload_pool_since
                    .get_or_insert_with(|| now.clone());
            }
        }
        self.world.revision = revision;
    }

    /// The id of the project with this id or number.
    pub fn project(&self, id_or_number: &str) -> Option<String> {
        if self.world.projects.contains_key(id_or_number) {
            return Some(id_or_number.to_owned());
        }
        let number: u64 = id_or_number.parse().ok()?;
        let mut projects = self.world.projects.iter();
        projects
            .find(|(_, p)| p.number == Some(number))
            .map(|(id, _)| id.clone())
    }

    /// The number of a project that exists.
    pub fn number(&self, id: &str) -> u64 {
        self.world
            .projects
            .get(id)
            .and_then(|p| p.number)
            .unwrap_or_default()
    }

    /// The project of a resource, by its full name or as the oracle names it (`bucket/NAME`, `serviceaccount/EMAIL`).
    pub fn project_of(&self, resource: &str) -> Option<String> {
        let bucket = resource
            .strip_prefix("bucket/")
            .or_else(|| resource.strip_prefix("//storage.googleapis.com/projects/_/buckets/"));
        if let Some(bucket) = bucket {
            let name = bucket.split('/').next()?;
            return Some(self.world.buckets.get(name)?.project.clone());
        }
        if let Some(email) = resource.strip_prefix("serviceaccount/") {
            return self.find_account(email).map(|(project, _)| project);
        }
        let id = resource.split_once("/projects/")?.1.split('/').next()?;
        self.project(id)
    }

    /// The name of the project's workload pool, whether or not it exists.
    pub fn workload_pool(&self, project: &str) -> String {
        pool_of(project)
    }

    /// The name of a fleet's identity pool, whether or not it exists.
    pub fn fleet_pool(&self, host: &str) -> String {
        let fleet = self.world.fleets.get(host);
        let named = fleet.and_then(|fleet| fleet.workload_identity_pool.clone());
        named.unwrap_or_else(|| pool_of(host))
    }

    /// Whether IAM knows the workload pool.
    pub fn pool_exists(&self, pool: &str) -> bool {
        let now = self.clock.now();
        self.world.projects.iter().any(|(id, project)| {
            let since = project
                .workload_pool_since
                .as_deref()
                .and_then(clock::parse);
            pool_of(id) == pool && since.is_some_and(|since| since <= now)
        }) || self
            .world
            .fleets
            .iter()
            .any(|(host, fleet)| fleet.has_pool() && self.fleet_pool(host) == pool)
    }

    /// Project and account id of a live account, by email or unique id.
    pub fn find_account(&self, email_or_id: &str) -> Option<(String, String)> {
        let email_or_id = email_or_id.to_ascii_lowercase();
        let mut projects = self.world.projects.iter();
        if let Some((account_id, _)) = email_or_id.split_once('@') {
            return projects
                .find(|(project, p)| {
                    p.service_accounts.contains_key(account_id)
                        && email(project, account_id) == email_or_id
                })
                .map(|(project, _)| (project.clone(), account_id.to_owned()));
        }
        projects.find_map(|(project, p)| {
            let mut accounts = p.service_accounts.iter();
            let (id, _) = accounts.find(|(_, account)| account.unique_id == email_or_id)?;
            Some((project.clone(), id.clone()))
        })
    }

    /// Compute Engine's default account is there in every project; a world file has it once somebody has asked for it.
    pub fn keep_default_account(&mut self, email: &str) {
        let id = email.strip_suffix("@developer.gserviceaccount.com");
        let number = id.and_then(|id| id.strip_suffix("-compute"));
        let project = number.and_then(|number| self.project(number));
        let project = project.and_then(|project| self.world.projects.get_mut(&project));
        if let (Some(id), Some(project)) = (id, project) {
            let account = project.service_accounts.entry(id.to_owned()).or_default();
            if account.unique_id.is_empty() {
                account.display_name = "Compute Engine default service account".to_owned();
                account.unique_id = unique_id(&email);
            }
        }
    }

    /// Whether IAM sees the account yet.
    pub fn visible(&self, account: &ServiceAccount) -> bool {
        let from = account.visible_from.as_deref().and_then(clock::parse);
        from.is_none_or(|from| from <= self.clock.now())
    }

    /// Whether an account of this email and unique id was deleted, or stands as such in a policy.
    pub fn was_deleted(&self, email_of: &str, uid: &str) -> bool {
        let member = format!("deleted:serviceAccount:{email_of}?uid={uid}");
        let deleted = self.world.projects.iter().any(|(project, p)| {
            p.deleted_service_accounts
                .iter()
                .any(|d| d.account.unique_id == uid && email(project, &d.account_id) == email_of)
        });
        deleted
            || self.policies().any(|policy| {
                policy
                    .bindings
                    .iter()
                    .any(|binding| binding.members.contains(&member))
            })
    }

    fn policies(&self) -> impl Iterator<Item = &Policy> {
        let projects = self.world.projects.values().flat_map(|project| {
            let accounts = project
                .service_accounts
                .values()
                .map(|account| &account.policy);
            accounts.chain(std::iter::once(&project.policy))
        });
        let buckets = self.world.buckets.values();
        let others = self.world.resources.values();
        projects
            .chain(buckets.filter_map(|bucket| bucket.policy.as_ref()))
            .chain(others.map(|resource| &resource.policy))
    }

    /// Rewrites all policies after an account was deleted (`gone`) or came back.
    pub fn rewrite_members(&mut self, email: &str, uid: &str, gone: bool) {
        let mut revision = self.world.revision;
        let mut rewrite = |stored: &mut Policy| {
            let changed = if gone {
                policy::mark_deleted(stored, email, uid)
            } else {
                policy::mark_undeleted(stored, email, uid)
            };
            if changed {
                revision += 1;
            }
            changed.then_some(revision)
        };
        for project in self.world.projects.values_mut() {
            let accounts = project
                .service_accounts
                .values_mut()
                .map(|account| &mut account.policy);
            for stored in accounts.chain(std::iter::once(&mut project.policy)) {
                if let Some(revision) = rewrite(stored) {
                    stored.etag = policy_etag(revision);
                }
            }
        }
        for resource in self.world.resources.values_mut() {
            if let Some(revision) = rewrite(&mut resource.policy) {
                resource.policy.etag = policy_etag(revision);
            }
        }
        for stored in self
            .world
            .buckets
            .values_mut()
            .filter_map(|b| b.policy.as_mut())
        {
            if let Some(revision) = rewrite(stored) {
                stored.etag = bucket_etag(revision);
            }
        }
        self.world.revision = revision;
    }

    /// Forgets accounts whose 30 days are over.
    pub fn expire_deleted(&mut self) {
        let now = self.clock.now();
        let kept = |d: &DeletedServiceAccount| {
            clock::parse(&d.deleted_at).is_some_and(|at| now - at < UNDELETE_WINDOW)
        };
        for project in self.world.projects.values_mut() {
            project.deleted_service_accounts.retain(kept);
        }
    }

    /// A number that no earlier write got.
    pub fn next_revision(&mut self) -> u64 {
        self.world.revision += 1;
        self.world.revision
    }

    /// The etag of a policy that is written now.
    pub fn next_policy_etag(&mut self) -> String {
        policy_etag(self.next_revision())
    }

    /// The etag of a bucket policy that is written now.
    pub fn next_bucket_etag(&mut self) -> String {
        bucket_etag(self.next_revision())
    }

    /// The bucket and its policy.
    pub fn bucket(&self, name: &str) -> Option<(&Bucket, &Policy)> {
        let bucket = self.world.buckets.get(name)?;
        Some((bucket, bucket.policy.as_ref()?))
    }

    /// The world as it is now, itself a world file.
    pub fn snapshot(&self) -> World {
        let mut world = self.world.clone();
        world.clock = Some(clock::text(self.clock.now()));
        for cluster in &mut world.clusters {
            if let Some(running) = self.kubes.get(&cluster.key()) {
                cluster.take_kube(running.kube.state());
            }
        }
        world
    }
}

/// The email of an account.
pub fn email(project: &str, account_id: &str) -> String {
    let number = account_id.strip_suffix("-compute").unwrap_or_default();
    if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) {
        return format!("{account_id}@developer.gserviceaccount.com");
    }
    match project.split_once(':') {
        Some((domain, id)) => format!("{account_id}@{id}.{domain}.iam.gserviceaccount.com"),
        None => format!("{account_id}@{project}.iam.gserviceaccount.com"),
    }
}

fn pool_of(project: &str) -> String {
    match project.split_once(':') {
        Some((domain, id)) => format!("{id}.{domain}.svc.id.goog"),
        None => format!("{project}.svc.id.goog"),
    }
}

fn policy_etag(revision: u64) -> String {
    let mut bytes = vec![0x07];
    bytes.extend_from_slice(&(0x0006_0000_0000_0000 + revision).to_be_bytes()[1..]);
    STANDARD.encode(bytes)
}

/// Storage's etags are the base64 of a protobuf number, such as `CAE=`.
fn bucket_etag(mut revision: u64) -> String {
    let mut bytes = vec![0x08];
    loop {
        let low = revision.to_le_bytes()[0] & 0x7f;
        revision >>= 7;
        bytes.push(if revision == 0 { low } else { low | 0x80 });
        if revision == 0 {
            return STANDARD.encode(bytes);
        }
    }
}

/// A text as an API has bytes.
pub fn encoded(text: &str) -> String {
    STANDARD.encode(text)
}
