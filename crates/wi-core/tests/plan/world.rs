//! A live state from data.
//!
//! It is JSON: what servers answer, by name. A text in place of an answer says that it could not be
//! read, and why; `"absent"` that the server says that it is not there. Whatever is not in it was not asked for.
//!
//! ```text
//! clusters:    NAME: GKE's cluster, its `nodePools` by name
//! accounts:    PROJECT: { ID: IAM's service account }
//! keys:        EMAIL: [IAM's key]
//! others:      EMAIL: IAM's service account
//! policies:    RESOURCE: { ROLE: [MEMBER] }, or the policy as it is answered; `background` alike
//! kubernetes:  CLUSTER: { KIND: { NAMESPACE/NAME: the object } }; a text for Pod: pods could not be read
//! outside:     PATH: { NAMESPACE/NAME: a Kubernetes service account }
//! numbers, uniform, roles, ancestors, default_accounts, unlisted
//! found_by_search: [RESOURCE]
//! ```

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use wi_core::live::{Live, Objects, Outside, Seen, Template, Unlisted, Workloads};
use wi_core::names::{ClusterPath, Email, ProjectId, Role};
use wi_core::reason::Reason;
use wi_core::resource::Resource;
use wi_core::wire::container::Cluster;
use wi_core::wire::kubernetes::ObjectMeta;
use wi_core::wire::policy::Policy;
use wi_core::wire::workloads::WORKLOAD_KINDS;

fn wire<T: DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap_or_else(|e| panic!("{e}: {value:#}"))
}

fn seen<T>(value: &Value, read: impl FnOnce(&Value) -> T) -> Seen<T> {
    match value {
        Value::String(why) if why == "absent" => Seen::Absent,
        Value::String(why) => Seen::Unknown(why.clone().into()),
        value => Seen::Found(read(value)),
    }
}

fn entries<'a>(
    of: &'a Value,
    name: &str,
) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
    of.get(name)
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
}

fn resource(text: &str) -> Resource {
    Resource::parse(text, None).unwrap_or_else(|e| panic!("{text}: {e:?}"))
}

fn project(text: &str) -> ProjectId {
    ProjectId::parse(text).expect("a project")
}

fn email(text: &str) -> Email {
    Email::parse(text).expect("an email")
}

/// A list whose entries are given by name.
fn named(list: &Value) -> Value {
    let named = list.as_object().into_iter().flatten().map(|(name, value)| {
        let mut value = value.clone();
        value["name"] = json!(name);
        value
    });
    named.collect()
}

fn policy(value: &Value) -> Policy {
    if value.get("bindings").is_some() {
        return wire(value);
    }
    let roles = value.as_object().expect("roles").iter();
    let bindings: Vec<Value> = roles
        .map(|(role, members)| json!({ "role": role, "members": members }))
        .collect();
    wire(&json!({ "bindings": bindings }))
}

fn metadata(key: &str, object: &Value) -> ObjectMeta {
    let mut metadata = match object.get("metadata") {
        Some(metadata) => metadata.clone(),
        None => json!({}),
    };
    let (namespace, name) = key.split_once('/').unwrap_or(("", key));
    metadata["namespace"] = json!(namespace);
    metadata["name"] = json!(name);
    wire(&metadata)
}

fn objects(of: &Value) -> Objects {
    let metas = |kind: &str| -> Vec<ObjectMeta> {
        entries(of, kind)
            .map(|(key, object)| metadata(key, object))
            .collect()
    };
    let accounts = metas("ServiceAccount").into_iter();
    Objects {
        namespaces: metas("Namespace")
            .into_iter()
            .map(|m| (m.name.clone(), m))
            .collect(),
        service_accounts: accounts
            .map(|m| ((m.namespace.clone(), m.name.clone()), m))
            .collect(),
        workloads: workloads(of),
        ..Objects::default()
    }
}

/// Without pods and nodes in the data there are none; `"Pod": false`: they were not listed.
fn workloads(of: &Value) -> Option<Result<Workloads, Reason>> {
    if of.get("Pod") == Some(&Value::Bool(false)) {
        return None;
    }
    if let Some(Value::String(why)) = of.get("Pod") {
        return Some(Err(why.clone().into()));
    }
    let mut all = Workloads::default();
    for (key, object) in entries(of, "Pod") {
        let mut pod: wi_core::wire::pods::Pod = wire(object);
        pod.metadata = metadata(key, object);
        all.pods.push(pod);
    }
    for (name, object) in entries(of, "Node") {
        let labels = metadata(name, object).labels;
        let pool = labels["cloud.google.com/gke-nodepool"].clone();
        let of_pool = all.labels_of_pool.entry(pool.clone()).or_default();
        for (key, value) in labels {
            of_pool.entry(key).or_default().insert(value);
        }
        all.pool_of_node.insert(name.clone(), pool);
    }
    match of.get("PodDisruptionBudget") {
        Some(Value::String(why)) => all.budgets_unseen = Some(why.clone()),
        _ => {
            for (key, object) in entries(of, "PodDisruptionBudget") {
                let mut budget: wi_core::wire::budgets::Budget = wire(object);
                budget.metadata = metadata(key, object);
                all.budgets.push(budget);
            }
        }
    }
    for kind in WORKLOAD_KINDS {
        if let Some(Value::String(why)) = of.get(kind.kind) {
            all.templates_unseen
                .insert(kind.plural.to_owned(), why.clone().into());
        }
        for (key, object) in entries(of, kind.kind) {
            let mut object: wi_core::wire::workloads::WorkloadObject = wire(object);
            object.metadata = metadata(key, &of[kind.kind][key]);
            all.templates.extend(Template::of(kind.kind, object));
        }
    }
    for (key, object) in entries(of, "ConfigMap") {
        let (namespace, name) = key.split_once('/').expect("NAMESPACE/NAME");
        let data = seen(object, |object| wire(&object["data"]));
        all.config_maps
            .insert((namespace.to_owned(), name.to_owned()), data);
    }
    Some(Ok(all))
}

