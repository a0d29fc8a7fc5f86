//! The embedded simulator of the Google and Kubernetes APIs.
//!
//! It shares no decision with the planner: it only imitates the servers, from a world file, over
//! real HTTP on 127.0.0.1. `docs/sandbox.md` describes the world file and what is simulated.

pub mod kube;
pub mod world;

mod access;
mod apps;
mod assets;
mod calls;
mod clock;
mod constraints;
mod container;
mod crm;
mod curl;
mod datasets;
mod errors;
mod evidence;
mod faults;
mod gateway;
mod gke;
mod hub;
mod iam;
mod ids;
mod issued;
mod log_filter;
mod logging;
mod members;
mod metadata;
mod oracle;
mod policies;
mod policy;
mod predefined;
mod request;
mod requests;
mod restrictions;
mod roles;
mod samples;
mod serde_help;
mod server;
mod services;
mod serving;
mod set_policy;
mod shared;
mod state;
mod storage;
mod timeline;
mod tokens;
mod traffic;
mod uses;
mod wire;

use std::hash::{BuildHasher, RandomState};
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use access::{Granted, PodAccess, Sample, Token};
pub use constraints::OrganizationPolicy;
pub use container::Source;
pub use faults::{BrokenTls, Fault, Hold, Verdict};
pub use gke::cluster::Cluster;
pub use gke::operation::{Change, Operation, OperationSeconds};
pub use gke::pool::{MetadataMode, NodePool};
pub use hub::fleet::{Fleet, Membership};
pub use oracle::Decision;
pub use traffic::{By, RequestSample, Requests};
pub use uses::Use;
pub use world::{App, AppCall, Traffic, World};

use shared::Core;
pub use shared::Misfits;
use state::{RunningKube, State};

/// How long writes are collected before the state file is written.
const DEBOUNCE: Duration = Duration::from_millis(50);

/// How a sandbox is started.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The port on 127.0.0.1; 0 takes any.
    pub port: u16,
    /// The bearer token to accept; none makes a random one.
    pub token: Option<String>,
    /// Simulated seconds per real second; none takes the world's.
    pub time_scale: Option<f64>,
    /// Where the state is written after changes and at the end, as a world file.
    pub state_file: Option<PathBuf>,
    /// Whether each answer is held against what its API documents, see [`Sandbox::misfits`].
    pub check_answers: bool,
}

/// A running simulator. Dropping it stops it too, without writing the state file.
pub struct Sandbox {
    core: Arc<Core>,
    addr: SocketAddr,
    stop: CancellationToken,
    tasks: JoinSet<()>,
    state_file: Option<PathBuf>,
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox")
            .field("addr", &self.addr)
            .finish_non_exhaustive()
    }
}

