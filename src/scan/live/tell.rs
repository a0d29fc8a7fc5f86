//! From what was seen live to what is told of each key.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use wi_core::findings::rules;
use wi_core::findings::{Finding, Place, Severity};
use wi_core::live::Seen;
use wi_core::names::Email;
use wi_core::words::{counted, shell_word};
use wi_keys::{Key, Kind};

use super::verdict::{self, Facts, Last, Verdict};
use super::{Clusters, LiveKey, Projects, SecretName, User};
use crate::scan::report::{KeyLive, KeyReport, Lies, Report, Sighting};

/// The accounts that something was found of which no live key has the id: by their public halves it may
/// be told which key it is.
pub fn unmatched(sightings: &[Sighting], projects: &Projects) -> BTreeSet<Email> {
    let accounts = sightings.iter().filter_map(|s| {
        let key = &s.found.key;
        let email = Email::parse(key.email.as_deref()?).ok()?;
        let is_known = key
            .id
            .as_ref()
            .is_some_and(|id| projects.keys.contains_key(&(email.clone(), id.clone())));
        (projects.accounts.contains(&email) && !is_known && key.public_key.is_some())
            .then_some(email)
    });
    accounts.collect()
}

/// The account that a key is of: that of the live key that it is, or else the one that it names.
pub fn account_of(key: &Key, projects: &Projects) -> Option<Email> {
    let live = matched(key, projects).map(|live| live.email.clone());
    live.or_else(|| Email::parse(key.email.as_deref()?).ok())
}

/// The id of the live key that a private one is.
pub fn id_of(key: &Key, projects: &Projects) -> Option<String> {
    matched(key, projects).map(|live| live.key.id().to_owned())
}

/// The key that a private one is: by its public half, or else by what it says.
fn matched<'a>(key: &Key, projects: &'a Projects) -> Option<&'a LiveKey> {
    let by_half = projects
        .keys
        .values()
        .find(|live| live.public_key.is_some() && live.public_key == key.public_key);
    by_half.or_else(|| {
        let email = Email::parse(key.email.as_deref()?).ok()?;
        let live = projects.keys.get(&(email, key.id.clone()?))?;
        // Another half belongs to that id.
        let differs = live.public_key.is_some() && key.public_key.is_some();
        (!differs).then_some(live)
    })
}

/// A key by its account and id.
pub type KeyName = (Email, String);

/// What is known and can be said of a live key.
#[derive(Debug)]
pub struct Judged {
    facts: Facts,
    verdict: Verdict,
    users: BTreeSet<String>,
}

impl Judged {
    /// What is known.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// What can be said, in words.
    pub fn in_words(&self) -> String {
        words(&self.verdict)
    }
}

/// Judges all live keys.
pub fn judge(
    clusters: &Clusters,
    projects: &Projects,
    now: Timestamp,
) -> BTreeMap<KeyName, Judged> {
    let unseen = unseen(clusters);
    let mut users: BTreeMap<KeyName, BTreeMap<String, bool>> = BTreeMap::new();
    for (secret, sighting) in &clusters.sightings {
        if let Some(live) = matched(&sighting.found.key, projects) {
            let name = (live.email.clone(), live.key.id().to_owned());
            let found = users_of(secret.as_ref(), sighting, clusters);
            users.entry(name).or_default().extend(found);
        }
    }
    let judged = projects.keys.iter().map(|(name, live)| {
        let users = users.remove(name).unwrap_or_default();
        let count = users.values().filter(|is_old| !**is_old).count();
        let facts = facts(live, projects, count, &unseen, now);
        let judged = Judged {
            verdict: verdict::of(&facts),
            facts,
            users: users.into_keys().collect(),
        };
        (name.clone(), judged)
    });
    judged.collect()
}

