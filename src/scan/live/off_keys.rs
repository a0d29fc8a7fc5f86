//! Who has and uses the keys of accounts that are on their way off them: what a plan decides by, as values, read when
//! it is made and again before it is carried out.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use tracing::{Instrument, info_span};
use wi_client::google::{container, evidence};
use wi_client::http::Http;
use wi_client::kubernetes::Kube;
use wi_core::address::WorkloadKey;
use wi_core::desired::Desired;
use wi_core::live::keys::{Disabling, Holder, KeySeen, KeysOf, Last, SecretSeen};
use wi_core::live::{Live as PlanLive, to_connect};
use wi_core::migrate::keys::{AFTERGLOW, Look, to_look_at};
use wi_core::migrate::mark::Mark;
use wi_core::names::{Email, ProjectId};
use wi_core::spec::migration::Soak;
use wi_core::spec::model::AccountSpec;
use wi_core::wire::iam::ServiceAccountKey;
use wi_core::wire::workloads::{WORKLOAD_KINDS, history_of};

use super::{Live, ReadSecrets, SecretName, User, read, see, shadows, tell, templates};
use crate::scan::report::Sighting;

/// What `wi` calls itself in the audit logs, from its beginning on.
const OWN_AGENT: &str = "wi/";

/// Admin Activity logs are kept for so long.
const LOGS: SignedDuration = SignedDuration::from_hours(400 * 24);

/// Looks at what the migrations of `desired` need, and puts it into `live`. Clusters and files are looked at only where a
/// key is to end. `consent` is asked before a Secret is opened.
///
/// # Errors
/// What `consent` says.
pub async fn add<E>(
    http: &Http,
    desired: &Desired,
    live: &mut PlanLive,
    secrets: ReadSecrets,
    in_files: impl FnOnce() -> Vec<Sighting>,
    consent: impl FnOnce(&[read::Looked]) -> Result<(), E>,
) -> Result<(), E> {
    add_shadows(http, desired, live).await;
    let all = add_logs(http, desired, live, secrets).await;
    if !all.is_empty() {
        let looked = look(http, desired, live, &all, secrets, &in_files(), consent).await?;
        live.off_keys.extend(looked);
    }
    let mut looked_at = live.off_keys.values();
    if desired.changes_templates && !looked_at.any(|of| of.templates.is_some()) {
        live.half_way = half_way(http, desired, live).await;
    }
    Ok(())
}

/// Shadows, which no Secret has to be opened for. A whole spec may have left some behind, whether it has migrations by now or
/// not: one list by label for each cluster.
pub async fn add_shadows(http: &Http, desired: &Desired, live: &mut PlanLive) {
    let must = desired.changes_templates || !desired.migrations.is_empty();
    let may_be_left = desired.leftovers.is_some() && !desired.accounts.is_empty();
    if must || may_be_left {
        live.shadows = shadows::find(http, desired, live, must).await;
    }
}

/// Workloads whose template a run has begun to change: their mark is read without any Secret.
async fn half_way(
    http: &Http,
    desired: &Desired,
    live: &PlanLive,
) -> BTreeMap<String, Result<BTreeSet<WorkloadKey>, String>> {
    // Those that change in several writes.
    let kinds = WORKLOAD_KINDS.iter();
    let kinds: Vec<_> = kinds.filter(|k| history_of(k.kind).is_some()).collect();
    let kinds = kinds.as_slice();
    let each = desired.clusters.iter().map(async |(name, cluster)| {
        let there = live.clusters.get(name);
        let there = there.and_then(|seen| to_connect(cluster, seen));
        let read = async {
            let there = there.ok_or("the cluster was not read")?;
            let kube = Kube::connect(http, &there, &cluster.access).map_err(|e| e.to_string())?;
            let lists = kinds.iter().map(|kind| kube.list_workloads(kind));
            let mut keys = BTreeSet::new();
            for (kind, all) in kinds.iter().zip(join_all(lists).await) {
                let all = all.map_err(|e| e.reason().to_string())?;
                let begun = all.iter().map(|object| &object.metadata);
                let begun = begun.filter(|meta| Mark::of(meta).is_some_and(|m| m.way().is_some()));
                keys.extend(begun.filter_map(|meta| {
                    Some(WorkloadKey {
                        cluster: name.clone(),
                        namespace: meta.namespace.parse().ok()?,
                        kind: kind.kind.to_owned(),
                        name: meta.name.parse().ok()?,
                    })
                }));
            }
            Ok::<_, String>(keys)
        };
        let span = info_span!("cluster", name);
        (name.clone(), read.instrument(span).await)
    });
    join_all(each).await.into_iter().collect()
}