impl Sandbox {
    /// Starts serving the world on 127.0.0.1, each cluster's Kubernetes API on a port of its own.
    ///
    /// # Errors
    /// When the port is taken.
    pub async fn start(world: World, options: Options) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
        let addr = listener.local_addr()?;
        let token = options.token.unwrap_or_else(random_token);
        let mut state = State::new(world, options.time_scale);
        assets::take_in(&mut state, 0);
        let mut core = Core::new(state, token);
        core.misfits = options.check_answers.then(Misfits::default);
        let core = Arc::new(core);
        serving::serve_clusters(&core)?;

        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let (router, stopped) = (server::router(core.clone()), stop.clone());
        tasks.spawn(async move {
            let serving =
                axum::serve(listener, router).with_graceful_shutdown(stopped.cancelled_owned());
            // Accept errors are retried inside; there is no other way for this to fail.
            let _ended = serving.await;
        });
        tasks.spawn(move_on(core.clone(), stop.clone()));
        if let Some(file) = options.state_file.clone() {
            tasks.spawn(write_changes(core.clone(), file, stop.clone()));
        }
        Ok(Self {
            core,
            addr,
            stop,
            tasks,
            state_file: options.state_file,
        })
    }

    /// `http://127.0.0.1:PORT/`, where all Google APIs are.
    pub fn endpoint(&self) -> String {
        format!("http://{}/", self.addr)
    }

    /// The bearer token that Google's and the clusters' APIs accept.
    pub fn token(&self) -> String {
        self.core.token.clone()
    }

    /// A kubeconfig (JSON is YAML) with a context for each cluster, named `PROJECT_LOCATION_NAME`
    /// as gcloud does.
    pub fn kubeconfig(&self) -> String {
        let state = self.core.state();
        let name =
            |c: &gke::cluster::Cluster| format!("gke_{}_{}_{}", c.project, c.location, c.name);
        let running: Vec<(String, &RunningKube)> = state
            .world
            .clusters
            .iter()
            .filter_map(|c| Some((name(c), state.kubes.get(&c.key())?)))
            .collect();
        let clusters: Vec<_> = running
            .iter()
            .map(|(name, kube)| {
                serde_json::json!({"name": name, "cluster": {
                    "server": format!("https://{}", kube.endpoint),
                    "certificate-authority-data": kube.ca,
                }})
            })
            .collect();
        let contexts: Vec<_> = running
            .iter()
            .map(|(name, _)| serde_json::json!({"name": name, "context": {"cluster": name, "user": "sandbox"}}))
            .collect();
        let config = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": clusters,
            "contexts": contexts,
            "users": [{"name": "sandbox", "user": {"token": self.token()}}],
            "current-context": running.first().map_or("", |(name, _)| name.as_str()),
        });
        format!("{config:#}\n")
    }

    /// The authorities of the clusters' certificates, as PEM: what a client needs that reaches a cluster by its DNS
    /// endpoint, whose certificate Google has from a public authority.
    pub fn authorities(&self) -> String {
        let served = self.core.served();
        served.iter().map(|(_, s)| s.ca_pem.as_str()).collect()
    }

    /// The whole state, itself a valid world file.
    pub fn snapshot(&self) -> World {
        let mut state = self.core.state();
        timeline::advance(&mut state);
        state.snapshot()
    }

    /// Adds faults to those of the world.
    pub fn inject(&self, faults: impl IntoIterator<Item = Fault>) {
        self.core.state().world.faults.extend(faults);
    }

    /// Removes all faults; operations that were stuck, and a sandbox that stands still, go on.
    pub fn heal(&self) {
        self.core.heal();
    }

    /// Ends that the sandbox stands still, and removes the faults that hold it.
    pub fn go_on(&self) {
        self.core.go_on();
    }

    /// Stands still, see [`Fault::hold`], when there have been so many [`Sandbox::writes`].
    pub fn hold_after(&self, writes: usize) {
        self.core.state().hold_after = Some(writes);
    }

    /// Waits until the sandbox stands still. From then on nothing changes before [`Sandbox::go_on`], but for
    /// requests that were under way.
    pub async fn stands_still(&self) {
        loop {
            let stood = self.core.stood.notified();
            if self.core.state().stands_still.is_some() {
                return;
            }
            stood.await;
        }
    }

    /// The requests so far, as `GET /sandbox/v1/calls` shows them.
    pub fn calls(&self) -> serde_json::Value {
        self.core.state().calls.show()
    }

    /// Answers so far that are not as the discovery documents have them; `None` unless they were to be checked.
    pub fn misfits(&self) -> Option<Misfits> {
        self.core.misfits.clone()
    }

    /// How many requests have changed something so far.
    pub fn writes(&self) -> usize {
        self.core.state().calls.writes()
    }

    /// Which token each running pod gets now, and which roles come with it.
    pub fn access(&self) -> Vec<PodAccess> {
        let mut state = self.core.state();
        timeline::advance(&mut state);
        oracle::of_pods(&state)
    }

    /// Whether a pod (`NAMESPACE/NAME`, of `PROJECT/LOCATION/CLUSTER`) may do something now (`storage.objects.get`
    /// on `bucket/NAME`, `project/ID`, `serviceaccount/EMAIL` or a full name), and what decides that. `None`:
    /// there is no such pod.
    pub fn call(
        &self,
        cluster: &str,
        pod: &str,
        permission: &str,
        resource: &str,
    ) -> Option<(Token, Decision)> {
        let mut state = self.core.state();
        timeline::advance(&mut state);
        let (cluster, pod) = oracle::find_pod(&state, Some(cluster), pod)?;
        Some(oracle::of_call(&state, cluster, &pod, permission, resource))
    }

    /// What each container has on each node pool now: of pods that are there, and of those that the
    /// world's objects would make.
    pub fn uses(&self) -> Vec<Use> {
        let mut state = self.core.state();
        timeline::advance(&mut state);
        uses::all(&state)
    }

    /// Takes a sample of all pods' access now and after every mutation from now on.
    pub fn record_access(&self) {
        samples::start_access(&mut self.core.state());
    }

    /// The samples since [`Sandbox::record_access`], each different from the one before.
    pub fn recorded_access(&self) -> Vec<Sample> {
        self.core
            .state()
            .recorder
            .samples
            .clone()
            .unwrap_or_default()
    }

    /// Lets so much simulated time pass at once: all that is due in it happens, in its order.
    pub fn pass(&self, time: Duration) {
        let mut state = self.core.state();
        let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX / 4);
        timeline::pass(&mut state, millis);
        drop(state);
        self.core.moved.notify_one();
        self.core.changed.notify_one();
    }

    /// Takes a sample of what comes of requests now and after every mutation from now on, and counts those of each
    /// simulated minute. The world has to have `apps`.
    pub fn record_requests(&self) {
        let mut state = self.core.state();
        timeline::advance(&mut state);
        requests::start_recording(&mut state);
    }

    /// The samples since [`Sandbox::record_requests`], each different from the one before.
    pub fn recorded_requests(&self) -> Vec<RequestSample> {
        let mut state = self.core.state();
        timeline::advance(&mut state);
        requests::samples(&state)
    }

    /// Waits until no operation runs and the controllers of clusters rest, but for what comes by a schedule.
    pub async fn settle(&self) {
        loop {
            let wait = {
                let mut state = self.core.state();
                timeline::advance(&mut state);
                match timeline::next_due(&state, false) {
                    None => return,
                    Some(due) => state.clock.until(due),
                }
            };
            tokio::time::sleep(wait.max(Duration::from_millis(1))).await;
        }
    }

    /// Ends running requests, stops, and writes the state file.
    ///
    /// A client that keeps its connection open does not hold this up for more than a second.
    pub async fn stop(mut self) {
        self.stop.cancel();
        let all_ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(Duration::from_secs(1), all_ended)
            .await
            .is_err()
        {
            self.tasks.shutdown().await;
        }
        for served in self.core.take_served() {
            // As above; dropping the future drops the server.
            let _timed_out = tokio::time::timeout(Duration::from_secs(1), served.stop()).await;
        }
        if let Some(file) = &self.state_file {
            save(&self.core, file).await;
        }
    }
}

