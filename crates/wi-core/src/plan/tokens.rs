//! Tokens outlive the identity that they were made for: pods that run since before their service account came to act
//! as something else may use those of before until they expire.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::{SignedDuration, Timestamp};

use super::ownership::{is_going, is_ours};
use super::restarts::{is_unreached, uses_own_identity};
use super::users::{Place, accepts, all_places, pods};
use super::{Options, Workload, users};
use crate::access::{self, Given};
use crate::address::BindingKey;
use crate::desired::{Desired, GSA_ANNOTATION};
use crate::live::{ConfigMaps, Live, Seen, Workloads};
use crate::names::{ClusterPath, Email, KsaIdentity, Member};
use crate::read_set::{ReadKsa, ReadSet};
use crate::resource::Resource;
use crate::wire::kubernetes::ObjectMeta;
use crate::wire::pods::Pod;

/// For how long after a change of identity something may be done with a token of before: tokens live for an hour, and
/// for how long the metadata server goes by an annotation of before is not documented.
const OUTLIVE: SignedDuration = SignedDuration::from_mins(75);

/// A Kubernetes service account whose running pods may have tokens of a former identity.
#[derive(Debug)]
pub(super) struct Holder<'a> {
    /// As IAM knows it.
    pub identity: KsaIdentity,
    path: &'a ClusterPath,
    /// For the reader.
    place: String,
    meta: &'a ObjectMeta,
    /// When it came to act as it does; `None`: that changes with this plan.
    since: Option<Timestamp>,
    /// Whose pods they are, or why that is not known.
    pods: Result<BTreeSet<Workload>, String>,
}

impl<'a> Holder<'a> {
    fn of(
        place: &Place<'a>,
        meta: &'a ObjectMeta,
        since: Option<Timestamp>,
        pods: Result<BTreeSet<Workload>, String>,
    ) -> Self {
        let pool = place.path.project.workload_pool();
        let (namespace, name) = (&meta.namespace, &meta.name);
        Self {
            identity: KsaIdentity::new(pool, namespace, name),
            path: place.path,
            place: match place.name {
                Some(cluster) => format!("ksa.{cluster}/{namespace}/{name}"),
                None => format!("{namespace}/{name} on {}", place.path),
            },
            meta,
            since,
            pods,
        }
    }

    /// Whether its pods may have tokens of their own identity from before.
    pub(super) fn was_itself(&self) -> bool {
        acts_as(self.meta).is_none() == self.since.is_none()
    }

    /// Whether its pods may have tokens of a Google service account from before.
    pub(super) fn was(&self, account: &Email, live: &Live, now: Option<Timestamp>) -> bool {
        let acts_so = acts_as(self.meta) == Some(account.as_str());
        acts_so == self.since.is_none() && self.may_act_as(account, live, now)
    }

    /// Whether the account was another one that its own right leads to.
    pub(super) fn may_have_been(&self, account: &Email) -> bool {
        let acts_so = acts_as(self.meta) == Some(account.as_str());
        acts_so == self.since.is_none()
    }

    /// By what is live still.
    fn may_act_as(&self, account: &Email, live: &Live, now: Option<Timestamp>) -> bool {
        let project = &self.path.project;
        let ksa = access::Ksa {
            identity: &self.identity,
            cluster: self.path,
            number: live.numbers.get(project).and_then(Seen::found).copied(),
            uid: &self.meta.uid,
            annotation: Some(account.as_str()),
        };
        let given = access::by_metadata_server(live, &ksa, now);
        matches!(given, Given::Account(_) | Given::Unseen(_))
    }
}

