//! Plan files come from strangers: an edit that `wi` never plans is refused, whatever its checksum.

use serde_json::{Value, json};
use wi_core::plan::Options;
use wi_core::plan::saved::PlanFile;

use crate::saved::file_with;
use crate::support::*;

/// What is said of the file of a plan, after somebody was at the edit of this address.
fn forged_with(
    spec: &str,
    world: Value,
    options: &Options,
    address: &str,
    forge: impl Fn(&mut Value),
) -> String {
    let file = file_with(spec, &world, options);
    let at = file.plan.changes.keys().position(|a| &**a == address);
    let at = at.unwrap_or_else(|| panic!("{address}: {:?}", changes(&file.plan)));
    let mut json = serde_json::to_value(&file).expect("JSON");
    let edit = json["plan"]["changes"][at]["edit"]
        .as_object_mut()
        .expect("an edit");
    let (_, inner) = edit.iter_mut().next().expect("of a kind");
    forge(inner);
    match PlanFile::from_json(json.to_string().as_bytes()) {
        Ok(_) => "accepted".to_owned(),
        Err(why) => why.to_string(),
    }
}

fn forged(world: Value, address: &str, forge: impl Fn(&mut Value)) -> String {
    forged_with(SPEC, world, &options(), address, forge)
}

#[track_caller]
fn refused(said: &str, why: &str) {
    assert!(said.contains(why), "{said}");
}

const OTHER: &str = "is another object than its address says";
const UNSHOWN: &str = "does something else than it shows";
const NEVER: &str = "does what wi never does";
const GRANT: &str = "grant.checkout:roles/pubsub.publisher@topic/acme-prod/orders";

#[test]
fn untouched_file_is_accepted() {
    assert_eq!(forged(bare(), "gsa.checkout", |_| ()), "accepted");
}

#[test]
fn name_is_the_accounts_own() {
    let of = |name: &str| forged(bare(), "gsa.checkout", |edit| edit["name"] = json!(name));
    for other in ["other", "checkout@acme-prod.iam.gserviceaccount.com"] {
        refused(&of(other), OTHER);
    }
    let project = forged(bare(), "gsa.checkout", |edit| {
        edit["project"] = json!("other-prod")
    });
    refused(&project, OTHER);
    // One that left goes by its id or its email, and by no name of the spec's.
    let left = || {
        with(
            settled(),
            json!({ "accounts": { "acme-prod": { "former": { "description": "[wi:shop]" } } } }),
        )
    };
    let of = |name: &str| forged(left(), "gsa.former", |edit| edit["name"] = json!(name));
    assert_eq!(of("former"), "accepted");
    assert_eq!(of("former@acme-prod.iam.gserviceaccount.com"), "accepted");
    refused(&of("checkout"), OTHER);
    refused(&of("third"), OTHER);
    // A plan that holds nothing of an account takes any name that is no other's.
    let member = |name: &str| forged(bare(), GRANT, |edit| edit["who"] = json!(name));
    assert_eq!(member("checkout"), "accepted");
    refused(&member("billing"), OTHER);
    refused(
        &forged(bare(), GRANT, |edit| edit["who"] = Value::Null),
        OTHER,
    );
    refused(
        &forged(bare(), GRANT, |edit| edit["on"] = json!("checkout")),
        OTHER,
    );
    let acts_as = "binding.checkout/acme-prod/shop/checkout";
    refused(
        &forged(bare(), acts_as, |edit| edit["on"] = Value::Null),
        OTHER,
    );
    refused(
        &forged(bare(), acts_as, |edit| edit["on"] = json!("third")),
        OTHER,
    );
    refused(
        &forged(bare(), acts_as, |edit| edit["who"] = json!("checkout")),
        OTHER,
    );
}

#[test]
fn member_is_written_as_who_it_is_and_only_one_way() {
    refused(
        &forged(bare(), GRANT, |edit| {
            edit["after"] = json!(["user:eve@example.com"])
        }),
        OTHER,
    );
    refused(
        &forged(bare(), GRANT, |edit| edit["after"] = json!([])),
        NEVER,
    );
    refused(
        &forged(bare(), GRANT, |edit| {
            edit["before"] = json!([format!("serviceAccount:{CHECKOUT}")])
        }),
        NEVER,
    );
}

#[test]
fn account_is_made_with_the_mark_and_changed_within_bounds() {
    let made = |field: &str, value: Value| {
        forged(bare(), "gsa.checkout", |edit| {
            edit["after"]["Present"][field] = value.clone()
        })
    };
    refused(&made("description", json!("by hand")), NEVER);
    refused(&made("description", json!("[wi:other]")), NEVER);
    refused(&made("disabled", json!(true)), NEVER);
    for bad in ["", "12x"] {
        refused(&made("undelete", json!(bad)), OTHER);
    }
    assert_eq!(made("undelete", json!("12")), "accepted");
    for end in [
        json!("Deleted"),
        json!({ "Disabled": { "description": "" } }),
    ] {
        refused(
            &forged(bare(), "gsa.checkout", |edit| edit["after"] = end.clone()),
            NEVER,
        );
    }
    let adopting = || {
        with(
            settled(),
            json!({ "accounts": { "acme-prod": { "checkout": { "description": "Pays" } } } }),
        )
    };
    let changed = |field: &str, value: Value| {
        forged(adopting(), "gsa.checkout", |edit| {
            edit["after"]["Present"][field] = value.clone()
        })
    };
    refused(&changed("disabled", json!(true)), NEVER);
    refused(&changed("undelete", json!("12")), NEVER);
    refused(
        &changed("description", json!("Steals [wi:shop adopted]")),
        NEVER,
    );
    refused(&changed("description", json!("Pays [wi:other]")), NEVER);
    assert_eq!(changed("description", json!("Pays")), "accepted", "let go");
    refused(
        &forged(adopting(), "gsa.checkout", |edit| {
            edit["before"]["description"] = json!("Pays [wi:other]")
        }),
        NEVER,
    );
    refused(
        &forged(adopting(), "gsa.checkout", |edit| {
            edit["after"] = json!("Deleted")
        }),
        NEVER,
    );
    let left = || {
        with(
            settled(),
            json!({ "accounts": { "acme-prod": { "former": { "description": "Old [wi:shop]" } } } }),
        )
    };
    let ended = |description: &str| {
        forged(left(), "gsa.former", |edit| {
            edit["after"] = json!({ "Disabled": { "description": description } })
        })
    };
    assert_eq!(ended("Old [wi:shop released]"), "accepted");
    refused(&ended("New [wi:shop released]"), NEVER);
    refused(&ended("Old [wi:shop]"), NEVER);
    refused(
        &forged(left(), "gsa.former", |edit| {
            edit["before"]["description"] = json!("Old [wi:other]")
        }),
        NEVER,
    );
    assert_eq!(
        forged(left(), "gsa.former", |edit| edit["after"] =
            json!("Deleted")),
        "accepted"
    );
}

