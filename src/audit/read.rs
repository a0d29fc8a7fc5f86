//! Reads what is there: what a plan reads, and beyond it what the rules take.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use tracing::{Instrument, info_span};
use wi_audit::{Cluster, Drift, Live, Read, World};
use wi_client::google::iam;
use wi_client::http::{Http, seen};
use wi_client::kubernetes::Kube;
use wi_core::access::{Facts, Need};
use wi_core::desired::Desired;
use wi_core::live::{Live as Planned, Seen, Unlisted, to_connect};
use wi_core::names::{Email, Member, ProjectId, Role};
use wi_core::plan::{Action, HoldReason, Options, Plan};
use wi_core::read_set::ReadSet;
use wi_core::resource::Resource;

use crate::engine::pipeline::{self, Input, Made, Part};
use crate::engine::read::{self, facts};

/// Everything that can be read.
pub fn all() -> BTreeSet<Read> {
    BTreeSet::from([
        Read::Clusters,
        Read::ServiceAccounts,
        Read::Pods,
        Read::Nodes,
        Read::Policies,
        Read::Roles,
        Read::Accounts,
        Read::Numbers,
    ])
}

/// Reads the world of a spec.
///
/// # Errors
/// Where there is no plan; what cannot be read is unknown in the world.
pub async fn live(
    http: &Http,
    input: Input,
    wanted: &BTreeSet<Read>,
) -> Result<World, pipeline::Error> {
    let (trusted, conditional) = {
        let audit = input.audit();
        (audit.trusted_projects.clone(), audit.conditional.clone())
    };
    let options = Options {
        now: Some(jiff::Timestamp::now()),
        ..Options::default()
    };
    let nothing_more = async |_: &Desired, _: &mut Planned| Ok::<_, pipeline::Error>(());
    let Made {
        desired,
        live: planned,
        plan,
    } = pipeline::make(http, input, &options, &Part::default(), nothing_more).await?;
    let now = jiff::Timestamp::now() - http.clock_ahead().unwrap_or_default();
    let (clusters, (accounts, keys, iam)) = tokio::join!(
        clusters(http, &desired, &planned, wanted),
        identities(http, &desired, &planned, wanted)
    );
    let unlisted = accounts
        .iter()
        .filter_map(|(project, listed)| match listed {
            Seen::Unknown(why) => Some((
                format!("the accounts of project/{project}"),
                why.to_string(),
            )),
            _ => None,
        });
    let unlisted = unlisted.collect();
    let scopes = desired.leftovers.iter().flat_map(|leftovers| {
        let projects = leftovers.projects.iter().cloned();
        projects
            .map(Resource::Project)
            .chain(leftovers.scopes.iter().cloned())
    });
    let unsearched = planned.leftovers_unseen.policies.clone();
    let searched = scopes.filter(|s| !unsearched.contains_key(s)).collect();
    let mut world = World::of_spec(desired, trusted, conditional, Some(now));
    world.live = Some(Live {
        unlisted,
        searched,
        unsearched,
        clusters,
        more_clusters: more_clusters(&planned),
        iam,
        accounts,
        keys,
        drift: Some(Seen::Found(drift(&plan))),
        unplanned: plan
            .unseen
            .iter()
            .map(|u| (u.what.clone(), u.why.to_string()))
            .collect(),
    });
    Ok(world)
}

/// What the plan would change, and what it holds back.
fn drift(plan: &Plan) -> Vec<Drift> {
    let changes = plan.changes.iter().map(|(address, change)| Drift {
        address: address.clone(),
        action: match change.action() {
            Action::Create => "create",
            Action::Update => "update",
            Action::Delete => "delete",
        },
        held_back: String::new(),
        place: change.place.clone(),
    });
    let held_back = plan.held_back.iter().map(|held| Drift {
        address: held.address.clone(),
        action: "update",
        held_back: match &held.why {
            HoldReason::Loss => "workloads would lose the node's identity".to_owned(),
            HoldReason::Unread => "its pods could not be read".to_owned(),
            HoldReason::RestsOn(what) => format!("{what} could not be read"),
            HoldReason::Exclusion { name, until } => {
                format!("the maintenance exclusion {name} holds until {until}")
            }
            HoldReason::InUse(by) => format!("in use: {by}"),
            HoldReason::Users(_) => "others act as the account by it, or may".to_owned(),
            HoldReason::Keys { why, .. } => why.join("; "),
        },
        place: None,
    });
    changes.chain(held_back).collect()
}

