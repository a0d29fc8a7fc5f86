//! What is tried out to prove that a grant is in force: one permission that the principal has by just this grant, as far
//! as the spec gives it any.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::conditions::holds;
use super::ladder::no_federated;
use crate::desired::{Desired, DesiredKsa};
use crate::live::Seen;
use crate::names::{Condition, Member, Role};
use crate::resource::{Resource, Write};
use crate::spec::model::SourceLine;
use crate::wire::iam::RoleDefinition;

/// What roles permit, by their names.
pub type Roles = BTreeMap<String, Seen<RoleDefinition>>;

/// The most permissions that are tried, where a service says of one that it is none of the resource's.
const MOST: usize = 4;

/// A grant that the spec gives to a workload's identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// On what.
    pub resource: Resource,
    /// The role.
    pub role: Role,
    /// While this holds.
    pub condition: Option<Condition>,
    /// Where the spec says so.
    pub place: SourceLine,
}

/// How a grant is proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trial {
    /// By one of these permissions, the best first: the next one only where the service does not know the one before.
    Test {
        /// Not empty.
        permissions: Vec<String>,
        /// Another role of the spec that gives them as well, where none is this grant's alone.
        shared_with: Option<String>,
        /// Roles that may give them as well, and could not be read: what is allowed is then no proof.
        unread: Vec<String>,
        /// Its condition depends on what is called: what is denied is then no proof.
        depends: bool,
    },
    /// The service takes no federated identity, whatever policies say.
    NotFederated(&'static str),
    /// Its condition does not hold now.
    NotNow,
    /// It cannot be tried, and why.
    Untestable(String),
}

/// The grants that the spec gives to whom a workload of this service account calls as.
pub fn declared(desired: &Desired, ksa: &DesiredKsa) -> Vec<Declared> {
    let member = match &ksa.account {
        Some(email) => Member::ServiceAccount(email.clone()),
        None => Member::Ksa(ksa.identity.clone()),
    };
    let all = desired.bindings.iter();
    all.filter(|(key, _)| key.member == member && !key.is_impersonation())
        .map(|(key, place)| Declared {
            resource: key.resource.clone(),
            role: key.role.clone(),
            condition: key.condition.clone(),
            place: place.clone(),
        })
        .collect()
}

/// How the grant number `index` of those of one principal is proven. `is_federated`: it calls as itself, not as a
/// Google service account.
pub fn trial(
    grants: &[Declared],
    index: usize,
    is_federated: bool,
    roles: &Roles,
    now: Option<Timestamp>,
) -> Trial {
    let grant = &grants[index];
    let condition = grant.condition.as_ref();
    let now_holds = condition.map(|c| holds(&c.expression, now));
    if now_holds == Some(Some(false)) {
        return Trial::NotNow;
    }
    let role = match roles.get(grant.role.as_str()) {
        Some(Seen::Found(role)) => role,
        Some(Seen::Absent) => {
            return Trial::Untestable(format!("there is no role {}", grant.role));
        }
        Some(Seen::Unknown(why)) => {
            return Trial::Untestable(format!(
                "what {} permits could not be read: {why}",
                grant.role
            ));
        }
        None => return Trial::Untestable(format!("{} was not read", grant.role)),
    };
    let mut testable: Vec<&str> = role
        .included_permissions
        .iter()
        .map(String::as_str)
        .filter(|p| role.is_in_force() && is_of(&grant.resource, p))
        .collect();
    if testable.is_empty() {
        return Trial::Untestable(format!(
            "{} has no permission that can be tested on {}",
            grant.role, grant.resource
        ));
    }
    if is_federated {
        let service = testable.iter().find_map(|p| no_federated(p));
        testable.retain(|p| no_federated(p).is_none());
        if let (true, Some(service)) = (testable.is_empty(), service) {
            return Trial::NotFederated(service);
        }
    }
    testable.sort_by_key(|p| (rank(&grant.resource, p), *p));
    let others = grants.iter().enumerate();
    let others: Vec<&Declared> = others
        .filter(|(i, other)| *i != index && covers(&other.resource, &grant.resource))
        .map(|(_, other)| other)
        .collect();
    let gives = |permission: &str| {
        let found = others.iter().find(|other| {
            let role = roles.get(other.role.as_str()).and_then(Seen::found);
            role.is_some_and(|r| r.gives(permission))
        });
        found.map(|other| format!("{} on {}", other.role, other.resource))
    };
    let own: Vec<&str> = testable
        .iter()
        .copied()
        .filter(|p| gives(p).is_none())
        .collect();
    let (chosen, shared_with) = match own.first() {
        Some(_) => (own, None),
        None => {
            let shared = gives(testable[0]);
            (testable, shared)
        }
    };
    let unread = others
        .iter()
        .filter(|o| matches!(roles.get(o.role.as_str()), None | Some(Seen::Unknown(_))))
        .map(|o| o.role.to_string());
    Trial::Test {
        permissions: chosen.into_iter().take(MOST).map(str::to_owned).collect(),
        shared_with,
        unread: unread.collect(),
        depends: now_holds == Some(None),
    }
}

