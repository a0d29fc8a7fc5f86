//! What is to be done with the shadow of a Deployment next, by what is live and by nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::labels::{self, Labels};
use super::standing::{self, Standing};
use super::traps::{self, Trap};
use super::{Mark, Stage};
use crate::live::around::Around;
use crate::live::shadows::ShadowSeen;
use crate::live::templates::TemplateSeen;
use crate::migrate::edit::Step;
use crate::migrate::rollout;
use crate::migrate::templates::{self, meta, template};
use crate::migrate::{mark as off_key, owners};
use crate::spec::migration::{Accept, Migration, Strategy, Until};

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Act {
    /// It is made, in the dark.
    Make,
    /// It is made another one: with other labels, or of a newer template.
    Change,
    /// It is as it is to be, and its pod is not ready: that is waited for, and what fails is taken away.
    Prove,
    /// It is taken away.
    Remove(Why),
}

/// Why a shadow is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Why {
    /// The spec does not ask for it any more.
    Lowered,
    /// Its original does without the key itself.
    CutOver,
    /// Its original is gone, or another one by now.
    Alone,
    /// It may not stand there any more.
    Trapped,
}

/// What is done next.
#[derive(Debug, Clone, PartialEq)]
pub struct Next {
    /// What.
    pub act: Act,
    /// How far it is then.
    pub stage: Stage,
    /// What its template does without.
    pub steps: Vec<Step>,
    /// Labels of the original's pods that its pod does not have.
    pub dropped: BTreeMap<String, String>,
    /// The Services that send requests to it.
    pub services: BTreeSet<String>,
    /// What it is to be. `None`: it is taken away.
    pub object: Option<Value>,
}

/// Why nothing is done yet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hold {
    /// What holds the template back as well.
    Template(templates::Hold),
    /// The spec asks for a shadow where none can be.
    Trap(Trap),
    /// It stays until its original does without the key.
    Serves,
    /// It has to be ready for some time first; whether that passes.
    Soaks(String, bool),
    /// What is around it could not be read.
    Unread(String),
}

impl Hold {
    /// Whether it passes by itself, or once others have done what is theirs.
    pub fn passes(&self) -> bool {
        match self {
            Self::Template(hold) => hold.passes(),
            Self::Soaks(_, passes) => *passes,
            Self::Serves => true,
            Self::Trap(_) | Self::Unread(_) => false,
        }
    }
}

/// What can be accepted, if that is so.
fn accepted(trap: &Trap) -> String {
    let accept = trap.accept().map(|a| format!(" (accept: [{}])", a.name()));
    format!("{trap}{}", accept.unwrap_or_default())
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Template(hold) => hold.fmt(f),
            Self::Trap(trap) => write!(f, "there can be no shadow: {}", accepted(trap)),
            Self::Serves => f.write_str(
                "the shadow stays until its original does without the key: its template, and all of its pods",
            ),
            Self::Soaks(why, _) => f.write_str(why),
            Self::Unread(why) => write!(f, "what else goes by its labels could not be read: {why}"),
        }
    }
}

/// A decision.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decision {
    /// What is done next.
    pub next: Option<Next>,
    /// What holds it back.
    pub holds: BTreeSet<Hold>,
    /// Why the plan does without a shadow, or without a share for it, and what it does instead.
    pub told: Vec<String>,
}

impl Decision {
    fn held(holds: impl IntoIterator<Item = Hold>) -> Self {
        Self {
            holds: holds.into_iter().collect(),
            ..Self::default()
        }
    }

    fn remove(shadow: &ShadowSeen, why: Why) -> Self {
        Self {
            next: Some(Next::remove(shadow, why)),
            ..Self::default()
        }
    }
}

impl Next {
    /// Takes a shadow away.
    pub fn remove(shadow: &ShadowSeen, why: Why) -> Self {
        Self {
            act: Act::Remove(why),
            stage: shadow.mark().map_or(Stage::Dark, |mark| mark.stage),
            steps: Vec::new(),
            dropped: BTreeMap::new(),
            services: BTreeSet::new(),
            object: None,
        }
    }
}

