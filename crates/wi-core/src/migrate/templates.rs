//! What `wi` does with a workload's template itself, and how: decided by what is live, and by nothing else.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::edit::{Edited, Step, Wanted, without_keys};
use super::mark::{Mark, Way};
use super::pieces::{put_back, taken};
use super::{Trap, owners, rollout};
use crate::digest::sha256;
use crate::live::templates::TemplateSeen;
use crate::spec::migration::{Accept, Migration, Until};
use crate::wire::kubernetes::ObjectMeta;

/// How a template is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Strategy {
    /// One new pod comes first and is proven, then the others follow; none goes before a new one is there.
    Rolling,
    /// The last pod of a StatefulSet comes anew first and is proven, then the others follow, one after the other.
    Ordered,
    /// The pod of one node comes anew first and is proven, then the others follow, each beside the one of before.
    OnNodes,
    /// In one write: the next run is without the key.
    NextRun,
    /// In one write: no pod of it runs.
    AtOnce,
}

impl Strategy {
    /// How, and why so, for the reader.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Rolling => {
                "rolling, since nobody else keeps it: one new pod comes first; once it is proven the others follow, and none goes before a new one is ready"
            }
            Self::Ordered => {
                "rolling, since nobody else keeps it: the last pod comes anew first; once it is proven the others follow, each of which ends before it comes again"
            }
            Self::OnNodes => {
                "rolling, since nobody else keeps it: the pod of one node ends and comes anew first; once it is proven the others follow, and none goes before its new one is ready"
            }
            Self::NextRun => {
                "next run, since nobody else keeps it: runs that have begun end as they are, the next one does without"
            }
            Self::AtOnce => "in one write, since no pod of it runs",
        }
    }
}

/// What is done next.
#[derive(Debug, Clone, PartialEq)]
pub struct Next {
    /// Which way.
    pub way: Way,
    /// How.
    pub strategy: Strategy,
    /// Whether a run that did not come to its end has begun with it.
    pub goes_on: bool,
    /// What goes, or comes back.
    pub steps: Vec<Step>,
    /// The template that it is to have; `None`: the one that it has.
    pub template: Option<Value>,
}

impl Next {
    /// A change that a run has begun comes to its end this way.
    fn going_on(way: Way) -> Self {
        Self {
            way,
            strategy: Strategy::Rolling,
            goes_on: true,
            steps: Vec::new(),
            template: None,
        }
    }
}

