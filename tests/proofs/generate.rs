//! Fleets: specs, and worlds that are half-migrated in every way.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use proptest::prelude::*;

/// An annotation that an earlier wi has left, beside what others have set: nobody has to be asked for it.
const BY_WI: &str = ", managedFields: [{ manager: wi, operation: Apply, apiVersion: v1, fieldsType: FieldsV1, fieldsV1: { \"f:metadata\": { \"f:annotations\": { \"f:iam.gke.io/gcp-service-account\": {} } } } }, { manager: kubectl, operation: Update, apiVersion: v1, fieldsType: FieldsV1, fieldsV1: { \"f:metadata\": { \"f:annotations\": { \"f:note\": {} }, \"f:labels\": { \"f:team\": {} } } } }]";

pub const PROJECTS: [&str; 2] = ["acme-one", "acme-two"];
pub const NAMESPACES: [&str; 2] = ["shop", "jobs"];
const GRANTS: [(&str, &str); 5] = [
    ("roles/cloudsql.client", "project/acme-one"),
    ("roles/pubsub.publisher", "project/acme-one"),
    ("roles/storage.objectViewer", "bucket/receipts"),
    ("roles/logging.logWriter", "project/acme-two"),
    ("roles/secretmanager.secretAccessor", SECRET),
];
const SECRET: &str = "secret/acme-one/key";
/// How IAM calls it.
pub const SECRET_IN_FULL: &str = "//secretmanager.googleapis.com/projects/acme-one/secrets/key";

/// A resource as the spec names it.
pub fn in_short(resource: &str) -> &str {
    if resource == SECRET_IN_FULL {
        SECRET
    } else {
        resource
    }
}

/// What every policy has of others beside members: a binding with a condition, and audit settings.
const OTHERS_BINDING: &str = "{ role: roles/browser, members: [\"group:audit@example.com\", \"deleted:user:ex@example.com?uid=12\"], condition: { title: office-hours, expression: \"request.time.getHours() < 18\" } }";
const OTHERS_AUDIT: &str =
    "auditConfigs: [{ service: allServices, auditLogConfigs: [{ logType: DATA_READ }] }]";

/// Which of [`GRANTS`], by bit.
pub type Mask = u8;

pub fn grants(mask: Mask) -> impl Iterator<Item = (&'static str, &'static str)> {
    GRANTS
        .into_iter()
        .enumerate()
        .filter(move |(i, _)| mask & (1 << i) != 0)
        .map(|(_, grant)| grant)
}

#[derive(Debug, Clone)]
pub struct Fleet {
    pub clusters: Vec<ClusterGen>,
    pub accounts: Vec<AccountGen>,
    pub ksas: Vec<KsaGen>,
    pub bystanders: Vec<Bystander>,
    pub node_grants: Mask,
    pub seconds: (u32, u32),
    pub slow_percent: u8,
}

#[derive(Debug, Clone)]
pub struct ClusterGen {
    pub project: usize,
    pub enabled: bool,
    pub pools: Vec<PoolGen>,
}

#[derive(Debug, Clone)]
pub struct PoolGen {
    pub moved: bool,
    pub nodes: u32,
    pub settings: usize,
    pub own_account: bool,
}

const SETTINGS: [&str; 4] = [
    "maxSurge: 1, maxUnavailable: 0",
    "maxSurge: 0, maxUnavailable: 1",
    "maxSurge: 2, maxUnavailable: 1",
    "strategy: BLUE_GREEN, blueGreen: { nodePoolSoakSeconds: 5 }",
];

#[derive(Debug, Clone)]
pub struct AccountGen {
    pub exists: bool,
    pub has: Mask,
    pub wants: Mask,
}

/// A Kubernetes service account of the spec, on all clusters.
#[derive(Debug, Clone)]
pub struct KsaGen {
    pub namespace: usize,
    /// Acts as this account, or has these roles itself.
    pub wants: Result<usize, Mask>,
    pub exists: bool,
    /// Annotated with this account before.
    pub annotated: Option<usize>,
    /// Bound to that account before.
    pub bound: bool,
    pub has: Mask,
    /// Where it has pods.
    pub pods: Vec<(usize, usize)>,
}

