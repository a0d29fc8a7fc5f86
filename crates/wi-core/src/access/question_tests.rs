//! Values in, answers out.

use serde_json::{Value, json};

use super::*;
use crate::access::KsaPrincipal;
use crate::live::Seen;
use crate::names::{ClusterPath, Condition, Email, KsaIdentity, ProjectId};
use crate::wire::iam::RoleDefinition;
use crate::wire::restrictions::{Boundary, BoundaryDetails, DenyPolicy};

const POOL: &str =
    "iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/acme-prod.svc.id.goog";
const LEGACY: &str = "serviceAccount:acme-prod.svc.id.goog[shop/web]";

fn resource(name: &str) -> Resource {
    let default = ProjectId::parse("acme-prod").ok();
    Resource::parse(name, default.as_ref()).expect(name)
}

fn ksa() -> Principal {
    let project = ProjectId::parse("acme-prod").expect("a project");
    Principal::Ksa(KsaPrincipal {
        identity: KsaIdentity {
            pool: project.workload_pool(),
            namespace: "shop".to_owned(),
            name: "web".to_owned(),
        },
        cluster: ClusterPath {
            project: project.clone(),
            location: "europe-west1".to_owned(),
            name: "main".to_owned(),
        },
        project,
        uid: Seen::Found("0f0f".to_owned()),
    })
}

fn account() -> Principal {
    Principal::Account(Email::parse("web@acme-prod.iam.gserviceaccount.com").expect("an email"))
}

/// Everything is seen; these bindings are on these resources, all else grants nothing.
fn facts(bindings: &[(&str, Value)]) -> Facts {
    let mut facts = Facts::default();
    let project = ProjectId::parse("acme-prod").expect("a project");
    for name in [
        "bucket/acme-b",
        "secret/s",
        "project/acme-prod",
        "folder/7",
        "organization/9",
    ] {
        let of: Vec<&Value> = bindings
            .iter()
            .filter(|(r, _)| *r == name)
            .map(|(_, b)| b)
            .collect();
        let policy = serde_json::from_value(json!({"bindings": of})).expect("a policy");
        facts.policies.insert(resource(name), Seen::Found(policy));
    }
    for place in ["project/acme-prod", "folder/7", "organization/9"] {
        facts
            .denies
            .insert(resource(place), Seen::Found(Vec::new()));
        let set = resource(place).full_name();
        facts.boundaries.insert(set, Seen::Found(Vec::new()));
    }
    facts
        .boundaries
        .insert(format!("//{POOL}"), Seen::Found(Vec::new()));
    facts
        .homes
        .insert(resource("bucket/acme-b"), Seen::Found(project.clone()));
    let above = vec![resource("folder/7"), resource("organization/9")];
    facts.ancestors.insert(project.clone(), Seen::Found(above));
    facts.numbers.insert(project, Seen::Found(42));
    for (role, permissions) in [
        (
            "roles/storage.objectViewer",
            &["storage.objects.get", "storage.objects.list"][..],
        ),
        (
            "roles/secretmanager.secretAccessor",
            &["secretmanager.versions.access"],
        ),
        ("roles/owner", &["storage.buckets.list"]),
    ] {
        let definition = RoleDefinition {
            name: role.to_owned(),
            included_permissions: permissions.iter().map(|p| (*p).to_owned()).collect(),
            ..RoleDefinition::default()
        };
        facts.roles.insert(role.to_owned(), Seen::Found(definition));
    }
    facts
}

fn viewer(member: &str) -> Value {
    json!({"role": "roles/storage.objectViewer", "members": [member]})
}

fn read(facts: &Facts, principal: &Principal) -> Answer {
    ask_on(facts, principal, "storage.objects.get", "bucket/acme-b")
}

fn ask_on(facts: &Facts, principal: &Principal, permission: &str, on: &str) -> Answer {
    let on = resource(on);
    let question = Question {
        principal,
        permission,
        resource: &on,
        at: "2026-11-30T00:00:00Z".parse().ok(),
    };
    ask(facts, &question)
}

