//! Specs as values: how they are written, and what they want of each pod.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

/// The permissions that matter of each role that is granted, on which resource: as the spec names it, and
/// as the oracle does.
pub const ROLES: [(&str, &str, &str, &[&str]); 14] = [
    (
        "roles/storage.objectViewer",
        BUCKET,
        BUCKET,
        &["objects.get", "objects.list"],
    ),
    (
        "roles/storage.objectUser",
        BUCKET,
        BUCKET,
        &["objects.get", "objects.list", "objects.create"],
    ),
    (
        "roles/storage.objectAdmin",
        BUCKET,
        BUCKET,
        &[
            "objects.get",
            "objects.list",
            "objects.create",
            "objects.setPolicy",
        ],
    ),
    (
        "roles/storage.objectCreator",
        BUCKET,
        BUCKET,
        &["objects.create"],
    ),
    ("roles/pubsub.publisher", PROJECT, PROJECT, &["publish"]),
    ("roles/logging.logWriter", PROJECT, PROJECT, &["log"]),
    (
        "roles/monitoring.metricWriter",
        PROJECT,
        PROJECT,
        &["metrics.write"],
    ),
    (
        "roles/monitoring.viewer",
        PROJECT,
        PROJECT,
        &["metrics.read"],
    ),
    (
        "roles/monitoring.editor",
        PROJECT,
        PROJECT,
        &["metrics.write", "metrics.read"],
    ),
    (
        "roles/secretmanager.secretAccessor",
        SECRET,
        SECRET_IN_FULL,
        &["access"],
    ),
    (
        "roles/bigquery.dataViewer",
        DATASET,
        DATASET_IN_FULL,
        &["read"],
    ),
    (
        "roles/bigquery.dataEditor",
        DATASET,
        DATASET_IN_FULL,
        &["read", "write"],
    ),
    ("roles/pubsub.publisher", TOPIC, TOPIC_IN_FULL, &["publish"]),
    (
        "roles/pubsub.editor",
        TOPIC,
        TOPIC_IN_FULL,
        &["publish", "configure"],
    ),
];
const BUCKET: &str = "bucket/receipts";
const PROJECT: &str = "project/acme-one";
const SECRET: &str = "secret/acme-one/key";
const DATASET: &str = "dataset/acme-one/sales";
const TOPIC: &str = "topic/acme-one/orders";
pub const SECRET_IN_FULL: &str = "//secretmanager.googleapis.com/projects/acme-one/secrets/key";
pub const DATASET_IN_FULL: &str = "//bigquery.googleapis.com/projects/acme-one/datasets/sales";
pub const TOPIC_IN_FULL: &str = "//pubsub.googleapis.com/projects/acme-one/topics/orders";

/// Title, expression and description of conditions, and what becomes of a grant under each: always, if an
/// expression holds that depends on more than the time, never. The first is none.
pub const CONDITIONS: [(&str, &str, &str, Holds); 7] = [
    ("", "", "", Holds::Always),
    (
        "until",
        "request.time < timestamp(\"2090-01-01T00:00:00Z\")",
        "",
        Holds::Always,
    ),
    (
        "until",
        "request.time < timestamp(\"2091-01-01T00:00:00Z\")",
        "",
        Holds::Always,
    ),
    (
        "until",
        "request.time < timestamp(\"2090-01-01T00:00:00Z\")",
        "said again",
        Holds::Always,
    ),
    ("hours", "request.time.getHours() < 18", "", Holds::Perhaps),
    ("hours", "request.time.getHours() < 19", "", Holds::Perhaps),
    (
        "past",
        "request.time < timestamp(\"2020-01-01T00:00:00Z\")",
        "",
        Holds::Never,
    ),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    Always,
    Perhaps,
    Never,
}

/// A permission on a resource, and the condition that it depends on.
pub type Ability = (String, String, Option<String>);
pub type Abilities = BTreeSet<Ability>;

/// What a role gives. A role that no spec grants is a permission of its own.
pub fn abilities_of(role: &str, resource: &str, only_if: Option<&str>) -> Abilities {
    let known = ROLES
        .iter()
        .find(|(r, _, in_full, _)| *r == role && *in_full == resource);
    let own = [role];
    let permissions = known.map_or(&own[..], |(_, _, _, permissions)| permissions);
    permissions
        .iter()
        .map(|p| {
            (
                (*p).to_owned(),
                resource.to_owned(),
                only_if.map(str::to_owned),
            )
        })
        .collect()
}

/// Whether it is among these, perhaps under fewer conditions.
pub fn has(all: &Abilities, (permission, resource, only_if): &Ability) -> bool {
    let with = |condition: Option<String>| {
        all.contains(&(permission.clone(), resource.clone(), condition))
    };
    with(None) || (only_if.is_some() && with(only_if.clone()))
}

/// By their places in [`ROLES`] and [`CONDITIONS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    pub role: usize,
    pub condition: usize,
}

impl Grant {
    fn to_json(self) -> Value {
        let (role, resource, ..) = ROLES[self.role];
        let mut grant = json!({"role": role, "resource": resource});
        if self.condition > 0 {
            let (title, expression, description, _) = CONDITIONS[self.condition];
            grant["condition"] = json!({"title": title, "expression": expression});
            if !description.is_empty() {
                grant["condition"]["description"] = json!(description);
            }
        }
        grant
    }

    fn abilities(self) -> Abilities {
        let (role, _, resource, _) = ROLES[self.role];
        let (_, expression, _, holds) = CONDITIONS[self.condition];
        match holds {
            Holds::Always => abilities_of(role, resource, None),
            Holds::Perhaps => abilities_of(role, resource, Some(expression)),
            Holds::Never => Abilities::new(),
        }
    }
}

