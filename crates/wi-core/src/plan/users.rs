//! Who else may act as an account of the spec, and whether that right is seen to be used: what is used is held
//! back and named, what cannot be seen is kept and told, and only what nobody uses is taken away.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::edit::annotation_managers;
use super::ownership::other_manager;
use super::ownership::owner_of;
use super::{Options, Workload};
use crate::access::{self, Given};
use crate::address::BindingKey;
use crate::desired::{Desired, GSA_ANNOTATION};
use crate::live::{Live, Objects, Seen, Unlisted};
use crate::names::{ClusterPath, Email, KsaIdentity, Member};
use crate::read_set::ReadSet;
use crate::resource::Resource;
use crate::spec::model::WorkloadPattern;
use crate::wire::kubernetes::ObjectMeta;
use crate::wire::pods::Pod;

/// A Kubernetes service account that uses its right to act as an account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct User {
    /// `cluster.NAME`, or the path of one that the spec does not have.
    pub cluster: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Whether it is annotated with the account; otherwise pods that run as it may use the right by themselves.
    pub annotated: bool,
    /// Whose it is: the spec or the tool that has marked it.
    pub owner: Option<String>,
    /// What runs as it, as far as it was read.
    pub workloads: BTreeSet<Workload>,
}

impl fmt::Display for User {
    /// `shop/web in cluster.main, annotated with it, of the spec named `pay`: Deployment shop/web`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} in {}", self.namespace, self.name, self.cluster)?;
        if self.annotated {
            f.write_str(", annotated with it")?;
        }
        if let Some(owner) = &self.owner {
            write!(f, ", of {owner}")?;
        }
        let workloads: Vec<String> = self.workloads.iter().map(ToString::to_string).collect();
        if !workloads.is_empty() {
            write!(f, ": {}", workloads.join(", "))?;
        }
        Ok(())
    }
}

/// Why a right to act as an account of the spec, which the spec does not give, is not taken away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Users {
    /// The account.
    pub account: Email,
    /// Who uses it.
    pub seen: BTreeSet<User>,
    /// Why it cannot be seen who else does.
    pub unseen: BTreeSet<String>,
    /// Whether the account itself is to go.
    pub leaves: bool,
    /// Spec lines that declare it; empty where there are none.
    pub declare: String,
    /// Spec lines that take it away; empty where there are none.
    pub accept_loss: String,
}

impl Users {
    /// A line for each user, and for each place that cannot be seen.
    pub fn in_words(&self) -> Vec<String> {
        let seen = self.seen.iter().map(|user| format!("it is used by {user}"));
        let unseen = self.unseen.iter();
        let unseen = unseen.map(|why| format!("whether it is used cannot be seen: {why}"));
        seen.chain(unseen).collect()
    }
}

/// Whether a right to act as an account is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Use {
    /// By these.
    Seen(BTreeSet<User>),
    /// By nobody in any of so many clusters, which are all.
    Nobody(usize),
    /// It cannot be seen; why.
    Unseen(String),
}

/// A cluster in which identities of a workload pool may be.
pub(super) struct Place<'a> {
    /// The spec's name of it.
    pub name: Option<&'a str>,
    /// The cluster.
    pub path: &'a ClusterPath,
    there: Seen<There<'a>>,
}