/// Whether a grant on one resource may give something on another: it is that one, or above it. What a bucket is in its
/// name does not say.
fn covers(above: &Resource, resource: &Resource) -> bool {
    if above == resource {
        return true;
    }
    let mut last = resource.clone();
    while let Some(next) = last.container() {
        if next == *above {
            return true;
        }
        last = next;
    }
    let is_known = matches!(last, Resource::Project(_));
    match above {
        Resource::Project(_) => !is_known,
        _ => matches!(above.kind().short, "folder" | "organization"),
    }
}

/// Collections below a resource, whose permissions are tested on it.
const BELOW: [(&str, &str); 8] = [
    ("bucket", "storage.objects."),
    ("managedfolder", "storage.objects."),
    ("secret", "secretmanager.versions."),
    ("regional-secret", "secretmanager.versions."),
    ("key", "cloudkms.cryptoKeyVersions."),
    ("repository", "artifactregistry.files."),
    ("run", "run.routes."),
    ("spanner-instance", "spanner.databases."),
];

/// Permissions of the data, of which a collection's name does not say that they are.
fn is_of(resource: &Resource, permission: &str) -> bool {
    let kind = resource.kind();
    if resource.is_of_hierarchy() {
        // What is of other levels of the hierarchy is no permission of this one.
        let own = kind.permission.rsplit_once('.').map_or("", |(own, _)| own);
        let (collection, _) = permission.rsplit_once('.').unwrap_or_default();
        let of_hierarchy = permission.starts_with("resourcemanager.");
        return !of_hierarchy
            || (collection == own && permission != "resourcemanager.projects.list");
    }
    if kind.write == Write::AccessList {
        // There is nothing to ask: it is read, as whoever has this may.
        return permission == "bigquery.datasets.get";
    }
    let own = kind.permission.rsplit_once('.').map_or("", |(own, _)| own);
    let below = BELOW.iter().filter(|(short, _)| *short == kind.short);
    let mut below = below.map(|(_, start)| *start);
    permission
        .strip_prefix(own)
        .is_some_and(|verb| verb.starts_with('.'))
        || below.any(|start| permission.starts_with(start))
}

/// What workloads do, the most usual first.
const VERBS: [&str; 14] = [
    "access",
    "get",
    "getData",
    "consume",
    "publish",
    "useToDecrypt",
    "useToEncrypt",
    "connect",
    "invoke",
    "read",
    "downloadArtifacts",
    "list",
    "create",
    "use",
];

