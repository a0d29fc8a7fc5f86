//! A world in which all was seen and nothing is wrong, for tests to change.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use wi_core::access::Facts;
use wi_core::desired::Desired;
use wi_core::findings::Finding;
use wi_core::live::Seen;
use wi_core::names::{ClusterPath, Email, ProjectId};
use wi_core::resource::Resource;
use wi_core::spec::{Source, load_sources};
use wi_core::wire::iam::RoleDefinition;
use wi_core::wire::policy::{Binding, Policy};

use crate::out::Out;
use crate::rule::Audited;
use crate::world::{Cluster, Live, World};

pub const SPEC: &str = "apiVersion: wi/v1
name: shop
project: acme-prod
clusters: { main: { location: europe-west1 } }
googleServiceAccounts:
  web: { id: webapp, grants: [{ role: roles/storage.objectViewer, resource: bucket/acme-b }] }
namespaces: { shop: { serviceAccounts: { web: { impersonates: web } } } }
";

/// The member of the Kubernetes service account shop/web.
pub const WEB: &str = "serviceAccount:acme-prod.svc.id.goog[shop/web]";
pub const WEB_ACCOUNT: &str = "serviceAccount:webapp@acme-prod.iam.gserviceaccount.com";
pub const NODES: &str = "nodes@acme-prod.iam.gserviceaccount.com";
pub const POOL: &str =
    "iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/acme-prod.svc.id.goog";

pub fn wire<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("as the server sends it")
}

pub fn email(name: &str) -> Email {
    Email::parse(&format!("{name}@acme-prod.iam.gserviceaccount.com")).expect("an email")
}

pub fn project() -> ProjectId {
    ProjectId::parse("acme-prod").expect("a project")
}

pub fn resource(name: &str) -> Resource {
    Resource::parse(name, Some(&project())).expect(name)
}

pub fn desired(spec: &str) -> Desired {
    let source = Source::new("wi.yaml".to_owned(), spec.to_owned());
    let spec = load_sources(vec![source]).unwrap_or_else(|e| panic!("{}", e.render(100, false)));
    Desired::of(&spec)
}

/// What these roles permit.
const ROLES: &[(&str, &[&str])] = &[
    (
        "roles/storage.objectViewer",
        &["storage.objects.get", "storage.objects.list"],
    ),
    (
        "roles/storage.admin",
        &["storage.objects.get", "storage.buckets.setIamPolicy"],
    ),
    (
        "roles/iam.workloadIdentityUser",
        &[
            "iam.serviceAccounts.getAccessToken",
            "iam.serviceAccounts.getOpenIdToken",
        ],
    ),
    (
        "roles/iam.serviceAccountTokenCreator",
        &[
            "iam.serviceAccounts.getAccessToken",
            "iam.serviceAccounts.signBlob",
        ],
    ),
    (
        "roles/iam.serviceAccountUser",
        &["iam.serviceAccounts.actAs"],
    ),
    (
        "roles/iam.serviceAccountKeyAdmin",
        &["iam.serviceAccountKeys.create"],
    ),
    (
        "roles/iam.serviceAccountAdmin",
        &["iam.serviceAccounts.setIamPolicy"],
    ),
    (
        "roles/resourcemanager.projectIamAdmin",
        &["resourcemanager.projects.setIamPolicy"],
    ),
    ("roles/run.developer", &["run.services.create"]),
    (
        "roles/container.developer",
        &[
            "container.serviceAccounts.createToken",
            "container.pods.create",
        ],
    ),
    (
        "roles/container.defaultNodeServiceAccount",
        &["monitoring.timeSeries.create"],
    ),
    ("roles/owner", &["resourcemanager.projects.setIamPolicy"]),
    (
        "roles/editor",
        &["iam.serviceAccounts.actAs", "compute.instances.create"],
    ),
    ("roles/viewer", &["storage.buckets.list"]),
];

pub fn policy(bindings: Value) -> Seen<Policy> {
    Seen::Found(wire(json!({ "bindings": bindings })))
}