/// The Kubernetes service accounts of a cluster.
enum There<'a> {
    OfSpec(&'a Objects),
    Outside(&'a [ObjectMeta]),
}

impl<'a> Place<'a> {
    fn in_words(&self) -> String {
        match self.name {
            Some(name) => format!("cluster.{name}"),
            None => self.path.to_string(),
        }
    }

    /// Those that were read.
    pub(super) fn service_accounts(&self) -> impl Iterator<Item = &'a ObjectMeta> + use<'a> {
        let (of_spec, outside) = match &self.there {
            Seen::Found(There::OfSpec(objects)) => (Some(objects.service_accounts.values()), None),
            Seen::Found(There::Outside(all)) => (None, Some(all.iter())),
            Seen::Absent | Seen::Unknown(_) => (None, None),
        };
        let outside = outside.into_iter().flatten();
        of_spec.into_iter().flatten().chain(outside)
    }

    fn find(&self, identity: &KsaIdentity) -> Seen<&'a ObjectMeta> {
        let (namespace, name) = (identity.namespace.as_str(), identity.name.as_str());
        let found = match &self.there {
            Seen::Absent => None,
            Seen::Unknown(why) => {
                let of = format!("{} could not be read: ", self.in_words());
                return Seen::Unknown(why.clone().within(&of));
            }
            Seen::Found(There::Outside(all)) => all
                .iter()
                .find(|m| m.namespace == namespace && m.name == name),
            Seen::Found(There::OfSpec(objects)) => {
                let key = (namespace.to_owned(), name.to_owned());
                let found = objects.service_accounts.get(&key);
                if found.is_none()
                    && objects.only_of_spec
                    && !objects.namespaces.contains_key(namespace)
                {
                    let of = self.in_words();
                    let why = format!("the namespace {namespace} of {of} may not be read");
                    return Seen::Unknown(why.into());
                }
                found
            }
        };
        found.map_or(Seen::Absent, Seen::Found)
    }
}

/// All clusters of a workload pool, those of the spec first; `of_spec` names these.
fn places<'a>(
    of_spec: impl Iterator<Item = (&'a str, &'a ClusterPath)>,
    live: &'a Live,
    pool: &str,
) -> impl Iterator<Item = Place<'a>> {
    let pool = pool.to_owned();
    let all = all_places(of_spec, live);
    all.filter(move |place| place.path.project.workload_pool() == pool)
}

/// As [`places`], of all pools.
pub(super) fn all_places<'a>(
    of_spec: impl Iterator<Item = (&'a str, &'a ClusterPath)>,
    live: &'a Live,
) -> impl Iterator<Item = Place<'a>> {
    let of_spec = of_spec.map(|(name, path)| Place {
        name: Some(name),
        path,
        there: match live.kubernetes.get(name) {
            Some(seen) => seen.as_ref().map(There::OfSpec),
            None => Seen::Unknown("it was not read".into()),
        },
    });
    let outside = live.outside.iter().map(|o| Place {
        name: None,
        path: &o.path,
        there: o.service_accounts.as_ref().map(|all| There::Outside(all)),
    });
    of_spec.chain(outside)
}

fn annotated_with(meta: &ObjectMeta) -> Option<&str> {
    let account = meta.annotations.get(GSA_ANNOTATION)?;
    Some(account.as_str()).filter(|a| !a.is_empty())
}

/// Whether this spec itself changes what this service account acts as, before the right goes.
fn is_ours_to_change(desired: &Desired, place: &Place<'_>, meta: &ObjectMeta) -> bool {
    let Some(cluster) = place.name else {
        return false;
    };
    // The annotation of one that is released stays where others own it, too.
    desired.ksa(cluster, &meta.namespace, &meta.name).is_some()
        || (owner_of(meta) == Some(desired.owner.as_str()) && annotation_managers(meta).is_empty())
}

fn whose(meta: &ObjectMeta) -> Option<String> {
    match owner_of(meta) {
        Some(spec) => Some(format!("the spec named `{spec}`")),
        None => other_manager(meta),
    }
}

/// Pods of a namespace that still run or will; `None`: they were not asked for.
pub(super) fn pods<'a>(
    live: &'a Live,
    place: &Place<'_>,
    namespace: &str,
) -> Option<Result<Vec<&'a Pod>, &'a str>> {
    let of_namespace = |pods: &'a [Pod]| {
        let pods = pods.iter().filter(|p| p.metadata.namespace == namespace);
        pods.filter(|p| !p.has_ended()).collect()
    };
    let objects = place
        .name
        .and_then(|name| live.kubernetes.get(name)?.found());
    if let Some(Ok(workloads)) = objects.and_then(|o| o.workloads.as_ref())
        && workloads.has_pods_of(namespace)
    {
        return Some(Ok(of_namespace(&workloads.pods)));
    }
    let key = (place.path.clone(), namespace.to_owned());
    Some(match live.pods_of_users.get(&key)? {
        Ok(pods) => Ok(of_namespace(pods)),
        Err(why) => Err(why),
    })
}