/// As [`add`], where no cluster is looked at; the accounts for which that has to be done.
pub async fn add_logs(
    http: &Http,
    desired: &Desired,
    live: &mut PlanLive,
    secrets: ReadSecrets,
) -> BTreeSet<String> {
    let opens = secrets != ReadSecrets::None;
    let wanted = to_look_at(desired, live, Some(read::now(http)), opens);
    let (logs, all): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|(_, l)| *l == Look::Logs);
    let logs = logs.into_iter().filter_map(|(name, _)| {
        let account = desired.accounts.get(&name)?;
        let keys = live.keys.get(&account.email)?.found()?;
        Some((name, account, keys))
    });
    let logs: Vec<_> = logs.collect();
    let now = read::now(http);
    let keys = logs.iter().flat_map(|(_, account, keys)| {
        let keys = keys.iter();
        keys.map(|key| (&account.project, key))
    });
    let disablings = disablings(http, disabled(keys), now).await;
    let of_logs = logs.into_iter().map(|(name, account, keys)| {
        let of = KeysOf {
            keys: keys.iter().map(|key| unasked(key, &disablings)).collect(),
            ..nothing(&account.email, &account.project, now)
        };
        (name, of)
    });
    let of_logs: Vec<_> = of_logs.collect();
    live.off_keys.extend(of_logs);
    all.into_iter().map(|(name, _)| name).collect()
}

fn nothing(email: &Email, project: &ProjectId, now: Timestamp) -> KeysOf {
    KeysOf {
        email: email.clone(),
        project: project.clone(),
        keys: Vec::new(),
        holders: BTreeSet::new(),
        files: BTreeSet::new(),
        secrets: Vec::new(),
        templates: None,
        unseen: BTreeSet::new(),
        outside: BTreeSet::new(),
        all_secrets: false,
        now,
    }
}

/// A key of which only is known who disabled it.
fn unasked(key: &ServiceAccountKey, disablings: &BTreeMap<String, Disabling>) -> KeySeen {
    let not_asked = || "it was not asked".to_owned();
    KeySeen {
        id: key.id().to_owned(),
        disabled: key.disabled,
        exposure: key.exposure(),
        made: key.valid_after_time.parse().ok(),
        events: Last::Unknown(not_asked()),
        activity: Last::Unknown(not_asked()),
        callers: Err(not_asked()),
        disabling: disabling(disablings, key.id()),
    }
}

fn disabling(disablings: &BTreeMap<String, Disabling>, id: &str) -> Disabling {
    let told = disablings.get(id).cloned();
    told.unwrap_or_else(|| Disabling::Unknown("it is enabled".to_owned()))
}

/// The ids of those of these keys that are disabled, by the project of each.
fn disabled<'a>(
    keys: impl Iterator<Item = (&'a ProjectId, &'a ServiceAccountKey)>,
) -> BTreeMap<ProjectId, BTreeSet<String>> {
    let mut ids: BTreeMap<ProjectId, BTreeSet<String>> = BTreeMap::new();
    for (project, key) in keys.filter(|(_, key)| key.disabled) {
        let of = ids.entry(project.clone()).or_default();
        of.insert(key.id().to_owned());
    }
    ids
}

/// Who disabled these keys: the logs of a project are read once for all of its accounts.
async fn disablings(
    http: &Http,
    ids: BTreeMap<ProjectId, BTreeSet<String>>,
    now: Timestamp,
) -> BTreeMap<String, Disabling> {
    let told = ids
        .into_iter()
        .map(async |(project, ids)| of_project(http, &project, &ids, now).await);
    join_all(told).await.into_iter().flatten().collect()
}