/// Moves operations on when they are due.
async fn move_on(core: Arc<Core>, stop: CancellationToken) {
    loop {
        let wait = {
            let mut state = core.state();
            if timeline::advance(&mut state) {
                core.changed.notify_one();
            }
            timeline::next_due(&state, true).map(|due| state.clock.until(due))
        };
        core.drop_served();
        let pause = async {
            match wait {
                Some(wait) => tokio::time::sleep(wait.max(Duration::from_millis(1))).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = core.moved.notified() => {}
            () = pause => {}
        }
    }
}

async fn write_changes(core: Arc<Core>, file: PathBuf, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = core.changed.notified() => {}
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(DEBOUNCE) => save(&core, &file).await,
        }
    }
}

/// A reader never sees half of it.
async fn save(core: &Core, file: &Path) {
    let world = core.state().snapshot().to_yaml();
    let to = file.to_owned();
    let write = move || {
        let folder = match to.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        std::fs::create_dir_all(folder)?;
        let mut draft = tempfile::NamedTempFile::new_in(folder)?;
        draft.write_all(world.as_bytes())?;
        draft.persist(&to).map_err(|e| e.error).map(drop)
    };
    let written = tokio::task::spawn_blocking(write).await;
    if let Err(error) = written.unwrap_or_else(|e| Err(e.into())) {
        tracing::warn!(file = %file.display(), %error, "cannot write the sandbox's state");
    }
}

/// Not a secret worth more: it opens a simulator on loopback, for as long as it runs.
fn random_token() -> String {
    let random = || RandomState::new().hash_one(std::process::id());
    format!("sandbox-{:016x}{:016x}", random(), random())
}