/// Whether a service account uses its right; `Err`: why that is not known.
fn user(
    live: &Live,
    place: &Place<'_>,
    meta: &ObjectMeta,
    account: &Email,
) -> Result<Option<User>, String> {
    let annotated = annotated_with(meta) == Some(account.as_str());
    let pods = match pods(live, place, &meta.namespace) {
        Some(Ok(pods)) => pods,
        _ if annotated => Vec::new(),
        Some(Err(why)) => {
            return Err(format!(
                "the pods of {} in {} could not be read: {why}",
                meta.namespace,
                place.in_words()
            ));
        }
        None => {
            return Err(format!(
                "the pods of {} in {} were not read",
                meta.namespace,
                place.in_words()
            ));
        }
    };
    let workloads: BTreeSet<Workload> = pods
        .into_iter()
        .filter(|p| p.service_account() == meta.name)
        .map(Workload::of)
        .collect();
    Ok((annotated || !workloads.is_empty()).then(|| User {
        cluster: place.in_words(),
        namespace: meta.namespace.clone(),
        name: meta.name.clone(),
        annotated,
        owner: whose(meta),
        workloads,
    }))
}

/// Kubernetes service accounts that act as an account by their annotation, by whatever right, besides those that this
/// spec changes itself.
pub(super) fn annotated(
    desired: &Desired,
    live: &Live,
    now: Option<Timestamp>,
    account: &Email,
) -> BTreeSet<User> {
    let acts = |place: &Place<'_>, meta: &ObjectMeta| {
        let project = &place.path.project;
        let identity = KsaIdentity::new(project.workload_pool(), &meta.namespace, &meta.name);
        let ksa = access::Ksa {
            identity: &identity,
            cluster: place.path,
            number: live.numbers.get(project).and_then(Seen::found).copied(),
            uid: &meta.uid,
            annotation: annotated_with(meta),
        };
        let given = access::by_metadata_server(live, &ksa, now);
        matches!(given, Given::Account(_) | Given::Unseen(_))
    };
    let of_spec = desired.clusters.iter();
    let of_spec = of_spec.map(|(name, c)| (name.as_str(), &c.path));
    let mut users = BTreeSet::new();
    for place in all_places(of_spec, live) {
        let of_account = place.service_accounts().filter(|meta| {
            annotated_with(meta) == Some(account.as_str())
                && !is_ours_to_change(desired, &place, meta)
                && acts(&place, meta)
        });
        users.extend(of_account.filter_map(|meta| user(live, &place, meta, account).ok()?));
    }
    users
}

/// Whether somebody uses the right of `member` to act as `account`, besides what this spec changes itself.
pub(super) fn use_of(desired: &Desired, live: &Live, member: &Member, account: &Email) -> Use {
    let Member::Ksa(identity) = member else {
        return Use::Unseen(format!(
            "{member} is a set, and who is in it cannot be seen"
        ));
    };
    let pool = identity.pool.as_str();
    let mut seen = BTreeSet::new();
    let mut unseen = None;
    let mut clusters = 0;
    let of_spec = desired.clusters.iter();
    let of_spec = of_spec.map(|(name, c)| (name.as_str(), &c.path));
    for place in places(of_spec, live, pool) {
        clusters += 1;
        let user = match place.find(identity) {
            Seen::Found(meta) if is_ours_to_change(desired, &place, meta) => continue,
            Seen::Found(meta) => user(live, &place, meta, account),
            Seen::Absent => continue,
            Seen::Unknown(why) => Err(why.into()),
        };
        match user {
            Ok(user) => seen.extend(user),
            Err(why) => _ = unseen.get_or_insert(why),
        }
    }
    if !seen.is_empty() {
        return Use::Seen(seen);
    }
    let project = pool.strip_suffix(".svc.id.goog").unwrap_or(pool);
    if clusters == 0 {
        return Use::Unseen(format!("the spec has no cluster of the pool of {project}"));
    }
    if hosts_fleet(desired, live, pool) {
        return Use::Unseen(format!(
            "clusters of {project} are in a fleet, and clusters elsewhere may have its pool, too"
        ));
    }
    let unlisted = live.unlisted.keys().find(|unlisted| match unlisted {
        Unlisted::ClustersOf(project) => project.workload_pool() == pool,
        Unlisted::ProjectsOf(_) => false,
    });
    if let Some(unlisted) = unlisted {
        return Use::Unseen(format!("{unlisted} could not be listed"));
    }
    match unseen {
        Some(why) => Use::Unseen(why),
        None => Use::Nobody(clusters),
    }
}

