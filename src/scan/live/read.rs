//! Reads clusters and projects. A read that is refused is told, and nothing is concluded from it.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use futures::stream::TryStreamExt;
use jiff::{SignedDuration, Timestamp};
use wi_client::google::{container, evidence, iam, keys};
use wi_client::http::{ApiError, Http};
use wi_client::kubernetes::Kube;
use wi_core::access::{self, SecretUse};
use wi_core::desired::Desired;
use wi_core::findings::{NotSeen, Place};
use wi_core::live::{ConfigMaps, Seen};
use wi_core::migrate::mark::{MARK, Mark};
use wi_core::migrate::{pieces, rollout};
use wi_core::names::{Email, ProjectId};
use wi_core::reason::Reason;
use wi_core::wire::kubernetes::ObjectMeta;
use wi_core::wire::pods::{Pod, PodSpec};
use wi_core::wire::workloads::{REVISIONS, WORKLOAD_KINDS, WorkloadObject, history_of};

use super::resources::{ROWS, secrets_of};
use super::secrets::{self, Content};
use super::{
    Clusters, Evidence, FixedPod, LiveKey, Opened, PodUser, Projects, ReadSecrets, SecretName,
    User, Workload,
};
use crate::engine::read::config_maps;
use crate::scan::report::{Lies, Sighting};

/// How far back Cloud Monitoring is asked: it keeps six weeks.
pub const WINDOW: SignedDuration = SignedDuration::from_hours(42 * 24);

/// What is to be looked at.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Which Secrets may be opened.
    pub secrets: ReadSecrets,
    /// Whether custom resources are looked at.
    pub custom: bool,
    /// Whether Cloud Monitoring is asked.
    pub metrics: bool,
    /// Whether the Activity Analyzer is.
    pub activity: bool,
    /// Whether audit logs are, for keys whose user was not seen.
    pub logs: bool,
    /// Accounts whose keys alone are read, and the project of each; `None`: those of all accounts of the projects.
    pub only: Option<BTreeMap<Email, ProjectId>>,
}

/// A cluster that can be read, and what it has without opening a Secret.
#[derive(Debug)]
pub struct Looked {
    name: String,
    kube: Kube,
    clusters: Clusters,
}

/// Looks at all clusters, without opening a Secret.
pub async fn clusters(
    http: &Http,
    desired: &Desired,
    wanted: &Wanted,
) -> (Vec<Looked>, Vec<NotSeen>) {
    let mut by_project: BTreeMap<&ProjectId, Vec<&String>> = BTreeMap::new();
    for (name, cluster) in &desired.clusters {
        by_project
            .entry(&cluster.path.project)
            .or_default()
            .push(name);
    }
    let per_project = by_project.into_iter().map(async |(project, names)| {
        let list = container::list_clusters(http, project).await;
        let each = names.into_iter().map(async |name| {
            let place = format!("cluster.{name}");
            let not_seen = |why: String| NotSeen {
                what: place.clone(),
                why,
            };
            let wanted_path = &desired.clusters[name].path;
            let list = list.as_ref().map_err(|e| not_seen(e.reason().into()))?;
            let mut all = list.clusters.iter();
            let is_it = |c: &&wi_core::wire::container::Cluster| {
                c.name == wanted_path.name && c.location == wanted_path.location
            };
            let cluster = all
                .find(is_it)
                .ok_or_else(|| not_seen("GKE does not list it".to_owned()))?;
            let kube = Kube::connect(http, cluster, &desired.clusters[name].access)
                .map_err(|e| not_seen(e.to_string()))?;
            let mut looked = Looked {
                name: name.clone(),
                kube,
                clusters: Clusters::default(),
            };
            looked.look(wanted).await;
            Ok(looked)
        });
        join_all(each).await
    });
    let mut found = Vec::new();
    let mut not_seen = Vec::new();
    for result in join_all(per_project).await.into_iter().flatten() {
        match result {
            Ok(looked) => found.push(looked),
            Err(why) => not_seen.push(why),
        }
    }
    (found, not_seen)
}

/// The Secrets that are named and would be opened.
pub fn named(looked: &[Looked]) -> BTreeSet<SecretName> {
    let named = looked.iter().flat_map(|l| l.clusters.named());
    named.collect()
}