/// Those that somebody uses who was not seen.
pub fn used_by_unseen(judged: &BTreeMap<KeyName, Judged>) -> BTreeSet<KeyName> {
    let unseen = judged
        .iter()
        .filter(|(_, j)| j.verdict == Verdict::UsedByUnseen);
    unseen.map(|(name, _)| name.clone()).collect()
}

/// Puts what was seen live to what lies somewhere.
pub fn add(
    report: &mut Report,
    clusters: &Clusters,
    projects: &Projects,
    judged: &BTreeMap<KeyName, Judged>,
) {
    let mut told = BTreeSet::new();
    for key in &mut report.keys {
        let Some(live) = matched(&key.key, projects) else {
            continue;
        };
        let name = (live.email.clone(), live.key.id().to_owned());
        if let Some(judged) = judged.get(&name) {
            key.users = judged.users.iter().cloned().collect();
            key.live = Some(live_of(live, projects, judged));
            told.insert(name);
        }
    }
    for (name, judged) in judged {
        let live = &projects.keys[name];
        if !told.contains(name) {
            report.keys.push(KeyReport {
                key: Key {
                    kind: Kind::ServiceAccountKey,
                    email: Some(name.0.as_str().to_owned()),
                    id: Some(name.1.clone()),
                    public_key: live.public_key.clone(),
                    project: Some(live.project.to_string()),
                    client_id: None,
                    hint: None,
                },
                places: Vec::new(),
                users: Vec::new(),
                live: Some(live_of(live, projects, judged)),
            });
        }
        let found = finding(live, projects, clusters, judged);
        report.findings.all.extend(found);
    }
    report
        .keys
        .sort_by_cached_key(|k| (k.key.kind, k.key.name()));
    judge_places(report, projects, judged);
    mismatches(report, clusters, projects);
    pods(report, clusters);
    remarks(report, clusters);
    report.findings.not_seen.extend(projects.not_seen.clone());
}

/// Who has the Secret's key, or the object in which it lies; and whether that is an old revision.
fn users_of(
    secret: Option<&(SecretName, String)>,
    sighting: &Sighting,
    clusters: &Clusters,
) -> Vec<(String, bool)> {
    let Some((secret, data_key)) = secret else {
        // It lies in the object itself: a ConfigMap that something names, or a template.
        let object = sighting.place.name().to_owned();
        return vec![(object, false)];
    };
    let has = |u: &&User| u.secret == *secret && u.key.as_ref().is_none_or(|k| k == data_key);
    clusters
        .users
        .iter()
        .filter(has)
        .map(|u| (in_words(u, data_key), u.is_old))
        .collect()
}

/// `Deployment shop/checkout, container app: GOOGLE_APPLICATION_CREDENTIALS -> /k/key.json (Secret key#key.json)`.
fn in_words(user: &User, data_key: &str) -> String {
    let container = match user.container.as_str() {
        "" => String::new(),
        name => format!(", container {name}"),
    };
    let old = if user.is_old { "old revision " } else { "" };
    let only = if user.is_known_use { "" } else { "only " };
    let secret = &user.secret;
    format!(
        "{old}{} in cluster.{}{container}: {only}{}, Secret {}/{}#{data_key}",
        user.object, secret.cluster, user.way, secret.namespace, secret.name
    )
}

/// Why not all users can be known.
fn unseen(clusters: &Clusters) -> Vec<String> {
    let mut why: Vec<String> = clusters
        .not_seen
        .iter()
        .map(|n| format!("{} could not be read", n.what))
        .collect();
    match clusters.unopened.len() {
        0 => {}
        n => why.push(format!(
            "{} not opened (--read-secrets referenced)",
            match n {
                1 => "1 Secret that workloads name was".to_owned(),
                n => format!("{n} Secrets that workloads name were"),
            }
        )),
    }
    why
}

