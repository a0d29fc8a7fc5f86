//! Off static keys: where each account stands, what it waits for, and what comes next. It reads and tells;
//! what is to be changed in IAM, on Kubernetes service accounts and of keys is `wi apply`'s, and templates are changed
//! where they are kept ([`emit`] writes the patches).

pub mod emit;

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use jiff::SignedDuration;
use serde_json::Value;
use wi_core::address::{AccountName, Address, KsaKey, WorkloadKey};
use wi_core::desired::Desired;
use wi_core::live::shadows::ShadowSeen;
use wi_core::live::templates::TemplateSeen;
use wi_core::migrate::edit::Edited;
use wi_core::migrate::owners;
use wi_core::migrate::shadow::standing;
use wi_core::migrate::state::{self, Bound, Standing};
use wi_core::migrate::templates::{meta, template};
use wi_core::names::Email;
use wi_core::plan::{Edit, HeldBack, HoldReason, bound};
use wi_core::spec::migration::{Migration, Until};

use crate::engine::pipeline::Made;
use crate::scan::live::templates::{self, Places};
use crate::scan::live::verdict::Last;
use crate::scan::live::{Live, PodUser, User, Workload, tell};

/// Where an account stands.
#[derive(Debug)]
pub struct Account {
    /// The spec's name of it.
    pub name: String,
    /// Its address.
    pub email: Email,
    /// What the spec asks for; `None`: nothing, and it has keys.
    pub migration: Option<Migration>,
    /// Its user-managed keys.
    pub keys: Vec<KeyReport>,
    /// What becomes of keys, and of Secrets that held them, by the plan.
    pub ends: Vec<End>,
    /// Workloads that have a key of it, or are to act as it.
    pub workloads: Vec<WorkloadReport>,
    /// Whatever else has a key: custom resources, ConfigMaps, pods without a template.
    pub others: Vec<String>,
    /// Revisions to which an undo would lead back to the key.
    pub revisions: Vec<String>,
    /// What could not be looked at and may have a key.
    pub unseen: Vec<String>,
    /// Clusters of the same workload pool that the spec does not mention.
    pub outside: Vec<String>,
    /// How it stands with what the spec asks for.
    pub standing: Standing,
}

/// A key.
#[derive(Debug)]
pub struct KeyReport {
    /// Its id.
    pub id: String,
    /// What can be said of it.
    pub verdict: String,
    /// What each source tells of its use.
    pub last_use: Vec<String>,
    /// Whether it is disabled.
    pub is_disabled: bool,
    /// Why it is not the time to disable it, if it is not.
    pub not_yet: Vec<String>,
}

/// A key or a Secret that is to end, or a key that comes back.
#[derive(Debug)]
pub struct End {
    /// Its address.
    pub address: Address,
    /// What `wi apply` does, such as `will be disabled`; or why it does nothing yet.
    pub next: Result<&'static str, Vec<String>>,
    /// Whether what holds it passes with time.
    pub passes: bool,
}

/// A workload.
#[derive(Debug)]
pub struct WorkloadReport {
    /// Which.
    pub workload: Workload,
    /// What was seen of it.
    pub state: state::Workload,
    /// Who keeps it elsewhere.
    pub owner: Option<String>,
    /// Whether another object of the cluster made it: its template is that one's.
    pub is_made: bool,
    /// Its template without the key, where it could be read and has one.
    pub edited: Option<Edited>,
    /// Its API version.
    pub api_version: String,
    /// The KSA is `default`, which other pods have as well.
    pub is_default: bool,
}

/// A silence that may be taken for one: evidence is up to three hours late.
const QUIET: SignedDuration = SignedDuration::from_hours(27);

