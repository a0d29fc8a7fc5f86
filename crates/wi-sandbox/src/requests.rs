//! The request oracle: each request of each simulated minute, for each Service, is served or fails; by which identity,
//! and why. It knows what clients and services do, and nothing of what anybody plans.
//!
//! A pod that is ready gets its share of the requests of every Service that its labels put it behind. Whether it
//! answers is up to its program ([`super::apps`]): readiness is no identity.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::apps::{self, TOKEN_LASTS};
use super::clock::{self, Millis};
use super::faults::matches;
use super::gke::cluster::Cluster;
use super::ids::ClusterKey;
use super::kube::{Health, Healths, KubeCluster, pod_state};
use super::metadata;
use super::oracle::cluster_name;
use super::state::State;
use super::traffic::{By, Credential, Process, RequestSample, Requests, list};
use super::world::App;

const MINUTE: Millis = 60_000;

/// How many requests a Service has each minute of which the world says nothing.
const USUAL: u32 = 60;

/// Takes samples from now on, and counts from now on.
pub fn start_recording(state: &mut State) {
    state.requests.samples = Some(Vec::new());
    state.requests.totals.clear();
    record(state, "start");
}

/// The samples since then.
pub fn samples(state: &State) -> Vec<RequestSample> {
    state.requests.samples.clone().unwrap_or_default()
}

/// `GET /sandbox/v1/requests`: how many requests went which way so far, and how they would go now.
pub fn answer(state: &mut State) -> Value {
    let now = now(state);
    json!({
        "requests": list(&state.requests.totals),
        "now": list(&now),
        "samples": state.requests.samples,
    })
}

/// Takes a sample after something has happened.
pub fn record(state: &mut State, after: &str) {
    if state.world.apps.is_empty() {
        return;
    }
    let requests = now(state);
    tell_kubelets(state);
    let at = clock::text(state.clock.now());
    if let Some(samples) = &mut state.requests.samples
        && samples.last().is_none_or(|last| last.requests != requests)
    {
        samples.push(RequestSample {
            at,
            after: after.to_owned(),
            requests,
        });
    }
}

/// When the next minute is to be counted.
pub fn next_minute(state: &State) -> Option<Millis> {
    if state.world.apps.is_empty() {
        return None;
    }
    state.requests.minute
}

/// From here on minutes are counted.
pub fn begin(state: &mut State) {
    let now = state.clock.now();
    let next = now - now.rem_euclid(MINUTE) + MINUTE;
    state.requests.minute.get_or_insert(next);
}

/// Counts the minutes from `from` on, of which the last begins before `before`: nothing else happens until then.
pub fn count_minutes(state: &mut State, from: Millis, before: Millis) {
    // What tokens last is looked at again when the first of them ends.
    let ends = state
        .requests
        .processes
        .values()
        .filter_map(|p| p.token_until);
    let ends = ends.filter(|end| *end > from).min().unwrap_or(Millis::MAX);
    let before = before.min(ends).min(from + 60 * MINUTE);
    let requests = now_at(state, from);
    let changes = tell_kubelets(state);
    let more = if changes {
        0
    } else {
        (before - 1 - from).max(0) / MINUTE
    };
    let more = u64::try_from(more).unwrap_or(0);
    for (requests, count) in &requests {
        let total = state.requests.totals.entry(requests.clone()).or_default();
        *total += count * (1 + more);
    }
    let at = clock::text(from);
    if let Some(samples) = &mut state.requests.samples
        && samples.last().is_none_or(|last| last.requests != requests)
    {
        samples.push(RequestSample {
            at,
            after: "a minute".to_owned(),
            requests,
        });
    }
    let passed = Millis::try_from(more).unwrap_or(0) * MINUTE;
    state.requests.minute = Some(from + passed + MINUTE);
}

