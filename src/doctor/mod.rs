//! Whether this caller can plan and apply a spec here; where not, what mends it.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use futures::stream::TryStreamExt;

use crate::desired::Desired;
use crate::gcp::container::{self, ClusterList};
use crate::gcp::{iam, policies, projects};
use crate::http::{ApiError, Http};
use crate::identity::ProjectId;
use crate::kube::Kube;
use crate::resources::{Resource, Write};
use crate::spec::model::OnRemove;

/// What was looked at, in the order in which it is best mended.
#[derive(Debug, Default)]
pub struct Report(pub Vec<Section>);

/// The checks of one thing.
#[derive(Debug)]
pub struct Section {
    /// What it is about.
    pub title: String,
    /// What was found.
    pub checks: Vec<Check>,
}

/// One thing that was checked.
#[derive(Debug)]
pub struct Check {
    /// How it is.
    pub state: State,
    /// In words.
    pub what: String,
    /// What to do, a command where there is one.
    pub mend: Option<String>,
}

/// How a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// As it should be.
    Fine,
    /// It works, and should be otherwise; or it could not be told.
    Doubtful,
    /// It stands in the way.
    Failed,
}

impl Report {
    /// How many things stand in the way.
    pub fn failures(&self) -> usize {
        let checks = self.0.iter().flat_map(|s| &s.checks);
        checks.filter(|c| c.state == State::Failed).count()
    }
}

impl Section {
    fn new(title: String) -> Self {
        Self {
            title,
            checks: Vec::new(),
        }
    }

    fn add(&mut self, state: State, what: String, mend: Option<String>) {
        self.checks.push(Check { state, what, mend });
    }
}

/// A permission, what it is for, and the smallest predefined role of its kind that has it.
struct Need {
    permission: &'static str,
    role: &'static str,
    to_apply: bool,
}

const fn plan(permission: &'static str, role: &'static str) -> Need {
    Need {
        permission,
        role,
        to_apply: false,
    }
}

const fn apply(permission: &'static str, role: &'static str) -> Need {
    Need {
        permission,
        role,
        to_apply: true,
    }
}

const CLUSTERS: [Need; 5] = [
    plan("container.clusters.list", "roles/container.viewer"),
    apply("container.clusters.get", "roles/container.clusterAdmin"),
    apply("container.clusters.update", "roles/container.clusterAdmin"),
    apply("container.operations.get", "roles/container.clusterAdmin"),
    apply("container.operations.list", "roles/container.clusterAdmin"),
];

const ACCOUNTS: [Need; 8] = [
    plan("iam.serviceAccounts.list", "roles/iam.securityReviewer"),
    plan(
        "iam.serviceAccounts.getIamPolicy",
        "roles/iam.securityReviewer",
    ),
    apply(
        "iam.serviceAccounts.create",
        "roles/iam.serviceAccountAdmin",
    ),
    apply("iam.serviceAccounts.get", "roles/iam.serviceAccountAdmin"),
    apply(
        "iam.serviceAccounts.update",
        "roles/iam.serviceAccountAdmin",
    ),
    apply(
        "iam.serviceAccounts.enable",
        "roles/iam.serviceAccountAdmin",
    ),
    apply(
        "iam.serviceAccounts.disable",
        "roles/iam.serviceAccountAdmin",
    ),
    apply(
        "iam.serviceAccounts.setIamPolicy",
        "roles/iam.serviceAccountAdmin",
    ),
];

const DELETION: Need = apply(
    "iam.serviceAccounts.delete",
    "roles/iam.serviceAccountAdmin",
);

const POLICY: [Need; 2] = [
    plan("resourcemanager.projects.get", "roles/browser"),
    plan(
        "resourcemanager.projects.getIamPolicy",
        "roles/iam.securityReviewer",
    ),
];

const GRANTS: Need = apply(
    "resourcemanager.projects.setIamPolicy",
    "roles/resourcemanager.projectIamAdmin",
);

