//! From the command line to a client of the APIs: Google's, or a sandbox inside this process.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use clap::builder::{PathBufValueParser, TypedValueParser};
use wi_client::auth::{self, AuthError, TokenSource};
use wi_client::http::{Api, Endpoints, Http, HttpOptions, Notices};
use wi_core::desired::Desired;
use wi_core::names::Email;
use wi_core::resource::Resource;
use wi_core::words::safe;

use super::Failure;
use crate::view::print;
use crate::view::wrap::filled;
use wi_sandbox::world::World;
use wi_sandbox::{Options, Sandbox};

/// What to talk to, and as whom.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Connection")]
pub(super) struct ConnectArgs {
    /// Run on the embedded simulator, starting from this world (default: the one beside the spec, or an
    /// empty one with the spec's clusters)
    #[arg(
        long,
        value_name = "WORLD",
        num_args = 0..=1,
        value_parser = PathBufValueParser::new().try_map(world),
        help_heading = "Sandbox"
    )]
    pub sandbox: Option<Option<PathBuf>>,
    /// Act as this service account; of several, separated by commas, each creates tokens of the next (also:
    /// GOOGLE_IMPERSONATE_SERVICE_ACCOUNT)
    #[arg(
        long,
        value_name = "EMAIL",
        env = "CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT",
        hide_env_values = true
    )]
    pub impersonate_service_account: Option<String>,
    /// Take the access token from this file (also: GOOGLE_OAUTH_ACCESS_TOKEN; default: application default
    /// credentials)
    #[arg(
        long,
        value_name = "FILE",
        env = "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE",
        hide_env_values = true
    )]
    pub access_token_file: Option<PathBuf>,
    /// Use this base URL for an API, such as container=http://127.0.0.1:8080/ (also: WI_ENDPOINT_CONTAINER …,
    /// or WI_ENDPOINT for all)
    #[arg(long, value_name = "API=URL")]
    pub endpoint: Vec<String>,
    /// Give up on an API that is silent for so long
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 120,
        value_parser = clap::value_parser!(u64).range(1..=86_400)
    )]
    pub request_timeout: u64,
    /// At most so many API calls at the same time
    #[arg(
        long,
        value_name = "N",
        default_value_t = 32,
        value_parser = clap::value_parser!(u16).range(1..=512)
    )]
    pub parallelism: u16,
}

/// What follows `--sandbox` is its world, though it was meant as a PATH or a SUBJECT: that is told before anything else is.
fn world(path: PathBuf) -> Result<PathBuf, String> {
    let is_yaml = path.extension().is_some_and(|e| e == "yaml" || e == "yml");
    if path.is_dir() || !(is_yaml || path.exists()) {
        return Err(
            "what follows --sandbox is taken as its WORLD, and this is no such file: put PATH and SUBJECT before it"
                .to_owned(),
        );
    }
    Ok(path)
}

impl ConnectArgs {
    /// The sandbox, where it is one, as it would be asked for again. What comes from the environment is there still.
    pub fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        if let Some(world) = &self.sandbox {
            words.push("--sandbox".to_owned());
            words.extend(world.iter().map(|w| w.display().to_string()));
        }
        words
    }

    /// The accounts to act as, in order; the last one is who calls the APIs.
    pub fn impersonated(&self) -> Result<Option<Vec<String>>, String> {
        let given = self.impersonate_service_account.clone();
        let given = given.or_else(|| std::env::var("GOOGLE_IMPERSONATE_SERVICE_ACCOUNT").ok());
        let Some(given) = given.filter(|g| !g.is_empty()) else {
            return Ok(None);
        };
        let chain: Result<Vec<String>, String> = given
            .split(',')
            .map(|email| {
                let email = Email::parse(email.trim())
                    .map_err(|e| format!("--impersonate-service-account: {}", e.0))?;
                Ok(email.as_str().to_owned())
            })
            .collect();
        Ok(Some(chain?))
    }
}

/// Where the state of sandboxes is kept between commands, below the current directory.
const STATE_DIRECTORY: &str = ".wi-sandbox";

/// The runtime that all of a command's tasks run in.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::Message(format!("cannot start the async runtime: {e}")))
}

/// What a command talks to.
#[derive(Debug)]
pub(super) struct Session {
    /// The client.
    pub http: Http,
    sandbox: Option<Sandbox>,
}

impl Session {
    /// Connects as the arguments and the environment say. `desired` is asked for only where a sandbox
    /// is made from it.
    pub async fn open(
        args: &ConnectArgs,
        spec: &[PathBuf],
        desired: impl FnOnce() -> Desired,
    ) -> Result<Self, Failure> {
        let Some(world) = &args.sandbox else {
            let http = connect(args)?;
            sign_in(&http).await?;
            return Ok(Self {
                http,
                sandbox: None,
            });
        };
        let sandbox = start_sandbox(world.as_deref(), spec, desired).await?;
        let endpoints = Endpoints::all_at(&sandbox.endpoint())?;
        Ok(Self {
            http: client(args, endpoints, TokenSource::fixed(sandbox.token()))?,
            sandbox: Some(sandbox),
        })
    }

