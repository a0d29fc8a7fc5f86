//! What becomes of an account's keys, and of the Secrets that they were in: from what was seen, and from nothing else.
//!
//! A plan asks, and `wi apply` asks again, of what was seen anew, directly before it disables, deletes or prunes.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use super::mark;
use crate::desired::Desired;
use crate::live::keys::{Disabling, Holder, KeySeen, KeysOf, Last, SecretSeen};
use crate::live::{Live, Seen};
use crate::spec::migration::{Accept, Migration, Until};
use crate::spec::model::AccountSpec;
use crate::words::{counted, duration};

/// Uses come to Cloud Monitoring after at most three hours, in points of an hour; one more for what is on its way.
pub const LAG: Duration = Duration::from_secs(5 * 3600);

/// The Activity Analyzer tells days.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A use so long after a key was disabled is none that began before.
pub const AFTERGLOW: Duration = Duration::from_secs(2 * 3600);

/// So many holders and the like are named.
const NAMED: usize = 5;

/// What is to happen to a key next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// It is disabled.
    Disable,
    /// It is enabled again.
    Enable,
    /// It is deleted, for good.
    Delete,
}

/// Why it does not happen yet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hold {
    /// Nobody looked who has it.
    NotLooked,
    /// These could not be looked at, and may have it.
    Unseen(Vec<String>),
    /// So may what runs in these clusters, which the spec does not mention.
    Outside(Vec<String>),
    /// These have it.
    Has(Vec<String>),
    /// It lies in these files.
    InFiles(Vec<String>),
    /// It was used then (by which source), and has to be silent for so long until then.
    Used {
        /// When it was used last.
        at: Timestamp,
        /// Who tells.
        by: &'static str,
        /// For how long it is to be silent.
        soak: Duration,
        /// When that is known at the earliest.
        until: Timestamp,
    },
    /// It was made then, and its silence since is too short.
    Made {
        /// When.
        at: Timestamp,
        /// When its silence is long enough.
        until: Timestamp,
    },
    /// These have not run to their end since it was taken out of them.
    NotRun(Vec<String>),
    /// Whether it is used is not known.
    UseUnknown(String),
    /// These called with it.
    Called(Vec<String>),
    /// It is to be disabled for so long, until then.
    Soaks {
        /// Since when it is disabled.
        at: Timestamp,
        /// When that is long enough.
        until: Timestamp,
    },
    /// Since when it is disabled is not known.
    SinceUnknown(String),
    /// It was used although it was disabled: whoever did it fails.
    UsedSince(Timestamp),
    /// This makes such keys, and would make another.
    MadeAgain(String),
    /// A key that is in it is live.
    Live(Vec<String>),
    /// It has more in it.
    Others(Vec<String>),
    /// What is in it cannot be told.
    Unclear,
}

impl Hold {
    /// Whether it passes by itself, with time.
    pub fn passes(&self) -> bool {
        matches!(
            self,
            Self::Used { .. } | Self::Made { .. } | Self::Soaks { .. } | Self::NotRun(_)
        )
    }
}

