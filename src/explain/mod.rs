//! `wi explain`: why a pod may do something, or may not, link by link.
//!
//! [`explain`] reads what the question takes, and no more, and has the chain of wi-core tell of every link
//! whether it holds. Nothing is written.

pub mod changed;
mod clusters;
mod error;
pub mod messages;

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use jiff::Timestamp;
use tracing::{Instrument, info_span};
use wi_client::google::{buckets, iam, services};
use wi_client::http::{Http, seen};
use wi_core::access::ladder::{self, Around, Asked, Ladder, Situation, State};
use wi_core::access::{Facts, Need, Principal, Subject, Topic};
use wi_core::desired::Desired;
use wi_core::names::{Email, Member, ProjectId};
use wi_core::resource::Resource;

pub use error::ExplainError;

use crate::engine::pipeline::Found;
use crate::engine::read::facts;
use changed::Last;
use clusters::Read;

/// What is asked.
#[derive(Debug, Clone)]
pub struct Query {
    /// Whose access.
    pub subject: Subject,
    /// On what; `None`: what the spec grants.
    pub to: Option<String>,
    /// Which permission.
    pub permission: Option<String>,
    /// When.
    pub at: Option<Timestamp>,
    /// The only cluster, by the spec's name or GKE's.
    pub cluster: Option<String>,
    /// The project, where there is no spec.
    pub project: Option<ProjectId>,
}

/// The chain of one subject in clusters where it is the same.
#[derive(Debug, Clone)]
pub struct Chain {
    /// Whose.
    pub subject: String,
    /// The clusters, as the spec calls them, or as GKE does; none for a Google service account.
    pub clusters: Vec<String>,
    /// The question, in words.
    pub question: Option<String>,
    /// The links.
    pub ladder: Ladder,
    /// Who changed last what is broken, where there is a log of it.
    pub changed: Option<Last>,
}