/// Tells where accounts stand: those that the spec migrates, and those with keys. `only`: these alone.
pub async fn look(made: &Made, live: &Live, only: &[String]) -> Vec<Account> {
    let desired = &made.desired;
    let mut accounts = Vec::new();
    for (name, account) in &desired.accounts {
        let is_wanted = only.is_empty() || only.contains(name);
        let migration = desired.migrations.get(name);
        let places = Places::of(live, &account.email);
        let has_keys = live.projects.keys.keys().any(|(e, _)| *e == account.email);
        let concerns = migration.is_some() || has_keys || !places.secrets.is_empty();
        if is_wanted && concerns {
            let report = of_account(made, live, name, &account.email, migration, &places).await;
            accounts.push(report);
        }
    }
    accounts
}

fn key_of(workload: &Workload) -> Option<KsaKey> {
    Some(KsaKey {
        cluster: workload.cluster.clone(),
        namespace: workload.namespace.parse().ok()?,
        name: workload.service_account.parse().ok()?,
    })
}

/// The account that the spec lets a workload act as.
fn account_of<'a>(desired: &'a Desired, workload: &Workload) -> Option<&'a Email> {
    bound::acts_as(desired, &key_of(workload)?)
}

async fn of_account(
    made: &Made,
    live: &Live,
    name: &str,
    email: &Email,
    migration: Option<&Migration>,
    places: &Places,
) -> Account {
    let clusters = &live.clusters;
    let users: Vec<&User> = clusters
        .users
        .iter()
        .filter(|u| places.has(&u.secret, u.key.as_ref()))
        .collect();
    let is_of =
        |user: &User, w: &Workload| user.secret.cluster == w.cluster && user.object == w.object();
    let acts_as = |w: &Workload| account_of(&made.desired, w) == Some(email);
    let concerned = clusters.templates.iter().filter(|w| !is_shadow(made, w));
    let concerned = concerned.filter(|w| {
        acts_as(w)
            || users.iter().any(|u| !u.is_old && is_of(u, w))
            || !pods(live, places, w).is_empty()
    });
    let reports = concerned.map(|workload| {
        let uses = users.iter().filter(|u| !u.is_old && is_of(u, workload));
        let uses = uses.map(|u| way(u)).collect();
        of_workload(made, live, email, migration, places, workload, uses)
    });
    let workloads: Vec<WorkloadReport> = join_all(reports).await;
    let of_template = |u: &&&User| clusters.templates.iter().any(|w| is_of(u, w));
    let others = users.iter().filter(|u| !u.is_old && !of_template(u));
    let others = others.map(|u| other(u));
    let lone = clusters.pod_users.iter().filter(|p| {
        let (kind, name) = &p.workload;
        let is_known = clusters.templates.iter().any(|w| {
            (&w.cluster, &w.namespace) == (&p.secret.cluster, &p.secret.namespace)
                && (w.kind, &w.name) == (kind.as_str(), name)
        });
        places.has(&p.secret, p.key.as_ref()) && !is_known && kind != "Pod"
    });
    let lone = lone.map(|p| {
        let (cluster, namespace) = (&p.secret.cluster, &p.secret.namespace);
        let (kind, name) = &p.workload;
        format!(
            "pod {namespace}/{} in cluster.{cluster}, made by {kind} {name}",
            p.pod
        )
    });
    let others: BTreeSet<String> = others.chain(lone).chain(places.open.clone()).collect();
    let revisions = users.iter().filter(|u| u.is_old);
    let revisions = revisions.map(|u| format!("{} in cluster.{}", u.object, u.secret.cluster));
    let unseen = unseen(live);
    let until = migration.map_or(Until::Cutover, |m| m.until);
    let states = workloads.iter().map(|w| &w.state);
    let mut account = Account {
        name: name.to_owned(),
        email: email.clone(),
        migration: migration.cloned(),
        standing: state::standing(states, others.len(), until, &unseen),
        keys: Vec::new(),
        ends: ends(made, name, email),
        workloads,
        others: others.into_iter().collect(),
        revisions: revisions.collect::<BTreeSet<_>>().into_iter().collect(),
        unseen,
        outside: outside(made, email),
    };
    account.keys = keys(live, email, &account);
    let of_ends = account.ends.iter().map(|end| match end.next {
        Err(_) if !end.passes => Standing::Held,
        _ => Standing::Waits,
    });
    account.standing = of_ends
        .chain([account.standing])
        .max()
        .unwrap_or(account.standing);
    account
}