fn more_clusters(planned: &Planned) -> BTreeMap<ProjectId, String> {
    let unlisted = planned
        .unlisted
        .iter()
        .filter_map(|(what, why)| match what {
            Unlisted::ClustersOf(project) => Some((project.clone(), why.to_string())),
            Unlisted::ProjectsOf(_) => None,
        });
    let zones = planned.outside.iter().filter(|o| o.path.name == "-");
    let zones = zones.map(|o| {
        let why = match &o.service_accounts {
            Seen::Unknown(why) => why.to_string(),
            _ => "GKE did not say".to_owned(),
        };
        (o.path.project.clone(), why)
    });
    unlisted.chain(zones).collect()
}

/// Clusters of the spec, and others of their workload pools.
async fn clusters(
    http: &Http,
    desired: &Desired,
    planned: &Planned,
    wanted: &BTreeSet<Read>,
) -> BTreeMap<String, Cluster> {
    let own = join_all(desired.clusters.iter().map(async |(name, declared)| {
        let gke = match planned.clusters.get(name) {
            Some(gke) => gke.clone(),
            None => Seen::Unknown("it was not read".into()),
        };
        let (mut ksas, mut all_namespaces) = (Seen::Unknown("it was not read".into()), true);
        match planned.kubernetes.get(name) {
            Some(Seen::Found(objects)) => {
                ksas = Seen::Found(objects.service_accounts.clone());
                all_namespaces = !objects.only_of_spec;
            }
            Some(Seen::Absent) => ksas = Seen::Absent,
            Some(Seen::Unknown(why)) => ksas = Seen::Unknown(why.clone()),
            None => {}
        }
        let mut cluster = Cluster {
            path: declared.path.clone(),
            declared: true,
            ksas,
            all_namespaces,
            pods: unread(&gke),
            nodes: unread(&gke),
            config_maps: BTreeMap::new(),
            gke,
        };
        let connected = to_connect(declared, &cluster.gke);
        let reached = matches!(planned.kubernetes.get(name), Some(Seen::Found(_)));
        if let Some(gke) = connected.filter(|_| reached) {
            let kube = Kube::connect(http, &gke, &declared.access);
            drop(gke);
            if let Ok(kube) = kube {
                let look = look_into(&kube, &mut cluster, wanted);
                look.instrument(info_span!("cluster", name)).await;
            }
        } else if let Some(Seen::Unknown(why)) = planned.kubernetes.get(name) {
            cluster.pods = Seen::Unknown(why.clone());
            cluster.nodes = Seen::Unknown(why.clone());
        }
        (name.clone(), cluster)
    }))
    .await;
    let outside = planned.outside.iter().filter(|o| o.path.name != "-");
    let outside = outside.map(|o| {
        let ksas = o.service_accounts.clone().map(|list| {
            let by_name = list.into_iter();
            by_name
                .map(|m| ((m.namespace.clone(), m.name.clone()), m))
                .collect()
        });
        let name = format!("{}/{}/{}", o.path.project, o.path.location, o.path.name);
        let cluster = Cluster {
            path: o.path.clone(),
            declared: false,
            gke: Seen::Found(o.cluster.clone()),
            ksas,
            all_namespaces: true,
            pods: Seen::Unknown("the spec does not have the cluster".into()),
            nodes: Seen::Unknown("the spec does not have the cluster".into()),
            config_maps: BTreeMap::new(),
        };
        (name, cluster)
    });
    own.into_iter().chain(outside).collect()
}

/// What is in a cluster that is not there, or was not seen.
fn unread<T>(gke: &Seen<wi_core::wire::container::Cluster>) -> Seen<T> {
    match gke {
        Seen::Absent => Seen::Absent,
        _ => Seen::Unknown("it was not read".into()),
    }
}

async fn look_into(kube: &Kube, cluster: &mut Cluster, wanted: &BTreeSet<Read>) {
    let pods = async {
        match wanted.contains(&Read::Pods) {
            true => Some(seen(kube.list_pods().await)),
            false => None,
        }
    };
    let nodes = async {
        match wanted.contains(&Read::Nodes) {
            true => Some(seen(kube.list_nodes().await)),
            false => None,
        }
    };
    let (pods, nodes) = tokio::join!(pods, nodes);
    if let Some(Seen::Found(pods)) = &pods {
        let specs = pods.iter().map(|p| (&p.metadata, &p.spec));
        cluster.config_maps = read::config_maps(kube, specs).await;
    }
    if let Some(pods) = pods {
        cluster.pods = pods;
    }
    if let Some(nodes) = nodes {
        cluster.nodes = nodes;
    }
}