pub fn abilities(grants: &[Grant]) -> Abilities {
    grants.iter().flat_map(|g| g.abilities()).collect()
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its address; what it begins with is its id.
    pub email: String,
    /// Named by its address alone: it is somebody else's.
    pub referred: bool,
    pub on_remove: Option<&'static str>,
    pub display_name: Option<&'static str>,
    pub grants: Vec<Grant>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acts {
    /// As this account, by its key.
    As(String),
    Direct(Vec<Grant>),
    Nothing,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ksa {
    /// Others make and annotate it.
    pub existing: bool,
    pub acts: Acts,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    All,
    /// By their numbers.
    Names(BTreeSet<usize>),
    /// Those with the label `env: prod`.
    Prod,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    pub clusters: Selector,
    pub ksas: BTreeMap<String, Ksa>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterRef {
    pub prod: bool,
    /// Node pool `p1` is left alone.
    pub excludes: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    pub name: String,
    pub clusters: BTreeMap<usize, ClusterRef>,
    pub accounts: BTreeMap<String, Account>,
    pub namespaces: BTreeMap<String, Namespace>,
    pub accepts: BTreeSet<String>,
}

/// Project and location of each cluster, which is called `c` and its number.
pub const CLUSTERS: [(&str, &str); 3] = [
    ("acme-one", "europe-west1"),
    ("acme-one", "us-central1"),
    ("acme-two", "europe-west1"),
];

impl Spec {
    pub fn to_json(&self) -> String {
        let list = |grants: &[Grant]| -> Value { grants.iter().map(|g| g.to_json()).collect() };
        let clusters: BTreeMap<String, Value> = self
            .clusters
            .iter()
            .map(|(c, of)| {
                let (project, location) = CLUSTERS[*c];
                let env = if of.prod { "prod" } else { "dev" };
                let mut value =
                    json!({"project": project, "location": location, "labels": {"env": env}});
                if of.excludes {
                    value["nodePools"] = json!({"exclude": ["p1"]});
                }
                (format!("c{c}"), value)
            })
            .collect();
        let accounts: BTreeMap<&String, Value> = self
            .accounts
            .iter()
            .map(|(key, of)| {
                let mut value = json!({"grants": list(&of.grants)});
                if of.referred {
                    value["email"] = json!(of.email);
                } else {
                    let id = of.email.split('@').next().expect("an id");
                    value["id"] = json!(id);
                    for (field, text) in
                        [("onRemove", of.on_remove), ("displayName", of.display_name)]
                    {
                        if let Some(text) = text {
                            value[field] = json!(text);
                        }
                    }
                }
                (key, value)
            })
            .collect();
        let namespaces: BTreeMap<&String, Value> = self
            .namespaces
            .iter()
            .map(|(key, of)| {
                let ksas: BTreeMap<&String, Value> = of
                    .ksas
                    .iter()
                    .map(|(name, ksa)| {
                        let mut value = match &ksa.acts {
                            Acts::As(account) => json!({"impersonates": account}),
                            Acts::Direct(grants) => json!({"grants": list(grants)}),
                            Acts::Nothing => json!({}),
                        };
                        if ksa.existing {
                            value["existing"] = json!(true);
                        }
                        (name, value)
                    })
                    .collect();
                let mut value = json!({"serviceAccounts": ksas});
                match &of.clusters {
                    Selector::All => {}
                    Selector::Names(names) => {
                        let names: Vec<String> = names.iter().map(|c| format!("c{c}")).collect();
                        value["clusters"] = json!(names);
                    }
                    Selector::Prod => value["clusters"] = json!({"env": "prod"}),
                }
                (key, value)
            })
            .collect();
        json!({
            "apiVersion": "wi/v1", "name": self.name, "project": "acme-one", "clusters": clusters,
            "googleServiceAccounts": accounts, "namespaces": namespaces, "acceptLoss": self.accepts,
        })
        .to_string()
    }

    /// Whether a namespace of it is on a cluster.
    pub fn selects(&self, cluster: usize, namespace: &str) -> bool {
        let Some(of) = self.clusters.get(&cluster) else {
            return false;
        };
        match self.namespaces.get(namespace).map(|n| &n.clusters) {
            None => false,
            Some(Selector::All) => true,
            Some(Selector::Names(names)) => names.contains(&cluster),
            Some(Selector::Prod) => of.prod,
        }
    }

    pub fn ksa(&self, namespace: &str, name: &str) -> Option<&Ksa> {
        self.namespaces.get(namespace)?.ksas.get(name)
    }

    /// What it wants pods of a service account to be able to do, wherever they are.
    pub fn wants(&self, namespace: &str, name: &str) -> Option<Abilities> {
        Some(match &self.ksa(namespace, name)?.acts {
            Acts::As(account) => abilities(&self.accounts[account].grants),
            Acts::Direct(grants) => abilities(grants),
            Acts::Nothing => Abilities::new(),
        })
    }

    /// The account that it names for a service account.
    pub fn account_of(&self, namespace: &str, name: &str) -> Option<&Account> {
        match &self.ksa(namespace, name)?.acts {
            Acts::As(account) => self.accounts.get(account),
            _ => None,
        }
    }

    /// The account of this address, if it is managed here.
    pub fn own(&self, email: &str) -> Option<&Account> {
        self.accounts
            .values()
            .find(|a| a.email == email && !a.referred)
    }

    pub fn ksas(&self) -> impl Iterator<Item = (&String, &String, &Ksa)> {
        self.namespaces
            .iter()
            .flat_map(|(ns, of)| of.ksas.iter().map(move |(name, ksa)| (ns, name, ksa)))
    }
}