/// Verbs and resources of Kubernetes, and whether they are for an apply.
const KUBERNETES: [(&str, &str, bool); 9] = [
    ("list", "namespaces", false),
    ("list", "serviceaccounts", false),
    ("list", "pods", false),
    ("list", "nodes", false),
    ("create", "namespaces", true),
    ("patch", "namespaces", true),
    ("create", "serviceaccounts", true),
    ("patch", "serviceaccounts", true),
    ("delete", "serviceaccounts", true),
];

/// Who is asking, as `user:ana@example.com`, for commands; a placeholder where that is not known.
struct Caller(Option<String>);

impl Caller {
    fn member(&self) -> String {
        match &self.0 {
            Some(email) if email.ends_with("gserviceaccount.com") => {
                format!("serviceAccount:{email}")
            }
            Some(email) => format!("user:{email}"),
            None => "MEMBER".to_owned(),
        }
    }

    fn grant(&self, project: &ProjectId, role: &str) -> String {
        format!(
            "gcloud projects add-iam-policy-binding {project} --member={} --role={role} --condition=None",
            self.member()
        )
    }
}

/// Looks at the credentials alone.
pub async fn credentials(http: &Http) -> Result<Report, String> {
    Ok(Report(vec![who(http).await?.0]))
}

/// Looks at all that planning and applying this takes.
pub async fn examine(http: &Http, desired: &Desired) -> Result<Report, String> {
    let (credentials, caller) = who(http).await?;
    let mut sections = vec![credentials];
    let projects = join_all(projects_of(desired).into_iter().map(async |project| {
        let clusters = clusters_in(desired, &project);
        let list = if clusters {
            Some(container::list_clusters(http, &project).await)
        } else {
            None
        };
        let section = of_project(http, desired, &project, list.as_ref(), &caller).await;
        (project, section, list)
    }))
    .await;
    let mut lists = BTreeMap::new();
    for (project, section, list) in projects {
        sections.push(section);
        if let Some(Ok(list)) = list {
            lists.insert(project, list);
        }
    }
    let (resources, clusters) = tokio::join!(
        of_resources(http, desired, &caller),
        of_clusters(http, desired, &lists, &caller)
    );
    sections.extend(resources);
    sections.extend(clusters);
    Ok(Report(sections))
}

async fn who(http: &Http) -> Result<(Section, Caller), String> {
    let identity = http.identity().await?;
    http.sign_in().await?;
    let caller = iam::caller(http).await;
    let mut section = Section::new("Credentials".to_owned());
    let place = if identity.place.is_empty() {
        String::new()
    } else {
        format!(" ({})", identity.place)
    };
    let whom = match &caller {
        Some(email) => format!(", as {email}"),
        None => ", whose owner Google does not tell (federated tokens have no email)".to_owned(),
    };
    section.add(State::Fine, format!("{}{place}{whom}", identity.kind), None);
    if identity.is_key {
        section.add(
            State::Doubtful,
            "they rest on a service account key, which does not expire".to_owned(),
            Some("Use workload identity federation, or --impersonate-service-account from your own login: docs/real-projects.md".to_owned()),
        );
    }
    if let Some(project) = identity.quota_project {
        let what = format!("calls are counted on the project {project}");
        section.add(State::Fine, what, None);
    }
    Ok((section, Caller(caller)))
}

fn projects_of(desired: &Desired) -> BTreeSet<ProjectId> {
    let clusters = desired.clusters.values().map(|c| &c.path.project);
    let accounts = desired.accounts.values().filter(|a| a.managed);
    let granted = desired.bindings.keys().filter_map(|b| match &b.resource {
        Resource::Project(project) => Some(project),
        _ => None,
    });
    clusters
        .chain(accounts.map(|a| &a.project))
        .chain(granted)
        .cloned()
        .collect()
}

fn clusters_in(desired: &Desired, project: &ProjectId) -> bool {
    let mut clusters = desired.clusters.values();
    clusters.any(|c| c.path.project == *project)
}