/// A workload that the spec does not know.
#[derive(Debug, Clone)]
pub struct Bystander {
    pub cluster: usize,
    pub pool: usize,
    pub kind: usize,
    pub accepted: bool,
}

pub fn fleet() -> impl Strategy<Value = Fleet> {
    let mostly = || prop::bool::weighted(0.75);
    let pool = (mostly(), 1..=3_u32, 0..SETTINGS.len(), any::<bool>()).prop_map(
        |(moved, nodes, settings, own_account)| PoolGen {
            moved,
            nodes,
            settings,
            own_account,
        },
    );
    let cluster = (
        0..PROJECTS.len(),
        mostly(),
        prop::collection::vec(pool, 1..=3),
    )
        .prop_map(|(project, enabled, pools)| ClusterGen {
            project,
            enabled,
            pools,
        });
    let account = (mostly(), 0..32_u8, 0..32_u8).prop_map(|(exists, has, wants)| AccountGen {
        exists,
        has,
        wants,
    });
    let ksa = (
        0..NAMESPACES.len(),
        prop_oneof![(0..3_usize).prop_map(Ok), (0..32_u8).prop_map(Err)],
        mostly(),
        prop::option::weighted(0.75, 0..3_usize),
        mostly(),
        0..32_u8,
        prop::collection::vec((0..3_usize, 0..3_usize), 1..=4),
    )
        .prop_map(
            |(namespace, wants, exists, annotated, bound, has, pods)| KsaGen {
                namespace,
                wants,
                exists,
                annotated,
                bound,
                has,
                pods,
            },
        );
    let bystander = (0..3_usize, 0..3_usize, 0..5_usize, any::<bool>()).prop_map(
        |(cluster, pool, kind, accepted)| Bystander {
            cluster,
            pool,
            kind,
            accepted,
        },
    );
    (
        prop::collection::vec(cluster, 1..=3),
        prop::collection::vec(account, 3),
        prop::collection::vec(ksa, 1..=4),
        prop::collection::vec(bystander, 0..=2),
        0..32_u8,
        (1..60_u32, 1..60_u32),
        0..50_u8,
    )
        .prop_map(
            |(clusters, accounts, ksas, bystanders, node_grants, seconds, slow_percent)| Fleet {
                clusters,
                accounts,
                ksas,
                bystanders,
                node_grants,
                seconds,
                slow_percent,
            },
        )
}

pub fn email(account: usize) -> String {
    format!("account{account}@acme-one.iam.gserviceaccount.com")
}

impl Fleet {
    pub fn spec(&self) -> String {
        let mut yaml =
            String::from("apiVersion: wi/v1\nname: fleet\nproject: acme-one\nclusters:\n");
        for (i, c) in self.clusters.iter().enumerate() {
            let _ = writeln!(
                yaml,
                "  c{i}: {{ project: {}, location: europe-west1 }}",
                PROJECTS[c.project]
            );
        }
        let list = |mask| {
            let each: Vec<String> = grants(mask)
                .map(|(role, resource)| format!("{{ role: {role}, resource: {resource} }}"))
                .collect();
            format!("[{}]", each.join(", "))
        };
        yaml.push_str("googleServiceAccounts:\n");
        for (i, account) in self.accounts.iter().enumerate() {
            let _ = writeln!(yaml, "  account{i}: {{ grants: {} }}", list(account.wants));
        }
        yaml.push_str("namespaces:\n");
        for (n, namespace) in NAMESPACES.iter().enumerate() {
            let _ = writeln!(yaml, "  {namespace}:\n    serviceAccounts:");
            let _ = writeln!(yaml, "      always: {{ impersonates: account0 }}");
            for (k, ksa) in self
                .ksas
                .iter()
                .enumerate()
                .filter(|(_, k)| k.namespace == n)
            {
                match ksa.wants {
                    Ok(account) => {
                        let _ =
                            writeln!(yaml, "      ksa{k}: {{ impersonates: account{account} }}");
                    }
                    Err(mask) => {
                        let _ = writeln!(yaml, "      ksa{k}: {{ grants: {} }}", list(mask));
                    }
                }
            }
        }
        let accepted: Vec<String> = (0..self.bystanders.len())
            .filter(|i| self.bystanders[*i].accepted)
            .map(|i| format!("other/Deployment/by{i}"))
            .collect();
        let _ = writeln!(yaml, "acceptLoss: [{}]", accepted.join(", "));
        yaml
    }

