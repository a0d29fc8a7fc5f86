//! Carrying out the GKE half: what is written, what is waited for, what is put back.

use std::io::{BufReader, Read};

use crate::support::served::Served;
use crate::support::{Place, flat, line_with, spawn};
use serde_json::json;

const SPEC: &str = "\
apiVersion: wi/v1
name: shop
project: acme-prod
clusters:
  main: { location: europe-west1-b }
";
const CLUSTER: &str = "/v1/projects/acme-prod/locations/europe-west1-b/clusters/main";
const POOL: &str = "/v1/projects/acme-prod/locations/europe-west1-b/clusters/main/nodePools/web";

/// One zonal cluster; `cluster` and `rest` are more lines of the world.
fn world(pool: &str, cluster: &str, rest: &str) -> String {
    format!(
        "apiVersion: wi.sandbox/v1
timeScale: 600
projects: {{ acme-prod: {{}} }}
{rest}
clusters:
  - project: acme-prod
    location: europe-west1-b
    name: main
    nodePools: [{{ name: web, nodes: 3{pool} }}]
{cluster}
"
    )
}

const ENABLED: &str = "    workloadPool: acme-prod.svc.id.goog";

fn served(pool: &str, cluster: &str, rest: &str) -> Served {
    Served::of(Place::new(SPEC, &world(pool, cluster, rest)))
}

/// GKE learns new words before wi does.
#[test]
fn what_gke_says_and_wi_does_not_know_is_told_and_left_as_it_is() {
    let pools = ", workloadMetadata: GCE_METADATA, extra: { config: { workloadMetadataConfig: { mode: GKE_METADATA_V2 } } } }, { name: batch, nodes: 1, workloadMetadata: GCE_METADATA, extra: { upgradeSettings: { strategy: FLASH } } }, { name: auto, nodes: 1, extra: { autopilotConfig: { enabled: true } }";
    let mut served = served(pools, ENABLED, "");
    served.documented.give_up();
    let plan = flat(&served.wi(&["plan", "wi.yaml"]).ok().out);
    for part in [
        "nodepool.main/web has the metadata mode GKE_METADATA_V2, which wi does not know: it is left alone",
        "nodepool.main/batch has the upgrade strategy FLASH, which wi does not know",
        "Plan: 0 to add, 1 to change",
    ] {
        assert!(plan.contains(part), "`{part}` is not in:\n{plan}");
    }
    assert!(!plan.contains("maxSurge"), "{plan}");
    assert!(!plan.contains("nodepool.main/auto"), "{plan}");
    let spec = SPEC.replace("europe-west1-b }", "europe-west1-b, nodePools: [auto] }");
    served.place.write("wi.yaml", &spec);
    let plan = flat(&served.wi(&["plan", "wi.yaml"]).ok().out);
    assert!(
        plan.contains("nodepool.main/auto is run by Autopilot"),
        "{plan}"
    );
}

#[test]
fn of_a_node_pool_only_the_metadata_server_is_written_under_its_etag() {
    let served = served("", "", "");
    served.wi(&["apply", "wi.yaml", "--auto-approve"]).ok();
    let writes = served.writes();
    assert_eq!(writes.len(), 2, "{writes:?}");
    let (what, body) = &writes[0];
    assert_eq!(*what, format!("PUT {CLUSTER}"));
    let update = body["update"].as_object().expect("an update");
    assert_eq!(
        update["desiredWorkloadIdentityConfig"],
        json!({"workloadPool": "acme-prod.svc.id.goog"})
    );
    assert!(
        update["etag"].is_string() && update.len() == 2,
        "{update:?}"
    );
    let (what, body) = &writes[1];
    assert_eq!(*what, format!("PUT {POOL}"));
    let body = body.as_object().expect("a body");
    assert_eq!(
        body["workloadMetadataConfig"],
        json!({"mode": "GKE_METADATA"})
    );
    assert!(body["etag"].is_string() && body.len() == 2, "{body:?}");
}