/// What is to be done with the shadow of this Deployment, if there is one or is to be one. `owner` is the spec's name,
/// `email` the account whose key is in the template; `cuts_over` says whether the plan takes the key out of it.
pub fn next(
    migration: &Migration,
    owner: &str,
    email: &crate::names::Email,
    seen: &TemplateSeen,
    shadow: Option<&ShadowSeen>,
    cuts_over: bool,
) -> Decision {
    let place = (&*seen.namespace, seen.kind, &*seen.name);
    let strategy = migration.strategy(place.0, place.1, place.2);
    let is_out = migration.excludes(place.0, place.1, place.2);
    let until = migration.until;
    if until < Until::Shadow
        || is_out
        || strategy == Some(Strategy::Rolling) && until < Until::Cutover
    {
        let remove = |shadow| Decision::remove(shadow, Why::Lowered);
        return shadow.map_or_else(Decision::default, remove);
    }
    let object = match &seen.object {
        Ok(object) => &object.0,
        Err(why) => return Decision::held([Hold::Template(templates::Hold::Unread(why.clone()))]),
    };
    if let Some(shadow) = shadow
        && shadow
            .mark()
            .is_some_and(|mark| object["metadata"]["uid"] != mark.uid.as_str())
    {
        return Decision::remove(shadow, Why::Alone);
    }
    let edited = seen.edited(template(seen.kind, object), &migration.accept);
    let has_key = !edited.steps.is_empty() || !edited.traps.is_empty();
    let own = off_key::Mark::of(&meta(object));
    let under_way = own.as_ref().and_then(off_key::Mark::way).is_some();
    if until >= Until::Cutover || !has_key {
        let Some(shadow) = shadow else {
            return Decision::default();
        };
        let is_through = !has_key && !under_way && rollout::left(object).is_none();
        return match is_through || cuts_over {
            true => Decision::remove(shadow, Why::CutOver),
            false => Decision::held([Hold::Serves]),
        };
    }
    if under_way {
        return Decision::default();
    }
    wanted(&Case {
        migration,
        owner,
        email,
        seen,
        object,
        shadow,
        strategy,
        edited: &edited,
        put_back: own.is_some(),
    })
}

struct Case<'a> {
    migration: &'a Migration,
    owner: &'a str,
    email: &'a crate::names::Email,
    seen: &'a TemplateSeen,
    object: &'a Value,
    shadow: Option<&'a ShadowSeen>,
    strategy: Option<Strategy>,
    edited: &'a crate::migrate::edit::Edited,
    put_back: bool,
}

fn around(seen: &TemplateSeen) -> Result<&Around, Hold> {
    match &seen.around {
        Some(Ok(around)) => Ok(around),
        Some(Err(why)) => Err(Hold::Unread(why.clone())),
        None => Err(Hold::Unread("it was not looked at".to_owned())),
    }
}

/// A shadow, as the spec asks for.
fn wanted(case: &Case<'_>) -> Decision {
    let Case { seen, object, .. } = *case;
    if seen.kind != "Deployment" {
        return instead(case, &BTreeSet::from([Trap::Kind(seen.kind)]));
    }
    let around = match around(seen) {
        Ok(around) => around,
        Err(hold) => return Decision::held([hold]),
    };
    let accept = &case.migration.accept;
    let is_there = case.shadow.is_some();
    let mut found = traps::of(object, &case.edited.template, around, accept, is_there);
    let dark = match labels::dark(object, around) {
        Ok(labels) => Some(labels),
        Err(trap) => {
            found.insert(trap);
            None
        }
    };
    let (Some(dark), true) = (dark, found.is_empty()) else {
        return instead(case, &found);
    };
    let mut told = Vec::new();
    let mut canary = None;
    if case.migration.until == Until::Canary {
        match labels::canary(object, around) {
            Ok(labels) => canary = Some(labels),
            Err(trap) => told.push(format!(
                "the shadow of {} gets no share of the requests: {trap}; `until: cutover` replaces its own pods, one of them first",
                said(seen)
            )),
        }
    }
    let mut decision = match case.shadow {
        None => make(case, dark),
        Some(shadow) => change(case, shadow, dark, canary),
    };
    decision.told = told;
    decision
}

/// `Deployment shop/web in cluster.main`.
fn said(seen: &TemplateSeen) -> String {
    let TemplateSeen {
        cluster,
        namespace,
        kind,
        name,
        ..
    } = seen;
    format!("{kind} {namespace}/{name} in cluster.{cluster}")
}

