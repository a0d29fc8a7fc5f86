//! Whether this caller can plan and apply a spec here; where not, what fixes it.

mod cluster;
mod grants;
mod needs;
mod project;
mod resource;

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use jiff::SignedDuration;
use wi_client::auth::AuthError;
use wi_client::google::{container, iam, policies};
use wi_client::http::{ApiError, Http};
use wi_core::desired::Desired;
use wi_core::live::Unlisted;
use wi_core::names::ProjectId;
use wi_core::reason::Reason;
use wi_core::resource::Resource;
use wi_core::words::shell_word;

/// A clock that is wrong by more than this breaks things: Google refuses what was signed in the future
/// or too long ago, and certificates are for a time.
const WRONG_CLOCK: SignedDuration = SignedDuration::from_secs(60);

/// The permission to have calls counted on a project.
const USE_QUOTA: &str = "serviceusage.services.use";

/// What was looked at, in the order in which it is best fixed.
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
    pub fix: Option<String>,
}

/// How a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// As it should be.
    Fine,
    /// It works, and should be otherwise; or the API has no way to tell.
    Doubtful,
    /// It could not be looked at.
    Unseen,
    /// It stands in the way.
    Failed,
}

impl Report {
    /// Where clusters could not be looked for, and why.
    pub fn not_looked(&mut self, unlisted: &BTreeMap<Unlisted, Reason>) {
        if unlisted.is_empty() {
            return;
        }
        let mut section = Section::new("Clusters to be found".to_owned());
        for (what, why) in unlisted {
            section.add(State::Failed, format!("{what}: {why}"), None);
        }
        self.0.push(section);
    }

    /// How many things stand in the way.
    pub fn failures(&self) -> usize {
        self.count(State::Failed)
    }

    /// How many things could not be looked at.
    pub fn unseen(&self) -> usize {
        self.count(State::Unseen)
    }

    fn count(&self, state: State) -> usize {
        let checks = self.0.iter().flat_map(|s| &s.checks);
        checks.filter(|c| c.state == state).count()
    }
}

impl Section {
    fn new(title: String) -> Self {
        Self {
            title,
            checks: Vec::new(),
        }
    }

    fn add(&mut self, state: State, what: String, fix: Option<String>) {
        self.checks.push(Check { state, what, fix });
    }
}

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
            shell_word(&self.member())
        )
    }
}

/// What fixes a refusal: `grant` where a permission is missing.
fn remedy(e: &ApiError, grant: Option<String>) -> Option<String> {
    match e.code {
        _ if e.is_api_off() => e.command(),
        401 => Some(
            "gcloud auth application-default login, or another access token if one is given"
                .to_owned(),
        ),
        403 if e.reason == "USER_PROJECT_DENIED" => e.hint.as_ref().map(ToString::to_string),
        403 if !e.is_quota() => grant,
        403 | 429 | 500.. => Some("Try again later".to_owned()),
        _ => None,
    }
}

/// Looks at the credentials alone.
///
/// # Errors
/// Where there are none, or they give no token: nothing else can be looked at.
pub async fn credentials(http: &Http) -> Result<Report, AuthError> {
    Ok(Report(vec![who(http).await?.0]))
}

/// Looks at all that planning and applying this takes.
///
/// # Errors
/// As [`credentials`].
pub async fn examine(http: &Http, desired: &Desired) -> Result<Report, AuthError> {
    let (credentials, caller) = who(http).await?;
    let mut sections = vec![credentials];
    let projects = join_all(projects_of(desired).into_iter().map(async |id| {
        let clusters = clusters_in(desired, &id);
        let list = if clusters {
            Some(container::list_clusters(http, &id).await)
        } else {
            None
        };
        let section = project::of_project(http, desired, &id, list.as_ref(), &caller).await;
        (id, section, list)
    }))
    .await;
    let mut lists = BTreeMap::new();
    for (project, section, list) in projects {
        sections.push(section);
        if let Some(Ok(list)) = list {
            lists.insert(project, list);
        }
    }
    let of_others = desired.clusters.values().map(|c| &c.path.project);
    let of_others: BTreeSet<&ProjectId> = of_others.filter(|p| !lists.contains_key(*p)).collect();
    let of_others = join_all(of_others.into_iter().map(async |project| {
        let list = container::list_clusters(http, project).await.ok();
        Some((project.clone(), list?))
    }));
    lists.extend(of_others.await.into_iter().flatten());
    let (resources, clusters) = tokio::join!(
        resource::of_resources(http, desired, &caller),
        cluster::of_clusters(http, desired, &lists, &caller)
    );
    sections.extend(resources);
    sections.extend(clusters);
    Ok(Report(sections))
}

async fn who(http: &Http) -> Result<(Section, Caller), AuthError> {
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
            Some("Use workload identity federation, or --impersonate-service-account from your own login: `wi help real-projects`".to_owned()),
        );
    }
    let caller = Caller(caller);
    if let Some(project) = identity.quota_project {
        quota(http, &mut section, &project, &caller).await;
    }
    if let Some(ahead) = http.clock_ahead().filter(|a| a.abs() > WRONG_CLOCK) {
        let (by, which) = (
            SignedDuration::from_secs(ahead.abs().as_secs()),
            if ahead.is_positive() {
                "ahead of"
            } else {
                "behind"
            },
        );
        section.add(
            State::Doubtful,
            format!("this machine's clock is {by:#} {which} the servers'"),
            Some("Set it by NTP: what is signed at a wrong time is refused, and certificates seem to have expired".to_owned()),
        );
    }
    Ok((section, caller))
}

/// Whether calls may be counted on the quota project.
async fn quota(http: &Http, section: &mut Section, project: &str, caller: &Caller) {
    let what = format!("calls are counted on the project {project}");
    let Ok(id) = ProjectId::parse(project) else {
        section.add(State::Fine, what, None); // by its number
        return;
    };
    let asked = BTreeSet::from([USE_QUOTA.to_owned()]);
    let held = policies::test_permissions(http, &Resource::Project(id.clone()), &asked).await;
    let grant = caller.grant(&id, "roles/serviceusage.serviceUsageConsumer");
    match held {
        Ok(Some(held)) if held.contains(USE_QUOTA) => section.add(State::Fine, what, None),
        Ok(_) => section.add(
            State::Failed,
            format!("{what}: {USE_QUOTA} is missing"),
            Some(grant),
        ),
        Err(e) => section.add(State::Failed, format!("{what}: {}", e.message), Some(grant)),
    }
}

fn projects_of(desired: &Desired) -> BTreeSet<ProjectId> {
    let ours = desired.clusters.values().filter(|c| c.managed);
    let clusters = ours.map(|c| &c.path.project);
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
    clusters.any(|c| c.managed && c.path.project == *project)
}

/// `a is`, `a and b are`.
fn list(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => format!("{one} is"),
        [all @ .., last] => format!("{} and {last} are", all.join(", ")),
    }
}
