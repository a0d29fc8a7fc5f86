//! Before the first write: may the caller do all that the plan takes? What is missing is told at
//! once, instead of half-way.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use tracing::{Instrument, info_span};
use wi_client::google::policies;
use wi_client::http::Http;
use wi_client::kubernetes::Kube;
use wi_core::desired::Desired;
use wi_core::live::{Live, to_connect};
use wi_core::names::ProjectId;
use wi_core::plan::{Edit, Permission, Plan};
use wi_core::resource::Resource;

/// A permission that the caller does not have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Missing {
    /// On what it is missing: a resource, or a cluster.
    pub on: String,
    /// The permission; of Kubernetes, verb and resource.
    pub permission: String,
    /// What gives it: the smallest predefined role that has it, or RBAC.
    pub given_by: String,
}

/// Permissions of changes that are not policies, with their smallest predefined role.
const ROLES: [(&str, &str); 10] = [
    ("container.clusters.update", "roles/container.clusterAdmin"),
    (
        "iam.serviceAccounts.create",
        "roles/iam.serviceAccountCreator",
    ),
    (
        "iam.serviceAccounts.update",
        "roles/iam.serviceAccountAdmin",
    ),
    (
        "iam.serviceAccounts.enable",
        "roles/iam.serviceAccountAdmin",
    ),
    (
        "iam.serviceAccounts.disable",
        "roles/iam.serviceAccountAdmin",
    ),
    (
        "iam.serviceAccounts.delete",
        "roles/iam.serviceAccountDeleter",
    ),
    (
        "iam.serviceAccounts.undelete",
        "roles/iam.serviceAccountAdmin",
    ),
    (
        "iam.serviceAccountKeys.disable",
        "roles/iam.serviceAccountKeyAdmin",
    ),
    (
        "iam.serviceAccountKeys.enable",
        "roles/iam.serviceAccountKeyAdmin",
    ),
    (
        "iam.serviceAccountKeys.delete",
        "roles/iam.serviceAccountKeyAdmin",
    ),
];

type Needs = BTreeMap<Resource, BTreeSet<String>>;

/// What the caller lacks. Where nothing can be asked, nothing is said: the write itself will tell.
pub async fn check(http: &Http, plan: &Plan, desired: &Desired, live: &Live) -> Vec<Missing> {
    let (mut missing, of_clusters) = tokio::join!(
        google(http, plan, desired),
        kubernetes(http, plan, desired, live)
    );
    missing.extend(of_clusters);
    missing.sort();
    missing
}

async fn google(http: &Http, plan: &Plan, desired: &Desired) -> Vec<Missing> {
    let needs = needs(plan, desired);
    // Most permissions are held on the project: one question for all that is in it.
    let mut of_project: BTreeMap<ProjectId, BTreeSet<String>> = BTreeMap::new();
    for (resource, permissions) in &needs {
        if let Some(project) = project_of(resource) {
            of_project
                .entry(project)
                .or_default()
                .extend(permissions.iter().cloned());
        }
    }
    let held = join_all(of_project.into_iter().map(async |(project, asked)| {
        let resource = Resource::Project(project.clone());
        let held = policies::test_permissions(http, &resource, &asked).await;
        (project, held)
    }))
    .await;
    let held: BTreeMap<ProjectId, Option<BTreeSet<String>>> = held
        .into_iter()
        .map(|(project, held)| (project, held.ok().flatten()))
        .collect();
    let open = needs.into_iter().filter_map(|(resource, mut permissions)| {
        let on_project = project_of(&resource).and_then(|p| held.get(&p).cloned().flatten());
        if let Some(held) = &on_project {
            permissions.retain(|p| !held.contains(p));
        }
        (!permissions.is_empty()).then_some((resource, permissions))
    });
    let missing = join_all(open.map(async |(resource, permissions)| {
        let held = match &resource {
            Resource::Project(project) => held.get(project).cloned().flatten(),
            _ => policies::test_permissions(http, &resource, &permissions)
                .await
                .ok()
                .flatten(),
        };
        let Some(held) = held else {
            return Vec::new();
        };
        permissions
            .difference(&held)
            .map(|permission| Missing {
                given_by: given_by(&resource, permission),
                on: resource.to_string(),
                permission: permission.clone(),
            })
            .collect()
    }))
    .await;
    missing.into_iter().flatten().collect()
}

