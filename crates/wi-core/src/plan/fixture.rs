//! Plans on values: a spec, and a live state that was read as a whole, built up by the test.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Options, Plan, plan};
use crate::desired::{Desired, GSA_ANNOTATION};
use crate::live::{Live, Objects, Seen, Template, Workloads};
use crate::names::Email;
use crate::resource::Resource;
use crate::spec::{Source, load_sources};
use crate::wire::container::{Cluster, NodePool};
use crate::wire::kubernetes::ObjectMeta;
use crate::wire::policy::Policy;

/// The start of a spec on one cluster, `main`.
pub(crate) const HEAD: &str = "apiVersion: wi/v1\nname: shop\nproject: acme-prod\nclusters: { main: { location: europe-west1 } }\n";

/// What a server would have sent, as the type that is read from it.
pub(crate) fn wire<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("as the server sends it")
}

/// A spec beside what is there: at first clusters with the workload pool and nothing in them.
pub(crate) struct Case {
    pub desired: Desired,
    pub live: Live,
    pub options: Options,
}

impl Case {
    /// Everything that the spec touches was read, and is empty.
    pub fn of(spec: &str) -> Self {
        let desired = desired(spec);
        let mut live = Live::default();
        for (name, cluster) in &desired.clusters {
            let project = &cluster.path.project;
            let found: Cluster = wire(json!({
                "id": name, "name": name, "location": cluster.path.location, "status": "RUNNING",
                "workloadIdentityConfig": { "workloadPool": project.workload_pool() },
            }));
            live.clusters.insert(name.clone(), Seen::Found(found));
            let objects = Seen::Found(Objects::default());
            live.kubernetes.insert(name.clone(), objects);
            live.numbers.insert(project.clone(), Seen::Found(123));
            let policy = Seen::Found(Policy::default());
            live.policies
                .insert(Resource::Project(project.clone()), policy);
        }
        for account in desired.accounts.values() {
            let accounts = Seen::Found(BTreeMap::new());
            live.accounts.insert(account.project.clone(), accounts);
        }
        for key in desired.bindings.keys() {
            let managed = |email: &Email| desired.manages(email);
            if !matches!(&key.resource, Resource::ServiceAccount(email) if managed(email)) {
                let policy = Seen::Found(Policy::default());
                live.policies.insert(key.resource.clone(), policy);
            }
        }
        Self {
            desired,
            live,
            options: Options::default(),
        }
    }

    /// The same world under another spec.
    pub fn under(mut self, spec: &str) -> Self {
        self.desired = desired(spec);
        self
    }

    pub fn plan(&self) -> Plan {
        plan(&self.desired, &self.live, &self.options)
    }

    fn objects(&mut self, cluster: &str) -> &mut Objects {
        match self.live.kubernetes.get_mut(cluster) {
            Some(Seen::Found(objects)) => objects,
            other => panic!("{cluster}: {other:?}"),
        }
    }

    /// Pods and nodes of a cluster, which count as read from now on.
    pub fn workloads(&mut self, cluster: &str) -> &mut Workloads {
        let read = &mut self.objects(cluster).workloads;
        match read.get_or_insert_with(|| Ok(Workloads::default())) {
            Ok(workloads) => workloads,
            Err(why) => panic!("{cluster}: {why}"),
        }
    }

    /// The pods of a cluster could not be listed.
    pub fn pods_unread(&mut self, cluster: &str) {
        self.objects(cluster).workloads = Some(Err("pods is forbidden".into()));
    }

    /// A node pool with a node of its name, whose metadata server is of this `mode`.
    pub fn node_pool(&mut self, cluster: &str, name: &str, mode: &str, more: Value) {
        let mut pool: NodePool = wire(more);
        pool.name = name.to_owned();
        pool.status = "RUNNING".to_owned();
        mode.clone_into(&mut pool.config.workload_metadata_config.mode);
        if pool.config.service_account.is_empty() {
            pool.config.service_account = format!("nodes@{PROJECT}.iam.gserviceaccount.com");
        }
        match self.live.clusters.get_mut(cluster) {
            Some(Seen::Found(found)) => found.node_pools.push(pool),
            other => panic!("{cluster}: {other:?}"),
        }
        let workloads = self.workloads(cluster);
        workloads
            .pool_of_node
            .insert(name.to_owned(), name.to_owned());
    }