#[test]
fn spec_that_is_taken_over_from_is_the_users_word() {
    let theirs = || {
        with(
            settled(),
            json!({ "accounts": { "acme-prod": { "checkout": { "description": "[wi:other]" } } } }),
        )
    };
    let from = |name: &str| Options {
        adopt_from: [name.to_owned()].into(),
        ..options()
    };
    let of = |description: &str| {
        forged_with(SPEC, theirs(), &from("other"), "gsa.checkout", |edit| {
            edit["before"]["description"] = json!(description)
        })
    };
    assert_eq!(of("[wi:other]"), "accepted");
    assert_eq!(of("[wi:shop]"), "accepted");
    refused(&of("[wi:third]"), NEVER);
}

#[test]
fn cluster_gets_its_own_pool_and_node_pools_have_names() {
    let world = || {
        with(
            settled(),
            json!({
                "clusters": { "main": { "workloadIdentityConfig": null, "nodePools": { "p1": pool("GCE_METADATA") } } },
                "kubernetes": { "main": { "Node": { "n1": node("p1") } } },
            }),
        )
    };
    refused(
        &forged(world(), "cluster.main", |edit| {
            edit["after"] = json!("other-prod.svc.id.goog")
        }),
        NEVER,
    );
    refused(
        &forged(world(), "cluster.main", |edit| {
            edit["cluster"] = json!("edge")
        }),
        OTHER,
    );
    refused(
        &forged(world(), "nodepool.main/p1", |edit| {
            edit["cluster"] = json!("edge")
        }),
        OTHER,
    );
    refused(
        &forged(world(), "nodepool.main/p1", |edit| {
            edit["node_pool"] = json!("a/b")
        }),
        OTHER,
    );
}

#[test]
fn kubernetes_objects_are_the_specs_own_or_nobodys() {
    let ksa = "ksa.main/shop/checkout";
    let of = |object: Value, forge: &dyn Fn(&mut Value)| {
        let world = with(
            settled(),
            json!({ "kubernetes": { "main": { "ServiceAccount": { "=shop/checkout": object } } } }),
        );
        forged(world, ksa, forge)
    };
    let nobodys = || annotated(None, "x");
    refused(
        &of(nobodys(), &|edit| edit["before"]["uid"] = json!("")),
        NEVER,
    );
    refused(
        &of(nobodys(), &|edit| {
            edit["before"]["annotations"]["wi/owner"] = json!("other")
        }),
        NEVER,
    );
    refused(
        &of(nobodys(), &|edit| edit["after"] = json!("Deleted")),
        NEVER,
    );
    refused(
        &of(nobodys(), &|edit| edit["after"] = json!("Released")),
        NEVER,
    );
    refused(&of(nobodys(), &|edit| edit["force"] = json!(true)), NEVER);
    refused(
        &of(nobodys(), &|edit| edit["drop_annotation"] = json!(true)),
        UNSHOWN,
    );
    refused(
        &of(nobodys(), &|edit| edit["key"]["cluster"] = json!("edge")),
        OTHER,
    );
    let other = "other@acme-prod.iam.gserviceaccount.com";
    assert_eq!(
        of(ours(Some(other)), &|edit| edit["after"] = json!("Deleted")),
        "accepted"
    );
    let forcing = Options {
        force_conflicts: true,
        ..options()
    };
    let world = with(
        settled(),
        json!({ "kubernetes": { "main": { "ServiceAccount": { "=shop/checkout": nobodys() } } } }),
    );
    assert_eq!(forged_with(SPEC, world, &forcing, ksa, |_| ()), "accepted");
    let left = || {
        with(
            settled(),
            json!({ "kubernetes": { "main": { "Namespace": { "former": marked("shop") } } } }),
        )
    };
    let namespace = "namespace.main/former";
    assert_eq!(forged(left(), namespace, |_| ()), "accepted");
    refused(
        &forged(left(), namespace, |edit| {
            edit["before"]["annotations"]["wi/owner"] = json!("other")
        }),
        NEVER,
    );
    refused(
        &forged(left(), namespace, |edit| edit["before"]["uid"] = json!("")),
        NEVER,
    );
    refused(
        &forged(left(), namespace, |edit| {
            edit["key"]["cluster"] = json!("edge")
        }),
        OTHER,
    );
}