#[test]
fn settings_of_one_run_are_put_back() {
    let served = served(
        ", maxSurge: 0, maxUnavailable: 1",
        &format!("{ENABLED}\n    labels: {{ team: shop }}"),
        "",
    );
    let plan = served
        .wi(&[
            "plan",
            "wi.yaml",
            "--max-surge",
            "3",
            "--max-unavailable",
            "0",
        ])
        .ok();
    assert!(
        plan.out
            .contains("SURGE, maxSurge 0, maxUnavailable 1 -> SURGE, maxSurge 3, maxUnavailable 0"),
        "{}",
        plan.out
    );
    assert!(plan.out.contains("recreated in 1 round"), "{}", plan.out);
    served
        .wi(&[
            "apply",
            "wi.yaml",
            "--auto-approve",
            "--max-surge",
            "3",
            "--max-unavailable",
            "0",
        ])
        .ok();
    let done: Vec<String> = served
        .writes()
        .iter()
        .map(|(what, body)| {
            let what = what.rsplit('/').next().unwrap_or_default();
            let mut body = body.clone();
            for volatile in ["etag", "labelFingerprint"] {
                body.as_object_mut().and_then(|b| b.remove(volatile));
            }
            format!("{what} {body}")
        })
        .collect();
    assert_eq!(
        done,
        [
            r#"main:setResourceLabels {"resourceLabels":{"team":"shop","wi-restore-web":"surge-0-1"}}"#,
            r#"web {"upgradeSettings":{"maxSurge":3,"maxUnavailable":0,"strategy":"SURGE"}}"#,
            r#"web {"workloadMetadataConfig":{"mode":"GKE_METADATA"}}"#,
            r#"web {"upgradeSettings":{"maxSurge":0,"maxUnavailable":1,"strategy":"SURGE"}}"#,
            r#"main:setResourceLabels {"resourceLabels":{"team":"shop"}}"#,
        ]
    );
    assert_eq!(
        served.wi(&["plan", "wi.yaml", "--detailed-exitcode"]).code,
        Some(0)
    );
}

#[test]
fn settings_of_one_run_are_put_back_when_it_fails() {
    let served = served("", ENABLED, "");
    served.request(
        "POST",
        "/sandbox/v1/faults",
        r#"{"match": "PUT .*nodePools/web", "status": 400, "message": "Not now.", "times": 1}"#,
    );
    let failed = served
        .wi(&[
            "apply",
            "wi.yaml",
            "--auto-approve",
            "--strategy",
            "blue-green",
        ])
        .fails();
    assert!(failed.out.contains("Not now"), "{}", failed.out);
    let cluster = served.request("GET", CLUSTER, "");
    assert!(cluster["resourceLabels"].is_null(), "{cluster}");
    let pool = served.request("GET", POOL, "");
    assert_eq!(
        pool["upgradeSettings"],
        json!({"strategy": "SURGE", "maxSurge": 1})
    );
}

#[test]
fn settings_of_a_run_that_was_killed_are_put_back_by_the_next() {
    let served = served("", ENABLED, "");
    // The first is for the settings, the second one moves the nodes.
    served.inject(&json!({"match": format!("PUT {POOL}"), "after": 1, "hold": "answer"}));
    let args = ["apply", "wi.yaml", "--auto-approve", "--max-surge", "2"];
    let mut child = spawn(&mut served.command(&args));
    served.stands_still(&mut child);
    child.kill().expect("killed");
    child.wait().expect("it ends");

    // Nobody says anything about settings now, and they are put back all the same.
    let apply = ["apply", "wi.yaml", "--auto-approve"];
    let again = served.wi_while_stuck("nodePools/web", &apply).ok();
    assert!(
        again.err.contains("Waiting for UPDATE_CLUSTER operation-"),
        "{}",
        again.err
    );
    let pool = served.request("GET", POOL, "");
    assert_eq!(
        pool["upgradeSettings"],
        json!({"strategy": "SURGE", "maxSurge": 1})
    );
    assert_eq!(
        pool["config"]["workloadMetadataConfig"]["mode"],
        "GKE_METADATA"
    );
    assert!(served.request("GET", CLUSTER, "")["resourceLabels"].is_null());
    assert_eq!(
        served.wi(&["plan", "wi.yaml", "--detailed-exitcode"]).code,
        Some(0)
    );
    let moves = served
        .writes()
        .iter()
        .filter(|(_, b)| !b["workloadMetadataConfig"].is_null())
        .count();
    assert_eq!(moves, 1, "the nodes are recreated once");
}