/// What the plan says of the account's keys, and of Secrets that held them.
fn ends(made: &Made, name: &str, email: &Email) -> Vec<End> {
    let plan = &made.plan;
    let planned = plan.changes.iter().filter_map(|(address, change)| {
        let of = match &change.edit {
            Edit::Key(key) => &key.email,
            Edit::Secret(secret) => &secret.email,
            _ => return None,
        };
        (of == email).then(|| End {
            address: address.clone(),
            next: Ok(change.edit.verb()),
            passes: true,
        })
    });
    let own = AccountName::of_spec(name);
    let seen = made.live.off_keys.get(name);
    let secrets = seen.into_iter().flat_map(|of| &of.secrets);
    let secrets: BTreeSet<String> = secrets
        .map(|s| format!("secret.{}/{}/{}", s.cluster, s.namespace, s.name))
        .collect();
    let keys = format!("key.{}", own.as_str());
    let held = plan.held_back.iter().filter_map(|held| match &held.why {
        HoldReason::Keys { why, passes }
            if held.address.is_in(&keys) || secrets.contains(&*held.address) =>
        {
            Some(End {
                address: held.address.clone(),
                next: Err(why.clone()),
                passes: *passes,
            })
        }
        _ => None,
    });
    planned.chain(held).collect()
}

/// What leads to the key, and where it is.
fn way(user: &User) -> String {
    let container = match user.container.as_str() {
        "" => String::new(),
        name => format!("container {name}: "),
    };
    let only = if user.is_known_use { "" } else { "only " };
    format!("{container}{only}{}, Secret {}", user.way, user.secret.name)
}

fn other(user: &User) -> String {
    let keyless = user.keyless.map(|way| format!("; without a key: {way}"));
    let (cluster, way) = (&user.secret.cluster, &user.way);
    let keyless = keyless.unwrap_or_default();
    format!("{} in cluster.{cluster} ({way}){keyless}", user.object)
}

/// Pods of a workload that have a key.
fn pods(live: &Live, places: &Places, workload: &Workload) -> BTreeSet<String> {
    let own = live.clusters.pod_users.iter();
    own.filter(|p| is_pod_of(p, workload) && places.has(&p.secret, p.key.as_ref()))
        .map(|p| p.pod.clone())
        .collect()
}

fn is_pod_of(pod: &PodUser, workload: &Workload) -> bool {
    (&pod.secret.cluster, &pod.secret.namespace) == (&workload.cluster, &workload.namespace)
        && (pod.workload.0.as_str(), &pod.workload.1) == (workload.kind, &workload.name)
}

/// Secrets that a workload or a pod of it is given, and that were not opened.
fn unopened(live: &Live, workload: &Workload) -> BTreeSet<String> {
    let clusters = &live.clusters;
    let by_template = clusters.users.iter().filter(|u| {
        !u.is_old && u.secret.cluster == workload.cluster && u.object == workload.object()
    });
    let by_pods = clusters.pod_users.iter().filter(|p| is_pod_of(p, workload));
    let given = by_template
        .map(|u| &u.secret)
        .chain(by_pods.map(|p| &p.secret));
    let closed = given.filter(|secret| clusters.unopened.contains(*secret));
    closed
        .map(|secret| format!("Secret {}", secret.name))
        .collect()
}

fn unseen(live: &Live) -> Vec<String> {
    let not_seen = live.clusters.not_seen.iter();
    let mut all: BTreeSet<String> = not_seen.map(|n| format!("{}: {}", n.what, n.why)).collect();
    all.extend(live.clusters.unopened.iter().map(|s| {
        format!(
            "Secret {}/{} of cluster.{}: it was not opened (--read-secrets referenced)",
            s.namespace, s.name, s.cluster
        )
    }));
    all.into_iter().collect()
}

