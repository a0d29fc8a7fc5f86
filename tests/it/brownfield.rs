//! A project that others have worked in: what is there is adopted, what is theirs stays.

use crate::support::Place;

#[test]
fn what_exists_is_adopted_and_what_belongs_to_others_stays() {
    let place = Place::example("brownfield");
    let plan = place.wi(&["plan"]).ok();
    insta::assert_snapshot!("brownfield_plan", plan.out);

    place.wi(&["apply", "--auto-approve"]).ok();
    let again = place.wi(&["plan", "--detailed-exitcode"]);
    assert_eq!(again.code, Some(0), "{}", again.out);

    let state = place.state();
    let policy = &state["projects"]["acme-prod"]["policy"];
    assert_eq!(policy["auditConfigs"][0]["service"], "allServices");
    let bindings = policy["bindings"].as_array().expect("bindings");
    let has = |role: &str, member: &str, condition: Option<&str>| {
        bindings.iter().any(|b| {
            b["role"] == role
                && b["condition"]["title"].as_str() == condition
                && b["members"]
                    .as_array()
                    .is_some_and(|m| m.iter().any(|m| m == member))
        })
    };
    assert!(has("roles/owner", "user:dev@example.com", None));
    assert!(has(
        "roles/monitoring.viewer",
        "group:oncall@example.com",
        Some("until-2027")
    ));
    assert!(has(
        "roles/logging.logWriter",
        "serviceAccount:123456789012-compute@developer.gserviceaccount.com",
        None
    ));
}

#[test]
fn an_account_of_another_owner_is_an_error_that_names_it_and_nothing_is_written() {
    let place = Place::example("brownfield");
    let world = std::fs::read_to_string(place.path("world.yaml")).expect("world");
    place.write(
        "world.yaml",
        &world.replace(
            "displayName: Checkout",
            "displayName: Checkout\n        description: 'Payments [wi:billing]'",
        ),
    );
    let apply = place.wi(&["apply", "--auto-approve"]).fails();
    assert!(
        apply.out.contains("belongs to the spec named `billing`"),
        "{}",
        apply.out
    );
    let state = place.state();
    assert_eq!(state["clusters"][1]["name"], "edge");
    assert!(
        state["clusters"][1]["workloadPool"].is_null(),
        "nothing was written"
    );
}

#[test]
fn a_grant_that_the_spec_does_not_have_is_removed_from_managed_principals_only() {
    let place = Place::example("brownfield");
    let world = std::fs::read_to_string(place.path("world.yaml")).expect("world");
    place.write(
        "world.yaml",
        &world.replace(
            "        - role: roles/logging.logWriter",
            "        - role: roles/editor\n          members: [serviceAccount:checkout@acme-prod.iam.gserviceaccount.com, user:ann@example.com]\n        - role: roles/logging.logWriter",
        ),
    );
    let plan = place.wi(&["plan"]).ok();
    assert!(
        plan.out
            .contains("- grant.checkout:roles/editor@project/acme-prod"),
        "{}",
        plan.out
    );
    assert!(
        plan.out
            .contains("- loses roles/editor on project/acme-prod"),
        "{}",
        plan.out
    );
    place.wi(&["apply", "--auto-approve"]).ok();
    let state = place.state();
    let bindings = state["projects"]["acme-prod"]["policy"]["bindings"]
        .as_array()
        .expect("bindings")
        .clone();
    let editor = bindings
        .iter()
        .find(|b| b["role"] == "roles/editor")
        .expect("still there for ann");
    assert_eq!(
        editor["members"],
        serde_json::json!(["user:ann@example.com"])
    );
}

#[test]
fn what_leaves_the_spec_is_released_or_destroyed() {
    let place = Place::example("brownfield");
    place.wi(&["apply", "--auto-approve"]).ok();
    place.write(
        "wi.yaml",
        "apiVersion: wi/v1\nname: shop\nproject: acme-prod\nclusters:\n  main: { location: europe-west1 }\n  edge: { location: us-central1-a }\ngoogleServiceAccounts:\n  another:\n",
    );
    let too_much = place.wi(&["apply", "--auto-approve"]).fails();
    assert!(
        too_much.out.contains("pass --allow-mass-removal"),
        "{}",
        too_much.out
    );
    let plan = place.wi(&["plan", "--allow-mass-removal"]).ok();
    insta::assert_snapshot!("left_the_spec_plan", plan.out);
    place
        .wi(&["apply", "--auto-approve", "--allow-mass-removal"])
        .ok();
    assert_eq!(place.wi(&["plan", "--detailed-exitcode"]).code, Some(0));
    let state = place.state();
    let checkout = &state["projects"]["acme-prod"]["serviceAccounts"]["checkout"];
    // It was there before: others may use it.
    assert!(checkout["disabled"].is_null(), "{checkout}");
    assert!(checkout["description"].is_null(), "{checkout}");
    let main = state["clusters"]
        .as_array()
        .expect("clusters")
        .iter()
        .find(|c| c["name"] == "main")
        .expect("main");
    let adopted = &main["namespaces"]["shop"]["serviceAccounts"]["reporter"];
    assert!(
        !adopted.is_null() && adopted["annotations"].get("wi/owner").is_none(),
        "{adopted}"
    );
    let edge = state["clusters"]
        .as_array()
        .expect("clusters")
        .iter()
        .find(|c| c["name"] == "edge")
        .expect("edge");
    assert!(
        edge["namespaces"]["shop"]["serviceAccounts"]
            .get("reporter")
            .is_none()
    );
}