fn facts(
    live: &LiveKey,
    projects: &Projects,
    users: usize,
    unseen: &[String],
    now: Timestamp,
) -> Facts {
    let id = live.key.id();
    let unknown = || Last::Unknown("it was not read".to_owned());
    let evidence = projects.evidence.get(&live.project);
    let events = evidence.map_or_else(unknown, |e| match &e.events {
        Seen::Found(events) => match (events.by_key.get(id), &events.partial) {
            (Some((at, _)), _) => Last::At(*at),
            (None, Some(why)) => Last::Unknown(why.clone()),
            (None, None) => Last::NotIn(e.since, now),
        },
        Seen::Absent => Last::NotIn(e.since, now),
        Seen::Unknown(why) => Last::Unknown(why.to_string()),
    });
    let activity = evidence.map_or_else(unknown, |e| match &e.activities {
        Seen::Found(found) => match (found.last.get(id), found.observed) {
            (Some(at), _) => Last::At(*at),
            (None, Some((from, to))) => Last::NotIn(from, to),
            // It told of no key at all: an empty answer is not "never".
            (None, None) => Last::Unknown("the Activity Analyzer told nothing".to_owned()),
        },
        Seen::Absent => unknown(),
        Seen::Unknown(why) => Last::Unknown(why.to_string()),
    });
    Facts {
        now,
        is_disabled: live.key.disabled,
        expires: live.key.valid_before_time.parse().ok(),
        exposure: live.key.exposure(),
        events,
        activity,
        users,
        unseen: unseen.to_vec(),
    }
}

fn live_of(live: &LiveKey, projects: &Projects, judged: &Judged) -> KeyLive {
    KeyLive {
        made: day(&live.key.valid_after_time),
        last_use: last_uses(live, projects, &judged.facts),
        verdict: words(&judged.verdict),
    }
}

fn day(time: &str) -> String {
    time.get(..10).unwrap_or(time).to_owned()
}

/// What each source tells of a key's use.
pub fn last_uses(live: &LiveKey, projects: &Projects, facts: &Facts) -> Vec<String> {
    let events = projects.evidence.get(&live.project).and_then(|e| {
        let events = e.events.found()?;
        events.by_key.get(live.key.id()).map(|(_, count)| *count)
    });
    let count = events.map(|n| format!(", {n} in six weeks"));
    let metric = match &facts.events {
        Last::At(at) => {
            let at = at.strftime("%Y-%m-%d %H:%M");
            format!("until {at} UTC{}", count.unwrap_or_default())
        }
        Last::NotIn(from, _) => format!("none since {}", from.strftime("%Y-%m-%d")),
        Last::Unknown(why) => format!("not known: {why}"),
    };
    let activity = match &facts.activity {
        Last::At(at) => format!("last day {}", at.strftime("%Y-%m-%d")),
        Last::NotIn(from, to) => format!(
            "none from {} to {}",
            from.strftime("%Y-%m-%d"),
            to.strftime("%Y-%m-%d")
        ),
        Last::Unknown(why) => format!("not known: {why}"),
    };
    let mut told = vec![
        format!("use by Cloud Monitoring (up to 3 hours late): {metric}"),
        format!("use by the Activity Analyzer (days late): {activity}"),
    ];
    if matches!(
        (&facts.events, &facts.activity),
        (Last::At(_), Last::NotIn(..))
    ) {
        let delegated = "the Analyzer does not see what the metric shows: it may be too new for it, or domain-wide delegation, which Workload Identity cannot replace";
        told.push(delegated.to_owned());
    }
    told
}

fn words(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Exposed(_) => "exposed".to_owned(),
        Verdict::Dead(how) => (*how).to_owned(),
        Verdict::Used => "in use by what is known".to_owned(),
        Verdict::UsedByUnseen => "in use by somebody unseen".to_owned(),
        Verdict::Referenced => "referenced, not seen in use".to_owned(),
        Verdict::NotSeen => "not seen in use just now, no user found".to_owned(),
        Verdict::CannotSay(why) => format!("cannot say: {}", why.join("; ")),
    }
}