impl fmt::Display for Holder<'_> {
    /// Who has tokens of what, and until when.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = &self.place;
        let minutes = OUTLIVE.as_mins();
        match self.since {
            None => write!(
                f,
                "{place} is to act as something else, and pods that run already may use tokens of before for up to {minutes} minutes"
            )?,
            Some(since) => write!(
                f,
                "{place} acts as something else since {since}, and pods that run since before may use tokens of what it was until {}",
                since + OUTLIVE
            )?,
        }
        match &self.pods {
            Ok(workloads) => {
                let names: Vec<String> = workloads.iter().map(ToString::to_string).collect();
                write!(f, " ({})", names.join(", "))
            }
            Err(why) => write!(f, " (which ones is not known: {why})"),
        }
    }
}

/// All of them, but for those that may lose it.
pub(super) fn holders<'a>(
    desired: &'a Desired,
    live: &'a Live,
    options: &Options,
) -> Vec<Holder<'a>> {
    if options.accept_loss {
        return Vec::new();
    }
    let of_spec = desired.clusters.iter();
    let of_spec = of_spec.map(|(name, c)| (name.as_str(), &c.path));
    let mut holders = Vec::new();
    for place in all_places(of_spec, live) {
        for meta in place.service_accounts().filter(|m| !is_going(m)) {
            let change = changes(desired, &place, meta);
            let lately = options.now.and_then(|now| changed_lately(meta, now));
            let lately = lately.filter(|_| !matches!(change, Change::Goes));
            let planned = matches!(change, Change::Gets).then_some(None);
            for since in planned.into_iter().chain(lately.map(Some)) {
                let pods = running(live, &place, meta, since);
                if !pods.as_ref().is_ok_and(BTreeSet::is_empty)
                    && !accepted(desired, &place, meta, &pods)
                {
                    holders.push(Holder::of(&place, meta, since, pods));
                }
            }
        }
    }
    holders
}

/// Namespaces whose pods are read last of all, since only service accounts and policies say which: those that may use
/// a right to act as an account that the spec does not give, and those that may have tokens of before.
pub fn pods_to_read(
    set: &ReadSet,
    live: &Live,
    now: Timestamp,
) -> BTreeMap<ClusterPath, BTreeSet<String>> {
    let mut wanted = users::pods_to_read(set, live);
    let of_spec = || {
        let clusters = set.clusters.iter();
        clusters.map(|(name, c)| (name.as_str(), &c.wanted.path))
    };
    for (path, namespace) in to_read(set, live, now) {
        let mut here = all_places(of_spec(), live).filter(|place| place.path == path);
        if !here.any(|place| pods(live, &place, namespace).is_some()) {
            let namespaces = wanted.entry(path.clone()).or_default();
            namespaces.insert(namespace.to_owned());
        }
    }
    wanted
}

/// Namespaces whose pods say whether tokens of before may be in use where something of that is there still.
fn to_read<'a>(
    set: &'a ReadSet,
    live: &'a Live,
    now: Timestamp,
) -> impl Iterator<Item = (&'a ClusterPath, &'a str)> {
    let mut lately: BTreeMap<&KsaIdentity, Vec<(&ReadKsa, &ClusterPath, &ObjectMeta)>> =
        BTreeMap::new();
    for (cluster, of) in &set.clusters {
        let Some(objects) = live.kubernetes.get(cluster).and_then(Seen::found) else {
            continue;
        };
        for ksa in &of.ksas {
            let identity = &ksa.identity;
            let name = (identity.namespace.clone(), identity.name.clone());
            if let Some(meta) = objects.service_accounts.get(&name)
                && changed_lately(meta, now).is_some()
            {
                let all = lately.entry(identity).or_default();
                all.push((ksa, &of.wanted.path, meta));
            }
        }
    }
    let mut found = BTreeSet::new();
    let policies = live.policies.iter().filter(|_| !lately.is_empty());
    for (resource, policy) in policies {
        for key in policy
            .found()
            .into_iter()
            .flat_map(|policy| BindingKey::of_policy(resource, policy).into_keys())
        {
            let Member::Ksa(identity) = &key.member else {
                continue;
            };
            for (ksa, path, meta) in lately.get(identity).into_iter().flatten() {
                let now = acts_as(meta);
                let is_former = match (&key.resource, key.is_impersonation()) {
                    (Resource::ServiceAccount(email), true) => {
                        now != Some(email.as_str()) && !set.users.contains(&key)
                    }
                    _ => now.is_some(),
                };
                if is_former {
                    found.insert((*path, ksa.identity.namespace.as_str()));
                }
            }
        }
    }
    found.into_iter()
}