#[test]
fn ksa_is_allowed_by_every_member_that_means_it_and_by_no_other() {
    let url =
        "https://container.googleapis.com/v1/projects/acme-prod/locations/europe-west1/clusters";
    let other = POOL.replace("/42/", "/43/");
    let id = POOL.replace("/42/", "/acme-prod/");
    for (member, allowed) in [
        (LEGACY.to_owned(), Some(true)),
        (
            format!("principal://{POOL}/subject/ns/shop/sa/web"),
            Some(true),
        ),
        (format!("principalSet://{POOL}/namespace/shop"), Some(true)),
        (
            format!("principalSet://{POOL}/kubernetes.cluster/{url}/main"),
            Some(true),
        ),
        (
            format!("principalSet://{POOL}/kubernetes.serviceaccount.uid/0f0f"),
            Some(true),
        ),
        (format!("principalSet://{POOL}/*"), Some(true)),
        ("allUsers".to_owned(), Some(true)),
        ("allAuthenticatedUsers".to_owned(), None),
        ("group:devs@example.com".to_owned(), None),
        (
            format!("principal://{other}/subject/ns/shop/sa/web"),
            Some(false),
        ),
        (
            format!("principal://{id}/subject/ns/shop/sa/web"),
            Some(false),
        ),
        (
            format!("principalSet://{POOL}/namespace/shop-dev"),
            Some(false),
        ),
        (
            format!("principalSet://{POOL}/kubernetes.cluster/{url}/other"),
            Some(false),
        ),
        (
            format!("principalSet://{POOL}/kubernetes.serviceaccount.uid/1e1e"),
            Some(false),
        ),
        (
            "serviceAccount:acme-prod.svc.id.goog[shop/web ]".to_owned(),
            Some(false),
        ),
        (
            "principalSet://cloudresourcemanager.googleapis.com/projects/42/type/ServiceAccount"
                .to_owned(),
            Some(false),
        ),
        (format!("deleted:{LEGACY}?uid=1"), Some(false)),
        ("domain:example.com".to_owned(), Some(false)),
    ] {
        let answer = read(&facts(&[("bucket/acme-b", viewer(&member))]), &ksa());
        assert_eq!(answer.is_allowed(), allowed, "{member}: {answer:?}");
    }
}

#[test]
fn account_is_allowed_by_itself_its_containers_and_its_basic_roles() {
    let own = "serviceAccount:Web@acme-prod.iam.gserviceaccount.com";
    let set = |c: &str| {
        format!("principalSet://cloudresourcemanager.googleapis.com/{c}/type/ServiceAccount")
    };
    for (member, allowed) in [
        (own.to_owned(), Some(true)),
        (set("projects/42"), Some(true)),
        (set("folders/7"), Some(true)),
        (set("organizations/9"), Some(true)),
        (set("projects/43"), Some(false)),
        ("allAuthenticatedUsers".to_owned(), Some(true)),
        ("projectOwner:acme-prod".to_owned(), Some(true)),
        ("projectEditor:acme-prod".to_owned(), Some(false)),
        ("projectOwner:other-prod".to_owned(), None),
        (LEGACY.to_owned(), Some(false)),
    ] {
        let owner = json!({"role": "roles/owner", "members": [own]});
        let facts = facts(&[
            ("bucket/acme-b", viewer(&member)),
            ("project/acme-prod", owner),
        ]);
        let answer = read(&facts, &account());
        assert_eq!(answer.is_allowed(), allowed, "{member}: {answer:?}");
    }
}

