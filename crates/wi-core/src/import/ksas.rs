//! Kubernetes service accounts that have an identity, on the clusters where they have it.

use std::collections::{BTreeMap, BTreeSet};

use super::asked::Asked;
use super::facts::{Facts, KsaName, Usable};
use super::members::{Given, Members};
use super::told::{LeftOut, LeftOutKind};
use crate::address::BindingKey;
use crate::desired::GSA_ANNOTATION;
use crate::live::Seen;
use crate::names::{ClusterPath, Condition, Email, KsaIdentity, KubeName, Member, ProjectId, Role};
use crate::plan::ownership::owner_of;
use crate::resource::Resource;
use crate::wire::kubernetes::ObjectMeta;

/// How its pods reach Google APIs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Acts {
    /// As a Google service account.
    As(ActsAs),
    /// As itself, with these roles.
    Itself(Vec<Given>),
}

/// As which Google service account, and by which right.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ActsAs {
    pub account: Email,
    /// Under which the right is.
    pub condition: Option<Condition>,
    /// What the right is on, where that is not the account.
    pub through: Option<Resource>,
    /// What it has besides, which is nowhere its own.
    pub own: Vec<Given>,
}

impl ActsAs {
    /// Whether this is the right by which it acts.
    fn is_by(&self, key: &BindingKey) -> bool {
        let on_itself =
            matches!(&key.resource, Resource::ServiceAccount(of) if *of == self.account);
        let is_there = match &self.through {
            Some(on) => key.resource == *on,
            None => on_itself,
        };
        is_there && key.condition == self.condition && key.role == Role::workload_identity_user()
    }
}

/// A Kubernetes service account of the spec.
#[derive(Debug, Clone)]
pub(super) struct ChosenKsa {
    pub on: BTreeMap<ClusterPath, Acts>,
    /// Whose it is, where others make it.
    pub existing: Option<String>,
}

impl ChosenKsa {
    /// Whether it has this, on a cluster of its pool.
    pub fn has(&self, pool: &str, key: &BindingKey) -> bool {
        let given = Given::from(key);
        self.in_pool(pool).any(|acts| match acts {
            Acts::Itself(grants) => grants.contains(&given),
            Acts::As(by) => by.is_by(key) || by.own.contains(&given),
        })
    }

    /// What it is on the clusters of a pool.
    fn in_pool(&self, pool: &str) -> impl Iterator<Item = &Acts> {
        let on = self.on.iter();
        on.filter(move |(cluster, _)| cluster.project.workload_pool() == pool)
            .map(|(_, acts)| acts)
    }

    /// How many roles it has.
    pub fn grants(&self) -> usize {
        let all: BTreeSet<&Acts> = self.on.values().collect();
        let counts = all.into_iter().map(|acts| match acts {
            Acts::Itself(grants) | Acts::As(ActsAs { own: grants, .. }) => grants.len(),
        });
        counts.sum()
    }

    /// Whether this is the right by which it acts as an account on a cluster of the pool.
    pub fn acts_as(&self, pool: &str, key: &BindingKey) -> bool {
        self.in_pool(pool)
            .any(|acts| matches!(acts, Acts::As(by) if by.is_by(key)))
    }
}

/// A namespace of the spec.
#[derive(Debug, Clone)]
pub(super) struct ChosenNamespace {
    pub ksas: BTreeMap<KubeName, ChosenKsa>,
    /// Whose it is, where others make it.
    pub made_by: Option<String>,
}

/// What was found.
#[derive(Default)]
pub(super) struct Found {
    pub ksas: BTreeMap<KsaName, ChosenKsa>,
    /// Those that have no identity.
    pub plain: usize,
}

