//! No two bindings have one address; what an address is in.

use std::collections::BTreeMap;

use super::*;
use crate::names::{KsaIdentity, ProjectId, Role};

fn condition(title: &str, description: &str, expression: &str) -> Option<Condition> {
    Some(Condition {
        title: title.to_owned(),
        description: description.to_owned(),
        expression: expression.to_owned(),
        rest: String::new(),
    })
}

fn ksa(pool: &str, namespace: &str, name: &str) -> Member {
    Member::Ksa(KsaIdentity {
        pool: pool.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    })
}

/// Account, member, resource and condition in all combinations, with names that imitate separators.
#[test]
fn address_tells_every_two_bindings_apart() {
    let email = |text: &str| Email::parse(text).expect("an email");
    let names = BTreeMap::from([
        (
            email("a@p-12345.iam.gserviceaccount.com"),
            AccountName::of_spec("a"),
        ),
        (
            email("b@p-12345.iam.gserviceaccount.com"),
            AccountName::of_spec("p/ns/x"),
        ),
        (
            email("c@p-12345.iam.gserviceaccount.com"),
            AccountName::of_spec("d@p-12345.iam.gserviceaccount.com"),
        ),
        (
            email("e@p-12345.iam.gserviceaccount.com"),
            AccountName::of_spec("deleted"),
        ),
    ]);
    let mut members: Vec<Member> = names.keys().cloned().map(Member::ServiceAccount).collect();
    members.push(Member::ServiceAccount(email(
        "d@p-12345.iam.gserviceaccount.com",
    )));
    for pool in [
        "p.svc.id.goog",
        "p",
        "p.hub.id.goog",
        "p.hub.id.goog.svc.id.goog",
    ] {
        members.extend([
            ksa(pool, "ns", "x"),
            ksa(pool, "ns/x", "x"),
            ksa(pool, "ns", "x/x"),
            ksa(pool, "ns", "x?t"),
        ]);
    }
    for (e, uid) in [
        ("a@b.c", "1"),
        ("a@b.c:1", "1"),
        ("a@b.c", "1:1"),
        ("a", "b:roles/viewer"),
    ] {
        members.push(Member::DeletedServiceAccount {
            email: e.to_owned(),
            uid: uid.to_owned(),
        });
    }
    members.extend(
        [
            "principalSet://iam.googleapis.com/p.svc.id.goog/namespace/ns",
            "user:a@b.c",
        ]
        .map(Member::parse),
    );
    let resource = |text: &str| Resource::parse(text, None).expect("a resource");
    let resources = [
        resource("serviceaccount/a@p-12345.iam.gserviceaccount.com"),
        resource("serviceaccount/b@p-12345.iam.gserviceaccount.com"),
        resource("project/acme-prod"),
        resource("topic/acme-prod/x"),
        resource("topic/acme-prod/x?until"),
        resource("topic/acme-prod/x%3Funtil"),
    ];
    let conditions = [
        None,
        condition("until", "", "a"),
        condition("until", "", "b"),
        condition("until", "b", "a"),
        condition("until", "a", "a"),
        condition("until#1", "", "a"),
        condition("", "", "a"),
    ];
    let roles = [
        "roles/viewer",
        "roles/iam.workloadIdentityUser",
        "projects/eu0:acme-prod/roles/x",
    ];
    let mut seen: BTreeMap<Address, BindingKey> = BTreeMap::new();
    for role in roles.map(|r| Role::parse(r).expect("a role")) {
        for member in &members {
            for resource in &resources {
                for condition in &conditions {
                    let key = BindingKey {
                        resource: resource.clone(),
                        role: role.clone(),
                        condition: condition.clone(),
                        member: member.clone(),
                    };
                    let name = |e: &Email| {
                        Cow::Owned(
                            names
                                .get(e)
                                .cloned()
                                .unwrap_or_else(|| AccountName::of_email(e)),
                        )
                    };
                    let address = Address::binding(&key, name);
                    assert_eq!(Address::parse(&address).as_ref(), Ok(&address));
                    assert_eq!(address.cluster(), None);
                    let other = seen.insert(address, key.clone());
                    assert!(other.is_none(), "{key:?} and {other:?}");
                }
            }
        }
    }
    assert!(seen.len() > 2_000);
}

#[test]
fn address_knows_its_cluster_and_what_it_is_in() {
    let name = |text: &str| KubeName::parse(text).expect("a name");
    let address = Address::ksa("main", &name("shop"), &name("checkout"));
    assert_eq!(&*address, "ksa.main/shop/checkout");
    assert_eq!(address.cluster(), Some("main"));
    assert_eq!(&*address.in_cluster("*"), "ksa.*/shop/checkout");
    assert_eq!(
        &*Address::cluster_pool("main").in_cluster("edge"),
        "cluster.edge"
    );
    for target in ["ksa", "ksa.main", "ksa.main/shop", "ksa.main/shop/checkout"] {
        assert!(address.is_in(target), "{target}");
    }
    for target in [
        "ksa.mai",
        "ksa.main/shop/check",
        "gsa",
        "ksa.main/shop/checkout/x",
    ] {
        assert!(!address.is_in(target), "{target}");
    }
    let project = ProjectId::parse("acme-prod").expect("a project");
    let key = BindingKey {
        resource: Resource::Project(project),
        role: Role::parse("roles/viewer").expect("a role"),
        condition: condition("until-2027", "", "false"),
        member: ksa("acme-prod.svc.id.goog", "shop", "web"),
    };
    let address = Address::binding(&key, |_| unreachable!("no account"));
    let text = "grant.acme-prod/shop/web:roles/viewer@project/acme-prod?until-2027";
    assert!(address.is_in(text) && address.is_in("grant.acme-prod/shop/web"));
    assert!(address.starts_with(&format!("{text}#")) && address.len() == text.len() + 9);
}

#[test]
fn address_is_read_only_in_its_form() {
    for bad in [
        "",
        "gsa",
        "gsa.",
        "gsa.a/b",
        "ksa.main/shop",
        "ksa.main//x",
        "vault.x",
        "grant.x",
        "the plan as a whole",
    ] {
        assert!(Address::parse(bad).is_err(), "{bad}");
    }
}