/// Opens Secrets as far as that is wanted, and puts all clusters together.
pub async fn open(looked: Vec<Looked>, wanted: ReadSecrets) -> Clusters {
    let opened = looked.into_iter().map(async |mut looked| {
        match wanted {
            ReadSecrets::None => {}
            ReadSecrets::Referenced => looked.open_named().await,
            ReadSecrets::All => looked.open_all().await,
        }
        looked.clusters
    });
    let mut all = Clusters::default();
    for clusters in join_all(opened).await {
        all.users.extend(clusters.users);
        all.fixed.extend(clusters.fixed);
        all.pod_users.extend(clusters.pod_users);
        all.templates.extend(clusters.templates);
        all.config_maps.extend(clusters.config_maps);
        all.opened.extend(clusters.opened);
        all.sightings.extend(clusters.sightings);
        all.workloads += clusters.workloads;
        all.custom += clusters.custom;
        all.pods += clusters.pods;
        all.not_seen.extend(clusters.not_seen);
        all.warnings.extend(clusters.warnings);
    }
    let named = all.named();
    let is_open = |secret: &SecretName| all.opened.contains_key(secret);
    all.unopened = named.into_iter().filter(|s| !is_open(s)).collect();
    all
}

/// What controls an object, by the object's namespace, kind and name.
type Controllers = BTreeMap<(String, String, String), (String, String)>;

/// What made a pod in the end: the Deployment of its ReplicaSet, the CronJob of its Job.
fn made_by(pod: &Pod, controllers: &Controllers) -> (String, String) {
    let namespace = &pod.metadata.namespace;
    let Some(first) = pod.metadata.controller() else {
        return ("Pod".to_owned(), pod.metadata.name.clone());
    };
    let first = (first.kind.clone(), first.name.clone());
    let key = (namespace.clone(), first.0.clone(), first.1.clone());
    controllers.get(&key).cloned().unwrap_or(first)
}

impl Looked {
    /// The cluster's name in the spec, and the way to it.
    pub fn connection(&self) -> (String, Kube) {
        (self.name.clone(), self.kube.clone())
    }

    fn not_seen(&mut self, what: &str, e: &ApiError) {
        self.clusters.not_seen.push(NotSeen {
            what: format!("{what} of cluster.{}", self.name),
            why: e.reason().into(),
        });
    }

    async fn look(&mut self, wanted: &Wanted) {
        let kube = self.kube.clone();
        let templates = async {
            let lists = WORKLOAD_KINDS
                .iter()
                .map(async |kind| (kind, kube.list_workloads(kind).await));
            join_all(lists).await
        };
        let (pods, templates) = tokio::join!(kube.list_pods(), templates);
        let pods = match pods {
            Ok(pods) => pods,
            Err(e) => {
                self.not_seen("pods", &e);
                Vec::new()
            }
        };
        let mut workloads = Vec::new();
        for (kind, list) in templates {
            match list {
                Ok(list) => workloads.extend(list.into_iter().map(|object| (kind.kind, object))),
                Err(e) => self.not_seen(kind.plural, &e),
            }
        }
        let of_pods = pods.iter().map(|p| (&p.metadata, &p.spec));
        let of_workloads = workloads
            .iter()
            .map(|(kind, object)| (&object.metadata, &object.template(kind).spec));
        let maps = config_maps(&kube, of_pods.chain(of_workloads)).await;
        for (kind, object) in &workloads {
            self.workload(kind, object, &maps);
        }
        self.former(&workloads, &maps).await;
        let controllers: Controllers = workloads
            .iter()
            .filter_map(|(kind, object)| {
                let meta = &object.metadata;
                let owner = meta.controller()?;
                let own = (
                    meta.namespace.clone(),
                    (*kind).to_owned(),
                    meta.name.clone(),
                );
                Some((own, (owner.kind.clone(), owner.name.clone())))
            })
            .collect();
        self.clusters.pods += pods.len();
        for pod in pods.iter().filter(|p| !p.has_ended()) {
            self.pod(pod, &maps, &controllers);
        }
        self.clusters.config_maps.insert(self.name.clone(), maps);
        self.config_maps(&pods, &workloads).await;
        if wanted.custom {
            self.custom().await;
        }
        if wanted.secrets == ReadSecrets::None
            && let Err(e) = kube.count_secrets().await
        {
            let text = format!(
                "cluster.{}: which Secrets there are could not be listed: {}",
                self.name,
                e.reason()
            );
            self.clusters.warnings.push(text);
        }
    }