/// Other clusters of the projects in which something acts as the account: the same key may be there.
fn outside(made: &Made, email: &Email) -> Vec<String> {
    let home = email.project();
    let mut projects: BTreeSet<_> = home.into_iter().collect();
    let ksas = made
        .desired
        .ksas
        .iter()
        .filter(|(_, k)| k.account.as_ref() == Some(email));
    projects.extend(ksas.filter_map(|(key, _)| {
        Some(
            made.desired
                .clusters
                .get(&key.cluster)?
                .path
                .project
                .clone(),
        )
    }));
    let outside = made.live.outside.iter().map(|o| &o.path);
    outside
        .filter(|path| projects.contains(&path.project))
        .map(ToString::to_string)
        .collect()
}

async fn of_workload(
    made: &Made,
    live: &Live,
    email: &Email,
    migration: Option<&Migration>,
    places: &Places,
    workload: &Workload,
    uses: Vec<String>,
) -> WorkloadReport {
    let bound = key_of(workload).map_or(Bound::NotDeclared, |key| {
        let (desired, plan) = (&made.desired, &made.plan);
        bound::of(desired, &made.live, plan, &key, email, Some(live.now))
    });
    let template = workload_key(workload).map(|key| key.template());
    let by_wi = template.filter(|a| made.plan.changes.contains_key(a));
    let mut report = WorkloadReport {
        state: state::Workload {
            pods: pods(live, places, workload),
            unopened: unopened(live, workload),
            uses,
            bound,
            traps: BTreeSet::new(),
            by_wi,
            shadow: shadow(made, workload),
            is_excluded: migration
                .is_some_and(|m| m.excludes(&workload.namespace, workload.kind, &workload.name)),
        },
        workload: workload.clone(),
        owner: None,
        is_made: false,
        edited: None,
        api_version: String::new(),
        is_default: workload.service_account == "default",
    };
    if !report.state.uses.is_empty() {
        let (planned, desired) = (&made.live, &made.desired);
        let seen = templates::whole(live, planned, desired, places, workload).await;
        match &seen.object {
            Ok(object) => edit(migration, &seen, &object.0, &mut report),
            Err(why) => report.state.bound = Bound::CannotSay(why.clone()),
        }
        match seen.kept_from {
            Ok(None) => {}
            Ok(Some(why)) => report.state.bound = Bound::CannotSay(why),
            Err(why) => report.state.bound = Bound::CannotSay(format!("NetworkPolicies: {why}")),
        }
    }
    report
}

fn workload_key(workload: &Workload) -> Option<WorkloadKey> {
    Some(WorkloadKey {
        cluster: workload.cluster.clone(),
        namespace: workload.namespace.parse().ok()?,
        kind: workload.kind.to_owned(),
        name: workload.name.parse().ok()?,
    })
}

/// The shadows of a workload's cluster and namespace.
fn shadows<'a>(made: &'a Made, workload: &Workload) -> impl Iterator<Item = &'a ShadowSeen> {
    let here = made.live.shadows.get(&workload.cluster);
    let here = here.into_iter().flatten().flatten();
    let namespace = workload.namespace.clone();
    here.filter(move |s| s.meta().namespace == namespace && s.mark().is_some())
}

/// Whether it is one itself: it is told with its original.
fn is_shadow(made: &Made, workload: &Workload) -> bool {
    workload.kind == "Deployment" && shadows(made, workload).any(|s| s.meta().name == workload.name)
}

/// What stands beside a workload, or is to.
fn shadow(made: &Made, workload: &Workload) -> state::Shadow {
    let Some(key) = workload_key(workload).filter(|k| k.kind == "Deployment") else {
        return state::Shadow::default();
    };
    let is_its = |s: &&ShadowSeen| s.mark().is_some_and(|m| m.name == workload.name);
    let there = shadows(made, workload).find(is_its);
    let standing = there.map(standing::of);
    let (address, template) = (key.shadow(), key.template());
    let mut found = state::Shadow {
        stage: there.and_then(|s| Some(s.mark()?.stage)),
        is_ready: matches!(standing, Some(standing::Standing::Since(_))),
        shows: standing.map(|s| s.to_string()),
        by_wi: made
            .plan
            .changes
            .contains_key(&address)
            .then_some(address.clone()),
        held: Vec::new(),
        passes: true,
    };
    let concerns =
        |held: &&HeldBack| held.address == address || there.is_some() && held.address == template;
    for held in made.plan.held_back.iter().filter(concerns) {
        if let HoldReason::Keys { why, passes } = &held.why {
            found.held.extend(why.iter().cloned());
            found.passes &= *passes;
        }
    }
    found
}

