//! What several rules ask.

use wi_core::access::IMPERSONATION;
use wi_core::findings::Place;
use wi_core::live::Seen;
use wi_core::names::{Email, Member, ProjectId};
use wi_core::resource::Resource;
use wi_core::wire::container::NodePool;

use crate::out::{Out, Read};
use crate::world::{Held, World};

/// What lets one make access tokens of an account.
pub const TOKEN: &str = "iam.serviceAccounts.getAccessToken";

/// What nodes need, or can do no harm with.
const OF_NODES: [&str; 8] = [
    "roles/container.defaultNodeServiceAccount",
    "roles/container.nodeServiceAccount",
    "roles/logging.logWriter",
    "roles/monitoring.metricWriter",
    "roles/monitoring.viewer",
    "roles/stackdriver.resourceMetadata.writer",
    "roles/artifactregistry.reader",
    "roles/autoscaling.metricsWriter",
];

/// Tells of entries of the file of accepted findings that do nothing: those that have ended, or those that fit nothing.
pub fn stale(world: &World, out: &mut Out, ended: bool) {
    for stale in world.stale.iter().filter(|stale| stale.ended == ended) {
        let subject = stale.names.join(" ");
        let place = Place::file(&stale.file, Some(stale.line));
        out.found(&subject, stale.told.clone(), place);
    }
}

/// Whether a member is of Google's own services: nobody's to take away.
pub fn is_of_google(member: &str) -> bool {
    // A subject of another pool may have any name.
    let email = member.strip_prefix("serviceAccount:");
    let Some((_, domain)) = email.and_then(|e| e.split_once('@')) else {
        return false;
    };
    domain.starts_with("gcp-sa-")
        || domain == "cloudservices.gserviceaccount.com"
        || domain == "system.gserviceaccount.com"
        || (domain.ends_with(".gserviceaccount.com")
            && !domain.ends_with(".iam.gserviceaccount.com")
            && !domain.starts_with("appspot")
            && !domain.starts_with("developer"))
        || OF_GOOGLE.contains(&domain.split('.').next().unwrap_or_default())
}

/// Projects of Google's whose accounts act for its services in those of users.
const OF_GOOGLE: [&str; 6] = [
    "container-engine-robot",
    "compute-system",
    "containerregistry",
    "serverless-robot-prod",
    "service-networking",
    "gae-api-prod",
];

/// Permissions by which one makes tokens of an account, its own signature among them.
pub const TOKENS: [&str; 5] = [
    TOKEN,
    "iam.serviceAccounts.getOpenIdToken",
    "iam.serviceAccounts.signBlob",
    "iam.serviceAccounts.signJwt",
    "iam.serviceAccounts.implicitDelegation",
];

/// What lets one run something as an account.
pub const ACT_AS: &str = "iam.serviceAccounts.actAs";

/// Whether a member is of a workload pool: of GKE's, or of one that trusts tokens of elsewhere.
pub fn is_of_pool(member: &str) -> bool {
    let of_pool = member.starts_with("principal://") || member.starts_with("principalSet://");
    (of_pool && member.contains("/workloadIdentityPools/"))
        || Member::parse(member).is_gke_pool_member()
}

/// Whether a role makes tokens of an account: the two that are known, or what it permits.
pub fn makes_tokens(world: &World, out: &mut Out, role: &str) -> bool {
    // Of predefined roles no other has it but those of Google's own agents.
    match role.starts_with("roles/") {
        true => IMPERSONATION.contains(&role),
        false => world.gives(out, role, &[TOKEN]),
    }
}

/// Whether a role makes tokens or signatures of accounts, or lets one do it by way of another.
pub fn is_token_role(world: &World, out: &mut Out, role: &str) -> bool {
    IMPERSONATION.contains(&role) || world.gives(out, role, &TOKENS)
}

/// The right that a pod needs to be an account.
const USER: &str = "roles/iam.workloadIdentityUser";

/// Whether a member may be an account by a right of its own on it, whatever else it has there.
pub fn is_user(world: &World, email: &Email, member: &Member) -> bool {
    let policy = world
        .live()
        .and_then(|l| l.iam.policies.get(&Resource::ServiceAccount(email.clone())));
    let bindings = policy.and_then(Seen::found).into_iter();
    let mut of_user = bindings
        .flat_map(|p| &p.bindings)
        .filter(|b| b.role == USER && b.condition.is_none());
    of_user.any(|b| b.members.iter().any(|m| Member::parse(m) == *member))
}

/// How a right goes without its pods losing the account: these members are given one of their own, and some minutes
/// later, when IAM has it everywhere, the other is taken away. None: it may go at once.
pub fn removal_after(held: &Held<'_>, email: &Email, members: &[String]) -> String {
    if members.is_empty() {
        return held.removal();
    }
    let given = members.iter().map(|member| {
        format!("gcloud iam service-accounts add-iam-policy-binding {email} --role='{USER}' --member='{member}' --condition=None && ")
    });
    let given: String = given.collect();
    let why = "Pods act as the account by it: the right of their own comes first, and IAM takes some minutes";
    format!("{why}: {given}sleep 600 && {}", held.removal())
}

/// What the account of a node pool has beyond what nodes need; `None`: not all could be seen, which is told.
pub fn excess<'w>(
    world: &'w World,
    out: &mut Out,
    project: &ProjectId,
    pool: &NodePool,
) -> Option<(Email, Vec<Held<'w>>)> {
    let email = match world.node_account(project, pool) {
        Ok(email) | Err(Some(email)) => email,
        Err(None) => {
            let what = format!("the number of project/{project}");
            out.unchecked(what, "it was not read", Read::Numbers);
            return None;
        }
    };
    let held = world.held_wherever(out).into_iter().filter(|held| {
        let needed = OF_NODES.contains(&held.binding.role.as_str())
            || (held.binding.role == "roles/storage.objectViewer" && held.on.bucket().is_some());
        !needed && is_account(held.member, &email)
    });
    let held = held.collect();
    Some((email, held))
}

/// `roles/a on project/p, roles/b on bucket/c and 2 more`.
pub fn listed(held: &[Held<'_>]) -> String {
    let mut names: Vec<String> = held
        .iter()
        .map(|h| format!("{} on {}", h.binding.role, h.on))
        .collect();
    names.sort();
    names.dedup();
    match names.len() {
        0..=3 => names.join(", "),
        n => format!("{} and {} more", names[..3].join(", "), n - 3),
    }
}

/// The role that a member has in all basic roles: 2 if it can change everything, 1 if it can see it.
pub fn basic(role: &str) -> u8 {
    match role {
        "roles/owner" | "roles/editor" | "roles/admin" | "roles/writer" => 2,
        "roles/viewer" | "roles/reader" => 1,
        _ => 0,
    }
}

/// Whether a member is this account.
fn is_account(member: &str, email: &Email) -> bool {
    let of = member.strip_prefix("serviceAccount:");
    of.is_some_and(|of| of.eq_ignore_ascii_case(email.as_str()))
}