async fn of_project(
    http: &Http,
    project: &ProjectId,
    ids: &BTreeSet<String>,
    now: Timestamp,
) -> BTreeMap<String, Disabling> {
    let told = evidence::key_changes(http, project, ids, now - LOGS).await;
    let of = |id: &String| match &told {
        Err(e) => Disabling::Unknown(format!(
            "the audit logs of project/{project} could not be read: {}",
            e.reason()
        )),
        Ok(changes) => match changes.get(id) {
            Some(change) if change.disables => Disabling::At {
                at: change.at,
                by: change.by.clone(),
                by_wi: change.agent.starts_with(OWN_AGENT),
            },
            Some(_) => {
                Disabling::Unknown("the audit logs tell last that it was enabled".to_owned())
            }
            None => Disabling::Unknown("the audit logs do not tell of it".to_owned()),
        },
    };
    ids.iter().map(|id| (id.clone(), of(id))).collect()
}

/// Looks at all clusters of the spec, at the keys of these accounts, and at what is known of their use.
///
/// # Errors
/// What `consent` says.
async fn look<E>(
    http: &Http,
    desired: &Desired,
    planned: &PlanLive,
    names: &BTreeSet<String>,
    secrets: ReadSecrets,
    in_files: &[Sighting],
    consent: impl FnOnce(&[read::Looked]) -> Result<(), E>,
) -> Result<BTreeMap<String, KeysOf>, E> {
    let accounts = desired.accounts.iter().filter(|(n, _)| names.contains(*n));
    let of: BTreeMap<Email, ProjectId> = accounts
        .map(|(_, a)| (a.email.clone(), a.project.clone()))
        .collect();
    let ids: BTreeSet<ProjectId> = of.values().cloned().collect();
    // Use counts where a key is to end.
    let mut migrations = names.iter().filter_map(|name| desired.migrations.get(name));
    let ends = migrations.any(|m| m.until.ends_keys());
    let wanted = read::Wanted {
        secrets,
        custom: true,
        metrics: ends,
        activity: ends,
        logs: false,
        only: Some(of),
    };
    let live = see(http, Some(desired), &ids, &wanted, in_files, consent).await?;
    Ok(of_live(http, desired, planned, &live, names, secrets, in_files).await)
}

/// What was seen of these accounts, with what is asked of them beside: the clusters of their projects, and the audit
/// logs. `planned` has the clusters' own settings.
pub async fn of_live(
    http: &Http,
    desired: &Desired,
    planned: &PlanLive,
    live: &Live,
    names: &BTreeSet<String>,
    secrets: ReadSecrets,
    in_files: &[Sighting],
) -> BTreeMap<String, KeysOf> {
    let accounts = desired.accounts.iter().filter(|(n, _)| names.contains(*n));
    let accounts: Vec<_> = accounts.collect();
    let own: BTreeSet<&ProjectId> = accounts.iter().map(|(_, a)| &a.project).collect();
    let keys = live.projects.keys.iter().filter_map(|((email, _), key)| {
        let (_, account) = accounts.iter().find(|(_, a)| a.email == *email)?;
        Some((&account.project, &key.key))
    });
    let (outside, disablings) = tokio::join!(
        outside(http, desired, &own),
        disablings(http, disabled(keys), live.now)
    );
    let seen = accounts.into_iter().map(async |(name, account)| {
        let migration = desired.migrations.get(name);
        let ends = migration.is_some_and(|m| m.until.ends_keys());
        let soak = migration.map(|m| m.soak).unwrap_or_default();
        let soak = ends.then_some(soak);
        let (of, templates) = tokio::join!(
            of_account(http, live, account, soak, &disablings),
            templates::of_account(live, planned, desired, &account.email, migration)
        );
        let opens = secrets != ReadSecrets::None;
        let mut of = KeysOf {
            all_secrets: secrets == ReadSecrets::All,
            templates: opens.then_some(templates),
            files: files(live, &account.email, in_files),
            ..of
        };
        for (what, found) in &outside {
            match found {
                Ok(clusters) => of.outside.extend(clusters.iter().cloned()),
                Err(why) => _ = of.unseen.insert(format!("{what}: {why}")),
            }
        }
        (name.clone(), of)
    });
    join_all(seen).await.into_iter().collect()
}