/// Whether clusters of the pool's project are in a fleet: others of it may have its pool, too.
fn hosts_fleet(desired: &Desired, live: &Live, pool: &str) -> bool {
    let ours = desired
        .clusters_of_pool(pool)
        .filter_map(|name| live.clusters.get(name)?.found());
    let outside = live
        .outside
        .iter()
        .filter(|o| o.path.project.workload_pool() == pool)
        .map(|o| &o.cluster);
    ours.chain(outside).any(|c| !c.fleet.membership.is_empty())
}

/// Namespaces whose pods say whether somebody uses a right to act as an account that the spec does not give:
/// by the cluster that they are in. What was read already is not asked for again.
pub(super) fn pods_to_read(set: &ReadSet, live: &Live) -> BTreeMap<ClusterPath, BTreeSet<String>> {
    let mut wanted: BTreeMap<ClusterPath, BTreeSet<String>> = BTreeMap::new();
    for identity in undeclared(set, live) {
        let of_spec = set.clusters.iter();
        let of_spec = of_spec.map(|(name, c)| (name.as_str(), &c.wanted.path));
        for place in places(of_spec, live, &identity.pool) {
            let named = place
                .name
                .and_then(|name| set.clusters[name].ksa(&identity.namespace, &identity.name));
            if !matches!(place.find(&identity), Seen::Found(_))
                || named.is_some()
                || pods(live, &place, &identity.namespace).is_some()
            {
                continue;
            }
            let namespaces = wanted.entry(place.path.clone()).or_default();
            namespaces.insert(identity.namespace.clone());
        }
    }
    wanted
}

/// Kubernetes service accounts that may act as accounts of the spec, which does not say so.
fn undeclared(set: &ReadSet, live: &Live) -> BTreeSet<KsaIdentity> {
    let mut found = BTreeSet::new();
    for (resource, policy) in &live.policies {
        // Who may act as an account of others is theirs to say.
        if !matches!(resource, Resource::ServiceAccount(_)) || set.policies.contains(resource) {
            continue;
        }
        for binding in policy.found().into_iter().flat_map(|p| &p.bindings) {
            for member in &binding.members {
                let only = set.only_users.as_ref();
                if let Some(key) = BindingKey::read(resource, binding, member)
                    && key.is_impersonation()
                    && !set.users.contains(&key)
                    && only.is_none_or(|only| only.contains(&key))
                    && let Member::Ksa(identity) = key.member
                {
                    found.insert(identity);
                }
            }
        }
    }
    found
}

/// Whether the user said that all of these may lose the right.
pub(super) fn accepted(desired: &Desired, options: &Options, member: &Member, used: &Use) -> bool {
    if options.accept_loss {
        return true;
    }
    match (used, member) {
        (Use::Nobody(_), _) => true,
        (Use::Seen(users), _) => users.iter().all(|user| {
            let cluster = user.cluster.strip_prefix("cluster.");
            let cluster = cluster.and_then(|name| desired.clusters.get(name));
            let patterns = cluster.map_or(&desired.accept_loss, |c| &c.accept_loss);
            accepts(patterns, &user.namespace, &user.name)
                || (!user.workloads.is_empty()
                    && user.workloads.iter().all(|w| {
                        let mut patterns = patterns.iter();
                        patterns.any(|p| p.matches(&w.namespace, &w.kind, &w.name))
                    }))
        }),
        (Use::Unseen(_), Member::Ksa(ksa)) => {
            accepts(&desired.accept_loss, &ksa.namespace, &ksa.name)
        }
        (Use::Unseen(_), _) => false,
    }
}