/// What this plan makes of as what one acts.
#[derive(Clone, Copy)]
enum Change {
    /// Nothing.
    Stays,
    /// It gets something else.
    Gets,
    /// It gets nothing, or goes: who loses by that is told.
    Goes,
}

fn changes(desired: &Desired, place: &Place<'_>, meta: &ObjectMeta) -> Change {
    let Some(cluster) = place.name else {
        return Change::Stays;
    };
    let now = acts_as(meta);
    if let Some(wanted) = desired.ksa(cluster, &meta.namespace, &meta.name) {
        let after = wanted.account.as_ref().map(Email::as_str);
        let is_so = match (now, after) {
            (Some(now), Some(after)) => now.eq_ignore_ascii_case(after),
            (now, after) => now == after,
        };
        return match after.is_some() || wanted.has_direct_grants {
            // What others annotate is waited for.
            _ if is_so || wanted.existing => Change::Stays,
            true => Change::Gets,
            false => Change::Goes,
        };
    }
    match is_ours(meta, &desired.owner) {
        true => Change::Goes,
        false => Change::Stays,
    }
}

/// When it last changed, where tokens of before that may be in use still.
fn changed_lately(meta: &ObjectMeta, now: Timestamp) -> Option<Timestamp> {
    let changed = meta.changed_at()?;
    (changed + OUTLIVE > now).then_some(changed)
}

/// As which Google service account one acts; `None`: as itself.
fn acts_as(meta: &ObjectMeta) -> Option<&str> {
    let account = meta.annotations.get(GSA_ANNOTATION)?;
    Some(account.as_str()).filter(|a| !a.is_empty())
}

/// What runs since before, and gets its tokens from the metadata server; `Err`: why that is not known.
fn running(
    live: &Live,
    place: &Place<'_>,
    meta: &ObjectMeta,
    since: Option<Timestamp>,
) -> Result<BTreeSet<Workload>, String> {
    let of_cluster = place.name.and_then(|name| {
        let objects = live.kubernetes.get(name)?.found()?;
        let read = objects.workloads.as_ref()?.as_ref();
        Some((name, read))
    });
    if let Some((_, Err(why))) = of_cluster {
        return Err(why.to_string());
    }
    let workloads = of_cluster.and_then(|(_, read)| read.ok());
    let pods = match pods(live, place, &meta.namespace) {
        Some(Ok(pods)) => pods,
        Some(Err(why)) => return Err(why.to_owned()),
        None => return Err("they were not listed".to_owned()),
    };
    let is_older = |pod: &Pod| {
        let made = pod.metadata.creation_timestamp.parse::<Timestamp>();
        since.is_none_or(|since| made.is_ok_and(|made| made < since))
    };
    let none = ConfigMaps::new();
    let config_maps = workloads.map_or(&none, |w| &w.config_maps);
    let asks = |pod: &Pod| {
        pod.service_account() == meta.name
            && !pod.spec.node_name.is_empty()
            && is_unreached(&pod.spec, &meta.namespace, config_maps).is_none()
            && has_own_identity(live, place, workloads, pod)
    };
    let pods = pods.into_iter().filter(|pod| is_older(pod) && asks(pod));
    Ok(pods.map(Workload::of).collect())
}

fn has_own_identity(
    live: &Live,
    place: &Place<'_>,
    workloads: Option<&Workloads>,
    pod: &Pod,
) -> bool {
    let pool = workloads.and_then(|w| w.pool_of_node.get(&pod.spec.node_name));
    match (place.name, pool) {
        (Some(cluster), Some(pool)) => uses_own_identity(cluster, pool, live),
        _ => true,
    }
}