    /// A Kubernetes service account, and its namespace.
    pub fn ksa(&mut self, cluster: &str, namespace: &str, name: &str, annotations: Value) {
        let managers = json!([{ "manager": "wi", "operation": "Apply", "fieldsV1": { "f:metadata": {
            "f:annotations": annotations.as_object().expect("a map").keys()
                .map(|key| (format!("f:{key}"), json!({}))).collect::<BTreeMap<_, _>>(),
        } } }]);
        let meta: ObjectMeta = wire(json!({
            "name": name, "namespace": namespace, "uid": format!("uid-of-{name}"),
            "annotations": annotations, "managedFields": managers,
        }));
        let space: ObjectMeta = wire(json!({ "name": namespace, "uid": "1" }));
        let objects = self.objects(cluster);
        objects.namespaces.insert(namespace.to_owned(), space);
        let key = (namespace.to_owned(), name.to_owned());
        objects.service_accounts.insert(key, meta);
    }

    /// A pod of a workload on a node, which has its node pool's name.
    pub fn pod(&mut self, cluster: &str, workload: [&str; 3], ksa: &str, node: &str, spec: Value) {
        let [namespace, kind, name] = workload;
        let mut pod = json!({
            "metadata": { "name": format!("{name}-0"), "namespace": namespace,
                "ownerReferences": [{ "kind": kind, "name": name, "controller": true }] },
            "spec": spec, "status": { "phase": "Running" },
        });
        pod["spec"]["serviceAccountName"] = ksa.into();
        pod["spec"]["nodeName"] = node.into();
        self.workloads(cluster).pods.push(wire(pod));
    }

    /// What makes such pods.
    pub fn template(&mut self, cluster: &str, workload: [&str; 3], ksa: &str, spec: Value) {
        let [namespace, kind, name] = workload;
        let mut spec = spec;
        spec["serviceAccountName"] = ksa.into();
        self.workloads(cluster).templates.push(Template {
            kind: kind.to_owned(),
            metadata: wire(json!({ "name": name, "namespace": namespace })),
            pod_metadata: ObjectMeta::default(),
            pod: wire(spec),
        });
    }

    /// A Google service account of the project, with an empty policy.
    pub fn account(&mut self, name: &str, more: Value) {
        let email = email(name);
        let mut account = more;
        account["email"] = email.as_str().into();
        let project = email.project().expect("a project");
        let accounts = self.live.accounts.entry(project);
        match accounts.or_insert_with(|| Seen::Found(BTreeMap::new())) {
            Seen::Found(accounts) => accounts.insert(email.clone(), wire(account)),
            other => panic!("{other:?}"),
        };
        let policies = self.live.policies.entry(Resource::ServiceAccount(email));
        policies.or_insert_with(|| Seen::Found(Policy::default()));
    }

    /// A member of a role on a resource (`project/acme-prod`).
    pub fn grant(&mut self, resource: &str, role: &str, member: &str) {
        let resource = Resource::parse(resource, None).expect("a resource");
        let policy = self.live.policies.entry(resource);
        match policy.or_insert_with(|| Seen::Found(Policy::default())) {
            Seen::Found(policy) => policy
                .bindings
                .push(wire(json!({ "role": role, "members": [member] }))),
            other => panic!("{other:?}"),
        }
    }
}

const PROJECT: &str = "acme-prod";

/// `NAME@acme-prod.iam.gserviceaccount.com`.
pub(crate) fn email(name: &str) -> Email {
    Email::parse(&format!("{name}@{PROJECT}.iam.gserviceaccount.com")).expect("an email")
}

/// Annotations of an account that this spec has marked; `adopted` where it was there before.
pub(crate) fn marked(account: Option<&str>, adopted: bool) -> Value {
    let mut annotations = json!({ "wi/owner": "shop" });
    if let Some(account) = account {
        annotations[GSA_ANNOTATION] = email(account).as_str().into();
    }
    if adopted {
        annotations["wi/adopted"] = "true".into();
    }
    annotations
}

fn desired(spec: &str) -> Desired {
    let source = Source::new("wi.yaml".to_owned(), spec.to_owned());
    Desired::of(&load_sources(vec![source]).expect("a valid spec"))
}