async fn of_project(
    http: &Http,
    desired: &Desired,
    project: &ProjectId,
    clusters: Option<&Result<ClusterList, ApiError>>,
    caller: &Caller,
) -> Section {
    let mut section = Section::new(format!("Project {project}"));
    let accounts: Vec<_> = desired
        .accounts
        .values()
        .filter(|a| a.managed && a.project == *project)
        .collect();
    let resource = Resource::Project(project.clone());
    let mut needs: Vec<&Need> = POLICY.iter().collect();
    if desired.bindings.keys().any(|b| b.resource == resource) {
        needs.push(&GRANTS);
    }
    if clusters.is_some() {
        needs.extend(&CLUSTERS);
    }
    if !accounts.is_empty() {
        needs.extend(&ACCOUNTS);
        if accounts.iter().any(|a| a.on_remove == OnRemove::Delete) {
            needs.push(&DELETION);
        }
    }
    // An API that is off refuses all that it is asked.
    let first_account = async {
        if accounts.is_empty() {
            return Ok(());
        }
        let mut listed = std::pin::pin!(iam::service_accounts(http, project));
        listed.try_next().await.map(drop)
    };
    let asked: BTreeSet<String> = needs.iter().map(|n| n.permission.to_owned()).collect();
    let (listed, ancestors, held) = tokio::join!(
        first_account,
        projects::ancestors(http, project),
        policies::test_permissions(http, &resource, &asked)
    );
    let errors = [
        clusters.and_then(|c| c.as_ref().err()).cloned(),
        listed.err(),
        ancestors.err(),
    ];
    let off: BTreeMap<String, Option<String>> = errors
        .into_iter()
        .flatten()
        .filter(ApiError::is_api_off)
        .map(|e| (e.message, e.help))
        .collect();
    if off.is_empty() {
        let what = "the APIs that wi calls are on".to_owned();
        section.add(State::Fine, what, None);
    }
    for (message, help) in off {
        let command = help.map(|h| h.replace("Run `", "").replace('`', ""));
        section.add(State::Failed, message, command);
    }
    let held = match held {
        Ok(held) => held.unwrap_or_default(),
        Err(e) => {
            let what = format!("its permissions could not be asked for: {}", e.for_user());
            let command = format!("gcloud projects describe {project}");
            section.add(State::Failed, what, Some(command));
            return section;
        }
    };
    for to_apply in [false, true] {
        let command = if to_apply { "wi apply" } else { "wi plan" };
        let mut missing: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let mut all = 0;
        for need in needs.iter().filter(|n| n.to_apply == to_apply) {
            all += 1;
            if !held.contains(need.permission) {
                missing.entry(need.role).or_default().push(need.permission);
            }
        }
        if missing.is_empty() && all > 0 {
            let what = format!("{command}: all {all} permissions");
            section.add(State::Fine, what, None);
        }
        for (role, permissions) in missing {
            let what = format!("{command}: {} missing", list(&permissions));
            section.add(State::Failed, what, Some(caller.grant(project, role)));
        }
    }
    section
}

/// `a is`, `a and b are`.
fn list(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => format!("{one} is"),
        [all @ .., last] => format!("{} and {last} are", all.join(", ")),
    }
}