/// No shadow: one that is there goes, and the plan says what comes in its place.
fn instead(case: &Case<'_>, traps: &BTreeSet<Trap>) -> Decision {
    let next = case.shadow.map(|shadow| Next::remove(shadow, Why::Trapped));
    if case.strategy == Some(Strategy::Shadow) {
        return Decision {
            next,
            holds: traps.iter().cloned().map(Hold::Trap).collect(),
            told: Vec::new(),
        };
    }
    let why: Vec<String> = traps.iter().map(accepted).collect();
    let told = format!(
        "{} gets no shadow: {}; `until: cutover` replaces its own pods, one of them first (strategy rolling)",
        said(case.seen),
        why.join("; ")
    );
    Decision {
        next,
        holds: BTreeSet::new(),
        told: vec![told],
    }
}

/// What stands against a template without the key, for whatever pod.
fn of_template(case: &Case<'_>) -> BTreeSet<Hold> {
    let mut holds = BTreeSet::new();
    let traps = case.edited.traps.iter().cloned();
    holds.extend(traps.map(templates::Hold::Trap));
    holds.extend(owners::owner(&meta(case.object)).map(templates::Hold::Owned));
    match &case.seen.kept_from {
        Ok(None) => {}
        Ok(Some(why)) => _ = holds.insert(templates::Hold::KeptFrom(why.clone())),
        Err(why) => {
            let why = format!("NetworkPolicies: {why}");
            holds.insert(templates::Hold::Unread(why));
        }
    }
    if case.put_back && !case.migration.accept.contains(&Accept::PutBack) {
        holds.insert(templates::Hold::PutBack);
    }
    let rolls = rollout::left(case.object);
    holds.extend(rolls.map(templates::Hold::Rolls));
    if rollout::revision(case.object, &[]).is_none() {
        holds.insert(templates::Hold::NoHistory);
    }
    holds.into_iter().map(Hold::Template).collect()
}

fn object(case: &Case<'_>, stage: Stage, labels: &Labels) -> (Mark, Value) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mark = Mark {
        account: case.email.clone(),
        name: case.seen.name.clone(),
        uid: text(&case.object["metadata"]["uid"]),
        revision: rollout::revision(case.object, &[]).unwrap_or_default(),
        stage,
    };
    let template = &case.edited.template;
    let object = super::object::of(case.object, template, labels, &mark, case.owner);
    (mark, object)
}

fn to(
    case: &Case<'_>,
    act: Act,
    stage: Stage,
    labels: Labels,
    services: BTreeSet<String>,
    object: Value,
) -> Decision {
    let next = Next {
        act,
        stage,
        steps: case.edited.steps.clone(),
        dropped: labels.dropped,
        services,
        object: Some(object),
    };
    Decision {
        next: Some(next),
        ..Decision::default()
    }
}

fn make(case: &Case<'_>, dark: Labels) -> Decision {
    let holds = of_template(case);
    if !holds.is_empty() {
        return Decision::held(holds);
    }
    let (_, object) = object(case, Stage::Dark, &dark);
    to(case, Act::Make, Stage::Dark, dark, BTreeSet::new(), object)
}

fn change(
    case: &Case<'_>,
    shadow: &ShadowSeen,
    dark: Labels,
    canary: Option<(Labels, BTreeSet<String>)>,
) -> Decision {
    let Some(mark) = shadow.mark() else {
        return Decision::default();
    };
    // It goes from rung to rung: in the dark first.
    let stays = mark.stage == Stage::Canary && canary.is_some();
    let (stage, labels, services) = match (stays, &canary) {
        (true, Some((labels, services))) => (Stage::Canary, labels.clone(), services.clone()),
        _ => (Stage::Dark, dark, BTreeSet::new()),
    };
    let (wanted, object) = self::object(case, stage, &labels);
    let live = &shadow.object.0;
    let is_it = wanted == mark
        && live["spec"]["replicas"] == 1
        && live["spec"]["template"]["metadata"]["labels"]
            == object["spec"]["template"]["metadata"]["labels"];
    if !is_it {
        // What stands against its template, stands against one of a newer revision, too.
        let holds = of_template(case);
        return match holds.is_empty() || wanted.revision == mark.revision {
            true => to(case, Act::Change, stage, labels, services, object),
            false => Decision::held(holds),
        };
    }
    if !matches!(standing::of(shadow), Standing::Since(_)) {
        return to(case, Act::Prove, stage, labels, services, object);
    }
    let (Stage::Dark, Some((labels, services))) = (stage, canary) else {
        return Decision::default();
    };
    if let Err((why, passes)) = standing::soaked(shadow, &case.migration.soak) {
        return Decision::held([Hold::Soaks(why, passes)]);
    }
    let (_, object) = self::object(case, Stage::Canary, &labels);
    to(case, Act::Change, Stage::Canary, labels, services, object)
}