#[test]
fn denial_names_its_first_link() {
    let reason = |facts: &Facts| match read(facts, &ksa()) {
        Answer::Denied { first, also } => (first, also),
        other => panic!("{other:?}"),
    };
    assert_eq!(reason(&facts(&[])).0, Reason::NoGrant);
    let accessor = json!({"role": "roles/secretmanager.secretAccessor", "members": [LEGACY]});
    let (first, _) = reason(&facts(&[("folder/7", accessor)]));
    assert!(matches!(first, Reason::RoleLacks(g) if g[0].on.to_string() == "folder/7"));
    let mut ended = viewer(LEGACY);
    ended["condition"] =
        json!({"title": "t", "expression": "request.time < timestamp('2026-11-29T00:00:00Z')"});
    assert!(matches!(
        reason(&facts(&[("bucket/acme-b", ended)])).0,
        Reason::Condition(_)
    ));

    let deny = |principal: &str, permission: &str| -> DenyPolicy {
        serde_json::from_value(json!({"name": "policies/x", "rules": [{"denyRule": {
            "deniedPrincipals": [principal], "deniedPermissions": [permission],
        }}]}))
        .expect("a policy")
    };
    let granted = facts(&[("organization/9", viewer(LEGACY))]);
    assert_eq!(read(&granted, &ksa()).is_allowed(), Some(true));
    for (principal, permission, allowed) in [
        (
            "principalSet://goog/public:all",
            "storage.googleapis.com/objects.get",
            Some(false),
        ),
        (
            "principalSet://goog/public:all",
            "storage.googleapis.com/objects.*",
            Some(false),
        ),
        (
            "principalSet://goog/public:all",
            "storage.googleapis.com/*.get",
            Some(false),
        ),
        (
            "principalSet://goog/public:all",
            "storage.googleapis.com/objects.list",
            Some(true),
        ),
        (
            "principalSet://goog/group/x@example.com",
            "storage.googleapis.com/objects.get",
            None,
        ),
        (
            "principal://iam.googleapis.com/projects/-/serviceAccounts/a@b.c",
            "storage.googleapis.com/objects.get",
            Some(true),
        ),
    ] {
        let mut denied = granted.clone();
        denied.denies.insert(
            resource("folder/7"),
            Seen::Found(vec![deny(principal, permission)]),
        );
        let answer = read(&denied, &ksa());
        assert_eq!(
            answer.is_allowed(),
            allowed,
            "{principal} {permission}: {answer:?}"
        );
    }
    // A deny comes first even where nothing is granted, and both are told.
    let mut both = facts(&[]);
    let all = deny(
        "principalSet://goog/public:all",
        "storage.googleapis.com/objects.get",
    );
    both.denies
        .insert(resource("project/acme-prod"), Seen::Found(vec![all]));
    let (first, also) = reason(&both);
    assert!(matches!(first, Reason::Deny { .. }) && also == [Reason::NoGrant]);
}

#[test]
fn boundary_lets_reach_what_one_of_them_allows() {
    let boundary = |on: &str, version: &str, condition: Option<&str>| Boundary {
        name: format!("to {on}"),
        details: serde_json::from_value::<BoundaryDetails>(json!({
            "rules": [{"resources": [resource(on).full_name()], "effect": "ALLOW"}],
            "enforcementVersion": version,
        }))
        .expect("details"),
        condition: condition.map(|e| Condition {
            expression: e.to_owned(),
            ..Condition::default()
        }),
    };
    let granted = facts(&[("bucket/acme-b", viewer(LEGACY))]);
    let kind = |k: &str| format!("principal.type == 'iam.googleapis.com/{k}'");
    for (pool, project, permission, allowed) in [
        (
            boundary("organization/8", "3", None),
            None,
            "get",
            Some(false),
        ),
        (
            boundary("organization/9", "3", None),
            None,
            "get",
            Some(true),
        ),
        (
            boundary("project/acme-prod", "2", None),
            None,
            "get",
            Some(true),
        ),
        (
            boundary("organization/8", "3", None),
            Some(boundary("folder/7", "3", None)),
            "get",
            Some(true),
        ),
        (
            boundary("organization/8", "3", Some(&kind("ServiceAccount"))),
            None,
            "get",
            Some(true),
        ),
        (
            boundary("organization/8", "3", Some(&kind("WorkloadPoolIdentity"))),
            None,
            "get",
            Some(false),
        ),
        (boundary("organization/8", "1", None), None, "get", None),
        (
            boundary("organization/8", "latest", None),
            None,
            "get",
            None,
        ),
    ] {
        let mut facts = granted.clone();
        facts
            .boundaries
            .insert(format!("//{POOL}"), Seen::Found(vec![pool.clone()]));
        let set = resource("folder/7").full_name();
        facts
            .boundaries
            .insert(set, Seen::Found(project.clone().into_iter().collect()));
        let answer = ask_on(
            &facts,
            &ksa(),
            &format!("storage.objects.{permission}"),
            "bucket/acme-b",
        );
        assert_eq!(
            answer.is_allowed(),
            allowed,
            "{pool:?} {project:?}: {answer:?}"
        );
    }
    // Of secrets only the fourth version knows.
    let secret = json!({"role": "roles/secretmanager.secretAccessor", "members": [LEGACY]});
    let mut facts = facts(&[("secret/s", secret)]);
    for (version, allowed) in [("3", Some(true)), ("4", Some(false))] {
        let bound = vec![boundary("organization/8", version, None)];
        facts
            .boundaries
            .insert(format!("//{POOL}"), Seen::Found(bound));
        let answer = ask_on(&facts, &ksa(), "secretmanager.versions.access", "secret/s");
        assert_eq!(answer.is_allowed(), allowed, "{version}: {answer:?}");
    }
}