fn at(time: &Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// The first few, and how many more.
fn some(all: &[String]) -> String {
    let named: Vec<&str> = all.iter().take(NAMED).map(String::as_str).collect();
    match all.len().saturating_sub(NAMED) {
        0 => named.join("; "),
        n => format!("{}; and {n} more", named.join("; ")),
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLooked => f.write_str("who has it was not looked at"),
            Self::Unseen(what) => write!(
                f,
                "not all could be looked at, and what was not may have it: {}",
                some(what)
            ),
            Self::Outside(clusters) => write!(
                f,
                "the spec does not mention {}, where something may have it: name {} in the spec (`manage: false` leaves them to others)",
                some(clusters),
                if clusters.len() == 1 { "it" } else { "them" }
            ),
            Self::Has(holders) => write!(f, "it is in use: {}", some(holders)),
            Self::InFiles(files) => write!(
                f,
                "it lies in files, from which something may take it: {} (accept: [{}])",
                some(files),
                Accept::InFiles.name()
            ),
            Self::Used {
                at: used,
                by,
                soak,
                until,
            } => write!(
                f,
                "it was used until {} ({by}), and has to be silent for {}: not before {}",
                at(used),
                duration(*soak),
                at(until)
            ),
            Self::Made { at: made, until } => write!(
                f,
                "it was made on {}, and its silence is too short to tell anything: not before {}",
                at(made),
                at(until)
            ),
            Self::NotRun(jobs) => write!(
                f,
                "it was taken out of these, which have not run to their end without it yet: {} (accept: [{}])",
                some(jobs),
                Accept::Unproven.name()
            ),
            Self::UseUnknown(why) => write!(f, "whether it is used is not known: {why}"),
            Self::Called(callers) => write!(f, "it was used, by the audit logs: {}", some(callers)),
            Self::Soaks { at: since, until } => write!(
                f,
                "it is disabled since {}, and soaks until {}",
                at(since),
                at(until)
            ),
            Self::SinceUnknown(why) => {
                write!(f, "since when it is disabled is not known: {why}")
            }
            Self::UsedSince(used) => write!(
                f,
                "somebody tried to use it at {}, after it was disabled",
                at(used)
            ),
            Self::MadeAgain(maker) => {
                write!(f, "{maker} would make it again: take that away first")
            }
            Self::Live(keys) => write!(f, "keys that are live are in it: {}", some(keys)),
            Self::Others(keys) => write!(f, "it has more in it than keys: {}", some(keys)),
            Self::Unclear => f.write_str("which key is in it cannot be told"),
        }
    }
}

/// What has to be looked at before anything can be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Look {
    /// Who disabled keys that may come back.
    Logs,
    /// Who has keys, and who uses those that are to end.
    All,
}

/// The accounts of which something has to be looked at, by the spec's names: those with a key of which the spec wants
/// something else than there is, and those with one that templates may have, where Secrets may be opened to tell.
/// `live` has the lists of keys.
pub fn to_look_at(
    desired: &Desired,
    live: &Live,
    now: Option<Timestamp>,
    opens: bool,
) -> Vec<(String, Look)> {
    let looks = desired.migrations.iter().filter_map(|(name, migration)| {
        let account = desired.accounts.get(name)?;
        let Some(Seen::Found(keys)) = live.keys.get(&account.email) else {
            return None;
        };
        let mut own = keys.iter().filter(|k| !is_allowed(account, k.id(), now));
        let look = match migration.until {
            Until::Bound | Until::Shadow | Until::Canary | Until::Cutover if opens => {
                own.next().map(|_| Look::All)
            }
            Until::Bound | Until::Shadow | Until::Canary | Until::Cutover => {
                let may_come_back = own.any(|k| k.disabled && k.exposure().is_none());
                may_come_back.then_some(Look::Logs)
            }
            Until::Disabled => own.any(|k| !k.disabled).then_some(Look::All),
            Until::Deleted => own.next().map(|_| Look::All),
            Until::Pruned => Some(Look::All),
        };
        Some((name.clone(), look?))
    });
    looks.collect()
}

/// Whether the account may have the key whatever the migration says.
pub fn is_allowed(account: &AccountSpec, id: &str, now: Option<Timestamp>) -> bool {
    use crate::spec::key_rule::Keys;
    account.keys.as_ref().is_some_and(|rule| match &rule.keys {
        // `keep` is what says nothing of a key, and the migration does.
        Keys::Keep | Keys::None => false,
        allow @ Keys::Allow { .. } => allow.allow(id, now),
    })
}

/// What is to happen to a key next, and why not yet: nothing, where no holds are told. `None`: it is as it is to be.
pub fn of_key(migration: &Migration, seen: &KeysOf, key: &KeySeen) -> Option<(Step, Vec<Hold>)> {
    match (migration.until, key.disabled) {
        (Until::Bound | Until::Shadow | Until::Canary | Until::Cutover, false)
        | (Until::Disabled, true) => None,
        (Until::Bound | Until::Shadow | Until::Canary | Until::Cutover, true) => back(key),
        (_, false) => Some((Step::Disable, to_disable(migration, seen, key))),
        (_, true) => Some((Step::Delete, to_delete(migration, seen, key))),
    }
}