    pub fn world(&self) -> String {
        let mut of_resource: BTreeMap<&str, Vec<(&str, String)>> = BTreeMap::new();
        let mut grant = |mask, member: &str| {
            for (role, resource) in grants(mask) {
                of_resource
                    .entry(resource)
                    .or_default()
                    .push((role, member.to_owned()));
            }
        };
        let pools: BTreeSet<usize> = self
            .clusters
            .iter()
            .filter(|c| c.enabled)
            .map(|c| c.project)
            .collect();
        grant(
            self.node_grants,
            "serviceAccount:nodes@acme-one.iam.gserviceaccount.com",
        );
        grant(0b1010, "user:ann@example.com");
        for (i, account) in self.accounts.iter().enumerate().filter(|(_, a)| a.exists) {
            grant(account.has, &format!("serviceAccount:{}", email(i)));
        }
        let subject = |k: usize| format!("{}/ksa{k}", NAMESPACES[self.ksas[k].namespace]);
        for (k, ksa) in self.ksas.iter().enumerate() {
            for project in &pools {
                let member = format!(
                    "serviceAccount:{}.svc.id.goog[{}]",
                    PROJECTS[*project],
                    subject(k)
                );
                grant(ksa.has, &member);
            }
        }
        let policy = |resource: &str| {
            let each: Vec<String> = of_resource
                .get(resource)
                .into_iter()
                .flatten()
                .map(|(role, member)| format!("{{ role: {role}, members: [\"{member}\"] }}"))
                .collect();
            let each = [&each[..], &[OTHERS_BINDING.to_owned()]]
                .concat()
                .join(", ");
            // Those of buckets have no audit settings.
            let audit = if resource.starts_with("bucket/") {
                ""
            } else {
                OTHERS_AUDIT
            };
            format!("{{ bindings: [{each}], {audit} }}")
        };
        let mut yaml = format!(
            "apiVersion: wi.sandbox/v1\ntimeScale: 4000\noperationSeconds: {{ pending: 1, updateCluster: {}, nodeRecreate: {} }}\nfaults: [{{ percent: {}, latencyMs: 4 }}]\nprojects:\n",
            self.seconds.0, self.seconds.1, self.slow_percent
        );
        for (p, project) in PROJECTS.iter().enumerate() {
            let _ = writeln!(
                yaml,
                "  {project}:\n    policy: {}",
                policy(&format!("project/{project}"))
            );
            if p > 0 {
                continue;
            }
            yaml.push_str("    serviceAccounts:\n      nodes: {}\n");
            for (i, _) in self.accounts.iter().enumerate().filter(|(_, a)| a.exists) {
                let bound: Vec<String> = self
                    .ksas
                    .iter()
                    .enumerate()
                    .filter(|(_, k)| k.bound && k.annotated == Some(i))
                    .flat_map(|(k, _)| pools.iter().map(move |p| (k, *p)))
                    .map(|(k, p)| {
                        format!(
                            "\"serviceAccount:{}.svc.id.goog[{}]\"",
                            PROJECTS[p],
                            subject(k)
                        )
                    })
                    .collect();
                let _ = writeln!(
                    yaml,
                    "      account{i}: {{ policy: {{ bindings: [{{ role: roles/iam.workloadIdentityUser, members: [{}] }}, {OTHERS_BINDING}], {OTHERS_AUDIT} }} }}",
                    bound.join(", ")
                );
            }
        }
        let _ = writeln!(
            yaml,
            "buckets: {{ receipts: {{ project: acme-one, policy: {} }} }}",
            policy("bucket/receipts")
        );
        let _ = writeln!(
            yaml,
            "resources: {{ {SECRET_IN_FULL}: {{ policy: {} }} }}",
            policy(SECRET)
        );
        yaml.push_str("clusters:\n");
        for (c, cluster) in self.clusters.iter().enumerate() {
            self.write_cluster(c, cluster, &mut yaml);
        }
        yaml
    }