/// Answers a query.
///
/// # Errors
/// Where it is about what is not there, or cannot be listed; what cannot be read is a link of the answer.
pub async fn explain(
    http: &Http,
    found: Option<Found>,
    query: &Query,
) -> Result<Vec<Chain>, ExplainError> {
    let (desired, lists) = match found {
        Some(found) => (Some(found.desired), found.lists),
        None => (None, BTreeMap::new()),
    };
    let desired = desired.as_ref();
    let question = question(query);
    if let Subject::Account(name) = &query.subject {
        let email = email_of(name, desired, query.project.as_ref())?;
        let asked = asked(query, desired, email.project().as_ref())?;
        let ladder = of_account(http, desired, &email, asked, query.at).await;
        return Ok(vec![Chain {
            subject: email.to_string(),
            clusters: Vec::new(),
            question,
            ladder,
            changed: None,
        }]);
    }
    let targets = clusters::targets(http, desired, lists, query).await?;
    let mut read = join_all(targets.into_iter().map(|target| {
        let span = info_span!("cluster", name = target.label());
        clusters::read(http, target, &query.subject).instrument(span)
    }))
    .await;
    // A pod is where it is found; where it is found nowhere, that is said of each cluster.
    if read.iter().any(Read::has_subject) {
        read.retain(|r| r.has_subject() || r.is_unseen());
    }
    let mut facts = Facts::default();
    let mut around = Around::default();
    let mut subjects = Vec::new();
    for r in &read {
        let asked = asked(query, desired, Some(&r.target.path.project))?;
        subjects.push((r, asked));
    }
    // What is above a resource, and who has which role, is known only after a round.
    for _ in 0..ROUNDS {
        let situations: Vec<Situation<'_>> = subjects
            .iter()
            .map(|subject| situation(&facts, &around, desired, subject, query.at))
            .collect();
        let mut wanted: BTreeSet<Need> = situations.iter().flat_map(needs).collect();
        wanted.retain(|need| !facts::has(&facts, need));
        let projects: BTreeSet<ProjectId> = situations
            .iter()
            .map(|s| s.read.path.project.clone())
            .filter(|p| !around.pools.contains_key(p))
            .collect();
        let accounts = situations
            .iter()
            .filter_map(|s| ladder::acts_as(s)?.project());
        let unasked: BTreeSet<ProjectId> = projects
            .iter()
            .cloned()
            .chain(accounts)
            .filter(|p| !around.apis_off.contains_key(p))
            .collect();
        let direct: BTreeSet<Resource> = situations
            .iter()
            .filter_map(|s| Some(s.asked?.resource.clone()))
            .filter(|r| r.bucket().is_some() && !around.uniform.contains_key(r))
            .collect();
        if wanted.is_empty() && projects.is_empty() && unasked.is_empty() && direct.is_empty() {
            break;
        }
        let (more, states, off, uniforms) = tokio::join!(
            facts::read(http, wanted),
            join_all(projects.into_iter().map(async |project| {
                let state = seen(iam::workload_pool_state(http, &project).await);
                (project, state)
            })),
            join_all(unasked.into_iter().map(async |project| {
                let off = seen(services::disabled(http, &project, &apis_asked()).await);
                (project, off)
            })),
            join_all(direct.into_iter().map(async |resource| {
                let bucket = resource.bucket().unwrap_or_default().to_owned();
                let uniform = seen(buckets::has_uniform_access(http, &bucket).await);
                (resource, uniform)
            })),
        );
        facts::add(&mut facts, more);
        around.pools.extend(states);
        around.apis_off.extend(off);
        around.uniform.extend(uniforms);
    }
    let situations = subjects
        .iter()
        .map(|subject| situation(&facts, &around, desired, subject, query.at));
    let (looks, ladders): (Vec<_>, Vec<_>) = situations
        .map(|s| {
            let ladder = ladder::workload(&s);
            let broken = ladder.first().filter(|l| l.state == State::Broken);
            (broken.and_then(|l| changed::look(l.rung, &s)), ladder)
        })
        .unzip();
    let changes = changed::read(http, looks).await;
    let answers = subjects.iter().zip(ladders).zip(changes);
    let chains = answers.map(|((subject, ladder), changed)| Chain {
        subject: subject.0.subject(),
        clusters: vec![subject.0.target.label()],
        question: question.clone(),
        ladder,
        changed,
    });
    Ok(folded(chains))
}

/// More rounds than there are levels of a hierarchy: folders are told at once.
const ROUNDS: usize = 8;

/// The APIs by which tokens are made.
fn apis_asked() -> BTreeSet<String> {
    ["sts", "iamcredentials"]
        .map(|api| format!("{api}.googleapis.com"))
        .into()
}

fn question(query: &Query) -> Option<String> {
    let to = query.to.as_ref()?;
    Some(match &query.permission {
        Some(permission) => format!("{permission} on {to}"),
        None => format!("any role on {to}"),
    })
}

/// The resource that is meant. Where its project is left out it is that of the spec's grants, or else the
/// cluster's.
fn asked(
    query: &Query,
    desired: Option<&Desired>,
    project: Option<&ProjectId>,
) -> Result<Option<Asked>, ExplainError> {
    let Some(to) = &query.to else {
        return Ok(None);
    };
    let granted = |resource: &Resource| {
        let all = desired.into_iter().flat_map(|d| d.bindings.keys());
        all.into_iter().any(|key| key.resource == *resource)
    };
    let homes = desired.into_iter().flat_map(|d| d.accounts.values());
    let homes = homes.map(|account| &account.project);
    let meant = query
        .project
        .iter()
        .chain(project)
        .chain(homes)
        .filter_map(|p| Resource::parse(to, Some(p)).ok())
        .find(granted);
    let resource = match meant {
        Some(resource) => resource,
        None => {
            Resource::parse(to, query.project.as_ref().or(project)).map_err(ExplainError::To)?
        }
    };
    Ok(Some(Asked {
        resource,
        permission: query.permission.clone(),
    }))
}