    /// What it talks to, where that is not Google's own APIs.
    pub fn in_words(&self) -> Option<String> {
        self.sandbox.as_ref().map(|_| "a sandbox".to_owned())
    }

    /// Ends the sandbox, its state kept.
    pub async fn close(self) -> Result<(), Failure> {
        if let Some(sandbox) = self.sandbox {
            sandbox.stop().await;
        }
        Ok(())
    }
}

/// A client of Google's APIs, with the credentials that the arguments and the environment offer.
pub(super) fn connect(args: &ConnectArgs) -> Result<Http, Failure> {
    let mut endpoints = Endpoints::from_environment(&args.endpoint)?;
    if let Some(domain) = auth::universe_domain() {
        endpoints = endpoints.in_universe(&domain)?;
    }
    let mut token = match &args.access_token_file {
        Some(file) => TokenSource::file(file.clone()),
        None => TokenSource::of_variable("GOOGLE_OAUTH_ACCESS_TOKEN")
            .unwrap_or_else(TokenSource::application_default),
    };
    if let Some(chain) = args.impersonated()? {
        let api = endpoints.base(Api::IamCredentials);
        token = TokenSource::impersonating(token, &chain, &api);
    }
    client(args, endpoints, token)
}

/// Gets the first token, so that credentials which do not work are one error and not one a call. A key
/// is what this tool is there to abolish.
async fn sign_in(http: &Http) -> Result<(), Failure> {
    let told = |e| match e {
        AuthError::Nowhere(_) => format!("{e}; --sandbox needs none"),
        e => e.to_string(),
    };
    let identity = http.identity().await.map_err(told)?;
    http.sign_in().await.map_err(told)?;
    if identity.is_key {
        print::note(&format!(
            "Warning: wi runs with a service account key ({}). Keys do not expire; federation does without: `wi help real-projects`\n",
            identity.place
        ));
    }
    Ok(())
}

fn client(args: &ConnectArgs, endpoints: Endpoints, token: TokenSource) -> Result<Http, Failure> {
    let patience = Duration::from_secs(args.request_timeout);
    Http::new(HttpOptions {
        endpoints,
        token,
        parallelism: usize::from(args.parallelism),
        timeout: patience.max(HttpOptions::default().timeout),
        patience,
        notices: Notices::to(print::note),
        ..HttpOptions::default()
    })
    .map_err(|e| Failure::Message(format!("cannot make an HTTP client: {e}")))
}

async fn start_sandbox(
    world: Option<&Path>,
    spec: &[PathBuf],
    desired: impl FnOnce() -> Desired,
) -> Result<Sandbox, Failure> {
    let file = match world {
        Some(path) => Some(path.to_owned()),
        None => world_beside(spec)?,
    };
    let state_file = state_file(file.as_deref(), spec);
    let (world, origin) = match &file {
        _ if is_newer(&state_file, file.as_deref()) => {
            (read_world(&state_file)?, "continued".to_owned())
        }
        Some(file) => (
            read_world(file)?,
            format!("started from {}", file.display()),
        ),
        None => (
            empty_world(&desired())?,
            "started from an empty world with the spec's clusters".to_owned(),
        ),
    };
    let told = format!(
        "Sandbox {}; its state is kept in {} (delete it to start over).",
        safe(&origin),
        safe(&state_file.display().to_string())
    );
    print::note(&format!("{}\n", filled(&told, print::width())));
    Sandbox::start(
        world,
        Options {
            state_file: Some(state_file),
            ..Options::default()
        },
    )
    .await
    .map_err(|e| Failure::Message(format!("the sandbox cannot start: {e}")))
}

/// A world that was edited since starts over.
fn is_newer(state: &Path, world: Option<&Path>) -> bool {
    let modified = |p: &Path| std::fs::metadata(p).and_then(|m| m.modified()).ok();
    match (modified(state), world.and_then(modified)) {
        (Some(state), Some(world)) => state >= world,
        (Some(_), None) => true,
        (None, _) => false,
    }
}

pub(super) fn read_world(path: &Path) -> Result<World, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| Failure::Message(format!("cannot read the world {}: {e}", path.display())))?;
    World::parse(&text, &path.display().to_string()).map_err(|e| Failure::Message(e.to_string()))
}