pub(super) fn choose(
    asked: &Asked<'_>,
    usable: &Usable<'_>,
    left_out: &mut BTreeSet<LeftOut>,
) -> Found {
    let Asked {
        facts,
        members,
        owner,
        refused,
        ..
    } = *asked;
    let mut found = Found::default();
    // All of one identity together: what it has counts in each of its clusters.
    let mut identities: BTreeMap<(KsaName, ProjectId), Vec<(&ClusterPath, &ObjectMeta)>> =
        BTreeMap::new();
    for (path, objects) in usable {
        for meta in objects.service_accounts.values() {
            let names = KubeName::label(&meta.namespace).ok();
            let Some(name) = names.zip(KubeName::parse(&meta.name).ok()) else {
                continue;
            };
            let all = identities.entry((name, path.project.clone())).or_default();
            all.push((*path, meta));
        }
    }
    for ((name, project), there) in identities {
        let identity = KsaIdentity::new(project.workload_pool(), name.0.as_str(), name.1.as_str());
        let own: Vec<BindingKey> = members.own(&identity).cloned().collect();
        let mut on = BTreeMap::new();
        let mut out = |what: String, why: String| {
            left_out.insert(LeftOut {
                kind: LeftOutKind::Ksa,
                what,
                why,
            });
        };
        let mut others = Vec::new();
        // One identity has one owner, in whichever cluster its mark is.
        let of_others = there
            .iter()
            .find_map(|(_, meta)| owner_of(meta).filter(|o| *o != owner));
        if let Some(other) = of_others {
            let what = format!("{}/{} of {project}", name.0, name.1);
            out(what, format!("it is of the spec named {other}"));
            continue;
        }
        for (path, meta) in there {
            let told = || format!("{}/{} in {path}", name.0, name.1);
            if !meta.deletion_timestamp.is_empty() {
                out(told(), "it is being deleted".to_owned());
                continue;
            }
            let annotation = meta.annotations.get(GSA_ANNOTATION);
            let acts = match annotation.filter(|a| !a.is_empty()) {
                Some(annotation) => match acts_as(facts, members, &identity, annotation) {
                    Ok(by) => Acts::As(by),
                    Err(why) => {
                        out(told(), why);
                        continue;
                    }
                },
                None if !own.is_empty() || owner_of(meta) == Some(owner) => {
                    Acts::Itself(own.iter().map(Given::from).collect())
                }
                None => {
                    found.plain += 1;
                    continue;
                }
            };
            others.push((asked.whose(meta), owner_of(meta) == Some(owner)));
            on.insert(path.clone(), acts);
        }
        if on.is_empty() {
            continue;
        }
        // What it has where it acts as itself is said there.
        let itself = on.values().any(|acts| matches!(acts, Acts::Itself(_)));
        for acts in on.values_mut() {
            if let Acts::As(by) = acts {
                let own = own.iter().filter(|key| !itself && !by.is_by(key));
                by.own = own.map(Given::from).collect();
            }
        }
        let why_not = match refused.ksa(&name) {
            Some(why) => Some(format!("the spec refuses it: {why}")),
            None => own.iter().find_map(|key| unwritable(facts, key)),
        };
        if let Some(why) = why_not {
            out(format!("{}/{} of {project}", name.0, name.1), why);
            continue;
        }
        let chosen = found.ksas.entry(name).or_insert_with(|| ChosenKsa {
            on: BTreeMap::new(),
            existing: None,
        });
        chosen.on.extend(on);
        if !others.iter().any(|(_, ours)| *ours) {
            let whose = others.into_iter().find_map(|(whose, _)| whose);
            chosen.existing = chosen.existing.take().or(whose);
        }
    }
    found
}

/// What no spec can say of a grant.
pub(super) fn unwritable(facts: &Facts, key: &BindingKey) -> Option<String> {
    if let Some(bucket) = key.resource.bucket()
        && (key.condition.is_some() || matches!(key.member, Member::Ksa(_)))
        && facts.uniform.get(bucket) == Some(&false)
    {
        return Some(format!(
            "it has {} on {}, which has no uniform bucket-level access, so that neither conditions nor roles of Kubernetes service accounts hold there: gcloud storage buckets update gs://{bucket} --uniform-bucket-level-access, and import again",
            key.role, key.resource
        ));
    }
    let condition = key.condition.as_ref()?;
    let has = |what: &str| {
        format!(
            "the condition of {} on {} has {what}, which no spec can have. Give it a title and an expression alone, and import again",
            key.role, key.resource
        )
    };
    if !condition.rest.is_empty() {
        return Some(has("more fields"));
    }
    condition.title.is_empty().then(|| has("no title"))
}