#[test]
fn settings_that_were_left_behind_on_a_moved_node_pool_are_planned_to_be_put_back() {
    let served = served(
        ", workloadMetadata: GKE_METADATA, maxSurge: 9",
        &format!("{ENABLED}\n    labels: {{ wi-restore-web: surge-0-2 }}"),
        "",
    );
    let plan = served.wi(&["plan", "wi.yaml"]).ok();
    assert!(plan.out.contains("upgradeSettings = SURGE, maxSurge 9, maxUnavailable 0 -> SURGE, maxSurge 0, maxUnavailable 2"), "{}", plan.out);
    served.wi(&["apply", "wi.yaml", "--auto-approve"]).ok();
    let pool = served.request("GET", POOL, "");
    assert_eq!(
        pool["upgradeSettings"],
        json!({"strategy": "SURGE", "maxUnavailable": 2})
    );
    assert_eq!(
        served.wi(&["plan", "wi.yaml", "--detailed-exitcode"]).code,
        Some(0)
    );
}

#[test]
fn an_operation_of_somebody_else_is_waited_for_and_named() {
    let served = served("", "", "");
    let fingerprint = served.request("GET", CLUSTER, "")["labelFingerprint"].clone();
    served.inject(&json!({"operation": "SET_LABELS", "stuck": true}));
    let body = json!({"resourceLabels": {"team": "other"}, "labelFingerprint": fingerprint});
    let other = served.request(
        "POST",
        &format!("{CLUSTER}:setResourceLabels"),
        &body.to_string(),
    );
    let name = other["name"].as_str().expect("an operation").to_owned();

    let apply = ["apply", "wi.yaml", "--auto-approve"];
    let apply = served.wi_while_stuck("SET_LABELS", &apply).ok();
    let waits = format!("cluster.main: Waiting for SET_LABELS {name}, which runs for ");
    assert!(apply.err.contains(&waits), "{}", apply.err);
    let refused = served.request("GET", "/sandbox/v1/calls", "")["calls"]
        .as_array()
        .expect("calls")
        .iter()
        .filter(|c| c["method"] == "PUT" && c["status"] != 200)
        .count();
    assert_eq!(refused, 0, "nothing is tried while the operation runs");
}

/// A list of operations may be behind: one that has ended is not waited for again and again.
#[test]
fn an_operation_that_has_ended_is_not_waited_for_though_a_list_says_that_it_runs() {
    let served = served("", "", "");
    let stale = json!({"operations": [{"name": "operation-other", "operationType": "UPGRADE_NODES",
        "status": "RUNNING", "location": "europe-west1-b",
        "targetLink": "https://container.googleapis.com/v1/projects/1/zones/europe-west1-b/clusters/main"}]});
    let done = json!({"name": "operation-other", "status": "DONE", "location": "europe-west1-b"});
    for (path, body, times) in [
        ("/operations$", stale, 6),
        ("/operations/operation-other", done, 6),
    ] {
        let fault = json!({"match": format!("GET /v1/projects/acme-prod/locations/europe-west1-b{path}"),
            "status": 200, "body": body.to_string(), "times": times});
        served.inject(&fault);
    }
    served.wi(&["apply", "wi.yaml", "--auto-approve"]).ok();
    let world = served.request("GET", "/sandbox/v1/world", "");
    let left = world["faults"]
        .as_array()
        .expect("faults of which some are left");
    assert_eq!(left.len(), 2, "asked again and again: {left:?}");
}

#[test]
fn an_operation_that_outlasts_the_limit_is_named_and_left_running() {
    let served = served("", "", "operationSeconds: { updateCluster: 100000 }");
    let apply = served
        .wi(&[
            "apply",
            "wi.yaml",
            "--auto-approve",
            "--operation-timeout",
            "0",
        ])
        .fails();
    assert!(
        flat(&apply.out)
            .contains("still runs after 0 s. It goes on at GKE; run apply again to wait for it"),
        "{}",
        apply.out
    );
    assert!(
        apply.out.contains("because of cluster.main"),
        "{}",
        apply.out
    );
}