fn path(text: &str) -> ClusterPath {
    let parts: Vec<&str> = text.split('/').collect();
    ClusterPath {
        project: project(parts[1]),
        location: parts[3].to_owned(),
        name: parts[5].to_owned(),
    }
}

/// The live state that the data tells of.
pub fn live(world: &Value) -> Live {
    let known = [
        "clusters",
        "accounts",
        "others",
        "keys",
        "policies",
        "background",
        "kubernetes",
        "numbers",
        "uniform",
        "roles",
        "ancestors",
        "default_accounts",
        "outside",
        "unlisted",
        "found_by_search",
    ];
    let unknown: Vec<&String> = world.as_object().expect("a world").keys().collect();
    assert!(
        unknown.iter().all(|k| known.contains(&k.as_str())),
        "{unknown:?}"
    );
    let mut live = Live::default();
    for (name, value) in entries(world, "clusters") {
        let cluster = seen(value, |value| {
            let mut value = value.clone();
            value["nodePools"] = named(&value["nodePools"]);
            wire(&value)
        });
        live.clusters.insert(name.clone(), cluster);
    }
    for (of, value) in entries(world, "keys") {
        live.keys.insert(email(of), seen(value, wire));
    }
    for (of, value) in entries(world, "accounts") {
        let listed = seen(value, |value| {
            let accounts = value
                .as_object()
                .into_iter()
                .flatten()
                .map(|(id, account)| {
                    let address = project(of).service_account(id);
                    let mut account: Map<String, Value> = wire(account);
                    account.insert("email".to_owned(), json!(address.as_str()));
                    (address, wire(&Value::Object(account)))
                });
            accounts.collect()
        });
        live.accounts.insert(project(of), listed);
    }
    for (address, value) in entries(world, "others") {
        live.accounts_of_others
            .insert(email(address), seen(value, wire));
    }
    for (text, value) in entries(world, "policies") {
        live.policies.insert(resource(text), seen(value, policy));
    }
    for (text, value) in entries(world, "background") {
        live.background.insert(resource(text), seen(value, policy));
    }
    for (name, value) in entries(world, "kubernetes") {
        live.kubernetes.insert(name.clone(), seen(value, objects));
    }
    for (of, value) in entries(world, "numbers") {
        live.numbers.insert(project(of), seen(value, wire));
    }
    for (bucket, value) in entries(world, "uniform") {
        live.uniform_access
            .insert(bucket.clone(), seen(value, wire));
    }
    for (role, value) in entries(world, "roles") {
        live.roles
            .insert(Role::parse(role).expect("a role"), seen(value, wire));
    }
    for (of, value) in entries(world, "ancestors") {
        let above: Vec<String> = wire(value);
        let above = above.iter().map(|text| resource(text));
        live.ancestors.insert(project(of), above.collect());
    }
    for (of, value) in entries(world, "default_accounts") {
        live.default_accounts
            .insert(project(of), email(value.as_str().expect("an email")));
    }
    let found = world["found_by_search"].as_array().into_iter().flatten();
    live.found_by_search = found
        .map(|r| resource(r.as_str().expect("a resource")))
        .collect();
    for (of, value) in entries(world, "outside") {
        let service_accounts = seen(value, |value| {
            let accounts = value.as_object().into_iter().flatten();
            accounts
                .map(|(key, object)| metadata(key, object))
                .collect()
        });
        live.outside.push(Outside {
            path: path(of),
            service_accounts,
            cluster: Cluster::default(),
        });
    }
    let unlisted: BTreeMap<String, String> = match world.get("unlisted") {
        Some(unlisted) => wire(unlisted),
        None => BTreeMap::new(),
    };
    for (of, why) in unlisted {
        let of = match of.split_once('/').expect("project/ID or folder/NUMBER") {
            ("project", id) => Unlisted::ClustersOf(project(id)),
            (_, number) => Unlisted::ProjectsOf(number.to_owned()),
        };
        live.unlisted.insert(of, why.into());
    }
    live
}
