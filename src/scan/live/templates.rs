//! Where the keys of an account are, and the templates that lead to them: whole, as a decision about one takes it.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use serde_json::Value;
use wi_core::access;
use wi_core::desired::Desired;
use wi_core::live::templates::{TemplateSeen, Whole};
use wi_core::live::{ConfigMaps, Live as PlanLive, Seen};
use wi_core::migrate::templates::template;
use wi_core::migrate::{DataKey, rollout};
use wi_core::names::Email;
use wi_core::plan::bound;
use wi_core::spec::migration::{Migration, Until};
use wi_core::wire::workloads::{WORKLOAD_KINDS, WorkloadKind, history_of};

use super::{Live, SecretName, Workload, shadows, tell};

/// Where the keys of an account are.
#[derive(Debug)]
pub struct Places {
    /// Keys of Secrets' data.
    pub secrets: BTreeMap<SecretName, BTreeSet<String>>,
    /// Objects in which a key lies openly.
    pub open: BTreeSet<String>,
    /// The projects that the keys name.
    pub projects: BTreeSet<String>,
}

impl Places {
    /// Those of an account.
    pub fn of(live: &Live, email: &Email) -> Self {
        let mut places = Self {
            secrets: BTreeMap::new(),
            open: BTreeSet::new(),
            projects: BTreeSet::new(),
        };
        for (secret, sighting) in &live.clusters.sightings {
            let key = &sighting.found.key;
            if tell::account_of(key, &live.projects).as_ref() != Some(email) {
                continue;
            }
            places.projects.extend(key.project.clone());
            match secret {
                Some((name, data)) => {
                    let keys = places.secrets.entry(name.clone()).or_default();
                    keys.insert(data.clone());
                }
                None => _ = places.open.insert(sighting.place.to_string()),
            }
        }
        places
    }

    /// Whether one is there.
    pub fn has(&self, secret: &SecretName, key: Option<&String>) -> bool {
        let keys = self.secrets.get(secret);
        keys.is_some_and(|keys| key.is_none_or(|key| keys.contains(key)))
    }

    /// Those of a namespace, by the names of its Secrets.
    fn in_namespace(&self, cluster: &str, namespace: &str) -> BTreeSet<DataKey> {
        let here = self.secrets.iter();
        let here = here.filter(|(s, _)| s.cluster == cluster && s.namespace == namespace);
        here.flat_map(|(s, keys)| keys.iter().map(|k| (s.name.clone(), k.clone())))
            .collect()
    }
}

/// Workloads whose templates lead to a key of the account, or from which `wi` took one.
pub async fn of_account(
    live: &Live,
    planned: &PlanLive,
    desired: &Desired,
    email: &Email,
    migration: Option<&Migration>,
) -> Vec<TemplateSeen> {
    let places = Places::of(live, email);
    let clusters = &live.clusters;
    let users = clusters
        .users
        .iter()
        .filter(|u| !u.is_old && places.has(&u.secret, u.key.as_ref()));
    let objects: BTreeSet<(&str, &str)> = users
        .map(|u| (u.secret.cluster.as_str(), u.object.as_str()))
        .collect();
    let have_shadows = with_shadows(planned);
    let concerned = clusters.templates.iter().filter(|w| {
        let object = w.object();
        w.is_marked
            || objects.contains(&(w.cluster.as_str(), object.as_str()))
            || have_shadows.contains(&(w.cluster.clone(), object))
    });
    let asks = migration.is_some_and(|m| matches!(m.until, Until::Shadow | Until::Canary));
    let seen = concerned.map(async |w| {
        let seen = whole(live, planned, desired, &places, w).await;
        let around = match asks && w.kind == "Deployment" {
            true => Some(shadows::around(&live.kubes, planned, w).await),
            false => None,
        };
        TemplateSeen { around, ..seen }
    });
    join_all(seen).await
}

/// Deployments beside which a shadow stands, by cluster, as [`Workload::object`].
fn with_shadows(planned: &PlanLive) -> BTreeSet<(String, String)> {
    let all = planned.shadows.values().flatten().flatten();
    let named = all.filter_map(|shadow| {
        let (mark, namespace) = (shadow.mark()?, shadow.meta().namespace);
        let object = format!("Deployment {namespace}/{}", mark.name);
        Some((shadow.cluster.clone(), object))
    });
    named.collect()
}

