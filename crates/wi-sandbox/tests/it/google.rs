//! Google's APIs: every answer is of its type, and no request breaks anything.

use crate::support::{Answer, Client, Table, WORLD, mutants, start};
use serde_json::{Value, json};
use wi_sandbox::Sandbox;

const VERBS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
const BUG: &str = "The sandbox failed";

/// 501 says what is not simulated; other errors of the server's own are mistakes.
fn sane(what: &str, answer: &Answer) {
    let fine = answer.status < 500 || answer.status == 501;
    assert!(
        fine && !answer.body.contains(BUG),
        "{what}: {} {}",
        answer.status,
        answer.body
    );
}

/// Answers that are not as the API documents them.
fn misfits(sandbox: &Sandbox) -> Vec<String> {
    sandbox.misfits().expect("answers are checked").list()
}

/// What a method has to be asked with.
fn asked(method: &str) -> &'static str {
    match method {
        "monitoring.projects.timeSeries.list" => {
            "?filter=metric.type%3D%22iam.googleapis.com%2Fservice_account%2Fkey%2Fauthn_events_count%22&interval.startTime=2026-01-01T00:00:00Z&interval.endTime=2099-01-01T00:00:00Z"
        }
        "cloudasset.searchAllIamPolicies" => "?query=policy%3Aann",
        method if method.ends_with("searchTargetPolicyBindings") => {
            "?target=//cloudresourcemanager.googleapis.com/projects/acme"
        }
        _ => "",
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_method_is_answered_and_as_the_api_documents_it() {
    let table = Table::read();
    let mut wrong = Vec::new();
    assert!(table.methods.len() > 200, "the table is there");
    for method in &table.methods {
        // A fresh world each, as some of them delete.
        let sandbox = start(WORLD).await;
        let mut client = Client::of(&sandbox);
        let reads = method.verb == "GET" || method.path.contains("getIamPolicy");
        let path = format!("{}{}", method.path, asked(&method.id));
        let answer = client.json(&method.verb, &path, &json!({}));
        sane(&method.id, &answer);
        if answer.status == 501 {
            wrong.push(format!("{} is not simulated: {}", method.id, method.path));
        }
        let missing = [
            "iam.roles.get",
            "iam.organizations.roles.get",
            "compute.instanceGroupManagers.get",
        ];
        let missing = missing.contains(&method.id.as_str()) || method.id.ends_with("roles.get");
        let asks =
            method.id.ends_with("batchGet") || method.id == "cloudresourcemanagerv3.projects.list";
        if reads && answer.status != 200 && !missing && !asks && method.id != "storage.buckets.list"
        {
            wrong.push(format!("{}: {} {}", method.id, answer.status, answer.body));
        }
        wrong.extend(misfits(&sandbox));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// As `gcloud --impersonate-service-account` asks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_worlds_caller_gets_tokens_of_accounts() {
    let world = "apiVersion: wi.sandbox/v1\nprojects: { acme: { serviceAccounts: { app: { displayName: App } } } }\n";
    let asked =
        "/v1/projects/-/serviceAccounts/app@acme.iam.gserviceaccount.com:generateAccessToken";
    let scope = json!({"scope": ["https://www.googleapis.com/auth/cloud-platform"]});
    let sandbox = start(world).await;
    let mut client = Client::of(&sandbox);
    let answer = client.json("POST", asked, &scope);
    assert_eq!(answer.status, 200, "{}", answer.body);
    // It is the account: not the caller, who may do everything.
    let token = answer.json()["accessToken"]
        .as_str()
        .expect("a token")
        .to_owned();
    let question = json!({"permissions": ["storage.objects.get", "storage.buckets.delete"]});
    let project = "/v1/projects/acme:testIamPermissions";
    let of_caller = client.json("POST", project, &question).json();
    assert_eq!(of_caller, question);
    client.token = token;
    let of_account = client.json("POST", project, &question);
    assert_eq!(of_account.json(), json!({}), "{}", of_account.body);
    // Nor may it be another one without a right to.
    assert_eq!(client.json("POST", asked, &scope).status, 403);
    assert_eq!(misfits(&sandbox), [""; 0]);

    for (world, status, says) in [
        (
            format!("{world}callerLacks: [iam.serviceAccounts.getAccessToken]\n"),
            403,
            "iam.serviceAccounts.getAccessToken",
        ),
        (
            world.replace("displayName", "disabled: true, displayName"),
            400,
            "disabled",
        ),
        (world.replace(" app:", " other:"), 404, "not found"),
    ] {
        let sandbox = start(&world).await;
        let answer = Client::of(&sandbox).json("POST", asked, &scope);
        assert_eq!(answer.status, status, "{}", answer.body);
        assert!(answer.body.contains(says), "{}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_path_verb_or_body_breaks_it() {
    let table = Table::read();
    let sandbox = start(WORLD).await;
    let mut client = Client::of(&sandbox);
    let mut paths: Vec<String> = table.methods.iter().map(|m| m.path.clone()).collect();
    // What a typo or another version of a client makes of them.
    for path in paths.clone() {
        for (at, _) in path.match_indices('/') {
            paths.push(path[..at].to_owned());
            paths.push(path[..=at].to_owned());
        }
        paths.push(path.replace("acme", "nope"));
        paths.push(format!(
            "{path}:nope?pageSize=x&fields=a(,&names=&options.requestedPolicyVersion=9"
        ));
        paths.push(path.replace("/v1/", "/%00/"));
    }
    paths.retain(|path| !path.is_empty());
    paths.sort();
    paths.dedup();
    let bodies: [&[u8]; 7] = [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\"x\"",
        b"{\"a\":",
        b"\xff\xfe{",
    ];
    for path in &paths {
        for verb in VERBS {
            for body in bodies {
                let answer = client.send(verb, path, "application/json", body);
                sane(
                    &format!("{verb} {path} {}", String::from_utf8_lossy(body)),
                    &answer,
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_part_of_a_body_breaks_it() {
    let table = Table::read();
    for method in table.methods.iter().filter(|m| m.request.is_some()) {
        let sandbox = start(WORLD).await;
        let mut client = Client::of(&sandbox);
        let request = method.request.as_deref().unwrap_or_default();
        let mut body = table.sample(request, 3);
        let policy = json!({"bindings": [{"role": "roles/viewer", "members": ["user:a@b.c"], "condition": {"title": "t", "expression": "e"}}], "version": 3});
        if request.ends_with("SetIamPolicyRequest") {
            body["policy"] = policy;
        } else if request.ends_with(".Policy") {
            body["bindings"] = policy["bindings"].clone();
        }
        let path = format!("{}?accessPolicyVersion=3", method.path);
        for mutant in mutants(&body) {
            let answer = client.json(&method.verb, &path, &mutant);
            sane(&format!("{} {mutant}", method.id), &answer);
        }
        // What it came to is still a world.
        sandbox.snapshot();
        // What was set is shown as it may be set, of the type that it has.
        assert!(misfits(&sandbox).is_empty(), "{:#?}", misfits(&sandbox));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_and_a_node_pool_come_and_go() {
    let sandbox = start(WORLD).await;
    let mut client = Client::of(&sandbox);
    let clusters = "/v1/projects/acme/locations/europe-west1-c/clusters";
    let made = client.json("POST", clusters, &json!({"cluster": {
        "name": "new", "initial_node_count": 2, "workloadIdentityConfig": {"workloadPool": "acme.svc.id.goog"},
        "loggingService": "none",
    }}));
    assert_eq!(
        (made.status, &made.json()["operationType"]),
        (200, &json!("CREATE_CLUSTER"))
    );
    let shown = client.get(&format!("{clusters}/new")).json();
    assert_eq!(shown["status"], "PROVISIONING");
    sandbox.settle().await;
    let shown = client.get(&format!("{clusters}/new")).json();
    assert_eq!(shown["status"], "RUNNING");
    assert_eq!(
        shown["loggingService"], "none",
        "what was asked for is shown"
    );
    assert_eq!(
        shown["nodePools"][0]["config"]["workloadMetadataConfig"]["mode"],
        "GKE_METADATA"
    );
    assert_eq!(shown["currentNodeCount"], 2);
    assert!(shown["endpoint"].is_string(), "it has a Kubernetes API");
    let pools = format!("{clusters}/new/nodePools");
    let pool = json!({"nodePool": {"name": "more", "initialNodeCount": 1, "config": {"machineType": "n2-standard-4"}}});
    assert_eq!(client.json("POST", &pools, &pool).status, 200);
    sandbox.settle().await;
    assert_eq!(client.json("POST", &pools, &pool).status, 409);
    let more = client.get(&format!("{pools}/more")).json();
    assert_eq!(
        (&more["status"], &more["config"]["machineType"]),
        (&json!("RUNNING"), &json!("n2-standard-4"))
    );
    assert_eq!(
        client
            .json("DELETE", &format!("{pools}/more"), &Value::Null)
            .status,
        200
    );
    sandbox.settle().await;
    assert_eq!(client.get(&format!("{pools}/more")).status, 404);
    assert_eq!(
        client
            .json("DELETE", &format!("{clusters}/new"), &Value::Null)
            .status,
        200
    );
    sandbox.settle().await;
    let gone = client.get(&format!("{clusters}/new"));
    assert_eq!(
        gone.json()["error"]["message"],
        "Not found: projects/acme/zones/europe-west1-c/clusters/new."
    );
}

/// `gcloud container node-pools update`, `gcloud container clusters resize`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_gcloud_sets_of_a_node_pool_is_shown() {
    let sandbox = start(WORLD).await;
    let mut client = Client::of(&sandbox);
    let clusters = "/v1/projects/acme/locations/europe-west1-c/clusters";
    let cluster =
        json!({"cluster": {"name": "new", "nodePools": [{"name": "p", "initialNodeCount": 3}]}});
    assert_eq!(client.json("POST", clusters, &cluster).status, 200);
    sandbox.settle().await;
    let pool = format!("{clusters}/new/nodePools/p");
    let autoscaling = json!({"enabled": true, "maxNodeCount": 9});
    let management = json!({"autoRepair": false, "autoUpgrade": true});
    let taint = json!({"key": "gpu", "value": "yes", "effect": "NO_SCHEDULE"});
    for (verb, path, body, kind) in [
        (
            "POST",
            ":setAutoscaling",
            json!({"autoscaling": autoscaling}),
            "UPDATE_CLUSTER",
        ),
        (
            "POST",
            ":setManagement",
            json!({"management": management}),
            "UPDATE_CLUSTER",
        ),
        (
            "POST",
            ":setSize",
            json!({"nodeCount": 5}),
            "SET_NODE_POOL_SIZE",
        ),
        (
            "PUT",
            "",
            json!({"labels": {"labels": {"team": "shop"}}, "tags": {"tags": ["web"]}}),
            "UPDATE_CLUSTER",
        ),
        (
            "PUT",
            "",
            json!({"taints": {"taints": [taint]}, "locations": ["europe-west1-c"]}),
            "UPDATE_CLUSTER",
        ),
    ] {
        let before = client.get(&pool).json()["etag"].clone();
        let started = client.json(verb, &format!("{pool}{path}"), &body);
        assert_eq!(
            (started.status, &started.json()["operationType"]),
            (200, &json!(kind)),
            "{path}: {}",
            started.body
        );
        // One at a time.
        let again = client.json(verb, &format!("{pool}{path}"), &body);
        assert_eq!(again.status, 400, "{path}: {}", again.body);
        sandbox.settle().await;
        let after = client.get(&pool).json()["etag"].clone();
        assert!(path == ":setSize" || before != after, "{path}");
    }
    let shown = client.get(&pool).json();
    assert_eq!(shown["autoscaling"], autoscaling);
    assert_eq!(shown["management"], management);
    assert_eq!(shown["config"]["labels"]["team"], "shop");
    assert_eq!(shown["config"]["tags"], json!(["web"]));
    assert_eq!(shown["config"]["taints"], json!([taint]));
    let nodes = |client: &mut Client| {
        client.get(&format!("{clusters}/new")).json()["currentNodeCount"].clone()
    };
    assert_eq!(nodes(&mut client), 5);
    client.json("POST", &format!("{pool}:setSize"), &json!({"nodeCount": 2}));
    sandbox.settle().await;
    assert_eq!(nodes(&mut client), 2);
    for (path, status) in [
        (":setSize", 400),
        (":setLocations", 501),
        (":setAutoscaling", 400),
    ] {
        let body = json!({"nodeCount": -1});
        let answer = client.json("POST", &format!("{pool}{path}"), &body);
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
    }
    let nowhere = client.json(
        "POST",
        &format!("{clusters}/new/nodePools/q:setSize"),
        &json!({}),
    );
    assert_eq!(nowhere.status, 404);
}

/// The nodes of a pool, as the cluster's own API has them: how many have GKE's metadata server, and how many do not, or
/// take no pods.
async fn nodes(sandbox: &Sandbox, pool: &str) -> [usize; 3] {
    let world = json!(sandbox.snapshot());
    let nodes = world["clusters"][0]["nodes"].as_array().expect("nodes");
    let nodes: Vec<&Value> = nodes.iter().filter(|n| n["pool"] == pool).collect();
    let count = |of: &dyn Fn(&Value) -> bool| nodes.iter().filter(|n| of(n)).count();
    [
        count(&|n| n["metadataServer"] == true),
        count(&|n| n["metadataServer"] != true),
        count(&|n| n["extra"]["spec"]["unschedulable"] == true),
    ]
}

/// "Rolls back a previously Aborted or Failed NodePool upgrade. This makes no changes if the last upgrade successfully
/// completed."
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_that_failed_half_way_is_rolled_back() {
    for settings in [
        json!({"strategy": "SURGE", "maxSurge": 1}),
        json!({"strategy": "BLUE_GREEN", "blueGreenSettings": {"nodePoolSoakDuration": "60s"}}),
    ] {
        let sandbox = start("apiVersion: wi.sandbox/v1\ntimeScale: 1000\nprojects: { acme: {} }\nclusters:\n  - { project: acme, location: europe-west1-b, name: main, workloadPool: acme.svc.id.goog, nodePools: [{ name: p, nodes: 4 }] }\n").await;
        let mut client = Client::of(&sandbox);
        let pool = "/v1/projects/acme/locations/europe-west1-b/clusters/main/nodePools/p";
        let done = |answer: Answer| assert_eq!(answer.status, 200, "{}", answer.body);
        done(client.json("PUT", pool, &json!({"upgradeSettings": settings})));
        sandbox.settle().await;
        let moves = json!({"workloadMetadataConfig": {"mode": "GKE_METADATA"}});
        sandbox.inject([serde_json::from_value(
            json!({"operation": "UPDATE_CLUSTER", "error": "out of quota", "times": 1}),
        )
        .expect("a fault")]);
        done(client.json("PUT", pool, &moves));
        sandbox.settle().await;
        let [moved, left, cordoned] = nodes(&sandbox, "p").await;
        assert!(moved > 0 && left > 0, "{settings}: {moved} {left}");
        let blue_green = settings["strategy"] == "BLUE_GREEN";
        assert_eq!(cordoned, if blue_green { left } else { 0 });

        let back = client.json("POST", &format!("{pool}:rollback"), &json!({}));
        assert_eq!(
            back.json()["operationType"],
            "UPGRADE_NODES",
            "{}",
            back.body
        );
        sandbox.settle().await;
        assert_eq!(nodes(&sandbox, "p").await, [0, 4, 0], "{settings}");
        let shown = client.get(pool).json();
        assert_eq!(shown["config"]["workloadMetadataConfig"], Value::Null);

        // A second one, and one after an update that went well, change nothing.
        done(client.json("POST", &format!("{pool}:rollback"), &json!({})));
        sandbox.settle().await;
        assert_eq!(nodes(&sandbox, "p").await, [0, 4, 0], "{settings}");
        done(client.json("PUT", pool, &moves));
        sandbox.settle().await;
        done(client.json("POST", &format!("{pool}:rollback"), &json!({})));
        sandbox.settle().await;
        assert_eq!(nodes(&sandbox, "p").await, [4, 0, 0], "{settings}");
        assert!(misfits(&sandbox).is_empty(), "{:#?}", misfits(&sandbox));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blue_green_update_that_soaks_is_completed_on_demand() {
    let sandbox = start("apiVersion: wi.sandbox/v1\ntimeScale: 1000\nprojects: { acme: {} }\nclusters:\n  - { project: acme, location: europe-west1-b, name: main, workloadPool: acme.svc.id.goog, nodePools: [{ name: p, nodes: 2, strategy: BLUE_GREEN, blueGreen: { nodePoolSoakSeconds: 604800 } }] }\n").await;
    let mut client = Client::of(&sandbox);
    let pool = "/v1/projects/acme/locations/europe-west1-b/clusters/main/nodePools/p";
    let complete = format!("{pool}:completeUpgrade");
    let early = client.json("POST", &complete, &json!({}));
    assert_eq!(early.json()["error"]["status"], "FAILED_PRECONDITION");
    let moves = json!({"workloadMetadataConfig": {"mode": "GKE_METADATA"}});
    let operation = client.json("PUT", pool, &moves).json()["name"].clone();
    let operation = operation.as_str().expect("a name");
    let operation = format!("/v1/projects/acme/locations/europe-west1-b/operations/{operation}");
    // A week of soak are ten minutes here: nobody waits for its end.
    while nodes(&sandbox, "p").await != [2, 0, 0] {
        tokio::task::yield_now().await;
    }
    assert_eq!(client.get(&operation).json()["status"], "RUNNING");
    let completed = client.json("POST", &complete, &json!({}));
    assert_eq!((completed.status, completed.json()), (200, json!({})));
    assert_eq!(client.get(&operation).json()["status"], "DONE");
    assert_eq!(
        client.get(pool).json()["config"]["workloadMetadataConfig"]["mode"],
        "GKE_METADATA"
    );
}

/// A condition without a title, of somebody who set it long ago, is no reason to refuse a write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_condition_that_a_policy_has_is_taken_back_without_a_title() {
    let world = "apiVersion: wi.sandbox/v1\nprojects:\n  acme:\n    policy:\n      bindings:\n        - { role: roles/browser, members: ['user:ann@example.com'], condition: { title: '', expression: 'request.time < timestamp(\"2099-01-01T00:00:00Z\")' } }\n";
    let sandbox = start(world).await;
    let mut client = Client::of(&sandbox);
    let path = "/v3/projects/acme";
    let asked = json!({"options": {"requestedPolicyVersion": 3}});
    let mut policy = client
        .json("POST", &format!("{path}:getIamPolicy"), &asked)
        .json();
    policy["bindings"]
        .as_array_mut()
        .expect("bindings")
        .push(json!({"role": "roles/viewer", "members": ["user:bob@example.com"]}));
    let back = client.json(
        "POST",
        &format!("{path}:setIamPolicy"),
        &json!({"policy": policy}),
    );
    assert_eq!(back.status, 200, "{}", back.body);
    let mut policy = back.json();
    policy["bindings"][0]["condition"]["expression"] = json!("true");
    let other = client.json(
        "POST",
        &format!("{path}:setIamPolicy"),
        &json!({"policy": policy}),
    );
    assert_eq!(
        other.status, 400,
        "another condition needs one: {}",
        other.body
    );
}

/// Terraform's provider goes by these without looking whether they are there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_has_all_that_gke_always_sends() {
    let sandbox = start(WORLD).await;
    let mut client = Client::of(&sandbox);
    let cluster = client
        .get("/v1/projects/acme/locations/europe-west1/clusters/main")
        .json();
    for field in [
        "/addonsConfig",
        "/autoscaling",
        "/clusterIpv4Cidr",
        "/databaseEncryption/state",
        "/defaultMaxPodsConstraint",
        "/ipAllocationPolicy/useIpAliases",
        "/legacyAbac",
        "/loggingConfig/componentConfig",
        "/masterAuth/clientCertificateConfig",
        "/masterAuth/clusterCaCertificate",
        "/masterAuthorizedNetworksConfig",
        "/monitoringConfig/componentConfig",
        "/network",
        "/networkConfig/network",
        "/networkConfig/subnetwork",
        "/nodeConfig/serviceAccount",
        "/nodePoolDefaults",
        "/notificationConfig",
        "/privateClusterConfig",
        "/releaseChannel/channel",
        "/servicesIpv4Cidr",
        "/shieldedNodes/enabled",
        "/subnetwork",
        "/nodePools/0/autoscaling",
        "/nodePools/0/config/bootDisk",
        "/nodePools/0/config/kubeletConfig",
        "/nodePools/0/config/metadata",
        "/nodePools/0/config/resourceLabels",
        "/nodePools/0/config/shieldedInstanceConfig",
        "/nodePools/0/config/workloadMetadataConfig/mode",
        "/nodePools/0/management/autoUpgrade",
        "/nodePools/0/maxPodsConstraint/maxPodsPerNode",
        "/nodePools/0/networkConfig",
        "/nodePools/0/upgradeSettings",
    ] {
        assert!(cluster.pointer(field).is_some(), "{field}");
    }
    // It counts nodes by the instance groups.
    let pool = &cluster["nodePools"][0];
    assert_eq!(pool["initialNodeCount"], 2, "per zone: 4 nodes in 3 zones");
    let groups = pool["instanceGroupUrls"].as_array().expect("groups");
    let sizes = groups.iter().map(|url| {
        let url = url.as_str().expect("a URL");
        let path = url.trim_start_matches("https://www.googleapis.com");
        client.get(path).json()["targetSize"]
            .as_u64()
            .expect("a size")
    });
    assert_eq!(sizes.collect::<Vec<_>>(), [2, 1, 1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_world_says_beyond_the_sandbox_is_shown() {
    let sandbox = start(
        "apiVersion: wi.sandbox/v1\nprojects: { acme: {} }\nclusters:\n  - project: acme\n    location: europe-west1-b\n    name: main\n    extra: { networkConfig: { datapathProvider: ADVANCED_DATAPATH } }\n    nodePools: [{ name: p, nodes: 2, strategy: SHORT_LIVED, extra: { config: { imageType: WINDOWS_LTSC_CONTAINERD, accelerators: [{ acceleratorCount: \"1\" }] }, maintenancePolicy: { exclusionUntilEndOfSupport: { enabled: true } } } }]\n",
    )
    .await;
    let mut client = Client::of(&sandbox);
    let cluster = client
        .get("/v1/projects/acme/zones/europe-west1-b/clusters/main")
        .json();
    assert_eq!(
        cluster["networkConfig"]["datapathProvider"],
        "ADVANCED_DATAPATH"
    );
    assert_eq!(
        cluster["networkConfig"]["network"],
        "projects/acme/global/networks/default"
    );
    let pool = &cluster["nodePools"][0];
    assert_eq!(pool["config"]["imageType"], "WINDOWS_LTSC_CONTAINERD");
    assert_eq!(pool["config"]["machineType"], "e2-medium");
    assert_eq!(pool["upgradeSettings"], json!({"strategy": "SHORT_LIVED"}));
    assert_eq!(
        pool["maintenancePolicy"]["exclusionUntilEndOfSupport"]["enabled"],
        true
    );
}

/// As Terraform's provider and gcloud spell them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paths_of_other_spellings_are_the_same() {
    let sandbox = start(WORLD).await;
    let mut client = Client::of(&sandbox);
    for (other, plain) in [
        (
            "/v1/v1/projects/acme/locations/-/clusters",
            "/v1/projects/acme/locations/-/clusters",
        ),
        ("/v3/v3/projects/acme", "/v3/projects/acme"),
        (
            "/v2/policies/cloudresourcemanager.googleapis.com%252Fprojects%252Facme/denypolicies",
            "/v2/policies/cloudresourcemanager.googleapis.com%2Fprojects%2Facme/denypolicies",
        ),
    ] {
        let (other, plain) = (client.get(other), client.get(plain));
        assert_eq!((other.status, other.body), (200, plain.body));
    }
    let mut found = |query: &str| {
        let found = client.get(&format!("/v3/projects:search?query={query}"));
        found.json()["projects"].as_array().map_or(0, Vec::len)
    };
    assert_eq!(
        ["id:ac*", "id:acme", "id:ac", "projectId:b*"].map(&mut found),
        [2, 1, 0, 0]
    );
}