    /// What workloads had from which `wi` took a key, where no ReplicaSet tells it: the way back leads there.
    async fn former(&mut self, workloads: &[(&'static str, WorkloadObject)], maps: &ConfigMaps) {
        let mut namespaces = BTreeSet::new();
        for (kind, object) in workloads {
            let meta = &object.metadata;
            let Some(mark) = Mark::of(meta) else {
                continue;
            };
            match mark.pieces {
                Some(pieces) => {
                    if let Ok(pod) = serde_json::from_value(pieces::alone(&pieces)) {
                        self.users(kind, meta, &pod, true, maps);
                    }
                }
                None if history_of(kind) == Some(&REVISIONS) => {
                    namespaces.insert(meta.namespace.clone());
                }
                None => {}
            }
        }
        for namespace in namespaces {
            let revisions = match self.kube.list_whole(&REVISIONS, &namespace).await {
                Ok(revisions) => revisions,
                Err(e) => {
                    self.not_seen(REVISIONS.plural, &e);
                    continue;
                }
            };
            for revision in revisions {
                let pod = rollout::template_of(&revision)["spec"].take();
                let meta = serde_json::from_value(revision["metadata"].clone());
                if let (Ok(pod), Ok(meta)) = (serde_json::from_value(pod), meta) {
                    self.users(REVISIONS.kind, &meta, &pod, true, maps);
                }
            }
        }
    }

    fn secret(&self, namespace: &str, name: &str) -> SecretName {
        SecretName {
            cluster: self.name.clone(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    fn workload(&mut self, kind: &'static str, object: &WorkloadObject, maps: &ConfigMaps) {
        let owner = object.metadata.controller();
        // A Deployment's ReplicaSets and a CronJob's Jobs are like their owner, or old.
        let is_old = match (kind, owner.map(|o| o.kind.as_str())) {
            ("ReplicaSet", Some("Deployment")) => true,
            ("Job", Some("CronJob")) => return,
            ("Job", _) if object.has_ended(kind) => return,
            _ => false,
        };
        if is_old && object.spec.replicas != Some(0) {
            return;
        }
        self.clusters.workloads += usize::from(!is_old);
        let meta = &object.metadata;
        let pod = &object.template(kind).spec;
        self.users(kind, meta, pod, is_old, maps);
        if !is_old {
            self.literals(kind, meta, pod);
        }
        // One in use is its owner's, whose template is the one to change.
        if !is_old && owner.is_none_or(|o| o.kind != "Deployment") {
            self.clusters.templates.insert(Workload {
                cluster: self.name.clone(),
                namespace: meta.namespace.clone(),
                kind,
                name: meta.name.clone(),
                service_account: pod.service_account().to_owned(),
                is_marked: meta.annotations.contains_key(MARK),
            });
        }
    }

    fn pod(&mut self, pod: &Pod, maps: &ConfigMaps, controllers: &Controllers) {
        let meta = &pod.metadata;
        for used in access::secret_uses(&pod.spec, &meta.namespace, maps) {
            self.clusters.pod_users.insert(PodUser {
                secret: self.secret(&meta.namespace, &used.secret),
                key: used.key,
                pod: meta.name.clone(),
                workload: made_by(pod, controllers),
            });
        }
        if meta.controller().is_none() {
            self.users("Pod", meta, &pod.spec, false, maps);
            self.literals("Pod", meta, &pod.spec);
        }
        let Ok(since) = meta.creation_timestamp.parse::<Timestamp>() else {
            return;
        };
        for used in access::secret_uses(&pod.spec, &meta.namespace, maps) {
            if used.way.is_fixed() {
                self.clusters.fixed.insert(FixedPod {
                    secret: self.secret(&meta.namespace, &used.secret),
                    pod: format!("{}/{}", meta.namespace, meta.name),
                    since,
                });
            }
        }
    }

    fn users(
        &mut self,
        kind: &str,
        meta: &ObjectMeta,
        pod: &PodSpec,
        is_old: bool,
        maps: &ConfigMaps,
    ) {
        for used in access::secret_uses(pod, &meta.namespace, maps) {
            let SecretUse {
                secret,
                key,
                container,
                way,
            } = used;
            let user = User {
                secret: self.secret(&meta.namespace, &secret),
                key,
                object: format!("{kind} {}/{}", meta.namespace, meta.name),
                container,
                way: way.to_string(),
                is_known_use: way.is_known_use(),
                is_old,
                keyless: None,
            };
            self.clusters.users.insert(user);
        }
    }

    /// Keys that stand in a template itself.
    fn literals(&mut self, kind: &str, meta: &ObjectMeta, pod: &PodSpec) {
        let cluster = format!("cluster.{}", self.name);
        for (place, text) in access::literals(pod) {
            for found in wi_keys::scan(text.as_bytes()).found {
                let sighting = Sighting {
                    found,
                    place: Place::live(&[&cluster, kind, &meta.namespace, &meta.name]),
                    lies: Lies::PlainObject,
                    remarks: vec![format!("container {place}")],
                };
                self.clusters.sightings.push((None, sighting));
            }
        }
    }

    /// Keys in ConfigMaps that workloads name.
    async fn config_maps(&mut self, pods: &[Pod], workloads: &[(&str, WorkloadObject)]) {
        let of_pods = pods.iter().map(|p| (&p.metadata.namespace, &p.spec));
        let of_workloads = workloads
            .iter()
            .map(|(kind, o)| (&o.metadata.namespace, &o.template(kind).spec));
        let mut named: BTreeSet<(String, String)> = BTreeSet::new();
        for (namespace, spec) in of_pods.chain(of_workloads) {
            let maps = access::config_maps_of(spec).into_iter();
            named.extend(maps.map(|name| (namespace.clone(), name.to_owned())));
        }
        let read = named.into_iter().map(async |(namespace, name)| {
            let body = self.kube.config_map(&namespace, &name).await;
            (namespace, name, body)
        });
        for (namespace, name, body) in join_all(read).await {
            let what = format!("ConfigMap {namespace}/{name}");
            let content = match body {
                Ok(body) => secrets::one(&body),
                // One that is not there has no key.
                Err(e) if e.code == 404 => continue,
                Err(e) => {
                    self.not_seen(&what, &e);
                    continue;
                }
            };
            self.take(what, "ConfigMap", content, Lies::PlainObject);
        }
    }

    async fn custom(&mut self) {
        let groups = match self.kube.groups().await {
            Ok(groups) => groups,
            Err(e) => return self.not_seen("custom resources", &e),
        };
        let known = ROWS
            .iter()
            .filter_map(|row| Some((row, groups.get(row.group)?)));
        let lists = known.map(async |(row, version)| {
            (row, self.kube.custom(row.group, version, row.plural).await)
        });
        for (row, list) in join_all(lists).await {
            let list = match list {
                Ok(list) => list,
                // The group has no such kind in this version.
                Err(e) if e.code == 404 => continue,
                Err(e) => {
                    self.not_seen(&format!("{}.{}", row.plural, row.group), &e);
                    continue;
                }
            };
            self.clusters.custom += list.len();
            for object in &list {
                let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
                let (namespace, name) = (text("namespace"), text("name"));
                let shown = match namespace {
                    "" => format!("{} {name}", row.kind),
                    namespace => format!("{} {namespace}/{name}", row.kind),
                };
                for named in secrets_of(row, object) {
                    let place = match named.namespace.as_str() {
                        "" => namespace,
                        other => other,
                    };
                    let user = User {
                        secret: self.secret(place, &named.name),
                        key: named.key,
                        object: shown.clone(),
                        container: String::new(),
                        way: named.field.to_owned(),
                        is_known_use: true,
                        is_old: false,
                        keyless: Some(row.keyless),
                    };
                    self.clusters.users.insert(user);
                }
            }
        }
    }

    async fn open_named(&mut self) {
        let named = self.clusters.named();
        let read = named.into_iter().map(async |secret| {
            let body = self.kube.secret(&secret.namespace, &secret.name).await;
            (secret, body)
        });
        for (secret, body) in join_all(read).await {
            let what = format!("Secret {}/{}", secret.namespace, secret.name);
            match body {
                Ok(body) => self.take(what, "Secret", secrets::one(&body), Lies::Secret),
                // It is not there: nobody has a key from it.
                Err(e) if e.code == 404 => {
                    self.clusters.opened.insert(secret, Opened::default());
                }
                Err(e) => self.not_seen(&what, &e),
            }
        }
    }

    async fn open_all(&mut self) {
        let mut token = String::new();
        loop {
            let page = match self.kube.secrets(&token).await {
                Ok(body) => secrets::page(&body),
                Err(e) => return self.not_seen("Secrets", &e),
            };
            let (contents, next) = match page {
                Ok(page) => page,
                Err(why) => {
                    let what = format!("Secrets of cluster.{}", self.name);
                    self.clusters.not_seen.push(NotSeen { what, why });
                    return;
                }
            };
            for content in contents {
                let what = format!("Secret {}/{}", content.namespace, content.name);
                self.take(what, "Secret", Ok(content), Lies::Secret);
            }
            token = next;
            if token.is_empty() {
                break;
            }
        }
        // Those that are named and were not among them are not there.
        for secret in self.clusters.named() {
            self.clusters.opened.entry(secret).or_default();
        }
    }

    /// What was found in an object.
    fn take(&mut self, what: String, kind: &str, content: Result<Content, String>, lies: Lies) {
        let what = format!("{what} of cluster.{}", self.name);
        let content = match content {
            Ok(content) => content,
            Err(why) => return self.clusters.not_seen.push(NotSeen { what, why }),
        };
        if content.is_partial {
            let why = "what is packed or encoded in it is more than is looked at".to_owned();
            self.clusters.not_seen.push(NotSeen { what, why });
        }
        let secret = self.secret(&content.namespace, &content.name);
        let cluster = format!("cluster.{}", self.name);
        for (key, found) in content.found {
            let mut remarks = vec![format!("data key {key}")];
            remarks.extend(
                content
                    .opened
                    .made_by
                    .as_ref()
                    .map(|by| format!("made by {by}")),
            );
            let sighting = Sighting {
                found,
                place: Place::live(&[&cluster, kind, &content.namespace, &content.name]),
                lies,
                remarks,
            };
            let of_secret = (lies == Lies::Secret).then(|| (secret.clone(), key));
            self.clusters.sightings.push((of_secret, sighting));
        }
        if lies == Lies::Secret {
            self.clusters.opened.insert(secret, content.opened);
        }
    }
}

/// Reads the keys of all accounts of these projects, and what is known of their use.
pub async fn projects(http: &Http, ids: &BTreeSet<ProjectId>, wanted: &Wanted) -> Projects {
    let mut all = Projects::default();
    let read = ids.iter().map(async |project| {
        let (keys, evidence) = tokio::join!(
            keys_of(http, project, wanted),
            evidence_of(http, project, wanted)
        );
        (project.clone(), keys, evidence)
    });
    for (project, (keys, accounts, not_seen), evidence) in join_all(read).await {
        all.not_seen.extend(not_seen);
        all.accounts.extend(accounts);
        for key in keys {
            all.keys
                .insert((key.email.clone(), key.key.id().to_owned()), key);
        }
        all.evidence.insert(project, evidence);
    }
    all
}

/// The accounts of a project, or those of them that are asked for.
async fn accounts_of(
    http: &Http,
    project: &ProjectId,
    wanted: &Wanted,
) -> Result<Vec<Email>, ApiError> {
    if let Some(only) = &wanted.only {
        let own = only.iter().filter(|(_, of)| *of == project);
        return Ok(own.map(|(email, _)| email.clone()).collect());
    }
    let listed: Vec<_> = iam::service_accounts(http, project).try_collect().await?;
    let emails = listed.iter().filter_map(|a| Email::parse(&a.email).ok());
    Ok(emails.collect())
}

async fn keys_of(
    http: &Http,
    project: &ProjectId,
    wanted: &Wanted,
) -> (Vec<LiveKey>, Vec<Email>, Vec<NotSeen>) {
    let emails = match accounts_of(http, project, wanted).await {
        Ok(emails) => emails,
        Err(e) => {
            let what = format!("the service accounts of project/{project}");
            let why = e.reason().into();
            return (Vec::new(), Vec::new(), vec![NotSeen { what, why }]);
        }
    };
    let read = emails.into_iter().map(async |email| {
        let keys = keys::user_managed(http, project, &email).await;
        (email, keys)
    });
    let (mut keys, mut accounts, mut not_seen) = (Vec::new(), Vec::new(), Vec::new());
    for (email, list) in join_all(read).await {
        match list {
            Ok(list) => {
                keys.extend(list.into_iter().map(|key| LiveKey {
                    email: email.clone(),
                    project: project.clone(),
                    key,
                    public_key: None,
                }));
                accounts.push(email);
            }
            // Deleted meanwhile.
            Err(e) if e.code == 404 => {}
            Err(e) => not_seen.push(NotSeen {
                what: format!("the keys of {email}"),
                why: e.reason().into(),
            }),
        }
    }
    (keys, accounts, not_seen)
}

async fn evidence_of(http: &Http, project: &ProjectId, wanted: &Wanted) -> Evidence {
    // Any call has told the servers' time by now, but for the very first.
    let now = now(http);
    let since = now - WINDOW;
    let not_asked = || Reason::from("it was not asked (--evidence)");
    let events = async {
        if !wanted.metrics {
            return Seen::Unknown(not_asked());
        }
        match evidence::key_events(http, project, since, now).await {
            Ok(events) => match &events.partial {
                Some(why) if events.by_key.is_empty() => Seen::Unknown(why.clone().into()),
                _ => Seen::Found(events),
            },
            Err(e) => Seen::Unknown(e.reason().within("Cloud Monitoring: ")),
        }
    };
    let activities = async {
        if !wanted.activity {
            return Seen::Unknown(not_asked());
        }
        match evidence::key_activities(http, project).await {
            Ok(found) => Seen::Found(found),
            Err(e) => Seen::Unknown(e.reason().within("the Activity Analyzer: ")),
        }
    };
    let (events, activities) = tokio::join!(events, activities);
    Evidence {
        events,
        activities,
        since,
    }
}

/// The time, by the servers' clock.
pub fn now(http: &Http) -> Timestamp {
    Timestamp::now() - http.clock_ahead().unwrap_or_default()
}

/// Asks for the public halves of the keys of these accounts, at most ten calls each: to tell which live
/// key a private one belongs to.
pub async fn public_keys(http: &Http, projects: &mut Projects, emails: &BTreeSet<Email>) {
    let wanted = projects
        .keys
        .iter()
        .filter(|((email, _), _)| emails.contains(email));
    let read = wanted.map(async |(name, live)| {
        let (email, id) = name;
        let key = keys::with_public_key(http, &live.project, email, id).await;
        (name.clone(), key)
    });
    for (name, key) in join_all(read).await {
        match key {
            Ok(key) => {
                let digest = wi_keys::public_key_digest(key.public_key_data.as_bytes());
                if let Some(live) = projects.keys.get_mut(&name) {
                    live.public_key = digest;
                }
            }
            Err(e) => projects.not_seen.push(NotSeen {
                what: format!("the public half of key {}/{}", name.0, name.1),
                why: e.reason().into(),
            }),
        }
    }
}

/// Asks the audit logs of the keys' projects who called with them.
pub async fn callers(http: &Http, projects: &mut Projects, names: &BTreeSet<(Email, String)>) {
    let from = now(http) - SignedDuration::from_hours(24);
    let wanted = names.iter().filter_map(|n| projects.keys.get(n));
    let read = wanted.map(async |live| {
        let found = evidence::key_callers(http, &live.project, &live.key.name, from).await;
        (live.key.name.clone(), found.map_err(|e| e.reason().into()))
    });
    let found: Vec<_> = join_all(read).await;
    projects.callers.extend(found);
}