/// Kubelets see at once what has become of programs. Says whether that is anything new.
fn tell_kubelets(state: &State) -> bool {
    let kubes = state.kubes.iter().filter(|(_, r)| r.kube.has_controllers());
    let told: Vec<bool> = kubes
        .map(|(key, running)| running.kube.hear(healths(state, key)))
        .collect();
    told.contains(&true)
}

fn now(state: &mut State) -> BTreeMap<Requests, u64> {
    let at = state.clock.now();
    now_at(state, at)
}

/// A pod that runs a program, and how its calls end.
struct Worker {
    uid: String,
    workload: String,
    serves: Vec<String>,
    capacity: Option<u32>,
    works: bool,
    by: By,
    outcome: Result<(), String>,
}

/// All requests of a minute, as things are.
fn now_at(state: &mut State, at: Millis) -> BTreeMap<Requests, u64> {
    let clusters: Vec<Cluster> = state.world.clusters.clone();
    let mut requests = BTreeMap::new();
    let mut there = BTreeSet::new();
    for cluster in &clusters {
        let Some(kube) = state.kubes.get(&cluster.key()).map(|r| r.kube.clone()) else {
            continue;
        };
        let workers = workers(state, cluster, &kube, at, &mut there);
        of_services(state, cluster, &kube, &workers, &mut requests);
        for worker in workers.values().filter(|worker| worker.works) {
            let key = Requests {
                cluster: cluster_name(cluster),
                service: None,
                workload: worker.workload.clone(),
                by: worker.by.clone(),
                failed: worker.outcome.clone().err(),
            };
            *requests.entry(key).or_default() += 1;
        }
    }
    state
        .requests
        .processes
        .retain(|key, _| there.contains(key));
    requests
}

/// The program of a pod as it runs, or as it starts now and looks for its credentials. `key` is the cluster's name and
/// the pod's uid.
fn process(
    state: &State,
    kube: &KubeCluster,
    key: &(String, String),
    pod: &Value,
    app: &App,
    container: &Value,
) -> Process {
    let restarts = restarts(pod);
    let known = state.requests.processes.get(key);
    let known = known.filter(|p| p.restarts == restarts).cloned();
    known.unwrap_or_else(|| apps::start(kube, pod, app, container, restarts))
}

fn restarts(pod: &Value) -> i64 {
    let count = &pod["status"]["containerStatuses"][0]["restartCount"];
    count.as_i64().unwrap_or(0)
}