/// One that `wi` disabled itself comes back; one that others did, or Google, is theirs.
fn back(key: &KeySeen) -> Option<(Step, Vec<Hold>)> {
    if key.exposure.is_some() {
        return None;
    }
    match &key.disabling {
        Disabling::At { by_wi: true, .. } => Some((Step::Enable, Vec::new())),
        Disabling::At { by_wi: false, .. } => None,
        Disabling::Unknown(why) => Some((Step::Enable, vec![Hold::SinceUnknown(why.clone())])),
    }
}

/// What stands against ending a key, whichever way.
fn in_use(migration: &Migration, seen: &KeysOf, key: &KeySeen) -> Vec<Hold> {
    let mut holds = Vec::new();
    if !seen.unseen.is_empty() {
        holds.push(Hold::Unseen(seen.unseen.iter().cloned().collect()));
    }
    if !seen.outside.is_empty() {
        holds.push(Hold::Outside(seen.outside.iter().cloned().collect()));
    }
    let with_it = |all: &BTreeSet<Holder>| -> Vec<String> {
        let with_it = all
            .iter()
            .filter(|h| h.keys.is_empty() || h.keys.contains(&key.id));
        with_it.map(|h| h.what.clone()).collect()
    };
    let has = with_it(&seen.holders);
    if !has.is_empty() {
        holds.push(Hold::Has(has));
    }
    let files = with_it(&seen.files);
    if !files.is_empty() && !migration.accept.contains(&Accept::InFiles) {
        holds.push(Hold::InFiles(files));
    }
    let waits = not_run(seen);
    if !waits.is_empty() && !migration.accept.contains(&Accept::Unproven) {
        holds.push(Hold::NotRun(waits));
    }
    holds
}

/// CronJobs out of which `wi` took a key of the account, and whose next run has not shown yet that they do without.
fn not_run(seen: &KeysOf) -> Vec<String> {
    let templates = seen.templates.iter().flatten();
    let waits = templates.filter(|t| {
        let Ok(object) = &t.object else {
            return false;
        };
        let mark = mark::on(&object.0).filter(|m| m.account == seen.email);
        let Some(at) = mark.and_then(|m| m.at) else {
            return false;
        };
        let last = object.0["status"]["lastSuccessfulTime"].as_str();
        let last = last.and_then(|time| time.parse::<Timestamp>().ok());
        last.is_none_or(|last| last <= at)
    });
    let named = waits.map(|t| {
        let (kind, namespace, name) = (t.kind, &t.namespace, &t.name);
        format!("{kind} {namespace}/{name} in cluster.{}", t.cluster)
    });
    named.collect()
}

fn to_disable(migration: &Migration, seen: &KeysOf, key: &KeySeen) -> Vec<Hold> {
    let mut holds = in_use(migration, seen, key);
    let soak = migration.soak.quiet;
    let used = |at: &Timestamp, by, late: Duration| {
        let until = later(*at, late + soak);
        let used = Hold::Used {
            at: *at,
            by,
            soak,
            until,
        };
        (until > seen.now).then_some(used)
    };
    match &key.events {
        Last::At(at) => holds.extend(used(at, "Cloud Monitoring", LAG)),
        // What was asked for is less than the silence that is wanted.
        Last::NotIn(from, to) if later(*from, soak + LAG) > *to => {
            let why = format!("Cloud Monitoring was asked since {} alone", at(from));
            holds.push(Hold::UseUnknown(why));
        }
        Last::NotIn(..) => {}
        Last::Unknown(why) => holds.push(Hold::UseUnknown(why.clone())),
    }
    // Its silence proves nothing, and what it tells counts.
    if let Last::At(at) = &key.activity {
        holds.extend(used(at, "the Activity Analyzer, by days", DAY));
    }
    if let Ok(callers) = &key.callers
        && !callers.is_empty()
    {
        holds.push(Hold::Called(callers.clone()));
    }
    if let Some(made) = key.made {
        let until = later(made, soak + LAG);
        if until > seen.now {
            holds.push(Hold::Made { at: made, until });
        }
    }
    holds
}