fn situation<'a>(
    facts: &'a Facts,
    around: &'a Around,
    desired: Option<&'a Desired>,
    (read, asked): &'a (&'a Read, Option<Asked>),
    at: Option<Timestamp>,
) -> Situation<'a> {
    Situation {
        facts,
        around,
        desired,
        cluster_name: read.target.name.as_deref(),
        read: &read.there,
        asked: asked.as_ref(),
        at,
    }
}

/// What the links of a situation take.
fn needs(s: &Situation<'_>) -> BTreeSet<Need> {
    let mut topics = Vec::new();
    let ksa = Principal::Ksa(ladder::ksa(s));
    if let Some(email) = ladder::acts_as(s) {
        topics.push(Topic {
            principal: ksa,
            resource: Resource::ServiceAccount(email),
        });
    }
    let mut needs = BTreeSet::from([Need::Number(s.read.path.project.clone())]);
    if let Some(email) = ladder::acts_as(s) {
        needs.insert(Need::Account(email));
    }
    for principal in ladder::principals(s) {
        match &s.asked {
            Some(asked) => topics.push(Topic {
                principal,
                resource: asked.resource.clone(),
            }),
            None => needs.extend(of_spec(s.desired, &principal)),
        }
    }
    needs.extend(wi_core::access::needs(s.facts, &topics));
    needs
}

/// The policies that the spec's grants to somebody are on.
fn of_spec(desired: Option<&Desired>, principal: &Principal) -> BTreeSet<Need> {
    let member = match principal {
        Principal::Account(email) => Member::ServiceAccount(email.clone()),
        Principal::Ksa(ksa) => Member::Ksa(ksa.identity.clone()),
    };
    let all = desired.into_iter().flat_map(|d| d.bindings.keys());
    all.filter(|key| key.member == member && !key.is_impersonation())
        .map(|key| Need::Policy(key.resource.clone()))
        .collect()
}

async fn of_account(
    http: &Http,
    desired: Option<&Desired>,
    email: &Email,
    asked: Option<Asked>,
    at: Option<Timestamp>,
) -> Ladder {
    let mut facts = Facts::default();
    let principal = Principal::Account(email.clone());
    for _ in 0..ROUNDS {
        let mut wanted = BTreeSet::from([Need::Account(email.clone())]);
        match &asked {
            Some(asked) => {
                let topic = Topic {
                    principal: principal.clone(),
                    resource: asked.resource.clone(),
                };
                wanted.extend(wi_core::access::needs(&facts, &[topic]));
            }
            None => wanted.extend(of_spec(desired, &principal)),
        }
        wanted.retain(|need| !facts::has(&facts, need));
        if wanted.is_empty() {
            break;
        }
        let more = facts::read(http, wanted).await;
        facts::add(&mut facts, more);
    }
    ladder::account(&facts, desired, email, asked, at)
}

/// The email that `gsa/NAME` or an address means.
fn email_of(
    name: &str,
    desired: Option<&Desired>,
    project: Option<&ProjectId>,
) -> Result<Email, ExplainError> {
    if name.contains('@') {
        return Email::parse(name).map_err(ExplainError::Email);
    }
    if let Some(account) = desired.and_then(|d| d.accounts.get(name)) {
        return Ok(account.email.clone());
    }
    match project {
        Some(project) => Ok(project.service_account(name)),
        None => Err(ExplainError::NoAccount(name.to_owned())),
    }
}

/// Chains that are the same in several clusters are one.
fn folded(chains: impl Iterator<Item = Chain>) -> Vec<Chain> {
    let mut all: Vec<Chain> = Vec::new();
    for chain in chains {
        let same = all.iter_mut().find(|c| {
            c.subject == chain.subject && c.ladder == chain.ladder && c.changed == chain.changed
        });
        match same {
            Some(same) => same.clusters.extend(chain.clusters),
            None => all.push(chain),
        }
    }
    all
}
