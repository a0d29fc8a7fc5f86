//! The IAM half from outside: ownership, brakes, limits.

use crate::support::{Place, flat};
use serde_json::{Value, json};

const SPEC: &str = "\
apiVersion: wi/v1
name: shop
project: acme-prod
clusters:
  main: { location: europe-west1 }
";

/// An autopilot cluster, so that only IAM and Kubernetes have anything to do.
fn world(project: &str, rest: &str) -> String {
    format!(
        "apiVersion: wi.sandbox/v1
timeScale: 2000
projects:
  acme-prod:
    number: 123456789012
{project}
{rest}
clusters:
  - {{ project: acme-prod, location: europe-west1, name: main, autopilot: true }}
"
    )
}

fn place(spec: &str, project: &str, rest: &str) -> Place {
    Place::new(&format!("{SPEC}{spec}"), &world(project, rest))
}

#[track_caller]
fn says(text: &str, part: &str) {
    assert!(flat(text).contains(part), "`{part}` is not in:\n{text}");
}

fn members(state: &Value, role: &str) -> Vec<Value> {
    state["projects"]["acme-prod"]["policy"]["bindings"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|b| b["role"] == role)
        .flat_map(|b| b["members"].as_array().cloned().unwrap_or_default())
        .collect()
}

#[test]
fn a_grant_can_expire() {
    let place = place(
        "googleServiceAccounts:\n  checkout:\n    grants: [{ role: roles/cloudsql.client, expires: 2027-01-01 }]\n",
        "",
        "",
    );
    place.wi(&["apply", "--auto-approve"]).ok();
    let binding = &place.state()["projects"]["acme-prod"]["policy"]["bindings"][0];
    assert_eq!(
        binding["condition"],
        json!({"title": "until-2027-01-01", "expression": "request.time < timestamp(\"2027-01-01T00:00:00Z\")"})
    );
    assert_eq!(place.wi(&["plan", "--detailed-exitcode"]).code, Some(0));
}

#[test]
fn members_that_the_guard_forbids_get_nothing() {
    let place = place(
        "guard: { forbidMembers: [\"*[shop/*]\"] }\ngoogleServiceAccounts:\n  checkout: {}\nnamespaces:\n  shop: { serviceAccounts: { checkout: { impersonates: checkout } } }\n",
        "",
        "",
    );
    let apply = place.wi(&["apply", "--auto-approve"]).fails();
    says(
        &apply.out,
        "the guard forbids the member serviceAccount:acme-prod.svc.id.goog[shop/checkout] (`*[shop/*]` at wi.yaml:6)",
    );
    assert!(place.state()["projects"]["acme-prod"]["serviceAccounts"].is_null());
}

#[test]
fn more_removals_than_the_guard_allows_are_an_error() {
    let place = place(
        "guard: { maxRemovals: 0 }\ngoogleServiceAccounts:\n  checkout: {}\n",
        "    serviceAccounts: { checkout: {} }\n    policy: { bindings: [{ role: roles/editor, members: [\"serviceAccount:checkout@acme-prod.iam.gserviceaccount.com\"] }] }",
        "",
    );
    let plan = place.wi(&["plan"]).fails();
    says(&plan.out, "it removes 1, and the guard allows 0");
    says(&plan.out, "the plan as a whole (wi.yaml:6)");
}

#[test]
fn a_policy_that_is_full_is_an_error_before_anything_is_written() {
    let many = |n: usize| {
        let users: Vec<String> = (0..n).map(|i| format!("user:u{i}@example.com")).collect();
        format!(
            "    policy: {{ bindings: [{{ role: roles/viewer, members: [{}] }}] }}",
            users.join(", ")
        )
    };
    let spec = "googleServiceAccounts:\n  checkout: { grants: [roles/cloudsql.client, roles/pubsub.publisher] }\n";
    let full = place(spec, &many(1499), "");
    let plan = full.wi(&["plan"]).fails();
    says(
        &plan.out,
        "has 1499 members and would have 1501; IAM allows 1500",
    );
    let nearly = place(spec, &many(1498), "");
    let plan = nearly.wi(&["plan"]).ok();
    says(
        &plan.out,
        "will have 1500 of the 1500 members that IAM allows",
    );
    nearly.wi(&["apply", "--auto-approve"]).ok();
}