#[test]
fn condition_is_asked_by_what_the_permission_is_of() {
    for (expression, allowed) in [
        (
            "resource.name.startsWith('projects/_/buckets/acme-b/objects/')",
            Some(true),
        ),
        (
            "resource.name.startsWith('projects/_/buckets/acme-b/objects/in/')",
            None,
        ),
        ("resource.name == 'projects/_/buckets/other'", Some(false)),
        (
            "resource.type == 'storage.googleapis.com/Object'",
            Some(true),
        ),
        (
            "resource.type == 'storage.googleapis.com/Bucket'",
            Some(false),
        ),
        ("resource.matchTag('9/env', 'prod')", None),
        ("nonsense (", None),
    ] {
        let mut binding = viewer(LEGACY);
        binding["condition"] = json!({"title": "t", "expression": expression});
        let answer = read(&facts(&[("project/acme-prod", binding)]), &ksa());
        assert_eq!(answer.is_allowed(), allowed, "{expression}: {answer:?}");
    }
    // Secret Manager says the project by its number.
    for (project, allowed) in [("42", Some(true)), ("acme-prod", Some(false))] {
        let expression = format!("resource.name.startsWith('projects/{project}/secrets/s/')");
        let binding = json!({"role": "roles/secretmanager.secretAccessor", "members": [LEGACY],
            "condition": {"title": "t", "expression": expression}});
        let facts = facts(&[("secret/s", binding)]);
        let answer = ask_on(&facts, &ksa(), "secretmanager.versions.access", "secret/s");
        assert_eq!(answer.is_allowed(), allowed, "{answer:?}");
    }
}

/// Any one thing unseen makes neither a yes nor a no that was not there before.
#[test]
fn unseen_is_never_the_opposite() {
    fn refused<T>() -> Seen<T> {
        Seen::Unknown("403".into())
    }
    let mut cases = 0;
    for bindings in [
        vec![],
        vec![("bucket/acme-b", viewer(LEGACY))],
        vec![(
            "folder/7",
            viewer(&format!("principalSet://{POOL}/namespace/shop")),
        )],
        vec![
            ("bucket/acme-b", viewer("projectOwner:acme-prod")),
            (
                "project/acme-prod",
                json!({"role": "roles/owner", "members": [LEGACY]}),
            ),
        ],
    ] {
        let whole = facts(&bindings);
        let mut worlds = vec![whole.clone()];
        let mut denied = whole.clone();
        denied.denies.insert(resource("organization/9"), Seen::Found(vec![serde_json::from_value(json!({"rules": [{"denyRule": {"deniedPrincipals": ["principalSet://goog/public:all"], "deniedPermissions": ["storage.googleapis.com/objects.get"]}}]})).expect("a policy")]));
        worlds.push(denied);
        for whole in worlds {
            let full = read(&whole, &ksa()).is_allowed();
            let mut partial = Vec::new();
            macro_rules! each {
                ($field:ident) => {
                    for key in whole.$field.keys() {
                        let mut facts = whole.clone();
                        facts.$field.insert(key.clone(), refused());
                        partial.push((format!("{key:?}"), facts));
                        let mut facts = whole.clone();
                        facts.$field.remove(key);
                        partial.push((format!("{key:?}"), facts));
                    }
                };
            }
            each!(policies);
            each!(homes);
            each!(ancestors);
            each!(numbers);
            each!(roles);
            each!(denies);
            each!(boundaries);
            for (what, facts) in partial {
                let answer = read(&facts, &ksa());
                let now = answer.is_allowed();
                assert!(
                    now.is_none() || now == full,
                    "{what}: {full:?}, then {answer:?}"
                );
                cases += 1;
            }
        }
    }
    assert!(cases > 200, "{cases}");
}