/// A workload with all that is known beside its template.
pub async fn whole(
    live: &Live,
    planned: &PlanLive,
    desired: &Desired,
    places: &Places,
    workload: &Workload,
) -> TemplateSeen {
    let (cluster, namespace) = (&workload.cluster, &workload.namespace);
    let object = raw(live, workload).await;
    let kept_from = match &object {
        Ok(object) => kept_from(live, planned, workload, object).await,
        Err(_) => Ok(None),
    };
    let former = match &object {
        Ok(object) => former(live, workload, object).await,
        Err(_) => None,
    };
    let opened = live.clusters.opened.iter();
    let opened = opened.filter(|(s, _)| (&s.cluster, &s.namespace) == (cluster, namespace));
    let none = ConfigMaps::new();
    let config_maps = live.clusters.config_maps.get(cluster).unwrap_or(&none);
    let config_maps = config_maps.iter().filter(|((n, _), _)| n == namespace);
    let of_cluster = desired.clusters.get(cluster);
    let own_project = of_cluster.map(|c| c.path.project.to_string());
    let mut projects = places.projects.iter();
    TemplateSeen {
        cluster: cluster.clone(),
        namespace: namespace.clone(),
        kind: workload.kind,
        name: workload.name.clone(),
        object: object.map(Whole),
        former,
        keys: places.in_namespace(cluster, namespace),
        secrets: opened
            .map(|(s, opened)| (s.name.clone(), opened.data.clone()))
            .collect(),
        config_maps: config_maps.map(|(k, v)| (k.clone(), v.clone())).collect(),
        project: projects.find(|p| Some(*p) != own_project.as_ref()).cloned(),
        kept_from,
        around: None,
        mixed_nodes: bound::has_mixed_nodes(planned, cluster),
    }
}

fn kind_of(name: &str) -> Option<&'static WorkloadKind> {
    WORKLOAD_KINDS.iter().find(|k| k.kind == name)
}

/// The object as it is right now.
async fn raw(live: &Live, workload: &Workload) -> Result<Value, String> {
    let (kind, kube) = (kind_of(workload.kind), live.kubes.get(&workload.cluster));
    let (Some(kind), Some(kube)) = (kind, kube) else {
        return Err("it cannot be reached any more".to_owned());
    };
    let read = kube.get_workload_whole(kind, &workload.namespace, &workload.name);
    read.await.map_err(|e| e.reason().into())
}

/// Whether a NetworkPolicy keeps its pods from the metadata server.
async fn kept_from(
    live: &Live,
    planned: &PlanLive,
    workload: &Workload,
    object: &Value,
) -> Result<Option<String>, String> {
    let cluster = planned.clusters.get(&workload.cluster);
    let Some(cluster) = cluster.and_then(Seen::found) else {
        return Err("its cluster could not be read".to_owned());
    };
    if !cluster.enforces_network_policies() {
        return Ok(None);
    }
    let kube = live.kubes.get(&workload.cluster);
    let kube = kube.ok_or("its cluster cannot be reached any more")?;
    let policies = kube.list_network_policies(&workload.namespace).await;
    let policies = policies.map_err(|e| e.reason().to_string())?;
    let labels = &template(workload.kind, object)["metadata"]["labels"];
    let labels = serde_json::from_value(labels.clone()).unwrap_or_default();
    Ok(access::kept_from(cluster, &policies, &labels))
}

/// The ReplicaSet or ControllerRevision that its mark names.
async fn former(live: &Live, workload: &Workload, object: &Value) -> Option<Result<Whole, String>> {
    let mark = rollout::mark(object)?;
    let kube = live.kubes.get(&workload.cluster)?;
    let kind = history_of(workload.kind)?;
    let history = match kube.list_whole(kind, &workload.namespace).await {
        Ok(history) => history,
        Err(e) => return Some(Err(e.reason().into())),
    };
    let found = rollout::of_revision(object, &history, &mark.revision).cloned();
    let gone = || format!("there is no revision {} any more", mark.revision);
    Some(found.map(Whole).ok_or_else(gone))
}
