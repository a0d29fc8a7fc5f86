//! How long `wi plan` takes on whole fleets, against a client that does nothing but fetch.
//!
//! `cargo bench --bench fleet`, or with `-- quick` for the two smallest sizes. The sandbox is a process of
//! its own, and so is `wi`. Prints ratios, which do not depend on the machine, and fails above their
//! limits. A fleet of N clusters is in projects of 20; each cluster has 200 Kubernetes service
//! accounts and 5 node pools, each project 400 Google service accounts. All is as the spec wants it, so
//! that a plan reads and compares everything and prints a line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use serde_json::Value;

const SIZES: [usize; 4] = [1, 10, 50, 200];
const PER_PROJECT: usize = 20;
const NAMESPACES: usize = 20;
const KSAS: usize = 10;
const ACCOUNTS: usize = 400;
const POOLS: usize = 5;
const PARALLEL: usize = 32;
const KUBECONFIG: &str = "kubeconfig";
/// Of several runs the fastest counts: what else the machine does only ever slows down.
const RUNS: usize = 5;

const WALL: f64 = 1.25;
const CALLS: f64 = 1.0;
const MEGABYTES: f64 = 300.0;
const GROWTH: f64 = 4.4;
const VALIDATE: f64 = 2.0;
const FAULTS: f64 = 1.3;

fn project(p: usize) -> String {
    format!("acme-fleet-{p:02}")
}

fn projects(clusters: usize) -> usize {
    clusters.div_ceil(PER_PROJECT)
}

fn spec(clusters: usize) -> String {
    let mut spec = format!(
        "apiVersion: wi/v1\nname: fleet\nproject: {}\nclusters:\n",
        project(0)
    );
    for c in 0..clusters {
        let _ = writeln!(
            spec,
            "  c{c:03}: {{ project: {}, location: europe-west1 }}",
            project(c / PER_PROJECT)
        );
    }
    spec.push_str("googleServiceAccounts:\n");
    for p in 0..projects(clusters) {
        for a in 0..ACCOUNTS {
            let _ = writeln!(
                spec,
                "  app-{p:02}-{a:03}: {{ project: {}, grants: [roles/viewer] }}",
                project(p)
            );
        }
    }
    spec.push_str("namespaces:\n");
    for n in 0..NAMESPACES {
        let _ = writeln!(spec, "  team-{n:02}:\n    serviceAccounts:");
        for k in 0..KSAS {
            let _ = writeln!(
                spec,
                "      app-{k}: {{ impersonates: app-00-{:03} }}",
                n * KSAS + k
            );
        }
    }
    spec
}

fn world(clusters: usize) -> String {
    let mut world = String::from("apiVersion: wi.sandbox/v1\nprojects:\n");
    for p in 0..projects(clusters) {
        let _ = writeln!(
            world,
            "  {}:\n    policy:\n      bindings:\n        - role: roles/viewer\n          members:",
            project(p)
        );
        let email = |a: usize| format!("app-{p:02}-{a:03}@{}.iam.gserviceaccount.com", project(p));
        for a in 0..ACCOUNTS {
            let _ = writeln!(world, "            - \"serviceAccount:{}\"", email(a));
        }
        world.push_str("    serviceAccounts:\n");
        for a in 0..ACCOUNTS {
            let _ = writeln!(
                world,
                "      app-{p:02}-{a:03}:\n        description: \"[wi:fleet]\""
            );
            if p == 0 && a < NAMESPACES * KSAS {
                let members: Vec<String> = (0..projects(clusters))
                    .map(|q| {
                        format!(
                            "\"serviceAccount:{}.svc.id.goog[team-{:02}/app-{}]\"",
                            project(q),
                            a / KSAS,
                            a % KSAS
                        )
                    })
                    .collect();
                let _ = writeln!(
                    world,
                    "        policy: {{ bindings: [{{ role: roles/iam.workloadIdentityUser, members: [{}] }}] }}",
                    members.join(", ")
                );
            }
        }
    }
    world.push_str("clusters:\n");
    for c in 0..clusters {
        let project = project(c / PER_PROJECT);
        let _ = writeln!(
            world,
            "  - project: {project}\n    location: europe-west1\n    name: c{c:03}\n    workloadPool: {project}.svc.id.goog\n    nodePools:"
        );
        for p in 0..POOLS {
            let _ = writeln!(
                world,
                "      - {{ name: pool-{p}, nodes: 1, workloadMetadata: GKE_METADATA }}"
            );
        }
        world.push_str("    namespaces:\n");
        let mark = "labels: { app.kubernetes.io/managed-by: wi }";
        for n in 0..NAMESPACES {
            let _ = writeln!(
                world,
                "      team-{n:02}:\n        appliedBy: wi\n        {mark}\n        annotations: {{ wi/owner: fleet }}\n        serviceAccounts:"
            );
            for k in 0..KSAS {
                let account = n * KSAS + k;
                let _ = writeln!(
                    world,
                    "          app-{k}: {{ appliedBy: wi, {mark}, annotations: {{ wi/owner: fleet, iam.gke.io/gcp-service-account: app-00-{account:03}@{}.iam.gserviceaccount.com }} }}",
                    self::project(0)
                );
            }
        }
    }
    world
}