/// Clusters that the spec does not mention, in the projects of its clusters and of the accounts; or why they are not
/// known. A key needs no workload pool: any cluster may have it.
async fn outside(
    http: &Http,
    desired: &Desired,
    own: &BTreeSet<&ProjectId>,
) -> Vec<(String, Result<BTreeSet<String>, String>)> {
    let of_clusters = desired.clusters.values().map(|c| &c.path.project);
    let projects: BTreeSet<&ProjectId> = of_clusters.chain(own.iter().copied()).collect();
    let listed = projects.into_iter().map(async |project| {
        let what = format!("the clusters of project/{project}");
        let list = match container::list_clusters(http, project).await {
            Ok(list) => list,
            Err(e) => return (what, Err(e.reason().to_string())),
        };
        if !list.missing_zones.is_empty() {
            let zones = list.missing_zones.join(", ");
            return (what, Err(format!("GKE did not hear from {zones}")));
        }
        let is_ours = |cluster: &&wi_core::wire::container::Cluster| {
            desired.clusters.values().any(|d| {
                d.path.project == *project
                    && d.path.name == cluster.name
                    && d.path.location == cluster.location
            })
        };
        let others = list.clusters.iter().filter(|c| !is_ours(c));
        let others = others.map(|c| format!("{project}/{}/{}", c.location, c.name));
        (what, Ok(others.collect()))
    });
    join_all(listed).await
}

async fn of_account(
    http: &Http,
    live: &Live,
    account: &AccountSpec,
    soak: Option<Soak>,
    disablings: &BTreeMap<String, Disabling>,
) -> KeysOf {
    let AccountSpec { email, project, .. } = account;
    let mut of = nothing(email, project, live.now);
    let not_seen = live.clusters.not_seen.iter().chain(&live.projects.not_seen);
    of.unseen
        .extend(not_seen.map(|n| format!("{}: {}", n.what, n.why)));
    of.unseen.extend(live.clusters.unopened.iter().map(|s| {
        format!(
            "Secret {}/{} of cluster.{} was not opened (--read-secrets referenced)",
            s.namespace, s.name, s.cluster
        )
    }));
    if !live.projects.accounts.contains(email) {
        of.unseen.insert(format!("the keys of {email}"));
    }
    place(live, email, &mut of);
    let own = live.projects.keys.iter().filter(|((e, _), _)| e == email);
    let keys = own.filter_map(|(name, key)| {
        let facts = live.judged.get(name)?.facts();
        Some((key, facts))
    });
    let keys = keys.map(async |(key, facts)| {
        let disabling = disabling(disablings, key.key.id());
        let callers = match soak {
            None => Err("it was not asked".to_owned()),
            Some(soak) => {
                let from = match &disabling {
                    Disabling::At { at, .. } => *at + AFTERGLOW,
                    Disabling::Unknown(_) => {
                        live.now - SignedDuration::try_from(soak.quiet).unwrap_or(read::WINDOW)
                    }
                };
                let callers = evidence::key_callers(http, project, &key.key.name, from).await;
                let callers = callers.map(|found| found.into_keys().collect());
                callers.map_err(|e| e.reason().to_string())
            }
        };
        KeySeen {
            id: key.key.id().to_owned(),
            disabled: key.key.disabled,
            exposure: key.key.exposure(),
            made: key.key.valid_after_time.parse().ok(),
            events: facts.events.clone(),
            activity: facts.activity.clone(),
            callers,
            disabling,
        }
    });
    of.keys = join_all(keys).await;
    of
}

/// Which keys of the account a sighting is: empty where that cannot be told; `None`: none that lives.
fn ids(live: &Live, email: &Email, key: &wi_keys::Key) -> Option<BTreeSet<String>> {
    if let Some(id) = tell::id_of(key, &live.projects) {
        return Some(BTreeSet::from([id]));
    }
    let mut own = live.projects.keys.iter().filter(|((e, _), _)| e == email);
    let is_told = key.public_key.is_some() && own.all(|(_, k)| k.public_key.is_some());
    (!is_told).then(BTreeSet::new)
}

/// Files that a key of the account lies in.
fn files(live: &Live, email: &Email, in_files: &[Sighting]) -> BTreeSet<Holder> {
    let own = in_files
        .iter()
        .filter(|s| tell::account_of(&s.found.key, &live.projects).as_ref() == Some(email));
    let files = own.filter_map(|sighting| {
        let keys = ids(live, email, &sighting.found.key)?;
        let what = sighting.place.to_string();
        Some(Holder { what, keys })
    });
    files.collect()
}