/// What is said of what goes although it is used, or may be.
pub(super) fn accepted_in_words(used: &Use) -> String {
    match used {
        Use::Seen(users) => {
            let users: Vec<String> = users.iter().map(User::to_string).collect();
            format!(
                "its loss is accepted, though it is used by {}",
                users.join("; ")
            )
        }
        Use::Unseen(why) => format!("its loss is accepted, unseen whether it is used: {why}"),
        Use::Nobody(_) => String::new(),
    }
}

pub(super) fn accepts(patterns: &[WorkloadPattern], namespace: &str, name: &str) -> bool {
    patterns
        .iter()
        .any(|p| p.matches(namespace, "ServiceAccount", name))
}

/// Why a right of `member` stays.
pub(super) fn held(desired: &Desired, account: &Email, member: &Member, used: Use) -> Users {
    let home = desired.account_name(account);
    let declare = match (home, declared_as(desired, account, member)) {
        (Some(name), Some(user)) => {
            format!("googleServiceAccounts:\n  {name}:\n    users: [{user}]\n")
        }
        _ => String::new(),
    };
    let accept_loss = match member {
        Member::Ksa(ksa) => format!(
            "acceptLoss: [{}/ServiceAccount/{}]\n",
            ksa.namespace, ksa.name
        ),
        _ => String::new(),
    };
    let (seen, unseen) = match used {
        Use::Seen(users) => (users, BTreeSet::new()),
        Use::Unseen(why) => (BTreeSet::new(), BTreeSet::from([why])),
        Use::Nobody(_) => (BTreeSet::new(), BTreeSet::new()),
    };
    Users {
        account: account.clone(),
        seen,
        unseen,
        leaves: false,
        declare,
        accept_loss,
    }
}

/// As `users` of the spec has a member.
fn declared_as(desired: &Desired, account: &Email, member: &Member) -> Option<String> {
    Some(match member {
        Member::Ksa(ksa) => {
            let home = desired.accounts.values().find(|a| a.email == *account)?;
            if home.project.workload_pool() == ksa.pool {
                format!("{}/{}", ksa.namespace, ksa.name)
            } else {
                match ksa.pool.strip_suffix(".svc.id.goog") {
                    Some(project) if !project.contains('.') => {
                        format!("{project}/{}/{}", ksa.namespace, ksa.name)
                    }
                    _ => format!("\"{}\"", ksa.legacy_member()),
                }
            }
        }
        Member::Set(set) => set.as_user()?,
        Member::Other(text) => format!("\"{text}\""),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use crate::live::Unlisted;
    use crate::names::ProjectId;
    use crate::plan::fixture::{Case, HEAD};

    #[test]
    fn where_clusters_of_the_pool_could_not_be_listed_somebody_there_may_use_a_right() {
        let spec = format!("{HEAD}googleServiceAccounts: {{ backend: {{}} }}\n");
        let mut case = Case::of(&spec);
        let on = "serviceaccount/backend@acme-prod.iam.gserviceaccount.com";
        let grafana = "serviceAccount:acme-prod.svc.id.goog[mon/grafana]";
        case.account("backend", serde_json::json!({ "description": "[wi:shop]" }));
        case.grant(on, "roles/iam.workloadIdentityUser", grafana);
        let binding = "binding.backend/acme-prod/mon/grafana";
        assert!(case.plan().changes.contains_key(binding), "nobody uses it");
        let project = |id: &str| Unlisted::ClustersOf(ProjectId::parse(id).expect("an id"));
        let unlisted = |id: &str| std::iter::once((project(id), "403".into())).collect();
        case.live.unlisted = unlisted("acme-edge");
        assert!(case.plan().changes.contains_key(binding), "of another pool");
        case.live.unlisted = unlisted("acme-prod");
        let plan = case.plan();
        assert!(plan.changes.is_empty(), "{:?}", plan.changes.keys());
        let told = plan.held_back.iter().any(|h| *h.address == *binding)
            || plan.unseen.iter().any(|u| u.what == binding);
        assert!(told, "{:?} {:?}", plan.held_back, plan.unseen);
    }
}