pub fn world() -> World {
    let path = ClusterPath {
        project: project(),
        location: "europe-west1".to_owned(),
        name: "main".to_owned(),
    };
    let cluster = Cluster {
        path,
        declared: true,
        gke: Seen::Found(wire(json!({
            "name": "main", "location": "europe-west1", "status": "RUNNING",
            "workloadIdentityConfig": { "workloadPool": "acme-prod.svc.id.goog" },
            "nodePools": [{ "name": "general", "config": {
                "serviceAccount": NODES,
                "oauthScopes": ["https://www.googleapis.com/auth/cloud-platform"],
                "metadata": { "disable-legacy-endpoints": "true" },
                "workloadMetadataConfig": { "mode": "GKE_METADATA" } } }],
        }))),
        ksas: Seen::Found(BTreeMap::new()),
        all_namespaces: true,
        pods: Seen::Found(Vec::new()),
        nodes: Seen::Found(vec![wire(json!({ "name": "node-1", "labels": {
            "cloud.google.com/gke-nodepool": "general",
            "iam.gke.io/gke-metadata-server-enabled": "true" } }))]),
        config_maps: BTreeMap::new(),
    };
    let mut iam = Facts::default();
    let logged = json!([{ "service": "allServices", "auditLogConfigs": [
        { "logType": "ADMIN_READ" }, { "logType": "DATA_READ" }, { "logType": "DATA_WRITE" }] }]);
    let node = json!({ "role": "roles/container.defaultNodeServiceAccount", "members": [format!("serviceAccount:{NODES}")] });
    let of_project = json!({ "bindings": [node], "auditConfigs": logged });
    iam.policies
        .insert(resource("project/acme-prod"), Seen::Found(wire(of_project)));
    iam.policies.insert(
        resource("bucket/acme-b"),
        policy(json!([
        { "role": "roles/storage.objectViewer", "members": [WEB_ACCOUNT] }])),
    );
    iam.policies.insert(
        Resource::ServiceAccount(email("webapp")),
        policy(json!([
        { "role": "roles/iam.workloadIdentityUser", "members": [WEB] }])),
    );
    for name in ["folder/7", "organization/9"] {
        iam.policies.insert(resource(name), policy(json!([])));
    }
    for account in ["nodes", "other"] {
        let email = Resource::ServiceAccount(email(account));
        iam.policies.insert(email, policy(json!([])));
    }
    iam.homes
        .insert(resource("bucket/acme-b"), Seen::Found(project()));
    let above = vec![resource("folder/7"), resource("organization/9")];
    iam.ancestors.insert(project(), Seen::Found(above));
    iam.numbers.insert(project(), Seen::Found(42));
    for place in ["project/acme-prod", "folder/7", "organization/9"] {
        iam.denies.insert(resource(place), Seen::Found(Vec::new()));
        let set = resource(place).full_name();
        iam.boundaries.insert(set, Seen::Found(Vec::new()));
    }
    iam.boundaries
        .insert(format!("//{POOL}"), Seen::Found(Vec::new()));
    let mut accounts = BTreeMap::new();
    let mut keys = BTreeMap::new();
    for name in ["webapp", "nodes", "other"] {
        let account: wi_core::wire::iam::ServiceAccount = wire(json!({ "email": email(name) }));
        iam.accounts
            .insert(email(name), Seen::Found(account.clone()));
        accounts.insert(email(name), account);
        keys.insert(email(name), Seen::Found(Vec::new()));
    }
    let now = "2026-11-30T00:00:00Z".parse().ok();
    let mut world = World::of_spec(desired(SPEC), BTreeSet::new(), Vec::new(), now);
    world.live = Some(Live {
        clusters: BTreeMap::from([("main".to_owned(), cluster)]),
        more_clusters: BTreeMap::new(),
        iam,
        accounts: BTreeMap::from([(project(), Seen::Found(accounts))]),
        keys,
        drift: Some(Seen::Found(Vec::new())),
        unplanned: Vec::new(),
        unlisted: Vec::new(),
        searched: BTreeSet::from([resource("project/acme-prod")]),
        unsearched: BTreeMap::new(),
    });
    for (role, permissions) in ROLES {
        world.role(role, permissions);
    }
    world.ksa_there(
        "shop",
        "web",
        Some("webapp@acme-prod.iam.gserviceaccount.com"),
    );
    world.ksa_there("shop", "default", None);
    world.pod(json!({ "metadata": { "name": "web-1", "namespace": "shop" },
        "spec": { "serviceAccountName": "web", "nodeName": "node-1", "containers": [{ "name": "web" }] } }));
    world
}

/// The same world, all reads refused.
pub fn unseen() -> World {
    let mut world = world();
    let live = world.live.as_mut().expect("live");
    fn all<K: Ord + Clone, T>(map: &mut BTreeMap<K, Seen<T>>) {
        for value in map.values_mut() {
            *value = refused();
        }
    }
    for cluster in live.clusters.values_mut() {
        cluster.gke = refused();
        cluster.ksas = refused();
        cluster.pods = refused();
        cluster.nodes = refused();
    }
    all(&mut live.iam.policies);
    all(&mut live.iam.numbers);
    all(&mut live.iam.ancestors);
    all(&mut live.iam.accounts);
    all(&mut live.iam.roles);
    all(&mut live.accounts);
    all(&mut live.keys);
    live.drift = Some(refused());
    world
}