/// The least number of calls that the APIs allow for such a plan, term by term.
fn least_calls(clusters: usize) -> (usize, String) {
    let p = projects(clusters);
    let terms = [
        (p, "clusters.list a project"),
        (
            p * ACCOUNTS.div_ceil(100),
            "serviceAccounts.list a 100 accounts",
        ),
        (p * ACCOUNTS, "getIamPolicy an account"),
        (p, "getIamPolicy a project"),
        (p, "getAncestry a project"),
        (clusters, "list of namespaces a cluster"),
        (clusters, "list of service accounts a cluster"),
    ];
    let words: Vec<String> = terms
        .iter()
        .map(|(n, what)| format!("{n} {what}"))
        .collect();
    (terms.iter().map(|(n, _)| n).sum(), words.join(" + "))
}

/// The sandbox, as a process.
struct Server {
    child: Child,
    directory: PathBuf,
    endpoint: String,
    token_file: String,
}

impl Server {
    fn start(directory: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_wi"))
            .args(["sandbox", "world.yaml", "--port", "0"])
            .args(["--kubeconfig", KUBECONFIG])
            .current_dir(directory)
            .env("TMPDIR", directory)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the sandbox starts");
        let stdout = BufReader::new(child.stdout.take().expect("stdout"));
        let (mut endpoint, mut token_file) = (None, None);
        for line in stdout.lines() {
            let line = line.expect("a line");
            if let Some(url) = line.strip_prefix("export WI_ENDPOINT=") {
                endpoint = Some(url.to_owned());
            }
            if let Some(file) = line.strip_prefix("export CLOUDSDK_AUTH_ACCESS_TOKEN_FILE=") {
                token_file = Some(file.to_owned());
                break;
            }
        }
        Self {
            child,
            directory: directory.to_owned(),
            endpoint: endpoint.expect("an endpoint"),
            token_file: token_file.expect("a token file"),
        }
    }

    /// `wi plan` of the spec: how long it took, its output, and its log.
    fn plan(&self, log: bool) -> (Duration, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wi"));
        command
            .args(["plan", "wi.yaml", "--detailed-exitcode"])
            .args(log.then_some("-v"))
            .current_dir(&self.directory)
            .env("WI_ENDPOINT", &self.endpoint)
            .env("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", &self.token_file)
            .stdin(Stdio::null());
        let since = Instant::now();
        let output = command.output().expect("wi runs");
        let took = since.elapsed();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(
            output.status.success(),
            "{}\n{}",
            &out[..out.len().min(2000)],
            &err[..err.len().min(2000)]
        );
        (took, out, err)
    }