#[test]
fn a_cluster_that_is_busy_by_either_answer_is_waited_for() {
    for (status, message) in [
        (
            400,
            "Cluster is running incompatible operation operation-1.",
        ),
        (
            429,
            "Operation operation-1 is currently operating on cluster main. Please wait and try again once it is done.",
        ),
    ] {
        let fault = json!({"match": "PUT *clusters/main", "status": status, "message": message, "times": 2});
        let served = served("", "", "");
        served.inject(&fault);
        served.wi(&["apply", "wi.yaml", "--auto-approve"]).ok();
        assert_eq!(
            served.calls()[&format!("PUT {CLUSTER}")],
            3,
            "twice refused, then taken"
        );
    }
}

#[test]
fn a_cluster_update_that_takes_no_etag_is_sent_without_one() {
    let served = served("", "", "");
    let fault = r#"{"match": "PUT *clusters/main$", "status": 400, "message": "Only one field may be updated at a time.", "times": 1}"#;
    served.request("POST", "/sandbox/v1/faults", fault);
    served.wi(&["apply", "wi.yaml", "--auto-approve"]).ok();
    let puts: Vec<bool> = served
        .writes()
        .iter()
        .filter(|(what, _)| what.ends_with("clusters/main"))
        .map(|(_, body)| body["update"]["etag"].is_string())
        .collect();
    assert_eq!(puts, [true, false]);
}

#[test]
fn an_operation_that_is_done_with_an_error_is_a_failure_in_gkes_words() {
    let served = served(
        "",
        ENABLED,
        "faults: [{ operation: nodePools/web, error: \"No capacity for e2-medium in europe-west1-b.\", times: 1 }]",
    );
    let apply = served.wi(&["apply", "wi.yaml", "--auto-approve"]).fails();
    assert!(
        flat(&apply.out).contains("No capacity for e2-medium in europe-west1-b."),
        "{}",
        apply.out
    );
    // Some nodes are new already; the next run goes on from there.
    served.wi(&["apply", "wi.yaml", "--auto-approve"]).ok();
    assert_eq!(
        served.wi(&["plan", "wi.yaml", "--detailed-exitcode"]).code,
        Some(0)
    );
}

#[test]
fn an_exclusion_is_gone_past_only_when_told_to() {
    let cluster = format!(
        "{ENABLED}\n    maintenanceExclusions: {{ freeze: {{ startTime: 2020-01-01T00:00:00Z, endTime: 2099-01-01T00:00:00Z }} }}"
    );
    let served = served("", &cluster, "");
    let held = served.wi(&["apply", "wi.yaml", "--auto-approve"]).ok();
    assert!(
        flat(&held.out).contains("maintenance exclusion freeze"),
        "{}",
        held.out
    );
    assert!(served.writes().is_empty());
    served
        .wi(&[
            "apply",
            "wi.yaml",
            "--auto-approve",
            "--ignore-maintenance-exclusions",
        ])
        .ok();
    assert_eq!(served.writes().len(), 1);
}

#[test]
fn a_kubeconfig_reaches_a_cluster_whose_endpoints_do_not() {
    let served = served("", "    unreachable: true", "");
    let cut_off = served.wi(&["plan", "wi.yaml"]).fails();
    assert!(
        cut_off.out.contains("by the public endpoint 127.0.0.1:9:"),
        "{}",
        cut_off.out
    );
    assert!(
        cut_off.out.contains("set the cluster's `access`"),
        "{}",
        cut_off.out
    );
    let context = "gke_acme-prod_europe-west1-b_main";
    let with = |context: &str| {
        format!("{}\n", SPEC.trim_end().trim_end_matches('}').trim_end())
            .replace(
                "main: {",
                "main: { access: { kubeconfig: kubeconfig, context: CONTEXT },",
            )
            .replace("CONTEXT", context)
            .replace("europe-west1-b\n", "europe-west1-b }\n")
    };
    served.place.write("wi.yaml", &with(context));
    let plan = served.wi(&["plan", "wi.yaml"]).ok();
    assert!(
        plan.err.contains(&format!(
            "Read cluster.main by its context {context} of kubeconfig."
        )),
        "{}",
        plan.err
    );
    served.wi(&["apply", "wi.yaml", "--auto-approve"]).ok();

    served.place.write("wi.yaml", &with("nowhere"));
    let unknown = served.wi(&["plan", "wi.yaml"]).fails();
    assert!(
        flat(&unknown.out).contains(&format!("has no context `nowhere`; it has: {context}")),
        "{}",
        unknown.out
    );
}