/// Where keys of the account are, and who has them.
fn place(live: &Live, email: &Email, of: &mut KeysOf) {
    let clusters = &live.clusters;
    let mut secrets: BTreeMap<&SecretName, BTreeMap<&str, Option<BTreeSet<String>>>> =
        BTreeMap::new();
    for (secret, sighting) in &clusters.sightings {
        let key = &sighting.found.key;
        if tell::account_of(key, &live.projects).as_ref() != Some(email) {
            continue;
        }
        let found = ids(live, email, key);
        match secret {
            Some((name, data)) => {
                let keys = secrets.entry(name).or_default();
                let known = keys.entry(data).or_insert_with(|| found.clone());
                // Two in one place: both, or any.
                *known = match (known.take(), found) {
                    (Some(a), Some(b)) if a.is_empty() || b.is_empty() => Some(BTreeSet::new()),
                    (Some(a), Some(b)) => Some(a.union(&b).cloned().collect()),
                    (a, b) => a.or(b),
                };
            }
            None => {
                if let Some(keys) = found {
                    let what = format!("it lies openly in {}", sighting.place);
                    of.holders.insert(Holder { what, keys });
                }
            }
        }
    }
    for (secret, data) in secrets {
        let has = |key: Option<&String>| {
            let of = data.iter().filter(|(d, _)| key.is_none_or(|k| k == *d));
            let of: Vec<&BTreeSet<String>> = of.filter_map(|(_, ids)| ids.as_ref()).collect();
            let any = of.iter().any(|ids| ids.is_empty());
            let all: BTreeSet<String> = of.iter().flat_map(|ids| ids.iter().cloned()).collect();
            (!of.is_empty()).then(|| if any { BTreeSet::new() } else { all })
        };
        let own = clusters.users.iter().filter(|u| u.secret == *secret);
        let (old, users): (Vec<&User>, Vec<&User>) = own.partition(|u| u.is_old);
        for user in &users {
            if let Some(keys) = has(user.key.as_ref()) {
                let what = in_words(user);
                of.holders.insert(Holder { what, keys });
            }
        }
        let pods = clusters.pod_users.iter().filter(|p| p.secret == *secret);
        let pods: Vec<_> = pods.collect();
        for pod in &pods {
            if let Some(keys) = has(pod.key.as_ref()) {
                let (kind, name) = &pod.workload;
                let what = format!(
                    "pod {}/{} in cluster.{}, of {kind} {name}",
                    secret.namespace, pod.pod, secret.cluster
                );
                of.holders.insert(Holder { what, keys });
            }
        }
        let Some(opened) = clusters.opened.get(secret) else {
            continue;
        };
        // A key that is dead has an id, too, as far as it says.
        let said = clusters.sightings.iter().filter_map(|(s, sighting)| {
            let (name, _) = s.as_ref()?;
            (name == secret)
                .then(|| sighting.found.key.id.clone())
                .flatten()
        });
        let is_any = data.values().flatten().any(BTreeSet::is_empty);
        let live_ids = data.values().flatten().flatten().cloned();
        let is_own = |d: &&String| data.contains_key(d.as_str()) && opened.whole_keys.contains(*d);
        of.secrets.push(SecretSeen {
            cluster: secret.cluster.clone(),
            namespace: secret.namespace.clone(),
            name: secret.name.clone(),
            uid: opened.uid.clone(),
            version: opened.version.clone(),
            keys: (!is_any).then(|| live_ids.chain(said).collect()),
            others: opened.data.iter().filter(|d| !is_own(d)).cloned().collect(),
            users: users
                .iter()
                .map(|u| in_words(u))
                .chain(
                    pods.iter()
                        .map(|p| format!("pod {}/{}", secret.namespace, p.pod)),
                )
                .collect(),
            revisions: old
                .iter()
                .map(|u| format!("{} in cluster.{}", u.object, secret.cluster))
                .collect(),
            made_by: opened.made_by.clone(),
        });
    }
}

fn in_words(user: &User) -> String {
    format!(
        "{} in cluster.{} ({}, Secret {})",
        user.object, user.secret.cluster, user.way, user.secret.name
    )
}