/// Lower is better: of the data before what holds it, and what is often used.
fn rank(resource: &Resource, permission: &str) -> (bool, usize) {
    let below = BELOW
        .iter()
        .any(|(short, start)| *short == resource.kind().short && permission.starts_with(start));
    let verb = permission.rsplit('.').next().unwrap_or_default();
    let verb = VERBS.iter().position(|v| *v == verb);
    // Metadata of what holds others says less than the data does.
    let container = permission.starts_with("resourcemanager.");
    (
        container || (!below && BELOW.iter().any(|(s, _)| *s == resource.kind().short)),
        verb.unwrap_or(VERBS.len()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles(all: &[(&str, &[&str])]) -> Roles {
        let of = |(name, permissions): &(&str, &[&str])| {
            let definition = RoleDefinition {
                name: (*name).to_owned(),
                stage: "GA".to_owned(),
                included_permissions: permissions.iter().map(|p| (*p).to_owned()).collect(),
                ..RoleDefinition::default()
            };
            ((*name).to_owned(), Seen::Found(definition))
        };
        all.iter().map(of).collect()
    }

    fn grant(role: &str, resource: &str, condition: Option<&str>) -> Declared {
        let condition = condition.map(|expression| Condition {
            title: "t".to_owned(),
            description: String::new(),
            expression: expression.to_owned(),
            rest: String::new(),
        });
        Declared {
            resource: Resource::parse(resource, None).expect("a resource"),
            role: Role::parse(role).expect("a role"),
            condition,
            place: SourceLine {
                file: "wi.yaml".into(),
                line: 1,
            },
        }
    }

    fn permissions(trial: &Trial) -> Vec<&str> {
        match trial {
            Trial::Test { permissions, .. } => permissions.iter().map(String::as_str).collect(),
            other => panic!("{other:?}"),
        }
    }

    const VIEWER: (&str, &[&str]) = (
        "roles/storage.objectViewer",
        &[
            "resourcemanager.projects.get",
            "resourcemanager.projects.list",
            "storage.objects.get",
            "storage.objects.list",
        ],
    );
    const CREATOR: (&str, &[&str]) = (
        "roles/storage.objectCreator",
        &["storage.objects.create", "storage.objects.list"],
    );

    #[test]
    fn a_grant_is_tried_by_what_it_alone_gives() {
        let both = [
            grant(VIEWER.0, "bucket/acme-b", None),
            grant(CREATOR.0, "bucket/acme-b", None),
        ];
        let roles = roles(&[VIEWER, CREATOR]);
        let first = trial(&both, 0, false, &roles, None);
        assert_eq!(permissions(&first), ["storage.objects.get"]);
        let second = trial(&both, 1, false, &roles, None);
        assert_eq!(permissions(&second), ["storage.objects.create"]);
        // On another bucket it is nobody else's.
        let apart = [both[0].clone(), grant(CREATOR.0, "bucket/acme-c", None)];
        let first = trial(&apart, 0, false, &roles, None);
        assert_eq!(
            permissions(&first),
            ["storage.objects.get", "storage.objects.list"]
        );
    }

    #[test]
    fn what_another_grant_gives_too_is_told() {
        let roles = roles(&[VIEWER]);
        // A bucket is in any project.
        let grants = [
            grant(VIEWER.0, "bucket/acme-b", None),
            grant(VIEWER.0, "project/acme-prod", None),
        ];
        let Trial::Test { shared_with, .. } = trial(&grants, 0, false, &roles, None) else {
            panic!("it is tried");
        };
        assert_eq!(
            shared_with.as_deref(),
            Some("roles/storage.objectViewer on project/acme-prod")
        );
        // The grant above is not covered by the one below.
        let Trial::Test { shared_with, .. } = trial(&grants, 1, false, &roles, None) else {
            panic!("it is tried");
        };
        assert_eq!(shared_with, None);
        // A secret's project is in its name.
        let secret = grant("roles/x", "secret/acme-prod/s", None);
        assert!(covers(&grants[1].resource, &secret.resource));
        let other = Resource::parse("project/acme-dev", None).expect("a project");
        assert!(!covers(&other, &secret.resource));
    }

    #[test]
    fn a_role_that_was_not_seen_proves_nothing() {
        let mut all = roles(&[VIEWER]);
        all.insert(CREATOR.0.to_owned(), Seen::Unknown("denied".into()));
        let grants = [
            grant(VIEWER.0, "bucket/acme-b", None),
            grant(CREATOR.0, "bucket/acme-b", None),
        ];
        let Trial::Test { unread, .. } = trial(&grants, 0, false, &all, None) else {
            panic!("it is tried");
        };
        assert_eq!(unread, [CREATOR.0]);
        let own = trial(&grants, 1, false, &all, None);
        assert!(matches!(own, Trial::Untestable(_)), "{own:?}");
    }

    #[test]
    fn conditions_decide_what_an_answer_proves() {
        let roles = roles(&[VIEWER]);
        let now: Timestamp = "2026-11-30T08:00:00Z".parse().expect("a time");
        let of = |expression: &str| {
            let grants = [grant(VIEWER.0, "bucket/acme-b", Some(expression))];
            trial(&grants, 0, false, &roles, Some(now))
        };
        let ended = of("request.time < timestamp(\"2026-01-01T00:00:00Z\")");
        assert_eq!(ended, Trial::NotNow);
        let depends = |trial: &Trial| matches!(trial, Trial::Test { depends: true, .. });
        assert!(!depends(&of(
            "request.time < timestamp(\"2027-01-01T00:00:00Z\")"
        )));
        assert!(depends(&of(
            "resource.name.startsWith(\"projects/_/buckets/acme-b/objects/a\")"
        )));
    }

    #[test]
    fn services_that_take_no_federated_identity_are_not_asked() {
        let invoker: (&str, &[&str]) =
            ("roles/run.invoker", &["run.jobs.run", "run.routes.invoke"]);
        let roles = roles(&[invoker]);
        let grants = [grant(invoker.0, "run/acme-prod/europe-west1/api", None)];
        let as_itself = trial(&grants, 0, true, &roles, None);
        assert!(matches!(as_itself, Trial::NotFederated(_)), "{as_itself:?}");
        let as_account = trial(&grants, 0, false, &roles, None);
        assert_eq!(permissions(&as_account), ["run.routes.invoke"]);
    }

    #[test]
    fn what_is_of_other_resources_is_not_asked() {
        let of = |resource: &str, permission: &str| {
            is_of(
                &Resource::parse(resource, None).expect("a resource"),
                permission,
            )
        };
        assert!(of("secret/acme-prod/s", "secretmanager.versions.access"));
        assert!(!of("secret/acme-prod/s", "resourcemanager.projects.get"));
        assert!(!of("topic/acme-prod/t", "pubsub.subscriptions.consume"));
        assert!(!of("topic/acme-prod/t", "pubsub.topicsx.get"));
        assert!(of("project/acme-prod", "cloudsql.instances.connect"));
        assert!(!of("project/acme-prod", "resourcemanager.projects.list"));
        assert!(of("dataset/acme-prod/d", "bigquery.datasets.get"));
        assert!(!of("dataset/acme-prod/d", "bigquery.tables.getData"));
    }
}
