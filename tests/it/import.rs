//! `wi import`: a spec from what is there, proven by a plan, and written only then.

use std::process::Command;

use crate::support::{Place, Ran};

fn import(place: &Place, args: &[&str]) -> Ran {
    let all = ["import", "--sandbox", "world.yaml", "--out", "imported"];
    let all: Vec<&str> = all.iter().chain(args).copied().collect();
    Ran::of(&mut place.command(&all))
}

fn read(place: &Place, file: &str) -> String {
    std::fs::read_to_string(place.path(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

/// What was imported is planned by itself, on the same world.
fn plan(place: &Place) -> Ran {
    let args = [
        "plan",
        "imported",
        "--sandbox",
        "world.yaml",
        "--detailed-exitcode",
    ];
    Ran::of(&mut place.command(&args))
}

#[test]
fn every_example_that_was_applied_comes_back_with_nothing_left_to_do() {
    for (example, projects, parts) in [
        (
            "quickstart",
            &["acme-prod"][..],
            &[
                "checkout: { impersonates: checkout }",
                "- roles/cloudsql.client",
            ][..],
        ),
        (
            "shop",
            &["acme-prod", "acme-us"],
            &[
                "onRemove: delete",
                "expires: 2027-01-01",
                "exclude: [gpu]",
                "resource: dataset/acme-prod/sales",
            ],
        ),
        (
            "brownfield",
            &["acme-prod", "acme-dev"],
            &[
                "displayName: Checkout",
                "reporter:",
                "resource: bucket/acme-receipts",
            ],
        ),
        (
            "inherited",
            &["acme-prod"],
            &[
                "impersonates: { account: billing, through: project/acme-prod }",
                "reports: { impersonates: { account: reports, expires: 2099-06-30 } }",
                "- { user: batch/audit, expires: 2099-01-01 }",
                "ownGrants:",
            ],
        ),
        (
            "tenant",
            &["acme-reports", "acme-platform"],
            &[
                "- acme-platform/ingress/gateway",
                "nightly: { impersonates: nightly }",
            ],
        ),
    ] {
        let place = Place::example(example);
        place
            .wi(&["apply", "wi.yaml", "--auto-approve", "--accept-loss"])
            .ok();
        let projects = projects.iter().flat_map(|p| ["--project", p]);
        let args: Vec<&str> = projects.chain(["--single-file"]).collect();
        import(&place, &args)
            .ok()
            .says(&["A plan of it: no changes."]);
        let first = read(&place, "imported/wi.yaml");
        for part in parts {
            assert!(
                first.contains(part),
                "{example}: `{part}` is not in:\n{first}"
            );
        }
        assert_eq!(plan(&place).code, Some(0), "{example}:\n{first}");
        import(&place, &args).ok();
        assert_eq!(read(&place, "imported/wi.yaml"), first, "{example}");
    }
}

#[test]
fn what_is_there_is_adopted_and_the_first_apply_marks_it_alone() {
    let place = Place::example("brownfield");
    let project = ["--project", "acme-prod", "--name", "shop"];
    import(&place, &project)
        .ok()
        .says(&["no changes but 2 adopted"]);
    assert!(read(&place, "imported/wi.yaml").contains("nodePools: { exclude: [batch] }"));
    assert!(!read(&place, "imported/wi.yaml").contains("edge"));
    let before = place.state();
    let args = [
        "apply",
        "imported",
        "--sandbox",
        "world.yaml",
        "--auto-approve",
    ];
    Ran::of(&mut place.command(&args))
        .ok()
        .says(&["0 added, 2 changed, 0 destroyed"]);
    let after = place.state();
    assert_eq!(
        after["projects"]["acme-prod"]["policy"]["bindings"],
        before["projects"]["acme-prod"]["policy"]["bindings"]
    );
    assert_eq!(
        after["clusters"][0]["nodePools"],
        before["clusters"][0]["nodePools"]
    );
}

#[test]
fn what_could_not_be_read_is_named_and_nothing_is_said_of_it() {
    let place = Place::example("brownfield");
    let world = read(&place, "world.yaml");
    let faults = "faults:\n  - { match: \"GET .*searchAllIamPolicies\", denied: true }\n";
    place.write(
        "world.yaml",
        &format!("{world}{faults}").replace(
            "name: edge,",
            "name: edge, workloadPool: acme-prod.svc.id.goog, denied: [list serviceaccounts],",
        ),
    );
    let ran = import(&place, &["--project", "acme-prod", "--single-file"]).ok();
    ran.says(&[
        "policies of what is in project/acme-prod: they could not be searched",
        "roles/cloudasset.viewer",
        "clusters/edge: its Kubernetes API could not be read",
    ]);
    assert!(!read(&place, "imported/wi.yaml").contains("edge"));
    let nothing = import(&place, &["--project", "no-such-project"]).fails();
    nothing.says(&["nothing could be read", "project/no-such-project"]);
    import(&place, &["--project", "acme-prod", "--cluster", "mian"])
        .fails()
        .says(&["--cluster mian"]);
}

#[test]
fn what_a_plan_would_change_is_kept_as_rejected_and_the_rows_are_shown() {
    let place = Place::example("brownfield");
    let world = read(&place, "world.yaml");
    // A run that was interrupted left this: whoever plans this cluster puts it back.
    place.write(
        "world.yaml",
        &world.replacen(
            "labels: { env: prod }",
            "labels: { env: prod, wi-restore-batch: surge-1-0 }",
            1,
        ),
    );
    let ran = import(&place, &["--project", "acme-prod"]).fails();
    ran.says(&[
        "A plan of it is not empty",
        "~ nodepool.main/batch",
        "is no spec yet",
    ]);
    assert!(place.path("imported/wi.yaml.rejected").exists());
    assert!(!place.path("imported/wi.yaml").exists());
    assert!(
        plan(&place).err.contains("no document with"),
        "what was rejected is no spec"
    );
}

#[test]
fn nothing_is_written_over_and_nothing_is_written_that_was_not_asked_for() {
    let place = Place::example("brownfield");
    let args = ["--project", "acme-prod", "--single-file"];
    let shown = import(&place, &[&args[..], &["--dry-run"]].concat()).ok();
    assert!(!place.path("imported").exists());
    assert!(
        shown.out.starts_with("# wi.yaml\napiVersion: wi/v1\n"),
        "{}",
        shown.out
    );
    import(&place, &args).ok();
    let text = read(&place, "imported/wi.yaml");
    assert_eq!(shown.out, format!("# wi.yaml\n{text}"));
    place.write("imported/wi.yaml", "mine\n");
    import(&place, &args)
        .fails()
        .says(&["is there already, and is another"]);
    assert_eq!(read(&place, "imported/wi.yaml"), "mine\n");
    import(&place, &[&args[..], &["--force"]].concat()).ok();
    assert_eq!(read(&place, "imported/wi.yaml.bak"), "mine\n");
    assert_eq!(read(&place, "imported/wi.yaml"), text);
    place.write("imported/other.yaml", "apiVersion: wi/v1\nname: other\n");
    import(&place, &args)
        .fails()
        .says(&["other.yaml is a spec, too"]);
    let before_wi = Place::example("quickstart");
    import(&before_wi, &["--project", "acme-prod"])
        .fails()
        .says(&["there is nothing to import", "wi init"]);
    let who = import(&before_wi, &[]).fails();
    assert!(who.err.contains("--project PROJECT"), "{}", who.err);
}

#[test]
fn what_is_left_out_is_counted_and_listed_where_that_is_asked_for() {
    let place = Place::example("brownfield");
    let args = ["--project", "acme-prod", "--dry-run"];
    let short = import(&place, &args).ok();
    short.says(&["1 Google service account, 3 grants of others"]);
    assert!(!short.err.contains("oncall@example.com"), "{}", short.err);
    let long = import(&place, &[&args[..], &["--explain-left-out"]].concat()).ok();
    long.says(&[
        "batch-old@acme-prod.iam.gserviceaccount.com: no workload of GKE may act as it",
        "roles/monitoring.viewer of group:oncall@example.com on project/acme-prod",
    ]);
    assert!(!long.out.contains("oncall"), "no person is in the spec");
}

/// A cluster that only Connect Gateway leads to, and a role that an account has on the folder.
#[test]
fn what_is_inherited_and_how_a_cluster_is_reached_is_in_the_spec_or_said_to_be_left_out() {
    let member = "serviceAccount:checkout@acme-prod.iam.gserviceaccount.com";
    let place = Place::new(
        "",
        &format!(
            "apiVersion: wi.sandbox/v1
projects:
  acme-prod:
    ancestors: [folder/5]
    serviceAccounts:
      checkout: {{ policy: {{ bindings: [{{ role: roles/iam.workloadIdentityUser, members: [\"serviceAccount:acme-prod.svc.id.goog[shop/checkout]\"] }}] }} }}
resources:
  //cloudresourcemanager.googleapis.com/folders/5: {{ policy: {{ bindings: [{{ role: roles/browser, members: [\"{member}\", \"group:all@example.com\"] }}] }} }}
clusters:
  - project: acme-prod
    location: europe-west1
    name: main
    workloadPool: acme-prod.svc.id.goog
    nodePools: [{{ name: p, nodes: 1, workloadMetadata: GKE_METADATA }}]
    unreachable: true
    controlPlane: PRIVATE
    membership: main-eu
    namespaces: {{ shop: {{ serviceAccounts: {{ checkout: {{ annotations: {{ iam.gke.io/gcp-service-account: checkout@acme-prod.iam.gserviceaccount.com }} }} }} }} }}
"
        ),
    );
    std::fs::remove_file(place.path("wi.yaml")).expect("removed");
    let args = [
        "--project",
        "acme-prod",
        "--single-file",
        "--force",
        "--request-timeout",
        "10",
    ];
    import(&place, &args)
        .ok()
        .says(&["--access main=connectGateway"]);
    let gateway = [&args[..], &["--access", "main=connectGateway"]].concat();
    import(&place, &gateway).ok();
    let spec = read(&place, "imported/wi.yaml");
    for part in [
        "access: { endpoint: connectGateway }",
        "- { role: roles/browser, resource: folder/5 }",
        "checkout: { impersonates: checkout }",
    ] {
        assert!(spec.contains(part), "`{part}` is not in:\n{spec}");
    }
    assert!(!spec.contains("all@"), "{spec}");
    let world = read(&place, "world.yaml");
    let faults = "faults:\n  - { match: \"POST .*folders/5:getIamPolicy\", denied: true }\n";
    place.write("world.yaml", &format!("{world}{faults}"));
    import(&place, &gateway)
        .ok()
        .says(&["the policy of folder/5", "roles/iam.securityReviewer"]);
    assert!(!read(&place, "imported/wi.yaml").contains("folder/5"));
    import(&place, &[&args[..], &["--access", "main"]].concat())
        .fails()
        .says(&["CLUSTER=HOW"]);
}

#[test]
fn where_no_world_lies_that_is_said() {
    let place = Place::new("", "");
    for file in ["wi.yaml", "world.yaml"] {
        std::fs::remove_file(place.path(file)).expect("removed");
    }
    let args = ["import", "--project", "acme-prod", "--sandbox", "--dry-run"];
    let ran = Ran::of(&mut place.command(&args)).fails();
    ran.says(&["no world lies here", "--sandbox WORLD.yaml"]);
}

#[test]
fn what_a_state_of_terraform_owns_is_referred_to_and_no_secret_of_it_is_anywhere() {
    let place = Place::example("brownfield");
    let email = "checkout@acme-prod.iam.gserviceaccount.com";
    let state = format!(
        r#"{{"version":4,"lineage":"l","resources":[
        {{"mode":"managed","type":"google_service_account","name":"checkout","instances":[{{"attributes":{{"email":"{email}"}}}}]}},
        {{"mode":"managed","type":"google_service_account_key","name":"old","instances":[{{"attributes":{{"private_key":"CANARY"}}}}]}},
        {{"mode":"data","type":"google_client_config","name":"c","instances":[{{"attributes":{{"access_token":"CANARY"}}}}]}}]}}"#
    );
    place.write("terraform.tfstate", &state);
    let args = [
        "terraform.tfstate",
        "--project",
        "acme-prod",
        "--single-file",
    ];
    let ran = import(&place, &args).ok();
    ran.says(&["google_service_account_key.old"]);
    let first = read(&place, "imported/wi.yaml");
    assert!(
        first.contains("# Terraform's google_service_account.checkout"),
        "{first}"
    );
    let taken = import(
        &place,
        &[&args[..], &["--take-over", "--force", "--from", "tfstate"]].concat(),
    )
    .ok();
    taken.says(&["terraform state rm google_service_account.checkout"]);
    let second = read(&place, "imported/wi.yaml");
    assert!(second.contains("displayName: Checkout"), "{second}");
    let all = [&ran, &taken]
        .map(|r| format!("{}{}", r.out, r.err))
        .concat()
        + &first
        + &second;
    assert!(!all.contains("CANARY"), "{all}");
    import(&place, &[&args[..], &["--from", "kcc"]].concat())
        .fails()
        .says(&["--from tfstate"]);
    place.write("broken.tfstate", "{ \"private_key\": \"CANARY\" ");
    let broken = import(&place, &["broken.tfstate", "--project", "acme-prod"]).fails();
    assert!(!broken.err.contains("CANARY"), "{}", broken.err);
}

#[test]
fn what_a_spec_asks_for_is_exported_in_the_words_of_other_tools() {
    let place = Place::example("shop");
    let hcl = place
        .wi(&["export", "wi.yaml", "--format", "terraform"])
        .ok()
        .out;
    for part in [
        "import {\n  to = google_service_account.checkout\n  id = \"projects/acme-prod/serviceAccounts/checkout@acme-prod.iam.gserviceaccount.com\"\n}",
        "member  = google_service_account.checkout.member",
        "title      = \"until-2027-01-01\"",
        "expression = \"request.time < timestamp(\\\"2027-01-01T00:00:00Z\\\")\"",
        "projects/${data.google_project.acme_prod.number}/locations/global/workloadIdentityPools/acme-prod.svc.id.goog/subject/ns/shop/sa/reporter",
        "\"iam.gke.io/gcp-service-account\" = google_service_account.checkout.email",
        "provider = kubernetes.prod_eu",
    ] {
        assert!(hcl.contains(part), "`{part}` is not in:\n{hcl}");
    }
    if let Ok(terraform) = Command::new("terraform")
        .args(["fmt", "-check", "-"])
        .current_dir(place.dir.path())
        .env("HOME", place.dir.path())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
    {
        let mut terraform = terraform;
        let mut stdin = terraform.stdin.take().expect("its input");
        std::io::Write::write_all(&mut stdin, hcl.as_bytes()).expect("written");
        drop(stdin);
        let ended = terraform.wait_with_output().expect("it ends");
        assert!(
            ended.status.success(),
            "terraform would form otherwise, or cannot read:\n{hcl}"
        );
    } else {
        eprintln!("skipped: terraform is not here to read what is exported");
    }
    // Of what is not there yet nothing can be imported.
    let existing = [
        "export",
        "wi.yaml",
        "--format",
        "terraform",
        "--import",
        "existing",
    ];
    let existing = place
        .wi(&[&existing[..], &["--sandbox", "world.yaml"]].concat())
        .ok()
        .out;
    assert!(
        !existing.contains("to = google_service_account.checkout"),
        "{existing}"
    );
    place
        .wi(&["apply", "wi.yaml", "--auto-approve", "--accept-loss"])
        .ok();
    let all = [
        "export",
        "wi.yaml",
        "--format",
        "terraform",
        "--import",
        "existing",
        "--sandbox",
        "world.yaml",
    ];
    let applied = place.wi(&all).ok().out;
    let blocks = |hcl: &str| hcl.matches("\nimport {").count();
    assert_eq!(blocks(&applied), blocks(&hcl), "{applied}");
    let none = place.wi(&[
        "export",
        "wi.yaml",
        "--format",
        "terraform",
        "--import",
        "none",
    ]);
    assert_eq!(blocks(&none.ok().out), 0);
    let kcc = Ran::of(&mut place.command(&[
        "export",
        "wi.yaml",
        "--format",
        "kcc",
        "--sandbox",
        "world.yaml",
    ]))
    .ok()
    .out;
    let documents: Vec<serde_json::Value> =
        serde_saphyr::from_multiple(&kcc).unwrap_or_else(|e| panic!("{e}:\n{kcc}"));
    let of = |kind: &str| {
        documents
            .iter()
            .filter(|d| d["kind"] == kind)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (of("IAMServiceAccount").len(), of("ServiceAccount").len()),
        (1, 3)
    );
    let members = of("IAMPolicyMember");
    let direct = members
        .iter()
        .find(|m| m["spec"]["resourceRef"]["kind"] == "BigQueryDataset")
        .expect("a dataset");
    assert_eq!(
        direct["spec"]["resourceRef"]["external"],
        "projects/acme-prod/datasets/sales"
    );
    let member = direct["spec"]["member"].as_str().expect("a member");
    assert!(
        member.starts_with("principal://iam.googleapis.com/projects/123456789012/"),
        "{member}"
    );
    // Config Connector reads its own files back, and so does wi.
    place.write("kcc.yaml", &kcc);
    let args = [
        "import",
        "kcc.yaml",
        "--project",
        "acme-prod",
        "--sandbox",
        "world.yaml",
        "--dry-run",
    ];
    Ran::of(&mut place.command(&args)).ok();
}