/// The pods of a cluster that run a program, by name; those that start now look for their credentials.
fn workers(
    state: &mut State,
    cluster: &Cluster,
    kube: &KubeCluster,
    at: Millis,
    there: &mut BTreeSet<(String, String)>,
) -> BTreeMap<(String, String), Worker> {
    let mut workers = BTreeMap::new();
    for pod in kube.pod_objects() {
        let runs = pod["status"]["phase"] == "Running";
        let Some((app, container)) = apps::of_pod(state, &pod) else {
            continue;
        };
        if !runs {
            continue;
        }
        let app = app.clone();
        let uid = pod["metadata"]["uid"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let key = (cluster_name(cluster), uid.clone());
        there.insert(key.clone());
        let mut process = process(state, kube, &key, &pod, &app, container);
        if let Credential::Key { account, id } = &process.credential
            && process.token_until.is_none_or(|until| until <= at)
        {
            let refused = apps::refused_key(state, account, id).is_some();
            process.token_until = (!refused).then_some(at + TOKEN_LASTS);
            if !refused {
                apps::note_use(state, account, id);
            }
        }
        let (by, outcome) = apps::outcome(state, cluster, &pod_state(&pod), &app, &process);
        if process.logged_until.is_none_or(|until| until <= at) {
            process.logged_until = Some(at + TOKEN_LASTS);
            apps::note_calls(state, cluster, &pod_state(&pod), &app, &by, outcome.is_ok());
        }
        state.requests.processes.insert(key, process);
        let text = |pointer: &str| {
            let text = pod.pointer(pointer).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        let name = (text("/metadata/namespace"), text("/metadata/name"));
        let of_job = pod["metadata"]["ownerReferences"][0]["kind"] == "Job";
        workers.insert(
            name,
            Worker {
                uid,
                workload: workload_of(kube, &pod),
                serves: app.serves.clone(),
                capacity: app.capacity,
                works: app.works || of_job,
                by,
                outcome,
            },
        );
    }
    workers
}

/// `NAMESPACE/KIND/NAME` of the last owner.
fn workload_of(kube: &KubeCluster, pod: &Value) -> String {
    let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default();
    let mut object = Arc::new(pod.clone());
    let mut last = (
        "Pod".to_owned(),
        pod["metadata"]["name"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
    );
    loop {
        let owner = object["metadata"]["ownerReferences"][0].clone();
        let (Some(kind), Some(name)) = (owner["kind"].as_str(), owner["name"].as_str()) else {
            break;
        };
        last = (kind.to_owned(), name.to_owned());
        let Some(next) = kube.object(kind, namespace, name) else {
            break;
        };
        object = next;
    }
    format!("{namespace}/{}/{}", last.0, last.1)
}

/// Shares the requests of each Service out among its ready pods.
fn of_services(
    state: &mut State,
    cluster: &Cluster,
    kube: &KubeCluster,
    workers: &BTreeMap<(String, String), Worker>,
    requests: &mut BTreeMap<Requests, u64>,
) {
    let place = cluster_name(cluster);
    let mut shares: Vec<(String, (String, String), u64)> = Vec::new();
    let mut loads: BTreeMap<String, u64> = BTreeMap::new();
    for service in kube.objects_of("Service") {
        let text = |field: &str| {
            service["metadata"][field]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        let (namespace, name) = (text("namespace"), text("name"));
        let full = format!("{namespace}/{name}");
        let said = state.world.traffic.iter().find(|traffic| {
            let here = traffic.cluster.as_ref();
            traffic.service == full && here.is_none_or(|c| *c == place || *c == cluster.name)
        });
        let per_minute = said.map(|traffic| traffic.per_minute);
        let pods = ready_pods(kube, &namespace, &name);
        let key = (place.clone(), full.clone());
        let has_program = pods.iter().any(|pod| workers.contains_key(pod));
        if per_minute.is_some() || has_program {
            state.requests.services.insert(key.clone());
        }
        if !state.requests.services.contains(&key) {
            continue;
        }
        let total = u64::from(per_minute.unwrap_or(USUAL));
        let count = u64::try_from(pods.len()).unwrap_or(0);
        if count == 0 {
            let lost = Requests {
                cluster: place.clone(),
                service: Some(full),
                workload: String::new(),
                by: By::Nobody,
                failed: Some("no pod is ready".to_owned()),
            };
            requests.insert(lost, total);
            continue;
        }
        for (n, pod) in (0..).zip(pods) {
            // Where there are more pods than requests each has one: some minute it will.
            let share = (total / count + u64::from(n < total % count)).max(1);
            if let Some(worker) = workers.get(&pod) {
                *loads.entry(worker.uid.clone()).or_default() += share;
            }
            shares.push((full.clone(), pod, share));
        }
    }
    for (service, pod, share) in shares {
        let row = |workload: &str, by: &By, failed: Option<String>| Requests {
            cluster: place.clone(),
            service: Some(service.clone()),
            workload: workload.to_owned(),
            by: by.clone(),
            failed,
        };
        let Some(worker) = workers.get(&pod) else {
            let workload = format!("{}/Pod/{}", pod.0, pod.1);
            let why = "its pod has no program that answers".to_owned();
            *requests
                .entry(row(&workload, &By::Nobody, Some(why)))
                .or_default() += share;
            continue;
        };
        let serves = |pattern: &String| matches(&format!("{pattern}$"), &service);
        let failed = match &worker.outcome {
            _ if !worker.serves.is_empty() && !worker.serves.iter().any(serves) => {
                Some(format!("its pod does not serve {service}"))
            }
            Err(why) => Some(why.clone()),
            Ok(()) => None,
        };
        // Of what is too much for a pod, each Service loses its part.
        let load = loads.get(&worker.uid).copied().unwrap_or(0).max(1);
        let most = worker.capacity.map_or(load, u64::from).min(load);
        let answered = if failed.is_some() {
            share
        } else {
            share * most / load
        };
        if answered > 0 {
            *requests
                .entry(row(&worker.workload, &worker.by, failed))
                .or_default() += answered;
        }
        if answered < share {
            let why = Some("its pod is overloaded".to_owned());
            *requests
                .entry(row(&worker.workload, &worker.by, why))
                .or_default() += share - answered;
        }
    }
    for worker in workers.values() {
        let load = loads.get(&worker.uid).copied().unwrap_or(0);
        let key = (place.clone(), worker.uid.clone());
        state.requests.loads.insert(key, load);
    }
}

/// The pods that a Service sends requests to, by namespace and name.
fn ready_pods(kube: &KubeCluster, namespace: &str, service: &str) -> Vec<(String, String)> {
    let mut pods = Vec::new();
    for slice in kube.objects_of("EndpointSlice") {
        let meta = &slice["metadata"];
        if meta["namespace"] != namespace || meta["labels"]["kubernetes.io/service-name"] != service
        {
            continue;
        }
        let endpoints = slice["endpoints"].as_array().into_iter().flatten();
        let ready = endpoints.filter(|endpoint| endpoint["conditions"]["ready"] == true);
        pods.extend(ready.filter_map(|endpoint| {
            let name = endpoint["targetRef"]["name"].as_str()?;
            Some((namespace.to_owned(), name.to_owned()))
        }));
    }
    pods
}

/// What kubelets see of the programs in a cluster's pods.
pub fn healths(state: &State, key: &ClusterKey) -> Healths {
    let mut healths = Healths::new();
    if state.world.apps.is_empty() {
        return healths;
    }
    let cluster = state.world.clusters.iter().find(|c| c.key() == *key);
    let running = state.kubes.get(key);
    let (Some(cluster), Some(running)) = (cluster, running) else {
        return healths;
    };
    let kube = &running.kube;
    for pod in kube.pod_objects() {
        let Some((app, container)) = apps::of_pod(state, &pod) else {
            continue;
        };
        let meta = &pod["metadata"];
        let text = |field: &str| meta[field].as_str().unwrap_or_default().to_owned();
        let key = (cluster_name(cluster), text("uid"));
        let waits = !pod["status"]["containerStatuses"][0]["state"]["waiting"].is_null();
        let process_now = match waits {
            // It starts again, and looks.
            true => apps::start(kube, &pod, app, container, restarts(&pod)),
            false => process(state, kube, &key, &pod, app, container),
        };
        let (_, outcome) = apps::outcome(state, cluster, &pod_state(&pod), app, &process_now);
        let broken = match &process_now.credential {
            Credential::Broken(why) if app.crashes || app.file.is_some() => Some(why.clone()),
            _ => None,
        };
        let curl = app
            .curl
            .then(|| metadata::by_curl(state, cluster, &pod, container));
        let load = state.requests.loads.get(&key).copied().unwrap_or(0);
        let health = Health {
            start_seconds: app.start_seconds,
            unready: outcome.clone().err().filter(|_| app.ready_by_calls),
            crashes: broken,
            fails: match &curl {
                Some((0, _)) => None,
                Some((code, _)) => Some(format!("curl: exit status {code}")),
                None => outcome.err(),
            },
            says: curl.map(|(_, text)| text),
            utilization: app.capacity.map(|capacity| percent(load, capacity)),
        };
        healths.insert((text("namespace"), text("name")), health);
    }
    healths
}

#[expect(clippy::cast_precision_loss, reason = "requests of a minute")]
fn percent(load: u64, capacity: u32) -> f64 {
    load as f64 * 100.0 / f64::from(capacity.max(1))
}