/// What is added comes before what it replaces is removed: a policy can be too full in between.
#[test]
fn a_policy_that_would_be_too_full_between_two_writes_is_an_error() {
    let users = |n: usize| {
        let users: Vec<String> = (0..n).map(|i| format!("user:u{i}@example.com")).collect();
        format!(
            "    policy: {{ bindings: [{{ role: roles/viewer, members: [{}] }}] }}",
            users.join(", ")
        )
    };
    let direct = "namespaces:\n  shop:\n    create: true\n    serviceAccounts:\n      web: { grants: [roles/cloudsql.client] }\n";
    let by_account = "googleServiceAccounts:\n  checkout: { grants: [roles/cloudsql.client] }\nnamespaces:\n  shop:\n    create: true\n    serviceAccounts:\n      web: { impersonates: checkout }\n";
    for (others, fits) in [(1499, false), (1498, true)] {
        let place = place(direct, &users(others), "");
        place.wi(&["apply", "--auto-approve"]).ok();
        let before = place.state()["revision"].clone();
        place.write("wi.yaml", &format!("{SPEC}{by_account}"));
        let apply = place.wi(&["apply", "--auto-approve"]);
        if fits {
            apply.ok();
        } else {
            let apply = apply.fails();
            says(
                &apply.out,
                "has 1500 members and would have 1501 on the way to 1500",
            );
            assert_eq!(place.state()["revision"], before, "nothing is written");
        }
    }
}