    /// The most memory that `wi plan` has, in megabytes, as the kernel counts it.
    fn peak_memory(&self) -> f64 {
        let mut child = Command::new(env!("CARGO_BIN_EXE_wi"))
            .args(["plan", "wi.yaml"])
            .current_dir(&self.directory)
            .env("WI_ENDPOINT", &self.endpoint)
            .env("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", &self.token_file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("wi starts");
        let status = format!("/proc/{}/status", child.id());
        let mut peak = 0.0_f64;
        // The high-water mark only grows: the last look before the end is what counts.
        while child.try_wait().expect("asked").is_none() {
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            let kilobytes = text.lines().find_map(|l| {
                l.strip_prefix("VmHWM:")?
                    .trim()
                    .strip_suffix(" kB")?
                    .parse::<f64>()
                    .ok()
            });
            peak = peak.max(kilobytes.unwrap_or(0.0) / 1024.0);
            std::thread::sleep(Duration::from_millis(1));
        }
        peak
    }

    fn faults(&self, faults: &str) {
        let client = client();
        let token = std::fs::read_to_string(&self.token_file).expect("a token");
        let url = format!("{}sandbox/v1/faults", self.endpoint);
        runtime().block_on(async {
            for (method, body) in [("DELETE", ""), ("POST", faults)] {
                let method = method.parse().expect("a method");
                let request = client.request(method, &url).bearer_auth(token.trim());
                let answer = request
                    .body(body.to_owned())
                    .send()
                    .await
                    .expect("an answer");
                assert!(answer.status().is_success(), "{}", answer.status());
            }
        });
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().build().expect("a client")
}

/// A client that trusts the CA of one cluster, as kubectl would.
fn client_of(ca: &[u8]) -> reqwest::Client {
    let ca = reqwest::Certificate::from_pem(ca).expect("a certificate");
    let builder = reqwest::Client::builder().tls_certs_only([ca]);
    builder.build().expect("a client")
}

/// The CA of each Kubernetes API server, by its URL.
fn authorities() -> BTreeMap<String, Vec<u8>> {
    let text = std::fs::read_to_string(KUBECONFIG).expect("a kubeconfig");
    let config: Value = serde_saphyr::from_str(&text).expect("YAML");
    let clusters = config["clusters"].as_array().expect("clusters");
    clusters
        .iter()
        .map(|entry| {
            let cluster = &entry["cluster"];
            let text = |key: &str| cluster[key].as_str().expect("a text");
            let ca = base64::engine::general_purpose::STANDARD
                .decode(text("certificate-authority-data"))
                .expect("base64");
            (text("server").to_owned(), ca)
        })
        .collect()
}

/// The calls that `wi` logged.
fn calls(log: &str) -> Vec<(String, String)> {
    log.lines()
        .filter(|l| l.contains("wi_client::http: call "))
        .filter_map(|l| {
            let text = |key: &str| {
                let rest = l.split_once(&format!("{key}=\""))?.1;
                Some(rest.split('"').next()?.to_owned())
            };
            Some((text("method")?, text("url")?))
        })
        .collect()
}

/// Fetches the same URLs at the same concurrency, one client for each server as TLS asks for, and
/// throws the bodies away.
fn bare(calls: &[(String, String)], token: &str) -> Duration {
    let since = Instant::now();
    runtime().block_on(async {
        let permits = Arc::new(tokio::sync::Semaphore::new(PARALLEL));
        let mut clients: BTreeMap<String, reqwest::Client> = BTreeMap::new();
        let authorities = authorities();
        let mut tasks = tokio::task::JoinSet::new();
        for (method, url) in calls {
            let host: String = url.split('/').take(3).collect::<Vec<_>>().join("/");
            let client = clients
                .entry(host)
                .or_insert_with_key(|host| authorities.get(host).map_or_else(client, |ca| client_of(ca)))
                .clone();
            let body = if url.ends_with(":getIamPolicy") || url.ends_with(":getAncestry") {
                "{}"
            } else {
                ""
            };
            let request = client
                .request(method.parse().expect("a method"), url)
                .bearer_auth(token)
                .header("accept", "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json")
                .header("content-type", "application/json")
                .body(body);
            let permits = Arc::clone(&permits);
            tasks.spawn(async move {
                let _permit = permits.acquire().await.expect("open");
                let mut answer = request.send().await.expect("an answer");
                assert!(answer.status().is_success(), "{}", answer.status());
                while answer.chunk().await.expect("a body").is_some() {}
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.expect("no panic");
        }
    });
    since.elapsed()
}

/// The same, as a process of its own, as `wi` is one.
fn bare_process(directory: &Path, calls: &[(String, String)], token: &str) -> Duration {
    let list: Vec<String> = calls.iter().map(|(m, u)| format!("{m} {u}\n")).collect();
    std::fs::write(directory.join("urls"), list.concat()).expect("written");
    let since = Instant::now();
    let status = Command::new(std::env::current_exe().expect("this"))
        .args(["--fetch", "urls"])
        .env("TOKEN", token)
        .current_dir(directory)
        .status()
        .expect("it runs");
    assert!(status.success());
    since.elapsed()
}

fn fetch(file: &str) {
    let text = std::fs::read_to_string(file).expect("urls");
    let calls: Vec<(String, String)> = text
        .lines()
        .filter_map(|l| l.split_once(' '))
        .map(|(m, u)| (m.to_owned(), u.to_owned()))
        .collect();
    bare(&calls, &std::env::var("TOKEN").expect("a token"));
}

fn fastest(times: impl Iterator<Item = Duration>) -> f64 {
    times.map(|t| t.as_secs_f64()).fold(f64::INFINITY, f64::min)
}

struct Limits(BTreeSet<String>);

impl Limits {
    fn check(&mut self, what: &str, value: f64, limit: f64) {
        let verdict = if value <= limit { "ok" } else { "TOO MUCH" };
        println!("  {what}: {value:.2} (at most {limit}) {verdict}");
        if value > limit {
            self.0.insert(format!("{what}: {value:.2} > {limit}"));
        }
    }
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let Some(at) = args.iter().position(|a| a == "--fetch") {
        return fetch(&args[at + 1]);
    }
    let quick = args.iter().any(|a| a == "quick");
    let sizes = if quick { &SIZES[..2] } else { &SIZES[..] };
    let mut limits = Limits(BTreeSet::new());
    let mut walls = BTreeMap::new();
    for &clusters in sizes {
        let directory = tempfile::tempdir().expect("a directory");
        let directory = directory.path();
        std::fs::write(directory.join("wi.yaml"), spec(clusters)).expect("written");
        std::fs::write(directory.join("world.yaml"), world(clusters)).expect("written");
        let server = Server::start(directory);
        let token = std::fs::read_to_string(&server.token_file).expect("a token");
        let (_, out, log) = server.plan(true);
        assert!(
            out.contains("No changes."),
            "{}",
            &out[..out.len().min(2000)]
        );
        let calls = calls(&log);
        println!("{clusters} clusters, {} projects:", projects(clusters));
        let (least, formula) = least_calls(clusters);
        println!("  {} calls; at least {least} = {formula}", calls.len());
        limits.check("calls", calls.len() as f64 / least as f64, CALLS);
        let runs = if clusters >= 50 { 3 } else { RUNS };
        let (mut plans, mut fetches) = (Vec::new(), Vec::new());
        for _ in 0..runs {
            plans.push(server.plan(false).0);
            fetches.push(bare_process(directory, &calls, token.trim()));
        }
        let wall = fastest(plans.into_iter());
        let bare = fastest(fetches.into_iter());
        println!("  plan {wall:.2} s, bare client {bare:.2} s");
        limits.check("wall time against the bare client", wall / bare, WALL);
        walls.insert(clusters, wall);
        if Some(&clusters) == sizes.last() {
            limits.check("peak memory in MB", server.peak_memory(), MEGABYTES);
            validate(&spec(clusters), &mut limits);
            server.faults("[{\"latencyMs\": 20}]");
            let calm = fastest((0..2).map(|_| server.plan(false).0));
            let far = fastest((0..2).map(|_| bare_process(directory, &calls, token.trim())));
            server.faults("[{\"latencyMs\": 20}, {\"percent\": 0.4, \"status\": 429}, {\"percent\": 0.3, \"status\": 503}, {\"percent\": 0.3, \"reset\": true}]");
            let stormy = fastest((0..2).map(|_| server.plan(false).0));
            println!("  with 20 ms latency {calm:.2} s, with faults too {stormy:.2} s");
            println!(
                "  the bare client with 20 ms latency {far:.2} s: ratio {:.2}",
                calm / far
            );
            limits.check("1 % faults against none", stormy / calm, FAULTS);
        }
    }
    if let (Some(small), Some(large)) = (walls.get(&50), walls.get(&200)) {
        limits.check("growth from 50 to 200 clusters", large / small, GROWTH);
    }
    assert!(limits.0.is_empty(), "{:#?}", limits.0);
}

/// Reading and checking a spec, against the YAML parser alone.
fn validate(spec: &str, limits: &mut Limits) {
    let parse = fastest((0..RUNS).map(|_| {
        let since = Instant::now();
        let value: Value = serde_saphyr::from_str(spec).expect("YAML");
        std::hint::black_box(&value);
        since.elapsed()
    }));
    let check = fastest((0..RUNS).map(|_| {
        let source = wi_core::spec::Source::new("wi.yaml".to_owned(), spec.to_owned());
        let since = Instant::now();
        let spec = wi_core::spec::load_sources(vec![source]).expect("a valid spec");
        std::hint::black_box(&spec);
        since.elapsed()
    }));
    println!("  validate {check:.3} s, YAML parser {parse:.3} s");
    limits.check("validate against the YAML parser", check / parse, VALIDATE);
}