/// By Connect Gateway, which needs no way to the cluster's own network.
#[test]
fn connect_gateway_reaches_a_cluster_whose_endpoints_do_not() {
    let cluster = "    unreachable: true\n    controlPlane: PRIVATE\n    membership: main-eu\n    namespaces: { shop: {} }";
    let served = served("", cluster, "");
    served.wi(&["plan", "wi.yaml"]).fails();
    let spec = SPEC.replace(
        "{ location: europe-west1-b }",
        "{ location: europe-west1-b, access: { endpoint: connectGateway } }",
    );
    let spec = format!("{spec}namespaces: {{ shop: {{ serviceAccounts: {{ web: {{}} }} }} }}\n");
    served.place.write("wi.yaml", &spec);
    let plan = served.wi(&["plan", "wi.yaml"]).ok();
    let read = "Read cluster.main by its Connect Gateway europe-west1/main-eu.";
    assert!(plan.err.contains(read), "{}", plan.err);
    served.wi(&["apply", "wi.yaml", "--auto-approve"]).ok();
    let again = served.wi(&["plan", "wi.yaml"]).ok();
    assert!(again.out.contains("No changes."), "{}", again.out);
    let world = served.request("GET", "/sandbox/v1/world", "");
    let ksa = &world["clusters"][0]["namespaces"]["shop"]["serviceAccounts"]["web"];
    assert_eq!(ksa["annotations"]["wi/owner"], "shop");

    // Refused by the gateway, in Google's words, and not by the cluster.
    let fault = json!({"match": "GET /v1/projects/*/gkeMemberships/main-eu/api/v1/serviceaccounts",
        "status": 403, "message": "Permission 'gkehub.gateway.get' denied on resource"});
    served.inject(&fault);
    let refused = served.wi(&["plan", "wi.yaml"]).fails();
    assert!(
        flat(&refused.out).contains("Permission 'gkehub.gateway.get' denied"),
        "{}",
        refused.out
    );
}

/// The DNS endpoint has a certificate of a public authority: the cluster's own CA, which vouches for
/// its addresses, must not vouch for it.
#[test]
fn the_dns_endpoint_is_not_trusted_by_the_clusters_ca() {
    let served = served("", "    controlPlane: DNS", "");
    let plan = served.wi(&["plan", "wi.yaml"]).fails();
    assert!(
        plan.out.contains("by the DNS endpoint 127.0.0.1:"),
        "{}",
        plan.out
    );
    assert!(plan.out.contains("certificate"), "{}", plan.out);
}