/// Why `wi` does not change a template.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hold {
    /// Somebody keeps it elsewhere, and would undo it.
    Owned(String),
    /// Of this kind `wi` changes none.
    Kind(&'static str),
    /// What stands against taking the key out.
    Trap(Trap),
    /// New pods would not come beside those of before.
    Recreate,
    /// Pods are replaced by hand.
    OnDelete,
    /// A pod ends before the new one is there.
    Gap(&'static str),
    /// A new pod finds no place beside the one of before.
    NodePort,
    /// On some nodes its pods would be the node.
    MixedNodes,
    /// What would have to be kept for the way back may be a secret.
    Secretive,
    /// A change of its template would not come about.
    Paused,
    /// No template of before would be there for the way back.
    NoHistory,
    /// A rollout of its own goes on.
    Rolls(String),
    /// Somebody has put the key back.
    PutBack,
    /// A change for this account goes on, or has left its mark.
    Marked(String),
    /// The template of before is not to be had.
    NoFormer(String),
    /// It is another than `wi` has made.
    Changed,
    /// It could not be read.
    Unread(String),
    /// The spec does not say that its Kubernetes service account acts as the account.
    NotDeclared(String),
    /// It would not be the account without the key.
    NotBound(String),
    /// The way back leads to keys that nobody can authenticate with.
    Disabled(Vec<String>),
    /// Its pods do not reach the metadata server.
    KeptFrom(String),
    /// What it needs is held back.
    Needs(Vec<String>),
    /// Its shadow is to show first that it can do without; whether that passes.
    Shadow { why: String, passes: bool },
}

impl Hold {
    /// Whether it passes once others have done what is theirs.
    pub fn passes(&self) -> bool {
        matches!(
            self,
            Self::Owned(_) | Self::Rolls(_) | Self::Shadow { passes: true, .. }
        )
    }

    /// Its pods have an account that all others of the namespace have, too.
    pub fn default_account() -> Self {
        let why =
            "its pods run as the Kubernetes service account `default`: give them one of their own";
        Self::NotBound(why.to_owned())
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const BY_HAND: &str = "`wi migrate --emit DIR` writes the patch";
        match self {
            Self::Owned(owner) => write!(
                f,
                "it is kept by {owner}, which would undo a live change: change it there ({BY_HAND})"
            ),
            Self::Kind(kind) => write!(f, "wi changes no {kind} itself: change it by hand ({BY_HAND})"),
            Self::Trap(trap) => match trap.accept() {
                Some(accept) => write!(f, "{trap} (accept: [{}])", accept.name()),
                None => trap.fmt(f),
            },
            Self::Recreate => write!(
                f,
                "its strategy is Recreate: all of its pods end before the first new one is proven; change it by hand ({BY_HAND})"
            ),
            Self::OnDelete => write!(
                f,
                "its update strategy is OnDelete: pods are replaced by hand; change it by hand ({BY_HAND})"
            ),
            Self::Gap(gap) => write!(
                f,
                "{gap}: whoever asks it meanwhile is not served (accept: [{}])",
                Accept::Gap.name()
            ),
            Self::NodePort => write!(
                f,
                "its pods take a port of their node: no new one could stand beside the one of before; change it by hand ({BY_HAND})"
            ),
            Self::MixedNodes => f.write_str(
                "it has a pod on each node, and node pools of its cluster have no GKE metadata server: there it would be the node",
            ),
            Self::Secretive => f.write_str(
                "a variable that leads to the key has a value that may be a secret, so that wi could not keep the way back: take it out by hand",
            ),
            Self::Paused => f.write_str("it is paused: no pod would be replaced"),
            Self::NoHistory => f.write_str(
                "it keeps no template of before (revisionHistoryLimit: 0): there would be no way back",
            ),
            Self::Rolls(left) => write!(f, "a rollout of it goes on: {left}"),
            Self::PutBack => write!(
                f,
                "wi took the key out, and somebody has put it back: find out who, and change it there (accept: [{}] takes it out again)",
                Accept::PutBack.name()
            ),
            Self::Marked(account) => write!(f, "its template is changed for {account} as well: one after the other"),
            Self::NoFormer(why) => write!(
                f,
                "the template with the key is not to be had any more ({why}): put the key back by hand"
            ),
            Self::Changed => f.write_str(
                "its template was changed since wi took the key out: put the key back by hand",
            ),
            Self::Unread(why) => write!(f, "it could not be read: {why}"),
            Self::NotDeclared(account) => write!(
                f,
                "the spec does not say that Kubernetes service account {account} acts as the account (impersonates)"
            ),
            Self::NotBound(why) => write!(f, "without the key it would not be the account: {why}"),
            Self::Disabled(keys) => write!(
                f,
                "nobody can authenticate with the key that it would get back: {} is disabled",
                keys.join(", ")
            ),
            Self::KeptFrom(why) => write!(f, "without the key it would get no token: {why}"),
            Self::Shadow { why, .. } => f.write_str(why),
            Self::Needs(needs) => write!(f, "what it needs is held back: {}", needs.join(", ")),
        }
    }
}

/// The pod template of an object of this kind.
pub fn template<'a>(kind: &str, object: &'a Value) -> &'a Value {
    match kind {
        "CronJob" => &object["spec"]["jobTemplate"]["spec"]["template"],
        _ => &object["spec"]["template"],
    }
}

/// The object's metadata.
pub fn meta(object: &Value) -> ObjectMeta {
    serde_json::from_value(object["metadata"].clone()).unwrap_or_default()
}

impl TemplateSeen {
    /// A template of it without the key.
    pub fn edited(&self, template: &Value, accept: &BTreeSet<Accept>) -> Edited {
        without_keys(
            template,
            &Wanted {
                namespace: &self.namespace,
                keys: &self.keys,
                secrets: &self.secrets,
                config_maps: &self.config_maps,
                project: self.project.as_deref(),
                mixed_nodes: self.mixed_nodes,
                accept,
            },
        )
    }