/// As which account it acts by its annotation and a right of its own.
fn acts_as(
    facts: &Facts,
    members: &Members,
    identity: &KsaIdentity,
    annotation: &str,
) -> Result<ActsAs, String> {
    let account = Email::parse(annotation).map_err(|e| format!("its annotation: {}", e.0))?;
    if account.as_str() != annotation {
        return Err(format!(
            "its annotation is {annotation}, and IAM has {account}: write it so, and import again"
        ));
    }
    match facts
        .policies
        .get(&Resource::ServiceAccount(account.clone()))
    {
        Some(Seen::Found(_)) => {}
        Some(Seen::Absent) => {
            return Err(format!(
                "{account}, which it is annotated with, does not exist"
            ));
        }
        Some(Seen::Unknown(why)) => {
            return Err(format!(
                "who may act as {account} could not be read: {}",
                why.cause()
            ));
        }
        None => return Err(format!("who may act as {account} was not read")),
    }
    let of_account: Vec<&BindingKey> = members.may_act(identity, &account).collect();
    let others: Vec<&BindingKey> = members.otherwise_of(identity, &account).collect();
    let on_project = |k: &&&BindingKey| k.is_wide() && matches!(k.resource, Resource::Project(_));
    let wide: Vec<&BindingKey> = others.iter().filter(on_project).copied().collect();
    let (rights, is_wide) = match of_account.is_empty() {
        false => (of_account, false),
        true => (wide, true),
    };
    let free = rights.iter().find(|key| key.condition.is_none());
    let writable = || rights.iter().find(|key| unwritable(facts, key).is_none());
    let Some(right) = free.or_else(writable).or(rights.first()) else {
        return Err(match others.first() {
            Some(key) => format!(
                "it acts as {account} by {} on {}, which lets it do more than workloads need. Give it roles/iam.workloadIdentityUser on {account}, take that away, and import again",
                key.role, key.resource
            ),
            None => format!(
                "it is annotated with {account} and has no right of its own to act as it. A spec would give it one: add `impersonates` if that is meant"
            ),
        });
    };
    match unwritable(facts, right) {
        Some(why) => Err(why),
        None => Ok(ActsAs {
            account,
            condition: right.condition.clone(),
            through: is_wide.then(|| right.resource.clone()),
            own: Vec::new(),
        }),
    }
}

pub(super) fn by_namespace(
    asked: &Asked<'_>,
    ksas: BTreeMap<KsaName, ChosenKsa>,
) -> BTreeMap<KubeName, ChosenNamespace> {
    let mut namespaces: BTreeMap<KubeName, ChosenNamespace> = BTreeMap::new();
    for ((namespace, name), ksa) in ksas {
        let of = namespaces
            .entry(namespace)
            .or_insert_with(|| ChosenNamespace {
                ksas: BTreeMap::new(),
                made_by: None,
            });
        of.ksas.insert(name, ksa);
    }
    for (name, namespace) in &mut namespaces {
        let clusters = namespace.ksas.values().flat_map(|k| k.on.keys());
        let metas = clusters.filter_map(|path| {
            let objects = asked.facts.clusters.get(path)?.objects.found()?;
            objects.namespaces.get(name.as_str())
        });
        // One that `wi` made is made again, wherever it is missing.
        let made_by: Vec<Option<String>> = metas.map(|meta| asked.whose(meta)).collect();
        if made_by.iter().all(Option::is_some) {
            namespace.made_by = made_by.into_iter().flatten().next();
        }
    }
    namespaces
}