pub fn refused<T>() -> Seen<T> {
    Seen::Unknown("403 Forbidden".into())
}

impl World {
    pub fn there(&mut self) -> &mut Live {
        self.live.as_mut().expect("live")
    }

    pub fn main(&mut self) -> &mut Cluster {
        self.there().clusters.get_mut("main").expect("main")
    }

    pub fn of_gke(&mut self) -> &mut wi_core::wire::container::Cluster {
        match &mut self.main().gke {
            Seen::Found(gke) => gke,
            other => panic!("{other:?}"),
        }
    }

    pub fn general(&mut self) -> &mut wi_core::wire::container::NodePool {
        &mut self.of_gke().node_pools[0]
    }

    pub fn ksa_there(&mut self, namespace: &str, name: &str, account: Option<&str>) {
        let mut meta =
            json!({ "namespace": namespace, "name": name, "uid": format!("uid-{name}") });
        if let Some(account) = account {
            meta["annotations"] = json!({ "iam.gke.io/gcp-service-account": account });
        }
        let key = (namespace.to_owned(), name.to_owned());
        match &mut self.main().ksas {
            Seen::Found(ksas) => _ = ksas.insert(key, wire(meta)),
            other => panic!("{other:?}"),
        }
    }

    pub fn pod(&mut self, pod: Value) {
        match &mut self.main().pods {
            Seen::Found(pods) => pods.push(wire(pod)),
            other => panic!("{other:?}"),
        }
    }

    pub fn role(&mut self, role: &str, permissions: &[&str]) {
        let definition = RoleDefinition {
            name: role.to_owned(),
            stage: "GA".to_owned(),
            included_permissions: permissions.iter().map(|p| (*p).to_owned()).collect(),
            ..RoleDefinition::default()
        };
        self.there()
            .iam
            .roles
            .insert(role.to_owned(), Seen::Found(definition));
    }

    pub fn bind(&mut self, on: &str, role: &str, member: &str) {
        self.bind_if(on, role, member, None);
    }

    pub fn bind_if(&mut self, on: &str, role: &str, member: &str, condition: Option<&str>) {
        let mut binding = json!({ "role": role, "members": [member] });
        if let Some(expression) = condition {
            binding["condition"] = json!({ "title": "t", "expression": expression });
        }
        let binding: Binding = wire(binding);
        match self.there().iam.policies.get_mut(&resource(on)) {
            Some(Seen::Found(policy)) => policy.bindings.push(binding),
            other => panic!("{on}: {other:?}"),
        }
    }

    pub fn refuse(&mut self, on: &str) {
        self.there().iam.policies.insert(resource(on), refused());
    }
}

/// What a rule finds and cannot check.
pub fn ask(rule: &'static Audited, world: &World) -> (Vec<Finding>, usize) {
    let mut out = Out::new(&rule.rule);
    (rule.check)(world, &mut out);
    (out.findings, out.unchecked.len())
}

/// A world where a rule finds something, one where it just does not, and one where that cannot be told: then it is
/// neither a finding nor a pass.
#[track_caller]
pub fn three(
    rule: &'static Audited,
    fires: impl Fn(&mut World),
    just_not: impl Fn(&mut World),
    unseen: impl Fn(&mut World),
) {
    let asked = |change: &dyn Fn(&mut World)| {
        let mut world = world();
        change(&mut world);
        ask(rule, &world)
    };
    let (found, unchecked) = asked(&fires);
    assert!(
        !found.is_empty() && unchecked == 0,
        "it should fire: {found:#?}, {unchecked}"
    );
    let (found, unchecked) = asked(&just_not);
    assert!(
        found.is_empty() && unchecked == 0,
        "it should not: {found:#?}, {unchecked}"
    );
    let (found, unchecked) = asked(&unseen);
    assert!(
        found.is_empty() && unchecked > 0,
        "it cannot tell: {found:#?}, {unchecked}"
    );
}

/// As [`three`], of a rule that goes by the spec alone.
#[track_caller]
pub fn by_spec(rule: &'static Audited, fires: &str, just_not: &str) {
    for (spec, wanted) in [(fires, true), (just_not, false)] {
        let now = "2026-11-30T00:00:00Z".parse().ok();
        let world = World::of_spec(desired(spec), BTreeSet::new(), Vec::new(), now);
        let (found, unchecked) = ask(rule, &world);
        assert_eq!((!found.is_empty(), unchecked), (wanted, 0), "{found:#?}");
    }
}