    /// Of all that a decision rests on a digest, without values of variables.
    pub fn digest(&self) -> String {
        let Ok(object) = &self.object else {
            return String::new();
        };
        let object = &object.0;
        let mut template = template(self.kind, object).clone();
        for list in ["containers", "initContainers"] {
            let containers = template["spec"][list].as_array_mut();
            for container in containers.into_iter().flatten() {
                for variable in container["env"].as_array_mut().into_iter().flatten() {
                    if let Some(variable) = variable.as_object_mut() {
                        variable.remove("value");
                    }
                }
            }
        }
        let spec = &object["spec"];
        let is_idle = rollout::is_idle(object);
        let rest = ["strategy", "updateStrategy", "minReadySeconds", "paused"];
        let rest = rest.map(|field| &spec[field]);
        let text = format!("{template} {rest:?} {is_idle} {:?}", rollout::mark(object));
        sha256(text.as_bytes())
    }
}

/// What is to be done with a workload's template next, or what stands against it. `None`: nothing is.
pub fn next(
    migration: &Migration,
    email: &str,
    seen: &TemplateSeen,
) -> Option<Result<Next, Vec<Hold>>> {
    let place = (&*seen.namespace, seen.kind, &*seen.name);
    let is_out = migration.excludes(place.0, place.1, place.2);
    let object = match &seen.object {
        Ok(object) => &object.0,
        Err(_) if is_out => return None,
        Err(why) => return Some(Err(vec![Hold::Unread(why.clone())])),
    };
    let meta = meta(object);
    let mark = Mark::of(&meta);
    if is_out {
        // What was begun does not stay half-way: it goes back, and is left alone then.
        let own = mark.filter(|m| m.account.as_str() == email && m.way().is_some());
        return own.map(|_| Ok(Next::going_on(Way::Back)));
    }
    let edited = seen.edited(template(seen.kind, object), &migration.accept);
    let has_key = !edited.steps.is_empty() || !edited.traps.is_empty();
    if let Some(mark) = mark.as_ref().filter(|m| m.account.as_str() != email) {
        let holds = || Err(vec![Hold::Marked(mark.account.to_string())]);
        return (has_key && migration.until >= Until::Cutover).then(holds);
    }
    match (migration.until >= Until::Cutover, has_key) {
        (true, true) => Some(out(migration, seen, object, &meta, mark.as_ref(), edited)),
        (false, false) if mark.as_ref()?.way().is_none() => {
            Some(back(migration, seen, object, mark.as_ref()?))
        }
        // What was begun to take it out goes back: the spec does not ask for it any more.
        (false, false) => Some(Ok(Next::going_on(Way::Back))),
        // What was begun comes to its end, whichever way that was.
        (_, has_key) => mark?
            .way()
            .map(|_| Ok(Next::going_on(if has_key { Way::Back } else { Way::Out }))),
    }
}

/// Takes the key out.
fn out(
    migration: &Migration,
    seen: &TemplateSeen,
    object: &Value,
    meta: &ObjectMeta,
    mark: Option<&Mark>,
    edited: Edited,
) -> Result<Next, Vec<Hold>> {
    let mut holds: BTreeSet<Hold> = edited.traps.into_iter().map(Hold::Trap).collect();
    holds.extend(owners::owner(meta).map(Hold::Owned));
    match mark.map(Mark::way) {
        // The way back comes to its end first; whoever put the key back on the way out has not put back how the
        // rollout goes.
        Some(Some(_)) => {
            return Ok(Next::going_on(Way::Back));
        }
        Some(None) if !migration.accept.contains(&Accept::PutBack) => {
            holds.insert(Hold::PutBack);
        }
        _ => {}
    }
    match &seen.kept_from {
        Ok(None) => {}
        Ok(Some(why)) => _ = holds.insert(Hold::KeptFrom(why.clone())),
        Err(why) => _ = holds.insert(Hold::Unread(format!("NetworkPolicies: {why}"))),
    }
    let strategy = strategy(migration, seen, object, &mut holds);
    if strategy == Strategy::NextRun && taken(template(seen.kind, object), &edited.steps).is_none()
    {
        holds.insert(Hold::Secretive);
    }
    if !holds.is_empty() {
        return Err(holds.into_iter().collect());
    }
    Ok(Next {
        way: Way::Out,
        strategy,
        goes_on: false,
        steps: edited.steps,
        template: Some(edited.template),
    })
}