type Accounts = BTreeMap<ProjectId, Seen<BTreeMap<Email, wi_core::wire::iam::ServiceAccount>>>;
type Keys = BTreeMap<Email, Seen<Vec<wi_core::wire::iam::ServiceAccountKey>>>;

/// Accounts, keys, policies, roles, and what is above what.
async fn identities(
    http: &Http,
    desired: &Desired,
    planned: &Planned,
    wanted: &BTreeSet<Read>,
) -> (Accounts, Keys, Facts) {
    let mut projects: BTreeSet<ProjectId> = BTreeSet::new();
    projects.extend(desired.clusters.values().map(|c| c.path.project.clone()));
    projects.extend(
        desired
            .accounts
            .values()
            .filter(|a| a.managed)
            .map(|a| a.project.clone()),
    );
    let mut accounts = planned.accounts.clone();
    let missing = projects.iter().filter(|p| !accounts.contains_key(*p));
    let set = ReadSet {
        accounts: missing.cloned().collect(),
        ..ReadSet::default()
    };
    let more = async {
        match wanted.contains(&Read::Accounts) || wanted.contains(&Read::Policies) {
            true => read::read(http, &set).await.accounts,
            false => Accounts::new(),
        }
    };
    accounts.extend(more.await);
    let emails: BTreeMap<Email, ProjectId> = accounts
        .iter()
        .filter(|(project, _)| projects.contains(*project))
        .filter_map(|(project, listed)| Some((project, listed.found()?)))
        .flat_map(|(project, listed)| {
            let emails = listed.keys();
            emails.map(move |email| (email.clone(), project.clone()))
        })
        .collect();
    let keys = async {
        if !wanted.contains(&Read::Keys) {
            return Keys::new();
        }
        let set = ReadSet {
            keys: emails.clone(),
            ..ReadSet::default()
        };
        let mut keys = read::read(http, &set).await.keys;
        // Whose accounts could not be listed, of those nothing is said.
        for (project, listed) in &accounts {
            if let (true, Seen::Unknown(why)) = (projects.contains(project), listed) {
                let of_project = desired.accounts.values().filter(|a| a.project == *project);
                for account in of_project {
                    keys.insert(account.email.clone(), Seen::Unknown(why.clone()));
                }
            }
        }
        keys
    };
    // Of those that could not be listed, some are known by what names them.
    let refused = accounts.iter().filter(|(project, listed)| {
        projects.contains(*project) && matches!(listed, Seen::Unknown(_))
    });
    let refused: BTreeSet<ProjectId> = refused.map(|(project, _)| project.clone()).collect();
    let named = named(desired, planned, &refused);
    let looked_at: BTreeSet<Email> = emails.keys().cloned().chain(named).collect();
    let (keys, iam) = tokio::join!(
        keys,
        policies(http, planned, &projects, (&looked_at, &refused), wanted)
    );
    let mut iam = iam;
    for listed in accounts.values().filter_map(Seen::found) {
        for (email, account) in listed {
            let account = Seen::Found(account.clone());
            iam.accounts.insert(email.clone(), account);
        }
    }
    for (email, account) in &planned.accounts_of_others {
        iam.accounts.insert(email.clone(), account.clone());
    }
    (accounts, keys, iam)
}

/// Accounts of these projects that the spec, an annotation or a node pool names.
fn named(desired: &Desired, planned: &Planned, of: &BTreeSet<ProjectId>) -> BTreeSet<Email> {
    let of_spec = desired.accounts.values();
    let of_spec = of_spec
        .filter(|a| of.contains(&a.project))
        .map(|a| a.email.clone());
    let own = planned.kubernetes.values().filter_map(Seen::found);
    let own = own.flat_map(|objects| objects.service_accounts.values());
    let outside = planned
        .outside
        .iter()
        .filter_map(|o| o.service_accounts.found())
        .flatten();
    let annotated = own.chain(outside).filter_map(wi_audit::annotation);
    let clusters = planned.clusters.values().filter_map(Seen::found);
    let clusters = clusters.chain(planned.outside.iter().map(|o| &o.cluster));
    let pools = clusters.flat_map(|c| &c.node_pools);
    let nodes = pools.map(|p| p.config.service_account.as_str());
    let emails = annotated
        .chain(nodes)
        .filter_map(|text| Email::parse(text).ok());
    of_spec.chain(emails.filter(|e| is_of(e, of))).collect()
}