fn finding(
    live: &LiveKey,
    projects: &Projects,
    clusters: &Clusters,
    judged: &Judged,
) -> Option<Finding> {
    let (email, id) = (live.email.as_str(), live.key.id());
    let subject = format!("{email}/{id}");
    let project = live.project.to_string();
    let place = Place::live(&["project", &project, "serviceAccounts", email, "keys", id]);
    let command = |verb: &str| {
        format!(
            "gcloud iam service-accounts keys {verb} {} --iam-account={}",
            shell_word(id),
            shell_word(email)
        )
    };
    let mut finding = match &judged.verdict {
        Verdict::Exposed(why) => {
            let what = "Google says that the key is exposed, and it is enabled.";
            let mut finding = Finding::new(&rules::KEY_EXPOSED, &subject, what, place);
            finding.evidence.push(why.clone());
            finding.fix = Some(format!("Move its users, then: {}", command("disable")));
            finding
        }
        Verdict::UsedByUnseen => {
            let what = "The key is used by somebody that was not seen.";
            let mut finding = Finding::new(&rules::KEY_USED_BY_UNSEEN, &subject, what, place);
            finding.evidence.push(format!(
                "no user in {}, {}, {}",
                counted(clusters.workloads, "workload"),
                counted(clusters.pods, "pod"),
                counted(clusters.custom, "custom resource")
            ));
            finding.evidence.extend(called_by(live, projects));
            finding.fix = Some("Do not disable it before they are found.".to_owned());
            finding
        }
        Verdict::NotSeen => {
            let what = "The key was not seen in use just now, and no user of it was found.";
            let mut finding = Finding::new(&rules::KEY_WITHOUT_USERS, &subject, what, place);
            finding.fix = Some(format!(
                "Disable it first, and wait: {}",
                command("disable")
            ));
            finding
        }
        _ => return None,
    };
    finding
        .evidence
        .extend(last_uses(live, projects, &judged.facts));
    Some(finding)
}

fn called_by(live: &LiveKey, projects: &Projects) -> Vec<String> {
    match projects.callers.get(&live.key.name) {
        None => {
            vec!["callers: ask the audit logs with --evidence metrics,activity,logs".to_owned()]
        }
        Some(Err(why)) => vec![format!("callers by the audit logs: not readable: {why}")],
        Some(Ok(callers)) if callers.is_empty() => vec![format!(
            "callers by the audit logs of project/{}: none told in 24 hours; Data Access logs are off by default, and calls are logged where their resources are",
            live.project
        )],
        Some(Ok(callers)) => callers
            .iter()
            .map(|(caller, count)| format!("called from {caller}: {}", counted(*count, "time")))
            .collect(),
    }
}

/// What lies somewhere is worse where it is used, and less bad where the key is dead.
fn judge_places(report: &mut Report, projects: &Projects, judged: &BTreeMap<KeyName, Judged>) {
    let by_name: BTreeMap<String, &Key> =
        report.keys.iter().map(|k| (k.key.name(), &k.key)).collect();
    for finding in &mut report.findings.all {
        let lies = [
            &rules::KEY_IN_FILES,
            &rules::KEY_IN_HISTORY,
            &rules::KEY_IN_SECRET,
            &rules::KEY_IN_PLAIN_OBJECT,
        ];
        let Some(key) = by_name
            .get(&finding.subject)
            .filter(|_| lies.contains(&finding.rule))
        else {
            continue;
        };
        let Some(live) = matched(key, projects) else {
            let account = key.email.as_deref().and_then(|e| Email::parse(e).ok());
            if account.is_some_and(|a| projects.accounts.contains(&a)) {
                finding.severity = Severity::Low;
                finding
                    .evidence
                    .push("no key of the account any more".to_owned());
                finding.fix = None;
            }
            continue;
        };
        let name = (live.email.clone(), live.key.id().to_owned());
        if live.key.disabled {
            finding.severity = Severity::Low;
            finding.evidence.push("the key is disabled".to_owned());
        } else if finding.rule == &rules::KEY_IN_SECRET
            && judged.get(&name).is_some_and(|j| j.facts.users > 0)
        {
            finding.severity = Severity::High;
        }
    }
}