fn given_by(resource: &Resource, permission: &str) -> String {
    let role = smallest(role_of(resource, permission));
    match permission {
        "container.clusters.update" => format!(
            "{role}; or leave clusters that are others' to them: `manage: false` in the spec"
        ),
        _ => role,
    }
}

fn smallest(role: &str) -> String {
    format!("the smallest predefined role that has it: {role}")
}

/// One question a cluster and kind of write; where that is not allowed in all namespaces, one for each that is
/// written in: a RoleBinding gives it there.
async fn kubernetes(http: &Http, plan: &Plan, desired: &Desired, live: &Live) -> Vec<Missing> {
    let mut writes: BTreeMap<(String, &str, &str), BTreeSet<String>> = BTreeMap::new();
    for change in plan.changes.values() {
        for permission in change.edit.permissions(desired) {
            if let Permission::Kubernetes {
                cluster,
                namespace,
                verb,
                resource,
            } = permission
            {
                let namespaces = writes.entry((cluster, verb, resource)).or_default();
                namespaces.extend(Some(namespace).filter(|n| !n.is_empty()));
            }
        }
    }
    let asked = writes.into_iter().map(async |(write, namespaces)| {
        let (cluster, verb, resource) = write;
        let Some(wanted) = desired.clusters.get(&cluster) else {
            return Vec::new();
        };
        let found = live.clusters.get(&cluster);
        let Some(found) = found.and_then(|c| to_connect(wanted, c)) else {
            return Vec::new();
        };
        let Ok(kube) = Kube::connect(http, &found, &wanted.access) else {
            return Vec::new();
        };
        let given_by = match kube.user() {
            Some(user) => format!("RBAC, for {user}: `wi help real-projects` has the rules"),
            None => smallest("roles/container.developer, or by RBAC in the cluster"),
        };
        let may = async |namespace: &str| {
            let (plural, group) = resource.split_once('.').unwrap_or((resource, ""));
            let asked = kube.may(verb, group, plural, namespace);
            let asked = asked.instrument(info_span!("cluster", name = cluster));
            asked.await.unwrap_or(true)
        };
        if may("").await {
            return Vec::new();
        }
        let missing = |at: String| Missing {
            on: format!("cluster.{cluster}{at}"),
            permission: format!("{verb} {resource}"),
            given_by: given_by.clone(),
        };
        if namespaces.is_empty() {
            return vec![missing(String::new())];
        }
        let asked = join_all(namespaces.iter().map(async |n| (n, may(n).await))).await;
        let refused = asked.into_iter().filter(|(_, allowed)| !allowed);
        let refused = refused.map(|(namespace, _)| missing(format!(", namespace {namespace}")));
        refused.collect()
    });
    join_all(asked).await.into_iter().flatten().collect()
}

fn role_of(resource: &Resource, permission: &str) -> &'static str {
    ROLES
        .iter()
        .find(|(p, _)| *p == permission)
        .map_or(resource.kind().admin, |(_, role)| role)
}

fn project_of(resource: &Resource) -> Option<ProjectId> {
    match resource {
        Resource::Project(project) => Some(project.clone()),
        Resource::ServiceAccount(email) => email.project(),
        Resource::Named(named) if named.kind.in_project() => {
            ProjectId::parse(named.names.first()?).ok()
        }
        Resource::Named(_) => None,
    }
}

/// What the plan takes, on what.
fn needs(plan: &Plan, desired: &Desired) -> Needs {
    let mut needs = Needs::new();
    // An account that is yet to be made cannot be asked.
    let made: BTreeSet<Resource> = plan
        .changes
        .values()
        .filter_map(|c| match &c.edit {
            Edit::Account(a) if a.makes_it() => Some(Resource::ServiceAccount(a.email.clone())),
            _ => None,
        })
        .collect();
    for change in plan.changes.values() {
        for permission in change.edit.permissions(desired) {
            let Permission::Google { on, permission } = permission else {
                continue;
            };
            let on = match project_of(&on) {
                Some(project) if made.contains(&on) => Resource::Project(project),
                _ => on,
            };
            needs.entry(on).or_default().insert(permission.to_owned());
        }
    }
    needs
}