fn is_of(email: &Email, projects: &BTreeSet<ProjectId>) -> bool {
    email.project().is_some_and(|p| projects.contains(&p))
}

async fn policies(
    http: &Http,
    planned: &Planned,
    projects: &BTreeSet<ProjectId>,
    (accounts, refused): (&BTreeSet<Email>, &BTreeSet<ProjectId>),
    wanted: &BTreeSet<Read>,
) -> Facts {
    let mut iam = Facts::default();
    for (resource, policy) in planned.policies_of_all() {
        iam.policies.insert(resource.clone(), policy.clone());
    }
    for (project, number) in &planned.numbers {
        iam.numbers.insert(project.clone(), number.clone());
    }
    if !wanted.contains(&Read::Policies) && !wanted.contains(&Read::Numbers) {
        return iam;
    }
    let mut needs: BTreeSet<Need> = projects.iter().cloned().map(Need::Number).collect();
    needs.extend(projects.iter().cloned().map(Need::Ancestors));
    needs.extend(
        projects
            .iter()
            .cloned()
            .map(|p| Need::Policy(Resource::Project(p))),
    );
    let of_accounts = accounts.iter().cloned().map(Resource::ServiceAccount);
    needs.extend(of_accounts.map(Need::Policy));
    let buckets = iam.policies.keys().filter(|r| r.bucket().is_some());
    needs.extend(buckets.cloned().map(Need::Home));
    add(http, &mut iam, needs).await;
    // What is above is known only now.
    let above: BTreeSet<Resource> = iam
        .ancestors
        .values()
        .filter_map(Seen::found)
        .flatten()
        .cloned()
        .collect();
    let containers = projects.iter().cloned().map(Resource::Project);
    let containers: BTreeSet<Resource> = above.iter().cloned().chain(containers).collect();
    let mut needs: BTreeSet<Need> = above.into_iter().map(Need::Policy).collect();
    if !refused.is_empty() {
        let found = iam.policies.values().filter_map(Seen::found);
        let members = found.flat_map(|p| &p.bindings).flat_map(|b| &b.members);
        let named = members.filter_map(|m| match Member::parse(m) {
            Member::ServiceAccount(email) if is_of(&email, refused) => Some(email),
            _ => None,
        });
        let named: BTreeSet<Email> = named
            .chain(accounts.iter().filter(|e| is_of(e, refused)).cloned())
            .collect();
        for email in named {
            needs.insert(Need::Policy(Resource::ServiceAccount(email.clone())));
            needs.insert(Need::Account(email));
        }
    }
    needs.extend(containers.iter().cloned().map(Need::Denies));
    if wanted.contains(&Read::Roles) {
        let sets = containers.iter().map(Resource::full_name);
        needs.extend(sets.map(Need::Boundaries));
        let pools = projects.iter().filter_map(|p| {
            let number = iam.numbers.get(p)?.found()?;
            Some(format!(
                "//iam.googleapis.com/projects/{number}/locations/global/workloadIdentityPools/{}",
                p.workload_pool()
            ))
        });
        needs.extend(pools.map(Need::Boundaries));
    }
    add(http, &mut iam, needs).await;
    if wanted.contains(&Read::Roles) {
        roles(http, &mut iam).await;
    }
    iam
}

/// From so many predefined roles on one list of all of them is less than reading each.
const MANY: usize = 30;

/// What the roles permit that policies name.
async fn roles(http: &Http, iam: &mut Facts) {
    let found = iam.policies.values().filter_map(Seen::found);
    let named: BTreeSet<String> = found
        .flat_map(|p| &p.bindings)
        .map(|b| b.role.clone())
        .collect();
    let predefined = named.iter().filter(|r| r.starts_with("roles/")).count();
    if predefined > MANY
        && let Ok(all) = iam::predefined_roles(http).await
    {
        for role in all.into_iter().filter(|r| named.contains(&r.name)) {
            iam.roles.insert(role.name.clone(), Seen::Found(role));
        }
    }
    let is_role = |r: &&String| Role::parse(r).is_ok();
    let needs = named.iter().filter(is_role).cloned().map(Need::Role);
    add(http, iam, needs.collect()).await;
}

async fn add(http: &Http, iam: &mut Facts, mut needs: BTreeSet<Need>) {
    needs.retain(|need| !facts::has(iam, need));
    let more = facts::read(http, needs).await;
    facts::add(iam, more);
}