fn edit(
    migration: Option<&Migration>,
    seen: &TemplateSeen,
    object: &Value,
    report: &mut WorkloadReport,
) {
    let meta = meta(object);
    report.owner = owners::owner(&meta);
    report.is_made = !meta.owner_references.is_empty();
    report.api_version = object["apiVersion"].as_str().unwrap_or_default().to_owned();
    let accept = migration.map(|m| m.accept.clone()).unwrap_or_default();
    let edited = seen.edited(template(seen.kind, object), &accept);
    report.state.traps.clone_from(&edited.traps);
    report.edited = Some(edited);
}

/// The account's keys, and why they are not to be disabled yet.
fn keys(live: &Live, email: &Email, account: &Account) -> Vec<KeyReport> {
    let own = live.projects.keys.iter().filter(|((e, _), _)| e == email);
    own.filter_map(|(name, key)| {
        let judged = live.judged.get(name)?;
        let facts = judged.facts();
        let mut not_yet = Vec::new();
        if account.standing != Standing::Reached || account.workloads.iter().any(has_key) {
            not_yet.push("something has it, or may have".to_owned());
        }
        if !account.outside.is_empty() {
            let clusters = account.outside.join(", ");
            not_yet.push(format!(
                "the spec does not mention {clusters}, where it may be used"
            ));
        }
        match &facts.events {
            Last::At(at) if *at + QUIET > live.now => {
                let since = at.strftime("%Y-%m-%d %H:%M");
                not_yet.push(format!(
                    "it was used until {since} UTC: wait for a day of silence"
                ));
            }
            Last::Unknown(why) => not_yet.push(format!("whether it is used is not known: {why}")),
            Last::At(_) | Last::NotIn(..) => {}
        }
        Some(KeyReport {
            id: name.1.clone(),
            verdict: judged.in_words(),
            last_use: tell::last_uses(key, &live.projects, facts),
            is_disabled: facts.is_disabled,
            not_yet,
        })
    })
    .collect()
}

fn has_key(report: &WorkloadReport) -> bool {
    !report.state.uses.is_empty() || !report.state.pods.is_empty()
}

/// Lines of the spec that would begin the migrations of these accounts.
pub fn proposal(desired: &Desired, accounts: &[Account]) -> Option<String> {
    let mut text = String::new();
    let new = accounts
        .iter()
        .filter(|a| a.migration.is_none() && !a.workloads.is_empty());
    for (at, account) in new.enumerate() {
        if at == 0 {
            text.push_str("migrate:\n");
        }
        text.push_str(&format!("  {}: {{ until: cutover }}\n", account.name));
    }
    // Whom the spec does not know yet, by namespace.
    let mut lines: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
    for account in accounts {
        for report in &account.workloads {
            let workload = &report.workload;
            let is_new = report.state.bound == Bound::NotDeclared && !report.is_default;
            if is_new && account_of(desired, workload).is_none() {
                let of = lines.entry(&workload.namespace).or_default();
                of.insert(&workload.service_account, &account.name);
            }
        }
    }
    if !lines.is_empty() {
        text.push_str("namespaces:\n");
    }
    for (namespace, accounts) in lines {
        text.push_str(&format!("  {namespace}:\n    serviceAccounts:\n"));
        for (ksa, account) in accounts {
            text.push_str(&format!("      {ksa}: {{ impersonates: {account} }}\n"));
        }
    }
    (!text.is_empty()).then_some(text)
}