/// The oracle answers from the servers' state what a pod can do, and why it cannot.
#[test]
fn the_oracle_says_which_token_a_pod_gets_and_what_it_may_do() {
    let served = served(
        "",
        "    namespaces: { shop: { serviceAccounts: { web: {}, ann: { annotations: { iam.gke.io/gcp-service-account: web@acme-prod.iam.gserviceaccount.com } } } } }
    pods:
      - { name: web, namespace: shop, serviceAccountName: web, owner: { kind: StatefulSet, name: web } }
      - { name: ann, namespace: shop, serviceAccountName: ann, owner: { kind: StatefulSet, name: ann } }",
        "buckets: { receipts: { project: acme-prod, policy: { bindings: [{ role: roles/storage.objectViewer, members: [\"serviceAccount:acme-prod.svc.id.goog[shop/web]\"] }] } } }",
    );
    let ask = |pod: &str| {
        let path = format!(
            "/sandbox/v1/access?cluster=main&pod=shop/{pod}&permission=storage.objects.get&resource=bucket/receipts"
        );
        served.request("GET", &path, "")
    };
    let before = ask("web");
    assert!(
        before["token"]["node"]
            .as_str()
            .is_some_and(|n| n.ends_with("-compute@developer.gserviceaccount.com")),
        "{before}"
    );
    assert_eq!(before["allowed"], false);
    served
        .wi(&["apply", "wi.yaml", "--auto-approve", "--accept-loss"])
        .ok();
    let after = ask("web");
    assert!(after["token"]["federated"].is_string(), "{after}");
    assert_eq!(after["allowed"], true);
    assert_eq!(
        after["why"],
        "roles/storage.objectViewer on bucket/receipts"
    );
    let refused = ask("ann");
    assert_eq!(refused["allowed"], false);
    assert_eq!(
        refused["why"],
        "web@acme-prod.iam.gserviceaccount.com does not exist"
    );
    let unknown = served.request(
        "GET",
        "/sandbox/v1/access?pod=shop/web&permission=no.such&resource=bucket/receipts",
        "",
    );
    assert_eq!(unknown["allowed"], false, "{unknown}");
    assert!(
        unknown["why"]
            .as_str()
            .is_some_and(|m| m.contains("no.such")),
        "{unknown}"
    );
}

/// Clusters do not wait for each other.
#[test]
fn clusters_are_changed_side_by_side() {
    let mut spec = String::from("apiVersion: wi/v1\nname: shop\nproject: acme-prod\nclusters:\n");
    let mut world = String::from(
        "apiVersion: wi.sandbox/v1\ntimeScale: 2000\nprojects: { acme-prod: {} }\nclusters:\n",
    );
    for i in 0..8 {
        spec.push_str(&format!("  c{i}: {{ location: europe-west1 }}\n"));
        world.push_str(&format!(
            "  - {{ project: acme-prod, location: europe-west1, name: c{i}, nodePools: [] }}\n"
        ));
    }
    let served = Served::of(Place::new(&spec, &world));
    served.inject(&json!({"operation": "clusters/", "stuck": true}));
    let mut child = spawn(&mut served.command(&["apply", "wi.yaml", "--auto-approve"]));
    let mut stderr = BufReader::new(child.stderr.take().expect("stderr"));
    for _ in 0..8 {
        line_with(&mut stderr, ": Modifying...");
    }
    served.sandbox.heal();
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).expect("read");
    assert!(child.wait().expect("it ends").success());
    assert_eq!(
        rest.matches("complete after").count(),
        8,
        "all begin before one ends: {rest}"
    );
}

/// A server that another authority vouches for is not the cluster: no token reaches it.
#[test]
fn a_server_with_the_wrong_certificate_is_refused() {
    let spec = format!("{SPEC}  other: {{ location: europe-west1-b }}\n");
    let world = format!(
        "{}  - {{ project: acme-prod, location: europe-west1-b, name: other }}\n",
        world("", ENABLED, "")
    );
    let served = Served::of(Place::new(&spec, &world));
    let file = served.place.path("kubeconfig");
    let text = std::fs::read_to_string(&file).expect("a kubeconfig");
    let mut config: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let field = "certificate-authority-data";
    let foreign = config["clusters"][1]["cluster"][field].clone();
    assert_ne!(config["clusters"][0]["cluster"][field], foreign);
    config["clusters"][0]["cluster"][field] = foreign;
    std::fs::write(&file, config.to_string()).expect("written");
    let access = "access: { kubeconfig: kubeconfig, context: gke_acme-prod_europe-west1-b_main }";
    let spec = spec.replacen(
        "europe-west1-b }",
        &format!("europe-west1-b, {access} }}"),
        1,
    );
    served.place.write("wi.yaml", &spec);
    let plan = served.wi(&["plan", "wi.yaml"]).fails();
    let text = flat(&plan.out);
    assert!(
        text.contains("cluster.main: by the context") && text.contains("certificate"),
        "{text}"
    );
    assert!(
        !text.contains("cluster.other:"),
        "the other is read as ever: {text}"
    );
}
