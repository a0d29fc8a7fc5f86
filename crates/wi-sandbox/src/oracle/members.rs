//! By which names policies mean an identity.

use std::collections::BTreeSet;

use super::containers::full_name;
use crate::access::Token;
use crate::gke::cluster::Cluster;
use crate::kube::PodState;
use crate::state::State;

pub(super) fn principal(
    state: &State,
    project: &str,
    pool: &str,
    namespace: &str,
    ksa: &str,
) -> String {
    format!(
        "principal://iam.googleapis.com/projects/{}/locations/global/workloadIdentityPools/{pool}/subject/ns/{namespace}/sa/{ksa}",
        state.number(project)
    )
}

/// The namespace and the name of a pod's Kubernetes service account.
pub(super) fn who(pod: &PodState) -> (&str, &str) {
    (&pod.namespace, &pod.service_account_name)
}

/// The spellings of members that mean the holder of this token.
pub(super) fn members(
    state: &State,
    cluster: &Cluster,
    (namespace, ksa): (&str, &str),
    token: &Token,
) -> BTreeSet<String> {
    let mut members = BTreeSet::new();
    match token {
        Token::Refused(_) => return members,
        Token::Node(email) | Token::Account(email) => return members_of_account(state, email),
        Token::Federated(principal) => {
            let set = principal.trim_start_matches("principal://");
            let (set, _) = set.split_once("/subject/").unwrap_or((set, ""));
            let (_, pool) = set.rsplit_once('/').unwrap_or(("", set));
            members.insert(principal.clone());
            members.insert(format!("serviceAccount:{pool}[{namespace}/{ksa}]"));
            members.insert(format!("principalSet://{set}/*"));
            members.insert(format!("principalSet://{set}/namespace/{namespace}"));
            // How a fleet's pool names the set of one of its clusters is not known.
            if pool == state.workload_pool(&cluster.project) {
                members.insert(format!(
                "principalSet://{set}/kubernetes.cluster/https://container.googleapis.com/v1/projects/{}/locations/{}/clusters/{}",
                cluster.project, cluster.location, cluster.name
            ));
            }
            let running = state.kubes.get(&cluster.key());
            let account = running.and_then(|r| r.kube.account(namespace, ksa));
            if let Some((_, uid)) = account {
                // Google's pages print it either way.
                for scheme in ["principal", "principalSet"] {
                    members.insert(format!(
                        "{scheme}://{set}/kubernetes.serviceaccount.uid/{uid}"
                    ));
                }
            }
        }
    }
    with_everybody(state, members)
}

/// All that name a Google service account in a policy.
pub(super) fn members_of_account(state: &State, email: &str) -> BTreeSet<String> {
    let mut members = BTreeSet::from([format!("serviceAccount:{email}")]);
    if let Some((project, _)) = state.find_account(email) {
        members.insert(format!(
            "principalSet://cloudresourcemanager.googleapis.com/projects/{}/type/ServiceAccount",
            state.number(&project)
        ));
    }
    with_everybody(state, members)
}

pub(super) fn with_everybody(state: &State, mut members: BTreeSet<String>) -> BTreeSet<String> {
    members.insert("allUsers".to_owned());
    members.insert("allAuthenticatedUsers".to_owned());
    let conveniences = conveniences(state, &members);
    members.extend(conveniences);
    members
}

/// `projectOwner:P`, `projectEditor:P` and `projectViewer:P`, for whoever has the basic role on the project.
pub(super) fn conveniences(state: &State, members: &BTreeSet<String>) -> Vec<String> {
    let basic = [
        ("roles/owner", "projectOwner"),
        ("roles/editor", "projectEditor"),
        ("roles/viewer", "projectViewer"),
    ];
    let projects = state.world.projects.iter();
    projects
        .flat_map(|(id, project)| {
            let bindings = project.policy.bindings.iter();
            let held = bindings.filter(|b| b.members.iter().any(|m| members.contains(m)));
            held.filter_map(move |b| {
                let (_, word) = basic.iter().find(|(role, _)| *role == b.role)?;
                Some(format!("{word}:{id}"))
            })
        })
        .collect()
}

/// The spellings of deny policies.
pub(super) fn denied_as(members: &BTreeSet<String>) -> BTreeSet<String> {
    let mut who = members.clone();
    who.insert("principalSet://goog/public:all".to_owned());
    let emails = members
        .iter()
        .filter_map(|m| m.strip_prefix("serviceAccount:"));
    let accounts: Vec<String> = emails
        .filter(|email| !email.contains('['))
        .map(|email| format!("principal://iam.googleapis.com/projects/-/serviceAccounts/{email}"))
        .collect();
    who.extend(accounts);
    who
}

/// The sets of principals of boundaries that a caller is in.
pub(super) fn boundary_sets(
    state: &State,
    cluster: Option<&Cluster>,
    members: &BTreeSet<String>,
) -> BTreeSet<String> {
    let mut sets = BTreeSet::new();
    let account = members.iter().find_map(|m| {
        let email = m.strip_prefix("serviceAccount:")?;
        (!email.contains('[')).then_some(email)
    });
    let home = match account {
        Some(email) => state.find_account(email).map(|(project, _)| project),
        None => cluster.map(|cluster| {
            sets.insert(format!(
                "//iam.googleapis.com/projects/{}/locations/global/workloadIdentityPools/{}",
                state.number(&cluster.project),
                state.workload_pool(&cluster.project)
            ));
            cluster.project.clone()
        }),
    };
    if let Some(home) = home {
        let ancestors = state.world.projects.get(&home).map(|p| &p.ancestors);
        sets.extend(ancestors.into_iter().flatten().map(|a| full_name(a)));
        sets.insert(full_name(&format!("project/{home}")));
    }
    sets
}