/// Whether the user said that these may lose it.
fn accepted(
    desired: &Desired,
    place: &Place<'_>,
    meta: &ObjectMeta,
    pods: &Result<BTreeSet<Workload>, String>,
) -> bool {
    let cluster = place.name.and_then(|name| desired.clusters.get(name));
    let patterns = cluster.map_or(&desired.accept_loss, |c| &c.accept_loss);
    let all = |workloads: &BTreeSet<Workload>| {
        workloads.iter().all(|w| {
            let mut patterns = patterns.iter();
            patterns.any(|p| p.matches(&w.namespace, &w.kind, &w.name))
        })
    };
    accepts(patterns, &meta.namespace, &meta.name) || pods.as_ref().is_ok_and(all)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::live::Seen;
    use crate::plan::Plan;
    use crate::plan::fixture::{Case, HEAD, marked, wire};
    use crate::wire::kubernetes::ObjectMeta;

    const USER: &str = "roles/iam.workloadIdentityUser";
    const LOGS: &str = "roles/logging.logWriter";
    const WEB: &str = "serviceAccount:acme-prod.svc.id.goog[apps/web]";
    const ITSELF: &str = "principal://iam.googleapis.com/projects/123/locations/global/workloadIdentityPools/acme-prod.svc.id.goog/subject/ns/apps/sa/web";

    /// A spec in which `apps/web` has this access.
    fn spec(access: &str) -> String {
        format!(
            "{HEAD}googleServiceAccounts: {{ two-sa: {{ grants: [{LOGS}] }} }}\nnamespaces: {{ apps: {{ serviceAccounts: {{ web: {access} }} }} }}\n"
        )
    }

    /// `apps/web` acts as this, and its pod runs since eight. It, the account `one-sa`, which leaves the spec, and
    /// `two-sa` have a role each.
    fn case(access: &str, account: Option<&str>) -> Case {
        let mut case = Case::of(&spec(access));
        case.options.now = Some("2026-05-01T12:00:00Z".parse().expect("a time"));
        case.node_pool("main", "p", "GKE_METADATA", json!({}));
        case.ksa("main", "apps", "web", marked(account, true));
        for name in ["one-sa", "two-sa"] {
            case.account(name, json!({ "description": "[wi:shop]" }));
            let on = format!("serviceaccount/{name}@acme-prod.iam.gserviceaccount.com");
            case.grant(&on, USER, WEB);
            let member = format!("serviceAccount:{name}@acme-prod.iam.gserviceaccount.com");
            case.grant("project/acme-prod", LOGS, &member);
        }
        case.grant("project/acme-prod", LOGS, ITSELF);
        case.pod(
            "main",
            ["apps", "StatefulSet", "web"],
            "web",
            "p",
            json!({}),
        );
        started(&mut case, "2026-05-01T08:00:00Z");
        case
    }

    fn started(case: &mut Case, at: &str) {
        for pod in &mut case.workloads("main").pods {
            at.clone_into(&mut pod.metadata.creation_timestamp);
        }
    }

    /// It acts as it does since then.
    fn since(case: &mut Case, at: &str) {
        let Some(Seen::Found(objects)) = case.live.kubernetes.get_mut("main") else {
            panic!("it was read");
        };
        let ksas = objects.service_accounts.values_mut();
        for meta in ksas {
            "2026-04-01T00:00:00Z".clone_into(&mut meta.creation_timestamp);
            for entry in &mut meta.managed_fields {
                at.clone_into(&mut entry.time);
            }
        }
    }

    fn removed(plan: &Plan) -> Vec<&str> {
        let takes = plan
            .changes
            .iter()
            .filter(|(_, c)| c.edit.takes() && !matches!(c.edit, crate::plan::Edit::Ksa(_)));
        takes.map(|(a, _)| &**a).collect()
    }

    fn stays(plan: &Plan) -> Vec<&str> {
        plan.staying.iter().map(|a| &**a).collect()
    }

    const OF_ONE: [&str; 3] = [
        "binding.one-sa/acme-prod/apps/web",
        "grant.one-sa:roles/logging.logWriter@project/acme-prod",
        "gsa.one-sa",
    ];
    const OWN: &str = "grant.acme-prod/apps/web:roles/logging.logWriter@project/acme-prod";

    #[test]
    fn what_running_pods_may_have_tokens_of_outlives_a_change_of_account() {
        let plan = case("{ impersonates: two-sa }", Some("one-sa")).plan();
        assert!(plan.changes.contains_key("ksa.main/apps/web"));
        assert_eq!(stays(&plan), OF_ONE, "{:?}", plan.warnings);
        assert_eq!(removed(&plan), [OWN], "no pod had that");
        let told: Vec<_> = plan
            .warnings
            .iter()
            .filter(|w| w.contains("for now"))
            .collect();
        assert_eq!(told.len(), 1, "told once: {told:?}");
        assert!(told[0].contains("StatefulSet apps/web"), "{told:?}");
    }

    #[test]
    fn what_one_has_itself_outlives_the_account_that_it_gets_and_the_other_way_round() {
        let plan = case("{ impersonates: two-sa }", None).plan();
        assert_eq!(stays(&plan), [OWN], "{:?}", plan.warnings);
        assert_eq!(removed(&plan), OF_ONE);
        let plan = case("{ grants: [roles/logging.logWriter] }", Some("one-sa")).plan();
        assert_eq!(stays(&plan), OF_ONE, "{:?}", plan.warnings);
    }

    #[test]
    fn where_no_pod_has_such_a_token_all_goes_at_once() {
        type Without = fn(&mut Case);
        let withouts: [(&str, Without); 6] = [
            ("none runs", |c| c.workloads("main").pods.clear()),
            ("it runs as another", |c| {
                c.workloads("main").pods[0].spec.service_account_name = "db".to_owned();
            }),
            ("it has ended", |c| {
                c.workloads("main").pods[0].status.phase = "Succeeded".to_owned();
            }),
            ("it is on no node", |c| {
                c.workloads("main").pods[0].spec.node_name.clear()
            }),
            ("it is on the host's network", |c| {
                c.workloads("main").pods[0].spec.host_network = true;
            }),
            ("it may lose it", |c| c.options.accept_loss = true),
        ];
        for (what, without) in withouts {
            let mut case = case("{ impersonates: two-sa }", Some("one-sa"));
            without(&mut case);
            let plan = case.plan();
            assert_eq!(stays(&plan), [""; 0], "{what}");
            assert_eq!(removed(&plan).len(), 4, "{what}");
        }
        for pattern in ["apps/StatefulSet/web", "apps/ServiceAccount/web"] {
            let case = case("{ impersonates: two-sa }", Some("one-sa"));
            let spec = spec("{ impersonates: two-sa }");
            let plan = case
                .under(&format!("{spec}acceptLoss: [{pattern}]\n"))
                .plan();
            assert_eq!(stays(&plan), [""; 0], "{pattern}");
        }
        // The node's identity is not the service account's.
        let mut case = case("{ impersonates: two-sa }", Some("one-sa"));
        case.node_pool("main", "q", "GCE_METADATA", json!({}));
        case.workloads("main").pods[0].spec.node_name = "q".to_owned();
        assert_eq!(stays(&case.plan()), [""; 0]);
    }

    #[test]
    fn the_next_plan_waits_until_such_tokens_have_expired_or_pods_have_been_started_again() {
        let after = |change: &str, pods: &str| {
            let mut case = case("{ impersonates: two-sa }", Some("two-sa"));
            since(&mut case, change);
            started(&mut case, pods);
            case
        };
        let plan = after("2026-05-01T11:50:00Z", "2026-05-01T08:00:00Z").plan();
        let mut all: Vec<&str> = OF_ONE.to_vec();
        all.push(OWN);
        all.sort_unstable();
        assert_eq!(stays(&plan), all, "it may have been either");
        let told = plan.warnings.iter().find(|w| w.contains("for now"));
        let told = told.expect("it is told");
        assert!(told.contains("until 2026-05-01T13:05:00Z"), "{told}");
        let plan = after("2026-05-01T10:45:01Z", "2026-05-01T08:00:00Z").plan();
        assert_eq!(stays(&plan).len(), 4);
        let expired = after("2026-05-01T10:45:00Z", "2026-05-01T08:00:00Z").plan();
        let again = after("2026-05-01T11:50:00Z", "2026-05-01T11:50:00Z").plan();
        for plan in [expired, again] {
            assert_eq!(stays(&plan), [""; 0]);
            assert_eq!(removed(&plan).len(), 4);
        }
        let mut unread = after("2026-05-01T11:50:00Z", "2026-05-01T08:00:00Z");
        unread.pods_unread("main");
        assert_eq!(stays(&unread.plan()).len(), 4, "not seen is not none");
        // It was made so.
        let mut made = after("2026-05-01T11:50:00Z", "2026-05-01T08:00:00Z");
        if let Some(Seen::Found(objects)) = made.live.kubernetes.get_mut("main") {
            let ksas = objects.service_accounts.values_mut();
            ksas.for_each(|m| m.creation_timestamp = "2026-05-01T11:50:00Z".to_owned());
        }
        assert_eq!(stays(&made.plan()), [""; 0]);
    }

    #[test]
    fn what_pods_of_other_teams_may_have_tokens_of_outlives_their_change_too() {
        let mut case = case("{ impersonates: two-sa }", Some("two-sa"));
        let team: ObjectMeta = wire(json!({ "name": "theirs", "namespace": "apps", "uid": "1",
            "creationTimestamp": "2026-04-01T00:00:00Z",
            "annotations": { "iam.gke.io/gcp-service-account": "own@others-1.iam.gserviceaccount.com" },
            "managedFields": [{ "manager": "helm", "operation": "Update", "time": "2026-05-01T11:30:00Z" }] }));
        if let Some(Seen::Found(objects)) = case.live.kubernetes.get_mut("main") {
            let name = ("apps".to_owned(), "theirs".to_owned());
            objects.service_accounts.insert(name, team);
        }
        case.pod(
            "main",
            ["apps", "StatefulSet", "theirs"],
            "theirs",
            "p",
            json!({}),
        );
        started(&mut case, "2026-05-01T08:00:00Z");
        assert_eq!(stays(&case.plan()), [""; 0], "they could not act as it");
        let all = "principalSet://iam.googleapis.com/projects/123/locations/global/workloadIdentityPools/acme-prod.svc.id.goog/namespace/apps";
        case.grant(
            "serviceaccount/one-sa@acme-prod.iam.gserviceaccount.com",
            USER,
            all,
        );
        assert_eq!(stays(&case.plan()), OF_ONE[1..], "by whatever right");
    }

    #[test]
    fn what_leaves_for_good_or_is_to_have_nothing_takes_all_along() {
        for (access, adopted) in [("{}", true), ("", false)] {
            let mut case = case("{ impersonates: two-sa }", Some("two-sa"));
            case.ksa("main", "apps", "web", marked(Some("two-sa"), adopted));
            since(&mut case, "2026-05-01T11:50:00Z");
            let spec = match access {
                "" => HEAD.to_owned(),
                access => spec(access),
            };
            case = case.under(&spec);
            let plan = case.plan();
            assert_eq!(stays(&plan), [""; 0], "{access}");
            assert!(plan.changes.contains_key(OWN), "{access}");
        }
    }
}