/// Resources that are granted on, other than projects and the spec's own accounts.
async fn of_resources(http: &Http, desired: &Desired, caller: &Caller) -> Option<Section> {
    let resources: BTreeSet<&Resource> = desired
        .bindings
        .keys()
        .map(|b| &b.resource)
        .filter(|r| matches!(r, Resource::Named(_)))
        .collect();
    if resources.is_empty() {
        return None;
    }
    let checks = join_all(resources.into_iter().map(async |resource| {
        let kind = resource.kind();
        let write = kind.permission;
        let read = write.replace("setIamPolicy", "getIamPolicy");
        let fine = |what: String| Check {
            state: State::Fine,
            what,
            mend: None,
        };
        if kind.write == Write::AccessList {
            return Check {
                state: State::Doubtful,
                ..fine(format!(
                    "{resource}: BigQuery cannot be asked about datasets in advance"
                ))
            };
        }
        let asked = BTreeSet::from([read.clone(), write.to_owned()]);
        match policies::test_permissions(http, resource, &asked).await {
            Ok(Some(held)) if asked.is_subset(&held) => {
                fine(format!("{resource}: may be granted on"))
            }
            Ok(held) => {
                let held = held.unwrap_or_default();
                let missing: Vec<&str> = asked.difference(&held).map(String::as_str).collect();
                Check {
                    state: State::Failed,
                    what: format!("{resource}: {} missing", list(&missing)),
                    mend: Some(format!("Grant {} to {} on it", kind.admin, caller.member())),
                }
            }
            Err(e) if e.is_api_off() => Check {
                state: State::Failed,
                what: format!("{resource}: {}", e.message),
                mend: e.help.map(|h| h.replace("Run `", "").replace('`', "")),
            },
            Err(e) => Check {
                state: State::Failed,
                what: format!("{resource}: {}", e.for_user()),
                mend: Some("Make it, or correct its name in the spec".to_owned()),
            },
        }
    }))
    .await;
    Some(Section {
        title: "Resources".to_owned(),
        checks,
    })
}

async fn of_clusters(
    http: &Http,
    desired: &Desired,
    lists: &BTreeMap<ProjectId, ClusterList>,
    caller: &Caller,
) -> Vec<Section> {
    join_all(desired.clusters.iter().map(async |(name, wanted)| {
        let mut section = Section::new(format!("Cluster {name}"));
        let path = &wanted.path;
        let Some(list) = lists.get(&path.project) else {
            let what = "not looked at: the project's clusters could not be listed".to_owned();
            section.add(State::Doubtful, what, None);
            return section;
        };
        let found = list
            .clusters
            .iter()
            .find(|c| c.name == path.name && c.location == path.location);
        let Some(found) = found else {
            section.add(
                State::Failed,
                format!("there is no {path}"),
                Some(format!("gcloud container clusters list --project={}", path.project)),
            );
            return section;
        };
        let kube = match Kube::connect(http, found, &wanted.access) {
            Ok(kube) => kube,
            Err(e) => {
                section.add(State::Failed, e, None);
                return section;
            }
        };
        let asked = join_all(
            KUBERNETES
                .iter()
                .map(async |(verb, resource, to_apply)| {
                    (verb, resource, *to_apply, kube.may(verb, resource).await)
                }),
        )
        .await;
        if let Some(Err(e)) = asked.iter().map(|(.., may)| may).find(|may| may.is_err()) {
            let what = format!("not reached by its {}: {}", kube.reached_by(), e.for_user());
            let command = (e.code == 0).then(|| format!(
                "gcloud container clusters update {} --location={} --project={} --enable-dns-access",
                path.name, path.location, path.project
            ));
            section.add(State::Failed, what, command);
            return section;
        }
        let what = format!("reached by its {}", kube.reached_by());
        section.add(State::Fine, what, None);
        for (to_apply, command, role) in [
            (false, "wi plan", "roles/container.viewer"),
            (true, "wi apply", "roles/container.developer"),
        ] {
            let missing: Vec<String> = asked
                .iter()
                .filter(|(_, _, a, may)| *a == to_apply && matches!(may, Ok(false)))
                .map(|(verb, resource, ..)| format!("{verb} {resource}"))
                .collect();
            if missing.is_empty() {
                let what = format!("{command}: all that it does in Kubernetes is allowed");
                section.add(State::Fine, what, None);
            } else {
                let what = format!("{command}: may not {}", missing.join(", "));
                section.add(State::Failed, what, Some(caller.grant(&path.project, role)));
            }
        }
        section
    }))
    .await
}