/// The world file that lies in a directory of the spec: just one must be there.
fn world_beside(paths: &[PathBuf]) -> Result<Option<PathBuf>, Failure> {
    let mut found = Vec::new();
    for path in paths {
        let directory = if path.is_dir() {
            Some(path.as_path())
        } else {
            path.parent()
        };
        let Some(entries) = directory.and_then(|d| {
            std::fs::read_dir(if d.as_os_str().is_empty() {
                Path::new(".")
            } else {
                d
            })
            .ok()
        }) else {
            continue;
        };
        for entry in entries.flatten() {
            let file = entry.path();
            let yaml = file.extension().is_some_and(|e| e == "yaml" || e == "yml");
            if yaml && is_world(&file) && !found.contains(&file) {
                found.push(file);
            }
        }
    }
    found.sort();
    if found.len() > 1 {
        let names: Vec<String> = found.iter().map(|f| f.display().to_string()).collect();
        return Err(Failure::Message(format!(
            "there are several worlds beside the spec ({}): name one, as in --sandbox {}",
            names.join(", "),
            names[0]
        )));
    }
    Ok(found.pop())
}

fn is_world(file: &Path) -> bool {
    use std::io::Read;
    let mut start = String::new();
    std::fs::File::open(file)
        .and_then(|f| f.take(4096).read_to_string(&mut start))
        .is_ok_and(|_| {
            start
                .lines()
                .any(|l| l.trim_end().starts_with("apiVersion: wi.sandbox/"))
        })
}

/// Projects and clusters of the spec, with Workload Identity off.
fn empty_world(desired: &Desired) -> Result<World, Failure> {
    let mut yaml = String::from("apiVersion: wi.sandbox/v1\nprojects:\n");
    let mut projects: std::collections::BTreeSet<_> =
        desired.accounts.values().map(|a| &a.project).collect();
    projects.extend(desired.clusters.values().map(|c| &c.path.project));
    if projects.is_empty() {
        return Err(Failure::Message(
            "--sandbox: no world lies here, and no spec has clusters or accounts of which an empty one could be made. Name a world: --sandbox WORLD.yaml".to_owned(),
        ));
    }
    for project in projects {
        yaml.push_str(&format!("  \"{project}\": {{}}\n"));
    }
    let home = desired
        .accounts
        .values()
        .map(|a| &a.project)
        .chain(desired.clusters.values().map(|c| &c.path.project))
        .next();
    let granted: std::collections::BTreeSet<_> =
        desired.bindings.keys().map(|b| &b.resource).collect();
    let mut buckets = std::collections::BTreeSet::new();
    let mut others = std::collections::BTreeSet::new();
    for resource in granted {
        if let (Some(bucket), Some(home)) = (resource.bucket(), home) {
            buckets.insert(format!("  \"{bucket}\": {{ project: \"{home}\" }}\n"));
        }
        if matches!(resource, Resource::Named(n) if n.kind.short != "bucket") {
            others.insert(format!("  \"{}\": {{}}\n", resource.full_name()));
        }
    }
    for (key, entries) in [("buckets", buckets), ("resources", others)] {
        if !entries.is_empty() {
            yaml.push_str(&format!("{key}:\n"));
            yaml.extend(entries);
        }
    }
    yaml.push_str("clusters:\n");
    for cluster in desired.clusters.values() {
        yaml.push_str(&format!(
            "  - {{ project: \"{}\", location: \"{}\", name: \"{}\", nodePools: [ {{ name: default-pool, nodes: 3 }} ] }}\n",
            cluster.path.project, cluster.path.location, cluster.path.name
        ));
    }
    World::parse(&yaml, "the empty world").map_err(|e| Failure::Message(e.to_string()))
}

/// `.wi-sandbox/NAME-HASH.yaml`: readable, and another one for another world or spec.
fn state_file(world: Option<&Path>, paths: &[PathBuf]) -> PathBuf {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let subject = world.map_or_else(
        || paths.first().cloned().unwrap_or_default(),
        Path::to_owned,
    );
    let whole = std::fs::canonicalize(&subject).unwrap_or_else(|_| subject.clone());
    let mut hasher = DefaultHasher::new();
    whole.hash(&mut hasher);
    let directory = if world.is_some() {
        whole.parent()
    } else {
        Some(whole.as_path())
    };
    let name = directory
        .and_then(Path::file_name)
        .map_or_else(|| "world".to_owned(), |n| n.to_string_lossy().into_owned());
    Path::new(STATE_DIRECTORY).join(format!("{name}-{:08x}.yaml", hasher.finish() >> 32))
}

/// ^C and SIGTERM.
#[derive(Debug)]
pub(super) struct Interrupts {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Interrupts {
    #[cfg(unix)]
    pub fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    #[cfg(not(unix))]
    pub fn new() -> std::io::Result<Self> {
        Ok(Self {})
    }

    /// The next one.
    pub async fn next(&mut self) {
        #[cfg(unix)]
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
    }
}