/// What says that it is one key of an account and is another, or none.
fn mismatches(report: &mut Report, clusters: &Clusters, projects: &Projects) {
    let in_clusters = clusters
        .sightings
        .iter()
        .map(|(_, s)| (s.found.key.clone(), s.place.clone()));
    let in_files = report
        .keys
        .iter()
        .flat_map(|k| k.places.iter().map(|p| (k.key.clone(), p.place.clone())));
    let all: BTreeSet<(Key, Place)> = in_clusters.chain(in_files).collect();
    for (key, place) in all {
        let Some(said) = &key.id else { continue };
        let Some(live) = matched(&key, projects) else {
            continue;
        };
        if live.key.id() != said {
            let what = format!(
                "It says that it is key {said}, and it is key {}.",
                live.key.id()
            );
            let subject = format!("{}/{}", live.email, live.key.id());
            let finding = Finding::new(&rules::KEY_MISMATCH, &subject, &what, place);
            report.findings.all.push(finding);
        }
    }
}

/// Pods that may run on what a Secret had before.
fn pods(report: &mut Report, clusters: &Clusters) {
    let with_keys: BTreeSet<&SecretName> = clusters
        .sightings
        .iter()
        .filter(|(_, s)| s.lies == Lies::Secret)
        .filter_map(|(secret, _)| secret.as_ref().map(|(name, _)| name))
        .collect();
    for pod in &clusters.fixed {
        let changed = clusters.opened.get(&pod.secret).and_then(|o| o.changed);
        let Some(changed) = changed.filter(|c| *c > pod.since && with_keys.contains(&pod.secret))
        else {
            continue;
        };
        let (secret, since) = (&pod.secret, pod.since);
        let what = format!(
            "Pod {} may hold another key than its Secret has now.",
            pod.pod
        );
        let subject = format!("cluster.{}/Pod/{}", secret.cluster, pod.pod);
        let mut finding = Finding::new(
            &rules::POD_MAY_HOLD_ANOTHER,
            &subject,
            &what,
            secret.place(),
        );
        finding.evidence.push(format!(
            "it started on {}, and Secret {}/{} changed on {}",
            since.strftime("%Y-%m-%d %H:%M"),
            secret.namespace,
            secret.name,
            changed.strftime("%Y-%m-%d %H:%M")
        ));
        report.findings.all.push(finding);
    }
}

fn remarks(report: &mut Report, clusters: &Clusters) {
    report.looked_at.push(format!(
        "{}, {} and {} of clusters",
        counted(clusters.workloads, "workload"),
        counted(clusters.pods, "pod"),
        counted(clusters.custom, "custom resource")
    ));
    report.findings.not_seen.extend(clusters.not_seen.clone());
    report.findings.warnings.extend(clusters.warnings.clone());
    for secret in &clusters.unopened {
        let users: BTreeSet<&str> = clusters
            .users
            .iter()
            .filter(|u| u.secret == *secret)
            .map(|u| u.object.as_str())
            .collect();
        let mut users: Vec<String> = users.into_iter().map(str::to_owned).collect();
        if users.is_empty() {
            let pods = clusters.pod_users.iter().filter(|p| p.secret == *secret);
            users.extend(pods.map(|p| format!("pod {}/{}", secret.namespace, p.pod)));
        }
        report.findings.out_of_reach.push(format!(
            "the content of Secret {}/{} of cluster.{}, which {} {}",
            secret.namespace,
            secret.name,
            secret.cluster,
            users.join(", "),
            if users.len() == 1 { "has" } else { "have" }
        ));
    }
}