#[test]
fn what_a_direct_principal_cannot_do_is_said_with_a_way_out() {
    let place = place(
        "namespaces:
  shop:
    serviceAccounts:
      web:
        grants:
          - { role: roles/storage.objectViewer, resource: bucket/acls }
          - { role: roles/run.invoker, resource: run/europe-west1/api }
",
        "    policy: { bindings: [{ role: roles/iam.workloadIdentityUser, members: [\"serviceAccount:acme-prod.svc.id.goog[other/x]\"] }] }",
        "buckets: { acls: { project: acme-prod, uniformBucketLevelAccess: false } }
resources: { //run.googleapis.com/projects/acme-prod/locations/europe-west1/services/api: {} }",
    );
    let plan = place.wi(&["plan"]).fails();
    says(
        &plan.out,
        "need uniform bucket-level access, which bucket/acls does not have: gcloud storage buckets update gs://acls --uniform-bucket-level-access",
    );
    says(
        &plan.out,
        "is called with ID tokens of Google, which a Kubernetes service account alone cannot get. Give it a Google service account",
    );
    says(
        &plan.out,
        "acme-prod/other/x has roles/iam.workloadIdentityUser on project/acme-prod: it can act as every Google service account there",
    );
}

/// What a former spec granted on a resource that nobody names any more.
#[test]
fn removed_names_resources_that_the_spec_no_longer_grants_on() {
    let theirs = "user:ann@example.com";
    let ours = "serviceAccount:checkout@acme-prod.iam.gserviceaccount.com";
    let secret = "//secretmanager.googleapis.com/projects/acme-prod/secrets/old";
    let place = place(
        "removed: [secret/old]\ngoogleServiceAccounts:\n  checkout: { grants: [roles/cloudsql.client] }\n",
        "    serviceAccounts: { checkout: {} }",
        &format!(
            "resources: {{ {secret}: {{ policy: {{ bindings: [{{ role: roles/secretmanager.secretAccessor, members: [\"{theirs}\", \"{ours}\"] }}] }} }} }}"
        ),
    );
    let plan = place.wi(&["plan"]).ok();
    says(
        &plan.out,
        "- loses roles/secretmanager.secretAccessor on secret/acme-prod/old",
    );
    place.wi(&["apply", "--auto-approve"]).ok();
    let state = place.state();
    assert_eq!(
        state["resources"][secret]["policy"]["bindings"][0]["members"],
        json!([theirs])
    );
    assert_eq!(members(&state, "roles/cloudsql.client"), [json!(ours)]);
}

const CHECKOUT: &str = "googleServiceAccounts:\n  checkout: { grants: [roles/cloudsql.client] }\n";
const EMAIL: &str = "checkout@acme-prod.iam.gserviceaccount.com";

/// `onRemove` is in the mark, since the spec no longer says it when it counts.
#[test]
fn an_account_that_leaves_is_disabled_deleted_or_kept_as_the_spec_had_said() {
    for (on_remove, exists, disabled, granted) in [
        ("disable", true, true, false),
        ("delete", false, false, false),
        ("keep", true, false, true),
    ] {
        let spec = CHECKOUT.replace(
            "checkout: {",
            &format!("checkout: {{ onRemove: {on_remove},"),
        );
        let place = place(&format!("{spec}  other-one: {{}}\n"), "", "");
        place.wi(&["apply", "--auto-approve"]).ok();
        place.write(
            "wi.yaml",
            &format!("{SPEC}googleServiceAccounts:\n  other-one: {{}}\n"),
        );
        let plan = place.wi(&["plan", "--allow-mass-removal"]).ok();
        says(
            &plan.out,
            match on_remove {
                "delete" => "it is deleted",
                "keep" => "released: marked with `onRemove: keep`",
                _ => "it is disabled",
            },
        );
        place
            .wi(&["apply", "--auto-approve", "--allow-mass-removal"])
            .ok();
        assert_eq!(
            place.wi(&["plan", "--detailed-exitcode"]).code,
            Some(0),
            "{on_remove}"
        );
        let state = place.state();
        let account = &state["projects"]["acme-prod"]["serviceAccounts"]["checkout"];
        assert_eq!(!account.is_null(), exists, "{on_remove}: {account}");
        assert_eq!(
            account["disabled"] == true,
            disabled,
            "{on_remove}: {account}"
        );
        assert_eq!(
            !members(&state, "roles/cloudsql.client").is_empty(),
            granted,
            "{on_remove}"
        );
        // Whoever comes next can take it.
        if on_remove == "disable" {
            assert_eq!(account["description"], "[wi:shop released]");
        }
        if on_remove == "delete" {
            // Its members went first, so that no dead ones are left.
            assert!(
                !state.to_string().contains("deleted:serviceAccount:"),
                "{state}"
            );
        }
    }
}

/// A policy that names the account by the unique id of another one, which would come back in its place.
#[test]
fn an_account_that_comes_back_in_anothers_place_is_deleted_again() {
    let place = place(
        CHECKOUT,
        &format!("    policy: {{ bindings: [{{ role: roles/cloudsql.client, members: [\"deleted:serviceAccount:{EMAIL}?uid=123456789012345678901\"] }}] }}
    deletedServiceAccounts: [{{ accountId: former-one, deletedAt: DELETED, account: {{ uniqueId: \"123456789012345678901\" }} }}]")
        .replace("DELETED", &jiff::Timestamp::now().to_string()),
        "",
    );
    let apply = place.wi(&["apply", "--auto-approve"]).fails();
    says(
        &apply.out,
        "is that of former-one@acme-prod.iam.gserviceaccount.com: it came back, and was deleted again",
    );
    let project = &place.state()["projects"]["acme-prod"];
    assert!(project["serviceAccounts"].is_null(), "{project}");
    assert_eq!(
        project["deletedServiceAccounts"][0]["accountId"],
        "former-one"
    );
}

const OTHERS: &str = "    serviceAccounts: { checkout: { description: \"Pays DESCRIPTION\" } }";

fn of_others(description: &str) -> String {
    OTHERS.replace("DESCRIPTION", description)
}

fn description(place: &Place) -> Value {
    let state = place.state();
    state["projects"]["acme-prod"]["serviceAccounts"]["checkout"]["description"].clone()
}

/// What was there before may have other users than the spec knows of.
#[test]
fn an_adopted_account_that_leaves_is_released_unless_the_spec_says_otherwise() {
    for (on_remove, mark, disabled, left) in [
        ("", "[wi:shop adopted]", false, "Pays"),
        (
            "onRemove: disable,",
            "[wi:shop adopted disable]",
            true,
            "Pays [wi:shop adopted disable released]",
        ),
    ] {
        let spec = CHECKOUT.replace("checkout: {", &format!("checkout: {{ {on_remove}"));
        let place = place(&spec, &of_others("").replace("Pays ", "Pays"), "");
        let plan = place.wi(&["plan"]).ok();
        says(&plan.out, "adopted: it exists and nobody has marked it");
        place.wi(&["apply", "--auto-approve"]).ok();
        assert_eq!(description(&place), format!("Pays {mark}"));
        assert_eq!(place.wi(&["plan", "--detailed-exitcode"]).code, Some(0));
        place.write(
            "wi.yaml",
            &format!("{SPEC}googleServiceAccounts:\n  other-one: {{}}\n"),
        );
        place
            .wi(&["apply", "--auto-approve", "--allow-mass-removal"])
            .ok();
        assert_eq!(description(&place), left);
        let state = place.state();
        let account = &state["projects"]["acme-prod"]["serviceAccounts"]["checkout"];
        assert_eq!(account["disabled"] == true, disabled, "{account}");
        let roles = members(&state, "roles/cloudsql.client");
        assert_eq!(roles.is_empty(), disabled, "{roles:?}");
        assert_eq!(place.wi(&["plan", "--detailed-exitcode"]).code, Some(0));
    }
}

#[test]
fn an_account_that_another_spec_has_let_go_is_adopted() {
    let place = place(CHECKOUT, &of_others("[wi:billing released]"), "");
    let plan = place.wi(&["plan"]).ok();
    says(&plan.out, "adopted: the spec named `billing` has let it go");
    place.wi(&["apply", "--auto-approve"]).ok();
    assert_eq!(description(&place), "Pays [wi:shop adopted]");
    assert_eq!(place.wi(&["plan", "--detailed-exitcode"]).code, Some(0));
}

/// One that leaves and comes again is the spec's as before.
#[test]
fn an_account_that_was_let_go_is_taken_back() {
    let other = format!("{SPEC}googleServiceAccounts:\n  other-one: {{}}\n");
    let place = place(&format!("{CHECKOUT}  other-one: {{}}\n"), "", "");
    place.wi(&["apply", "--auto-approve"]).ok();
    let before = std::fs::read_to_string(place.path("wi.yaml")).expect("the spec");
    place.write("wi.yaml", &other);
    let all = ["apply", "--auto-approve", "--allow-mass-removal"];
    place.wi(&all).ok();
    assert_eq!(description(&place), "[wi:shop released]");
    place.write("wi.yaml", &before);
    let plan = place.wi(&["plan"]).ok();
    says(&plan.out, "taken back: this spec had let it go");
    place.wi(&all).ok();
    assert_eq!(description(&place), "[wi:shop]");
    assert_eq!(place.wi(&["plan", "--detailed-exitcode"]).code, Some(0));
}

#[test]
fn what_another_spec_owns_is_taken_over_where_that_is_said() {
    let place = place(
        &format!(
            "{CHECKOUT}namespaces: {{ shop: {{ serviceAccounts: {{ web: {{ impersonates: checkout }} }} }} }}\n"
        ),
        &format!(
            "{}\n    policy: {{ bindings: [{{ role: roles/cloudsql.client, members: [\"serviceAccount:{EMAIL}\"] }}] }}",
            of_others("[wi:billing delete]")
        ),
        "",
    );
    let world = std::fs::read_to_string(place.path("world.yaml")).expect("world");
    let theirs = format!(
        "autopilot: true, namespaces: {{ shop: {{ serviceAccounts: {{ web: {{ appliedBy: wi, annotations: {{ wi/owner: billing, iam.gke.io/gcp-service-account: {EMAIL} }} }} }} }} }}"
    );
    place.write("world.yaml", &world.replace("autopilot: true", &theirs));
    let plan = place.wi(&["plan"]).fails();
    for named in [
        "belongs to the spec named `billing`",
        "--adopt-from billing",
        "by `email:`",
        "`existing: true`",
    ] {
        says(&plan.out, named);
    }
    place.wi(&["plan", "--adopt-from", "other"]).fails();
    let plan = place.wi(&["plan", "--adopt-from", "billing"]).ok();
    says(
        &plan.out,
        "taken over from the spec named `billing`, as --adopt-from says",
    );
    assert!(!plan.out.contains("- loses"), "{}", plan.out);
    place
        .wi(&["apply", "--auto-approve", "--adopt-from", "billing"])
        .ok();
    assert_eq!(description(&place), "Pays [wi:shop]");
    let state = place.state();
    let web = &state["clusters"][0]["namespaces"]["shop"]["serviceAccounts"]["web"];
    assert_eq!(web["annotations"]["wi/owner"], "shop", "{web}");
    assert_eq!(place.wi(&["plan", "--detailed-exitcode"]).code, Some(0));
    // The other spec has nothing to say of it any more.
    place.write(
        "wi.yaml",
        &format!("{SPEC}googleServiceAccounts:\n  other-one: {{}}\n")
            .replace("name: shop", "name: billing"),
    );
    place.wi(&["apply", "--auto-approve"]).ok();
    assert_eq!(description(&place), "Pays [wi:shop]");
}

/// From managed to `email:`: the mark goes, and nothing is taken away.
#[test]
fn an_account_that_is_referred_to_by_its_email_from_now_on_is_let_go() {
    let users = "namespaces: { shop: { serviceAccounts: { web: { impersonates: checkout } } } }\n";
    let place = place(&format!("{CHECKOUT}{users}"), "", "");
    place.wi(&["apply", "--auto-approve"]).ok();
    place.write(
        "wi.yaml",
        &format!("{SPEC}googleServiceAccounts:\n  checkout: {{ email: {EMAIL} }}\n{users}"),
    );
    let plan = place.wi(&["plan"]).ok();
    says(
        &plan.out,
        "released: the spec refers to it by its email now",
    );
    says(&plan.out, "0 to add, 1 to change, 0 to destroy");
    place.wi(&["apply", "--auto-approve"]).ok();
    let state = place.state();
    let account = &state["projects"]["acme-prod"]["serviceAccounts"]["checkout"];
    assert!(
        account["description"].is_null() && account["disabled"].is_null(),
        "{account}"
    );
    assert_eq!(members(&state, "roles/cloudsql.client").len(), 1);
    let acts = &account["policy"]["bindings"][0]["members"];
    assert_eq!(
        *acts,
        json!(["serviceAccount:acme-prod.svc.id.goog[shop/web]"])
    );
    assert_eq!(place.wi(&["plan", "--detailed-exitcode"]).code, Some(0));
}

#[test]
fn a_deleted_account_is_undeleted_and_has_its_roles_again() {
    let place = place(
        CHECKOUT,
        &format!("    policy: {{ bindings: [{{ role: roles/cloudsql.client, members: [\"deleted:serviceAccount:{EMAIL}?uid=123456789012345678901\"] }}] }}
    deletedServiceAccounts: [{{ accountId: checkout, deletedAt: DELETED, account: {{ uniqueId: \"123456789012345678901\", description: Pays }} }}]")
        .replace("DELETED", &jiff::Timestamp::now().to_string()),
        "",
    );
    let plan = place.wi(&["plan"]).ok();
    says(&plan.out, "gsa.checkout will be undeleted");
    place.wi(&["apply", "--auto-approve"]).ok();
    let state = place.state();
    let account = &state["projects"]["acme-prod"]["serviceAccounts"]["checkout"];
    assert_eq!(account["uniqueId"], "123456789012345678901");
    assert_eq!(account["description"], "Pays [wi:shop adopted]");
    assert_eq!(
        members(&state, "roles/cloudsql.client"),
        [json!(format!("serviceAccount:{EMAIL}"))]
    );
    assert_eq!(place.wi(&["plan", "--detailed-exitcode"]).code, Some(0));
}

/// After 30 days there is nothing to undelete.
#[test]
fn an_account_that_is_gone_for_good_is_made_anew() {
    let dead = format!("deleted:serviceAccount:{EMAIL}?uid=123456789012345678901");
    let place = place(
        CHECKOUT,
        &format!(
            "    policy: {{ bindings: [{{ role: roles/cloudsql.client, members: [\"{dead}\", \"user:ann@example.com\"] }}] }}"
        ),
        "",
    );
    // IAM takes no policy in which both stand: the dead one goes with the write that adds the other.
    place.wi(&["apply", "--auto-approve"]).ok();
    let mut now = members(&place.state(), "roles/cloudsql.client");
    now.sort_by_key(Value::to_string);
    assert_eq!(
        now,
        [
            json!(format!("serviceAccount:{EMAIL}")),
            json!("user:ann@example.com")
        ]
    );
    assert_eq!(place.wi(&["plan", "--detailed-exitcode"]).code, Some(0));
}

/// All that is missing is told before anything is written, with the role that has it.
#[test]
fn permissions_are_checked_before_the_first_write() {
    let place = place(
        "googleServiceAccounts:\n  checkout: { grants: [roles/cloudsql.client, { role: roles/storage.objectViewer, resource: bucket/receipts }] }\nnamespaces: { shop: {} }\n",
        "",
        "buckets: { receipts: { project: acme-prod } }\ncallerLacks: [resourcemanager.projects.setIamPolicy, storage.buckets.setIamPolicy, iam.serviceAccounts.create]",
    );
    let world = std::fs::read_to_string(place.path("world.yaml")).expect("world");
    let denied = "autopilot: true, denied: [create namespaces]";
    place.write("world.yaml", &world.replace("autopilot: true", denied));
    let apply = place.wi(&["apply", "--auto-approve"]).fails();
    for missing in [
        "iam.serviceAccounts.create on project/acme-prod (the smallest predefined role that has it: roles/iam.serviceAccountCreator)",
        "resourcemanager.projects.setIamPolicy on project/acme-prod (the smallest predefined role that has it: roles/resourcemanager.projectIamAdmin)",
        "create namespaces on cluster.main (the smallest predefined role that has it: roles/container.developer, or by RBAC in the cluster)",
        "storage.buckets.setIamPolicy on bucket/receipts (the smallest predefined role that has it: roles/storage.admin)",
    ] {
        says(&apply.err, missing);
    }
    assert!(place.state()["projects"]["acme-prod"]["serviceAccounts"].is_null());
}

#[test]
fn a_role_that_is_not_there_is_an_error_and_a_custom_one_can_be_granted() {
    let place = place(
        "googleServiceAccounts:\n  checkout: { grants: [roles/cloudsql.cilent, projects/acme-prod/roles/deployer, organizations/77/roles/gone] }\n",
        "",
        "unknownRoles: [roles/cloudsql.cilent]\ncustomRoles: [projects/acme-prod/roles/deployer]",
    );
    let plan = place.wi(&["plan"]).fails();
    says(
        &plan.out,
        "(wi.yaml:7) there is no role roles/cloudsql.cilent. gcloud iam roles list has those that there are",
    );
    says(&plan.out, "there is no role organizations/77/roles/gone");
    assert!(
        !plan.out.contains("no role projects/acme-prod"),
        "{}",
        plan.out
    );
}

/// The caller is an account of the spec, as in CI, and the plan would take its role away.
#[test]
fn the_callers_own_access_is_never_removed() {
    let place = place(
        CHECKOUT,
        &format!(
            "    serviceAccounts: {{ checkout: {{}} }}\n    policy: {{ bindings: [{{ role: roles/editor, members: [\"serviceAccount:{EMAIL}\"] }}] }}"
        ),
        &format!("caller: {EMAIL}"),
    );
    let apply = place.wi(&["apply", "--auto-approve"]).ok();
    says(
        &apply.out,
        "grant.checkout:roles/editor@project/acme-prod is kept: it is the access of checkout@acme-prod.iam.gserviceaccount.com, who you are",
    );
    assert!(!apply.out.contains("- loses"), "{}", apply.out);
    assert_eq!(members(&place.state(), "roles/editor").len(), 1);
}

/// `--base`: what a former version granted is found in git, and removed.
#[test]
fn a_former_version_of_the_spec_says_where_to_look() {
    let secret = "//secretmanager.googleapis.com/projects/acme-prod/secrets/old";
    let former = format!("{SPEC}googleServiceAccounts:
  checkout: {{ grants: [{{ role: roles/secretmanager.secretAccessor, resource: secret/old }}] }}
namespaces:
  shop: {{ serviceAccounts: {{ web: {{ grants: [{{ role: roles/secretmanager.secretAccessor, resource: secret/old }}] }} }} }}
");
    let place = place(
        "",
        "",
        &format!(
            "resources: {{ {secret}: {{ policy: {{ bindings: [{{ role: roles/viewer, members: [user:ann@example.com] }}] }} }} }}\nfaults: [{{ match: \"GET /v1/projects/acme-prod:searchAllIamPolicies\", denied: true }}]"
        ),
    );
    place.write("wi.yaml", &former);
    place.wi(&["apply", "--auto-approve"]).ok();
    place.commit("wi.yaml");
    place.write(
        "wi.yaml",
        &format!("{SPEC}googleServiceAccounts:\n  checkout: {{}}\n"),
    );
    let without = place.wi(&["plan"]).ok();
    assert!(
        !without.out.contains("secret/acme-prod/old"),
        "{}",
        without.out
    );
    let plan = place
        .wi(&["plan", "--base", "HEAD", "--allow-mass-removal"])
        .ok();
    for loses in [
        "checkout@acme-prod.iam.gserviceaccount.com",
        "acme-prod/shop/web",
    ] {
        says(&plan.out, loses);
    }
    // No search is allowed, and of what neither of them names nothing is known.
    says(&plan.out, "that neither this spec names nor the former one");
    place
        .wi(&[
            "apply",
            "--auto-approve",
            "--base",
            "HEAD",
            "--allow-mass-removal",
        ])
        .ok();
    assert_eq!(
        place.state()["resources"][secret]["policy"]["bindings"],
        json!([{"role": "roles/viewer", "members": ["user:ann@example.com"]}])
    );
    for (reference, why) in [
        ("no-such", "git says:"),
        ("-x", "not a commit, tag or branch"),
    ] {
        let bad = place.wi(&["plan", &format!("--base={reference}")]).fails();
        says(&bad.err, why);
    }
}

/// Made by Helm and annotated there: only IAM is kept here, and the plan says what is left to do.
#[test]
fn an_account_that_is_only_referred_to_is_not_touched() {
    let place = place(
        "googleServiceAccounts:
  checkout: {}
namespaces:
  shop:
    create: false
    serviceAccounts:
      web: { impersonates: checkout, existing: true }
      gone: { impersonates: checkout, existing: true }
",
        "",
        "",
    );
    let world = std::fs::read_to_string(place.path("world.yaml")).expect("world").replace(
        "autopilot: true }",
        "autopilot: true, namespaces: { shop: { serviceAccounts: { web: { annotations: { meta.helm.sh/release-name: web } } } } } }",
    );
    place.write("world.yaml", &world);
    let plan = place.wi(&["plan"]).ok();
    says(
        &plan.out,
        "ksa.main/shop/gone is not there yet, and is made by others (`existing: true`)",
    );
    says(
        &plan.out,
        "its annotation iam.gke.io/gcp-service-account is not set and has to become `checkout@acme-prod.iam.gserviceaccount.com`, in the Helm release web",
    );

    let spec = std::fs::read_to_string(place.path("wi.yaml")).expect("spec");
    place.write(
        "wi.yaml",
        &spec.replace(
            "      gone: { impersonates: checkout, existing: true }\n",
            "",
        ),
    );
    place.wi(&["apply", "--auto-approve"]).ok();
    let state = place.state();
    let web = &state["clusters"][0]["namespaces"]["shop"]["serviceAccounts"]["web"];
    assert_eq!(
        web["annotations"],
        json!({"meta.helm.sh/release-name": "web"})
    );
    let account = &state["projects"]["acme-prod"]["serviceAccounts"]["checkout"];
    assert_eq!(
        account["policy"]["bindings"][0]["members"],
        json!(["serviceAccount:acme-prod.svc.id.goog[shop/web]"])
    );
    assert_eq!(place.wi(&["plan", "--detailed-exitcode"]).code, Some(0));
}

#[test]
fn what_a_folder_grants_too_is_said() {
    let ours = format!("serviceAccount:{EMAIL}");
    let place = place(
        CHECKOUT,
        &format!("    ancestors: [folder/5, organization/7]\n    serviceAccounts: {{ checkout: {{ description: \"[wi:shop]\" }} }}\n    policy: {{ bindings: [{{ role: roles/pubsub.editor, members: [\"{ours}\"] }}] }}"),
        &format!("resources:
  //cloudresourcemanager.googleapis.com/folders/5: {{ policy: {{ bindings: [{{ role: roles/cloudsql.client, members: [\"{ours}\"] }}] }} }}
  //cloudresourcemanager.googleapis.com/organizations/7: {{ policy: {{ bindings: [{{ role: roles/pubsub.editor, members: [\"{ours}\"] }}] }} }}"),
    );
    let plan = place.wi(&["plan"]).ok();
    says(
        &plan.out,
        "also granted by folder/5: adding it here changes nothing today",
    );
    says(
        &plan.out,
        "also granted by organization/7: the role stays, by inheritance",
    );
}

#[test]
fn accounts_of_the_same_id_in_two_projects_leave_together() {
    let stay = "googleServiceAccounts:
  checkout: {}
  search: { project: acme-two }
";
    let leave = "  legacy: { grants: [roles/viewer] }
  legacy-two: { id: legacy, project: acme-two, grants: [{ role: roles/viewer, resource: project/acme-prod }] }
";
    let place = place(&format!("{stay}{leave}"), "", "  acme-two: {}");
    place.wi(&["apply", "--auto-approve"]).ok();
    assert_eq!(members(&place.state(), "roles/viewer").len(), 2);

    place.write("wi.yaml", &format!("{SPEC}{stay}"));
    let all = "--allow-mass-removal";
    let plan = place.wi(&["plan", "--out", "p.plan", all]).ok();
    for project in ["acme-prod", "acme-two"] {
        let email = format!("legacy@{project}.iam.gserviceaccount.com");
        says(&plan.out, &format!("gsa.{email} will be disabled"));
        says(
            &plan.out,
            &format!("grant.{email}:roles/viewer@project/acme-prod will be removed"),
        );
    }
    place.wi(&["apply", "p.plan"]).ok();
    let state = place.state();
    assert!(members(&state, "roles/viewer").is_empty(), "{state}");
    for project in ["acme-prod", "acme-two"] {
        let account = &state["projects"][project]["serviceAccounts"]["legacy"];
        assert_eq!(account["disabled"], true, "{project}");
    }
    let again = place.wi(&["plan", "--detailed-exitcode"]);
    assert_eq!(again.code, Some(0), "{}", again.out);
}