fn to_delete(migration: &Migration, seen: &KeysOf, key: &KeySeen) -> Vec<Hold> {
    let mut holds = in_use(migration, seen, key);
    match &key.disabling {
        Disabling::Unknown(why) => holds.push(Hold::SinceUnknown(why.clone())),
        Disabling::At { at, .. } => {
            let until = later(*at, migration.soak.disabled);
            if until > seen.now {
                holds.push(Hold::Soaks { at: *at, until });
            }
            match &key.events {
                Last::At(used) if *used > later(*at, AFTERGLOW) => {
                    holds.push(Hold::UsedSince(*used));
                }
                Last::Unknown(why) => holds.push(Hold::UseUnknown(why.clone())),
                Last::At(_) | Last::NotIn(..) => {}
            }
            if let Ok(callers) = &key.callers
                && !callers.is_empty()
            {
                holds.push(Hold::Called(callers.clone()));
            }
        }
    }
    let has_it = |s: &&SecretSeen| s.keys.as_ref().is_none_or(|keys| keys.contains(&key.id));
    let makers = seen.secrets.iter().filter(has_it);
    let makers: BTreeSet<&String> = makers.filter_map(|s| s.made_by.as_ref()).collect();
    let maker = makers.into_iter().find(|by| makes_keys(by));
    holds.extend(maker.map(|by| Hold::MadeAgain(by.clone())));
    holds
}

/// Whether what makes a Secret makes the keys in it, too: Config Connector and Yale do.
fn makes_keys(maker: &str) -> bool {
    ["IAMServiceAccountKey ", "GcpSaKey "]
        .iter()
        .any(|kind| maker.starts_with(kind))
}

/// Why a Secret is not pruned yet. `ending`: keys that are deleted before.
pub fn of_secret(seen: &KeysOf, secret: &SecretSeen, ending: &BTreeSet<String>) -> Vec<Hold> {
    let mut holds = Vec::new();
    if !seen.unseen.is_empty() {
        holds.push(Hold::Unseen(seen.unseen.iter().cloned().collect()));
    }
    match &secret.keys {
        None => holds.push(Hold::Unclear),
        Some(keys) => {
            let live = seen.keys.iter().map(|k| &k.id);
            let live = live.filter(|id| keys.contains(*id) && !ending.contains(*id));
            let live: Vec<String> = live.cloned().collect();
            if !live.is_empty() {
                holds.push(Hold::Live(live));
            }
        }
    }
    if !secret.others.is_empty() {
        holds.push(Hold::Others(secret.others.iter().cloned().collect()));
    }
    if !secret.users.is_empty() {
        holds.push(Hold::Has(secret.users.iter().cloned().collect()));
    }
    if let Some(maker) = &secret.made_by {
        holds.push(Hold::MadeAgain(maker.clone()));
    }
    holds
}

/// What a reader has to know of a key beside: whom an undo would lead back to it, and how well its silence is known.
pub fn remarks(seen: &KeysOf, key: &KeySeen) -> Vec<String> {
    let mut remarks = Vec::new();
    let revisions: BTreeSet<&String> = seen
        .secrets
        .iter()
        .filter(|s| s.keys.as_ref().is_none_or(|keys| keys.contains(&key.id)))
        .flat_map(|s| &s.revisions)
        .collect();
    if !revisions.is_empty() {
        let named: Vec<String> = revisions.into_iter().cloned().collect();
        let count = counted(named.len(), "old revision");
        remarks.push(format!(
            "an undo to {count} would need it: {}",
            some(&named)
        ));
    }
    remarks
}

/// Later by so much; the end of time where there is no such time.
fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}