    fn write_cluster(&self, c: usize, cluster: &ClusterGen, yaml: &mut String) {
        let project = PROJECTS[cluster.project];
        let _ = writeln!(
            yaml,
            "  - project: {project}\n    location: europe-west1\n    name: c{c}"
        );
        yaml.push_str("    labels: { team: others }\n");
        if cluster.enabled {
            let _ = writeln!(yaml, "    workloadPool: {project}.svc.id.goog");
        }
        yaml.push_str("    nodePools:\n");
        for (p, pool) in cluster.pools.iter().enumerate() {
            let mode = if pool.moved && cluster.enabled {
                "GKE_METADATA"
            } else {
                "GCE_METADATA"
            };
            let account = if pool.own_account {
                "nodes@acme-one.iam.gserviceaccount.com"
            } else {
                "default"
            };
            let _ = writeln!(
                yaml,
                "      - {{ name: p{p}, nodes: {}, workloadMetadata: {mode}, serviceAccount: {account}, {} }}",
                pool.nodes, SETTINGS[pool.settings]
            );
        }
        yaml.push_str("    namespaces:\n      other: { labels: { team: others }, annotations: { note: keep }, serviceAccounts: { ann: { annotations: { iam.gke.io/gcp-service-account: nodes@acme-one.iam.gserviceaccount.com } } } }\n");
        for (n, namespace) in NAMESPACES.iter().enumerate() {
            let there: Vec<(usize, &KsaGen)> = self
                .ksas
                .iter()
                .enumerate()
                .filter(|(_, k)| k.namespace == n && k.exists)
                .collect();
            if there.is_empty() {
                continue;
            }
            let _ = writeln!(
                yaml,
                "      {namespace}:\n        labels: {{ team: others }}\n        serviceAccounts:\n          theirs: {{ annotations: {{ iam.gke.io/gcp-service-account: nodes@acme-one.iam.gserviceaccount.com }} }}"
            );
            for (k, ksa) in there {
                let (annotation, managers) = match ksa.annotated {
                    Some(a) => (
                        format!("note: keep, iam.gke.io/gcp-service-account: {}", email(a)),
                        BY_WI,
                    ),
                    None => ("note: keep".to_owned(), ""),
                };
                let _ = writeln!(
                    yaml,
                    "          ksa{k}: {{ labels: {{ team: others }}, annotations: {{ {annotation} }}{managers} }}"
                );
            }
        }
        yaml.push_str("    pods:\n");
        let mut any = false;
        for (k, ksa) in self.ksas.iter().enumerate().filter(|(_, k)| k.exists) {
            let here = |at: usize| at % self.clusters.len() == c;
            for (i, (_, pool)) in ksa.pods.iter().enumerate().filter(|(_, p)| here(p.0)) {
                let pool = pool % cluster.pools.len();
                any = true;
                let _ = writeln!(
                    yaml,
                    "      - {{ name: w{k}-{i}, namespace: {}, serviceAccountName: ksa{k}, owner: {{ kind: ReplicaSet, name: w{k}-p{pool} }}, nodeSelector: {{ cloud.google.com/gke-nodepool: p{pool} }} }}",
                    NAMESPACES[ksa.namespace]
                );
            }
        }
        for (b, by) in self.bystanders.iter().enumerate() {
            if by.cluster % self.clusters.len() != c {
                continue;
            }
            any = true;
            let extra = match by.kind {
                1 => ", hostNetwork: true",
                2 => ", serviceAccountName: ann",
                3 => {
                    ", containers: [{ name: c, env: [{ name: GOOGLE_APPLICATION_CREDENTIALS, value: /keys/key.json }], volumeMounts: [{ name: keys, mountPath: /keys }] }], volumes: [{ name: keys, secret: { secretName: key } }]"
                }
                _ => "",
            };
            let _ = writeln!(
                yaml,
                "      - {{ name: by{b}, namespace: other, owner: {{ kind: ReplicaSet, name: by{b}-66d9c }}, nodeSelector: {{ cloud.google.com/gke-nodepool: p{} }}{extra} }}",
                by.pool % cluster.pools.len()
            );
        }
        if !any {
            yaml.push_str("      []\n");
        }
    }
}