/// How pods of a workload come to another template, and what stands against that.
fn strategy(
    migration: &Migration,
    seen: &TemplateSeen,
    object: &Value,
    holds: &mut BTreeSet<Hold>,
) -> Strategy {
    let spec = &object["spec"];
    let strategy = match seen.kind {
        "Deployment" => Strategy::Rolling,
        "DaemonSet" => Strategy::OnNodes,
        "StatefulSet" => Strategy::Ordered,
        "CronJob" => return Strategy::NextRun,
        kind => {
            holds.insert(Hold::Kind(kind));
            return Strategy::AtOnce;
        }
    };
    let is_without = seen.kind == "Deployment" && rollout::revision(object, &[]).is_none();
    if spec["revisionHistoryLimit"] == 0 || is_without {
        holds.insert(Hold::NoHistory);
    }
    if spec["paused"] == true {
        holds.insert(Hold::Paused);
    }
    if seen.kind == "DaemonSet" && seen.mixed_nodes {
        holds.insert(Hold::MixedNodes);
    }
    if rollout::is_idle(object) {
        return Strategy::AtOnce;
    }
    if spec["strategy"]["type"] == "Recreate" {
        holds.insert(Hold::Recreate);
    }
    if spec["updateStrategy"]["type"] == "OnDelete" {
        holds.insert(Hold::OnDelete);
    }
    if seen.kind == "DaemonSet" && takes_a_node_port(template(seen.kind, object)) {
        holds.insert(Hold::NodePort);
    }
    let partition = spec["updateStrategy"]["rollingUpdate"]["partition"].as_i64();
    if let Some(partition) = partition.filter(|p| *p > 0) {
        let why = format!("pods below {partition} keep their template (partition)");
        holds.insert(Hold::Rolls(why));
    }
    let has_one = spec["replicas"].as_i64().unwrap_or(1) == 1;
    let gap = match strategy {
        Strategy::Ordered if has_one => Some("its only pod ends before the new one comes"),
        Strategy::OnNodes => Some("the pod of one node ends before the new one comes there"),
        _ => None,
    };
    let gap = gap.filter(|_| !migration.accept.contains(&Accept::Gap));
    holds.extend(gap.map(Hold::Gap));
    holds.extend(rollout::left(object).map(Hold::Rolls));
    strategy
}

fn takes_a_node_port(template: &Value) -> bool {
    let containers = template["spec"]["containers"].as_array();
    let ports = containers.into_iter().flatten();
    let mut ports = ports.flat_map(|c| c["ports"].as_array().into_iter().flatten());
    ports.any(|port| port["hostPort"].as_i64().unwrap_or(0) > 0)
}

/// Puts back what was taken out, if all is as it was then.
fn back(
    migration: &Migration,
    seen: &TemplateSeen,
    object: &Value,
    mark: &Mark,
) -> Result<Next, Vec<Hold>> {
    let no_former = |why: &str| Err(vec![Hold::NoFormer(why.to_owned())]);
    let former = match (&mark.pieces, seen.former.as_ref()) {
        (Some(pieces), _) => match put_back(template(seen.kind, object), pieces) {
            Some(former) => former,
            None => return Err(vec![Hold::Changed]),
        },
        (None, Some(Ok(former))) => rollout::template_of(&former.0),
        (None, Some(Err(why))) => return no_former(why),
        (None, None) => return no_former("it was not looked for"),
    };
    // All that could be accepted was, when it was taken out.
    let all = Accept::ALL.into_iter().collect();
    let edited = seen.edited(&former, &all);
    if edited.steps.is_empty() {
        return no_former("the Secret with the key is gone, or was not opened");
    }
    let mut holds = BTreeSet::new();
    if edited.template != *template(seen.kind, object) {
        holds.insert(Hold::Changed);
    }
    holds.extend(owners::owner(&meta(object)).map(Hold::Owned));
    let strategy = strategy(migration, seen, object, &mut holds);
    if !holds.is_empty() {
        return Err(holds.into_iter().collect());
    }
    Ok(Next {
        way: Way::Back,
        strategy,
        goes_on: false,
        steps: edited.steps,
        template: Some(former),
    })
}
