//! `wi audit` from outside: the spec alone, the sandbox, what is refused, what is accepted. The rules themselves are
//! tested in `crates/wi-audit`.

use crate::support::{Place, Ran};

const SCHEMA: &str = include_str!("../../schemas/wi-findings.v1.schema.json");

const SPEC: &str = "apiVersion: wi/v1
name: shop
project: acme-prod
clusters: { main: { location: europe-west1 } }
googleServiceAccounts:
  checkout: { grants: [{ role: roles/storage.objectViewer, resource: bucket/acme-b }] }
namespaces: { shop: { serviceAccounts: { web: { impersonates: checkout } } } }
";

/// All as the spec asks for, and well.
const WORLD: &str = r#"apiVersion: wi.sandbox/v1
timeScale: 2000
projects:
  acme-prod:
    number: 42
    ancestors: [organization/9]
    policy:
      auditConfigs: [{ service: allServices, auditLogConfigs: [{ logType: ADMIN_READ }, { logType: DATA_READ }] }]
      bindings: [{ role: roles/container.defaultNodeServiceAccount, members: ["serviceAccount:nodes@acme-prod.iam.gserviceaccount.com"] }]
    serviceAccounts: { nodes: {}, other: {} }
resources: { //cloudresourcemanager.googleapis.com/organizations/9: {} }
buckets: { acme-b: { project: acme-prod } }
clusters:
  - project: acme-prod
    location: europe-west1
    name: main
    workloadPool: acme-prod.svc.id.goog
    nodePools: [{ name: general, nodes: 1, workloadMetadata: GKE_METADATA, serviceAccount: nodes@acme-prod.iam.gserviceaccount.com }]
    namespaces: { shop: {} }
"#;

fn applied(world: &str) -> Place {
    let place = Place::new(SPEC, world);
    place.wi(&["apply", "--auto-approve"]).ok();
    place
}

fn rules(ran: &Ran) -> Vec<String> {
    let json = ran.json(SCHEMA);
    let all = json["findings"].as_array().expect("findings");
    all.iter()
        .map(|f| f["rule"].as_str().expect("a rule").to_owned())
        .collect()
}

#[test]
fn a_fleet_as_it_should_be_has_no_findings_and_drift_is_one() {
    let place = applied(WORLD);
    let ran = place.wi(&["audit", "--sandbox", "--fail-on", "low"]).ok();
    ran.says(&[
        "45 rules, 45 of them checked",
        "Findings: none",
        "Complete.",
    ]);
    // Somebody gives the workload's account more, by hand, and a way on.
    place.edit_state(|state| {
        let own = "role: roles/container.defaultNodeServiceAccount";
        assert!(state.contains(own), "{state}");
        state
            .replacen(own, "role: roles/resourcemanager.projectIamAdmin", 1)
            .replace("nodes@acme-prod", "checkout@acme-prod")
    });
    let ran = place.wi(&[
        "audit",
        "--sandbox",
        "--format",
        "json",
        "--rules",
        "WI601,WI402,WI901",
    ]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    let found = rules(&ran);
    assert!(
        found.contains(&"WI601".to_owned()) && found.contains(&"WI402".to_owned()),
        "{found:?}"
    );
    assert!(found.contains(&"WI901".to_owned()), "{found:?}");
}

#[test]
fn what_is_refused_is_neither_found_nor_passed() {
    let place = applied(WORLD);
    place.edit_state(|state| {
        format!("{state}\nfaults: [{{ match: '.*organizations/9:getIamPolicy', denied: true }}]\n")
    });
    let ran = place.wi(&["audit", "--sandbox"]).fails();
    ran.says(&[
        "the policy of organization/9",
        "not checked:",
        "WI601",
        "Incomplete.",
    ]);
    let ran = place.wi(&[
        "audit",
        "--sandbox",
        "--allow-incomplete",
        "--format",
        "json",
    ]);
    assert_eq!((ran.code, rules(&ran)), (Some(0), Vec::new()));
    // A rule that takes nothing of it is not held up.
    place.wi(&["audit", "--sandbox", "--rules", "WI102"]).ok();
}

#[test]
fn roles_on_what_the_spec_does_not_name_are_not_passed_where_the_search_is_refused() {
    let member = "serviceAccount:checkout@acme-prod.iam.gserviceaccount.com";
    let admin = format!("{{ role: roles/storage.admin, members: ['{member}'] }}");
    let other =
        format!("buckets: {{ other: {{ project: acme-prod, policy: {{ bindings: [{admin}] }} }},");
    let world = WORLD
        .replace("buckets: {", &other)
        .replace("nodes: {},", "nodes: {}, checkout: {},");
    let audit = [
        "audit",
        "--sandbox",
        "--rules",
        "WI402,WI301",
        "--fail-on",
        "medium",
    ];
    let ran = Place::new(SPEC, &world).wi(&audit);
    assert_eq!(ran.code, Some(2), "{}{}", ran.out, ran.err);
    ran.says(&["bucket/other", "in project/acme-prod, and nowhere else"]);
    let refused =
        "faults: [{ match: 'GET /v1/projects/acme-prod:searchAllIamPolicies', denied: true }]";
    let place = Place::new(SPEC, &format!("{world}{refused}\n"));
    let ran = place.wi(&audit).fails();
    ran.says(&[
        "roles on resources of project/acme-prod that the spec does not name",
        "cloudasset.assets.searchAllIamPolicies",
        "2 rules, 1 of them checked",
        "not checked, or not everywhere: WI402",
        "Incomplete.",
    ]);
    place
        .wi(&[&audit[..], &["--allow-incomplete"]].concat())
        .ok();
    let access = ["access", "--of", "gsa/checkout", "--sandbox"];
    place.wi(&access).fails().says(&[
        "roles on resources of project/acme-prod that the spec does not name",
        "the answer is incomplete",
    ]);
    place
        .wi(&[&access[..], &["--allow-incomplete"]].concat())
        .ok();
}

#[test]
fn reach_without_the_list_of_accounts_says_so_and_has_what_was_read() {
    let list = "{ match: 'GET /v1/projects/acme-prod/serviceAccounts?', denied: true }";
    let policy = "{ match: '.*/serviceAccounts/.*:getIamPolicy', denied: true }";
    for (faults, perhaps) in [
        (list.to_owned(), false),
        (format!("{list}, {policy}"), true),
    ] {
        let place = applied(WORLD);
        place.edit_state(|state| format!("{state}\nfaults: [{faults}]\n"));
        let ran = place
            .wi(&["access", "--of", "deploy/shop/web", "--sandbox"])
            .fails();
        ran.says(&["there is no Deployment shop/web in any cluster of the spec"]);
        let ran = place
            .wi(&["access", "--of", "ksa.main/shop/web", "--sandbox"])
            .fails();
        ran.says(&[
            "can make tokens of checkout@acme-prod.iam.gserviceaccount.com",
            "Could not be read",
            "the accounts of project/acme-prod",
            "the answer is incomplete",
        ]);
        assert_eq!(ran.out.contains("(perhaps"), perhaps, "{}", ran.out);
        let to = [
            "access",
            "--to",
            "bucket/acme-b",
            "--permission",
            "storage.objects.get",
            "--sandbox",
        ];
        let ran = place.wi(&[&to[..], &["--format", "json"]].concat());
        assert_eq!(ran.code, Some(1));
        let json = ran.json(ACCESS);
        let nodes = json["nodes"].as_array().expect("nodes");
        let web = nodes.iter().find(|n| n["id"] == "ksa.main/shop/web");
        assert_eq!(web.expect("web")["certain"], !perhaps, "{json:#}");
        assert!(!json["unread"].as_array().expect("a list").is_empty());
    }
}

#[test]
fn a_subject_after_the_sandbox_is_told_to_be_taken_as_its_world() {
    let place = Place::new(SPEC, WORLD);
    for command in ["explain", "verify"] {
        let ran = place.wi(&[command, ".", "--sandbox", "shop/web"]).fails();
        ran.says(&["what follows --sandbox is taken as its WORLD"]);
    }
    let ran = place
        .wi(&["access", "--of", "shop/web", "--sandbox", "."])
        .fails();
    ran.says(&["what follows --sandbox is taken as its WORLD"]);
    let ran = place
        .wi(&["explain", "nodepool/main/general", "--sandbox"])
        .fails();
    ran.says(&["`wi access --of nodepool/main/general`"]);
}

#[test]
fn a_permission_that_no_role_has_is_not_answered_with_nobody() {
    let place = applied(WORLD);
    let ask = [
        "access",
        "--to",
        "bucket/acme-b",
        "--sandbox",
        "--permission",
    ];
    place
        .wi(&[&ask[..], &["storage.objects.get"]].concat())
        .ok();
    place
        .wi(&[&ask[..], &["storage.objects.gett"]].concat())
        .ok()
        .says(&["No role that was read permits storage.objects.gett"]);
}

#[test]
fn a_spec_alone_is_checked_without_a_server_and_findings_are_accepted_until_their_end() {
    let place = Place::new(&SPEC.replace("grants: [", "grants: [roles/editor, "), WORLD);
    let ran = place.wi(&["audit", "--offline"]);
    assert_eq!(ran.code, Some(2));
    ran.says(&[
        "WI401",
        "roles/editor on project/acme-prod",
        "wi.yaml:6",
        "Not looked at: what is live",
    ]);
    place.wi(&["audit", "--offline", "--fail-on", "none"]).ok();
    place.wi(&["audit", "--offline", "--write-baseline", "wi-audit.yaml"]);
    place
        .wi(&["audit", "--offline"])
        .fails()
        .says(&["needs a `reason`"]);
    let draft = std::fs::read_to_string(place.path("wi-audit.yaml")).expect("written");
    place.write(
        "wi-audit.yaml",
        &draft.replace("reason: \"\"", "reason: until the move"),
    );
    // Lines move, and it is the same finding.
    place.write(
        "wi.yaml",
        &format!(
            "# first\n\n{}",
            SPEC.replace("grants: [", "grants: [roles/editor, ")
        ),
    );
    place.wi(&["audit", "--offline"]).ok().says(&["1 accepted"]);
    // What fits nothing is told, but not by a run that did not ask its rule.
    place.write("wi.yaml", SPEC);
    let ran = place.wi(&["audit", "--offline", "--fail-on", "low"]);
    assert_eq!(ran.code, Some(2));
    ran.says(&["WI905", "fits no finding"]);
    let ran = place
        .wi(&[
            "audit",
            "--offline",
            "--rules",
            "WI5*,WI9*",
            "--fail-on",
            "low",
        ])
        .ok();
    assert!(!ran.out.contains("WI905"), "{}", ran.out);
    let unknown = "apiVersion: wi.audit/v1\naccepted: [{ finding: WI999, key: a, place: b, reason: r, until: 2026-12-31 }]\n";
    place.write("wi-audit.yaml", unknown);
    place
        .wi(&["audit", "--offline"])
        .fails()
        .says(&["there is no rule `WI999`"]);
}

#[test]
fn against_a_former_spec_only_what_the_change_brings_counts() {
    let had = SPEC.replace("grants: [", "grants: [roles/viewer, ");
    let place = Place::new(&had, "");
    place.commit("wi.yaml");
    let new = [
        "audit",
        "--offline",
        "--base",
        "HEAD",
        "--fail-on",
        "low",
        "--format",
        "json",
    ];
    assert_eq!(rules(&place.wi(&new).ok()), Vec::<String>::new());
    place.write(
        "wi.yaml",
        &had.replace("grants: [", "grants: [roles/pubsub.admin, "),
    );
    let ran = place.wi(&new);
    assert_eq!((ran.code, rules(&ran)), (Some(2), vec!["WI402".to_owned()]));
    place.wi(&["audit", "--base", "HEAD"]).fails();
}

/// Reads of one bucket, on the first and on the last day.
fn reads_of(bucket: &str) -> String {
    let line = |day: &str| {
        format!(
            r#"{{"logName":"projects/acme-prod/logs/cloudaudit.googleapis.com%2Fdata_access","timestamp":"{day}T00:00:00Z","insertId":"{day}","protoPayload":{{"@type":"type.googleapis.com/google.cloud.audit.AuditLog","serviceName":"storage.googleapis.com","methodName":"storage.objects.get","authenticationInfo":{{"principalEmail":"checkout@acme-prod.iam.gserviceaccount.com"}},"authorizationInfo":[{{"permission":"storage.objects.get","granted":true,"resource":"projects/_/buckets/{bucket}/objects/o"}}]}}}}"#
        )
    };
    format!("{}\n{}\n", line("2026-10-01"), line("2026-11-12"))
}

#[test]
fn a_smaller_role_for_what_was_used_is_a_patch_of_the_spec_that_says_just_that() {
    let grants = "{ grants: [{ role: roles/storage.objectViewer, resource: bucket/acme-b }] }";
    let listed = "
    grants:
      # of the month's end
      - roles/storage.admin # all of it
      - { role: roles/storage.objectCreator, resource: bucket/acme-b }";
    let spec = SPEC.replace(grants, listed);
    let world = WORLD.replace(
        "{ logType: DATA_READ }",
        "{ logType: DATA_READ }, { logType: DATA_WRITE }",
    );
    let place = Place::new(&spec, &world);
    place.write("logs.jsonl", &reads_of("acme-b"));
    let suggest = ["audit", "--suggest", "--logs", "logs.jsonl", "--sandbox"];
    let ran = place.wi(&suggest).ok();
    ran.says(&[
        "project/acme-prod 42 days",
        "use roles/storage.objectViewer on bucket/acme-b",
        "used: storage.objects.get, 2 calls, on projects/_/buckets/acme-b",
        "nothing of it was used in 42 days: after 90 it may go",
    ]);
    let patch = "-      - roles/storage.admin # all of it\n+      - { role: roles/storage.objectViewer, resource: bucket/acme-b } # all of it\n";
    assert!(ran.out.contains(patch), "{}", ran.out);
    assert_eq!(ran.out.matches("\n@@ ").count(), 1, "{}", ran.out);
    // All but the patch is a remark, so that the whole is one.
    let head: Vec<&str> = ran
        .out
        .lines()
        .take_while(|l| !l.starts_with("--- "))
        .collect();
    assert!(head.iter().all(|l| l.starts_with('#')), "{head:#?}");
    // Nothing was written, and logs of elsewhere propose nothing.
    let after = std::fs::read_to_string(place.path("wi.yaml")).expect("the spec");
    assert_eq!(after, spec);
    let elsewhere = reads_of("acme-b").replace("projects/acme-prod", "projects/acme-two");
    place.write("logs.jsonl", &elsewhere);
    let ran = place.wi(&suggest).ok();
    ran.says(&["there is no entry of project/acme-prod in the logs"]);
    assert!(!ran.out.contains("@@"), "{}", ran.out);
    place.wi(&["audit", "--suggest", "--sandbox"]).fails();
}

#[test]
fn grants_that_nobody_loses_by_are_taken_out_of_the_spec_and_the_rest_stays_as_it_is() {
    let grants = "{ grants: [{ role: roles/storage.objectViewer, resource: bucket/acme-b }] }";
    let listed = "
    grants:
      # one of them
      - roles/storage.objectViewer # everywhere
      - { role: roles/storage.objectViewer, resource: bucket/acme-b }
      - roles/pubsub.publisher # needed";
    let spec = SPEC.replace(grants, listed);
    let place = Place::new(&spec, WORLD);
    let fix = ["audit", "--fix", "--sandbox"];
    // What the spec asks for and nobody has yet gives nothing.
    place
        .wi(&fix)
        .ok()
        .says(&["No grant of the spec is needless"]);
    place.wi(&["apply", "--auto-approve"]).ok();
    let ran = place.wi(&fix).ok();
    ran.says(&[
        "roles/storage.objectViewer on project/acme-prod gives as much",
        "Wrote wi.yaml",
    ]);
    let line = "      - { role: roles/storage.objectViewer, resource: bucket/acme-b }\n";
    let after = std::fs::read_to_string(place.path("wi.yaml")).expect("the spec");
    assert_eq!(after, spec.replace(line, ""));
    place
        .wi(&fix)
        .ok()
        .says(&["No grant of the spec is needless"]);
}

#[test]
fn rules_are_listed_explained_and_shown_in_every_form() {
    let place = Place::new(&SPEC.replace("grants: [", "grants: [roles/viewer, "), WORLD);
    let listed = place.wi(&["audit", "--list-rules"]).ok();
    assert_eq!(listed.out.lines().count(), wi_audit::ALL.len());
    place
        .wi(&["audit", "--explain-rule", "wi306"])
        .ok()
        .says(&["Decided by", "container.serviceAccounts.list"]);
    place.wi(&["audit", "--explain-rule", "WI999"]).fails();
    place.wi(&["audit", "--rules", "XX*"]).fails();
    let sarif = place.wi(&["audit", "--offline", "--format", "sarif"]).ok();
    let sarif: serde_json::Value = serde_json::from_str(&sarif.out).expect("JSON");
    let run = &sarif["runs"][0];
    assert_eq!(run["results"][0]["ruleId"], "WI401");
    let index = run["results"][0]["ruleIndex"].as_u64().expect("an index");
    let rule = &run["tool"]["driver"]["rules"][usize::try_from(index).expect("small")];
    assert_eq!(rule["id"], "WI401");
    place
        .wi(&["audit", "--offline", "--format", "junit"])
        .ok()
        .says(&["<testsuite name=\"WI401\""]);
    place
        .wi(&["audit", "--offline", "--format", "markdown"])
        .ok()
        .says(&["| medium | WI401 |"]);
}

const ACCESS: &str = include_str!("../../schemas/wi-access.v1.schema.json");

#[test]
fn reach_is_told_both_ways_with_the_binding_of_each_step() {
    let place = applied(WORLD);
    let of = place.wi(&["access", "--of", "shop/web", "--sandbox"]).ok();
    of.says(&[
        "ksa.main/shop/web",
        "Can become",
        "can make tokens of checkout@acme-prod.iam.gserviceaccount.com, by roles/iam.workloadIdentityUser",
        "reads roles/storage.objectViewer on bucket/acme-b wi.yaml:6",
    ]);
    let to = [
        "access",
        "--to",
        "bucket/acme-b",
        "--permission",
        "storage.objects.get",
        "--sandbox",
    ];
    place.wi(&to).ok().says(&[
        "checkout@acme-prod.iam.gserviceaccount.com",
        "ksa.main/shop/web",
    ]);
    let json = place
        .wi(&[&to[..], &["--format", "json"]].concat())
        .ok()
        .json(ACCESS);
    let ids: Vec<&str> = json["nodes"]
        .as_array()
        .expect("nodes")
        .iter()
        .map(|n| n["id"].as_str().expect("an id"))
        .collect();
    assert_eq!(
        ids,
        [
            "checkout@acme-prod.iam.gserviceaccount.com",
            "cluster.main",
            "ksa.main/shop/web"
        ],
        "{json:#}"
    );
    assert!(
        json["nodes"]
            .as_array()
            .expect("nodes")
            .iter()
            .all(|n| n["certain"] == true)
    );
    let graph = place
        .wi(&[
            "access",
            "--of",
            "cluster/main",
            "--sandbox",
            "--format",
            "opengraph",
        ])
        .ok();
    let graph: serde_json::Value = serde_json::from_str(&graph.out).expect("JSON");
    let edge = &graph["graph"]["edges"][0];
    assert!(
        edge["start"]["match_by"] == "id"
            && edge["kind"].as_str().is_some_and(|k| k.starts_with("Wi")),
        "{graph:#}"
    );
    for format in ["dot", "mermaid"] {
        place
            .wi(&[
                "access",
                "--of",
                "gsa/checkout",
                "--sandbox",
                "--format",
                format,
            ])
            .ok()
            .says(&["bucket/acme-b"]);
    }
    place
        .wi(&["access", "--of", "nobody/nowhere", "--sandbox"])
        .fails()
        .says(&["there is no Kubernetes service account"]);
}

#[test]
fn the_schema_of_reach_in_the_repository_is_the_one_that_wi_prints() {
    let printed = Place::new(SPEC, WORLD).wi(&["schema", "access"]).ok();
    assert_eq!(
        printed.out, ACCESS,
        "run: cargo run -q -- schema access > schemas/wi-access.v1.schema.json"
    );
}
