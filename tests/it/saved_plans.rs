//! Saved plans from outside: applied exactly or not at all, and never taken for what they are not.

use std::path::Path;

use crate::support::served::Served;
use crate::support::{Place, Ran};
use serde_json::{Value, json};

const SPEC: &str = "\
apiVersion: wi/v1
name: shop
project: acme-prod
clusters:
  main: { location: europe-west1 }
googleServiceAccounts:
  checkout:
    grants:
      - roles/cloudsql.client
      - { role: roles/storage.objectViewer, resource: bucket/receipts }
namespaces:
  shop:
    serviceAccounts:
      checkout: { impersonates: checkout }
";

const WORLD: &str = "\
apiVersion: wi.sandbox/v1
timeScale: 2000
projects:
  acme-prod:
    number: 123456789012
    policy: { bindings: [{ role: roles/owner, members: [user:ann@example.com] }] }
buckets: { receipts: { project: acme-prod } }
clusters:
  - project: acme-prod
    location: europe-west1
    name: main
    nodePools: [{ name: default-pool, nodes: 2 }]
    namespaces: { shop: { serviceAccounts: { checkout: {} } } }
";

fn served() -> Served {
    Served::of(Place::new(SPEC, WORLD))
}

/// Plans and saves.
#[track_caller]
fn save(served: &Served) -> Ran {
    served.wi(&["plan", "--out", "p.plan"]).ok()
}

/// Applying the plan is refused as stale, names all of `parts`, and writes nothing.
#[track_caller]
fn is_stale(served: &Served, parts: &[&str]) {
    let before = served.writes();
    let ran = served.wi(&["apply", "p.plan"]);
    assert_eq!(ran.code, Some(4), "out:\n{}\nerr:\n{}", ran.out, ran.err);
    for part in parts {
        assert!(ran.err.contains(part), "`{part}` is not in:\n{}", ran.err);
    }
    assert_eq!(ran.out, "", "a plan that does not hold is not shown");
    let after: Vec<_> = served.writes().into_iter().skip(before.len()).collect();
    assert!(after.is_empty(), "something was written: {after:?}");
}

fn add_member(served: &Served, resource: &str, role: &str, member: &str) {
    let mut policy = served.request("POST", &format!("{resource}:getIamPolicy"), "{}");
    if policy.get("bindings").is_none() {
        policy["bindings"] = json!([]);
    }
    policy["bindings"]
        .as_array_mut()
        .expect("bindings")
        .push(json!({ "role": role, "members": [member] }));
    let body = json!({ "policy": policy }).to_string();
    served.request("POST", &format!("{resource}:setIamPolicy"), &body);
}

#[test]
fn a_saved_plan_is_applied_without_a_question_and_just_once() {
    let served = served();
    let planned = save(&served);
    assert!(planned.err.contains("wi apply p.plan"), "{}", planned.err);

    let applied = served.wi(&["apply", "p.plan"]).ok();
    assert!(
        applied.out.starts_with(&planned.out),
        "what is carried out is what was planned:\n{}",
        applied.out
    );
    assert!(applied.out.contains("Apply complete!"), "{}", applied.out);
    let again = served.wi(&["plan", "--detailed-exitcode"]);
    assert_eq!(again.code, Some(0), "{}", again.out);

    is_stale(&served, &["gsa.checkout", "it was not there, and is now"]);
}

#[test]
fn the_spec_need_not_be_there_but_must_not_differ() {
    let served = served();
    save(&served);
    served
        .place
        .write("wi.yaml", &SPEC.replace("cloudsql.client", "viewer"));
    is_stale(&served, &["wi.yaml has changed"]);

    std::fs::remove_file(served.place.path("wi.yaml")).expect("removed");
    served.wi(&["apply", "p.plan"]).ok();
}

#[test]
fn only_what_the_plan_rests_on_is_read_again() {
    let spec = SPEC.replace(
        "namespaces:\n",
        "  others: { grants: [{ role: roles/viewer, resource: topic/far }] }\nnamespaces:\n",
    );
    let world = WORLD.replace(
        "buckets:",
        "resources: { //pubsub.googleapis.com/projects/acme-prod/topics/far: {} }\nbuckets:",
    );
    let served = Served::of(Place::new(&spec, &world));
    served.wi(&["apply", "--auto-approve"]).ok();
    let more = "      - roles/logging.logWriter\n  others:";
    served
        .place
        .write("wi.yaml", &spec.replace("  others:", more));
    save(&served);
    let before = served.calls();
    served.wi(&["apply", "p.plan"]).ok();
    let read: Vec<String> = served
        .calls()
        .into_iter()
        .filter(|(call, n)| before.get(call) != Some(n))
        .map(|(call, _)| call)
        .collect();
    assert!(
        read.iter().any(|c| c.contains("acme-prod:setIamPolicy")),
        "{read:?}"
    );
    for unrelated in [
        "topics/far",
        "buckets/receipts",
        "/b/receipts",
        "clusters",
        "serviceaccounts",
    ] {
        assert!(
            !read.iter().any(|c| c.contains(unrelated)),
            "{unrelated} was read: {read:?}"
        );
    }
}

#[test]
fn a_policy_that_moved_is_named_with_what_changed() {
    let served = served();
    save(&served);
    add_member(
        &served,
        "/v3/projects/acme-prod",
        "roles/viewer",
        "user:eve@example.com",
    );
    is_stale(
        &served,
        &[
            "the policy of project/acme-prod",
            "bindings.roles/viewer: + user:eve@example.com",
        ],
    );
}

#[test]
fn an_account_that_somebody_made_is_named() {
    let served = served();
    save(&served);
    let body = json!({ "accountId": "checkout", "serviceAccount": { "displayName": "theirs" } });
    served.request(
        "POST",
        "/v1/projects/acme-prod/serviceAccounts",
        &body.to_string(),
    );
    is_stale(&served, &["gsa.checkout", "it was not there, and is now"]);
}

#[test]
fn a_cluster_or_node_pool_that_moved_is_named() {
    let served = served();
    save(&served);
    let cluster = "/v1/projects/acme-prod/locations/europe-west1/clusters/main";
    let body = json!({ "upgradeSettings": { "maxSurge": 3, "maxUnavailable": 0 } });
    served.request(
        "PUT",
        &format!("{cluster}/nodePools/default-pool"),
        &body.to_string(),
    );
    served.settle();
    is_stale(&served, &["nodepool.main/default-pool", "upgradeSettings"]);
}

#[test]
fn a_cluster_that_was_made_anew_under_its_name_is_another_one() {
    let served = served();
    save(&served);
    let path = served.place.path("p.plan");
    let mut file = decode(&path);
    let all = file["preconditions"].as_array_mut().expect("pairs");
    let mut all = all.iter_mut();
    let is_it = |pair: &&mut Value| pair[0]["Resource"] == "cluster.main";
    let fact = &mut all.find(is_it).expect("the cluster")[1];
    assert_ne!(fact["state"]["id"], "", "{fact}");
    fact["state"]["id"] = json!("0123456789");
    fact["version"] = json!("of the former cluster");
    encode(&path, &file);
    is_stale(&served, &["cluster.main", "id: 0123456789 -> "]);
}

#[test]
fn a_service_account_that_moved_in_kubernetes_is_named_and_foreign_values_are_not_kept() {
    let served = served();
    save(&served);
    annotate(&served, "team", "hunter2-is-a-secret");
    is_stale(
        &served,
        &["ksa.main/shop/checkout", "annotations.team: none -> value "],
    );
    let ran = served.wi(&["apply", "p.plan"]);
    assert!(!ran.err.contains("hunter2"), "{}", ran.err);

    save(&served);
    let text = decode(&served.place.path("p.plan")).to_string();
    assert!(text.contains("\"team\""), "the annotation is known");
    assert!(!text.contains("hunter2"), "its value is not");
}

#[test]
fn a_new_workload_that_would_lose_its_identity_makes_the_plan_stale() {
    let place = Place::new(SPEC, WORLD);
    place.wi(&["plan", "--out", "p.plan"]).ok();
    let world = WORLD.replace(
        "    namespaces:",
        "    pods: [{ name: tool-1, namespace: tools }]\n    namespaces:",
    );
    place.write("world.yaml", &world);
    let ran = place.wi(&["apply", "p.plan"]);
    assert_eq!(ran.code, Some(4), "{}", ran.err);
    assert!(
        ran.err
            .contains("the workloads on nodepool.main/default-pool")
            && ran
                .err
                .contains("lose the node's identity: + Pod tools/tool-1"),
        "{}",
        ran.err
    );
}

#[test]
fn what_does_not_matter_does_not_make_it_stale() {
    let served = served();
    save(&served);
    // Another account, another bucket's policy, a label of the cluster: nothing that it rests on.
    served.request(
        "POST",
        "/v1/projects/acme-prod/serviceAccounts",
        &json!({ "accountId": "another" }).to_string(),
    );
    let cluster = "/v1/projects/acme-prod/locations/europe-west1/clusters/main";
    let found = served.request("GET", cluster, "");
    let body = json!({
        "resourceLabels": { "team": "shop" },
        "labelFingerprint": found["labelFingerprint"],
    });
    served.request(
        "POST",
        &format!("{cluster}:setResourceLabels"),
        &body.to_string(),
    );
    served.settle();
    let now = served.request("GET", cluster, "");
    assert_ne!(now["etag"], found["etag"], "the cluster has another etag");
    served.wi(&["apply", "p.plan"]).ok();
}

#[test]
fn credentials_that_may_not_read_are_told_so_and_nothing_is_written() {
    let served = served();
    save(&served);
    let fault = json!([{ "match": "POST /v3/projects/acme-prod:getIamPolicy", "denied": true }]);
    served.inject(&fault);
    let ran = served.wi(&["apply", "p.plan"]).fails();
    assert!(
        ran.err.contains("the policy of project/acme-prod")
            && ran.err.contains("could not be read again"),
        "{}",
        ran.err
    );
    assert!(
        ran.err.contains("is that who is to apply this plan?"),
        "{}",
        ran.err
    );
    assert!(served.writes().is_empty());
}

#[test]
fn tampered_truncated_and_foreign_files_are_refused() {
    let place = Place::new(SPEC, WORLD);
    place.wi(&["plan", "--out", "p.plan"]).ok();
    let good = std::fs::read(place.path("p.plan")).expect("the plan");
    let refused = |bytes: &[u8], says: &str| {
        std::fs::write(place.path("p.plan"), bytes).expect("written");
        for command in [&["show", "p.plan"][..], &["apply", "p.plan"]] {
            let ran = place.wi(command).fails();
            assert!(ran.err.contains(says), "{says}:\n{}", ran.err);
            assert!(ran.out.is_empty());
        }
    };
    let line = good.iter().position(|b| *b == b'\n').expect("a line");
    let mut flipped = good.clone();
    *flipped.last_mut().expect("bytes") ^= 1;
    refused(&flipped, "its checksum does not fit");
    refused(&good[..good.len() - 10], "its checksum does not fit");
    refused(&good[..20], "damaged");
    for (version, says) in [
        ("4.0", "newer wi (plan format 4.0"),
        ("1.0", "older wi (plan format 1.0"),
        ("2.0", "plan again with `wi plan --out FILE`"),
    ] {
        let mut other = format!("wi-plan {version}").into_bytes();
        other.extend(&good[11..]);
        refused(&other, says);
    }
    let mut nonsense = good[..=line].to_vec();
    nonsense.extend(b"not gzip");
    refused(&nonsense, "its checksum does not fit");
    // Whoever can make the checksum fit still writes no nonsense.
    let packed = b"not gzip";
    let mut forged = format!("wi-plan 3.0 {}\n", sha256(packed)).into_bytes();
    forged.extend(packed);
    refused(&forged, "damaged");

    place.write("p.plan", "apiVersion: v1\n");
    let ran = place.wi(&["show", "p.plan"]).fails();
    assert!(ran.err.contains("not a saved plan"), "{}", ran.err);
    let ran = place.wi(&["show", "nowhere.plan"]).fails();
    assert!(ran.err.contains("nowhere.plan"), "{}", ran.err);
}

#[test]
fn a_plan_of_another_wi_is_shown_but_not_applied() {
    let place = Place::new(SPEC, WORLD);
    place.wi(&["plan", "--out", "p.plan"]).ok();
    let mut file = decode(&place.path("p.plan"));
    file["wi_version"] = json!("0.0.1");
    encode(&place.path("p.plan"), &file);
    place.wi(&["show", "p.plan"]).ok();
    let ran = place.wi(&["apply", "p.plan"]).fails();
    assert!(ran.err.contains("made by wi 0.0.1"), "{}", ran.err);
}

#[test]
fn a_plan_of_a_sandbox_is_not_carried_out_elsewhere() {
    let served = served();
    served
        .wi(&["plan", "--sandbox", "world.yaml", "--out", "p.plan"])
        .ok();
    let ran = served.wi(&["apply", "p.plan"]).fails();
    assert!(ran.err.contains("made on a sandbox"), "{}", ran.err);
    assert!(served.calls().keys().all(|c| c.contains("/sandbox/")));
    save(&served);
    let ran = served.wi(&["apply", "p.plan", "--sandbox"]).fails();
    assert!(ran.err.contains("without --sandbox"), "{}", ran.err);
}

#[test]
fn choices_belong_to_the_plan() {
    let place = Place::new(SPEC, WORLD);
    place.wi(&["plan", "--out", "p.plan"]).ok();
    let ran = place.wi(&["apply", "p.plan", "--accept-loss"]).fails();
    assert!(ran.err.contains("wi plan --out"), "{}", ran.err);
    let ran = place.wi(&["apply", "p.plan", "wi.yaml"]).fails();
    assert!(ran.err.contains("name it alone"), "{}", ran.err);
}

#[test]
fn a_plan_that_fails_saves_nothing_and_one_without_changes_can_be_applied() {
    let place = Place::new(
        &SPEC.replace("location: europe-west1", "location: asia-east1"),
        WORLD,
    );
    place.wi(&["plan", "--out", "p.plan"]).fails();
    assert!(!place.path("p.plan").exists());
    let drafts = std::fs::read_dir(place.dir.path()).expect("read").flatten();
    let mut drafts = drafts.filter(|e| e.file_name().to_string_lossy().ends_with(".draft"));
    assert!(drafts.next().is_none());

    let served = served();
    served.wi(&["apply", "--auto-approve"]).ok();
    save(&served);
    let ran = served.wi(&["apply", "p.plan"]).ok();
    assert!(ran.out.contains("No changes."), "{}", ran.out);
}

#[test]
fn the_hash_is_of_what_would_be_done_and_not_of_the_moment() {
    let served = served();
    let hash = |args: &[&str]| {
        let ran = served.wi(args).ok();
        let plan: Value = serde_json::from_str(&ran.out).expect("JSON");
        plan["wi"]["plan_hash"].as_str().expect("a hash").to_owned()
    };
    let first = hash(&["plan", "--json"]);
    // Neither another version of the objects nor another line of the spec.
    add_member(
        &served,
        "/v3/projects/acme-prod",
        "roles/viewer",
        "user:eve@example.com",
    );
    annotate(&served, "team", "shop");
    served
        .place
        .write("wi.yaml", &format!("# a line more\n{SPEC}"));
    assert_eq!(hash(&["plan", "--json"]), first);

    let wrong = format!("{}0", &first[1..]);
    let ran = served.wi(&["apply", "--expect-plan-hash", &wrong]);
    assert_eq!(ran.code, Some(4), "{}", ran.err);
    assert!(ran.err.contains(&first), "{}", ran.err);
    assert!(
        served
            .writes()
            .iter()
            .all(|(call, _)| call.contains("acme-prod:setIamPolicy")),
        "only eve's grant was written"
    );
    served
        .wi(&["apply", "--expect-plan-hash", &first[..12]])
        .ok();
    let ran = served.wi(&["apply", "--expect-plan-hash", "12"]);
    assert_eq!(ran.code, Some(1));

    served
        .place
        .write("wi.yaml", &SPEC.replace("cloudsql.client", "viewer"));
    assert_ne!(hash(&["plan", "--json"]), first);
}

#[test]
fn tokens_are_in_no_file_and_the_file_is_for_its_owner() {
    let served = served();
    save(&served);
    let token = std::fs::read_to_string(&served.token_file).expect("token");
    let text = decode(&served.place.path("p.plan")).to_string();
    assert!(!text.contains(token.trim()));
    assert!(!text.contains("PRIVATE KEY"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let metadata = std::fs::metadata(served.place.path("p.plan")).expect("metadata");
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_plan_goes_through_pipes() {
    let served = served();
    let output = served
        .command(&["plan", "--out", "-"])
        .output()
        .expect("wi runs");
    assert!(output.stdout.starts_with(b"wi-plan 3."));
    std::fs::write(served.place.path("p.plan"), &output.stdout).expect("written");
    let file = std::fs::File::open(served.place.path("p.plan")).expect("opened");
    let mut show = served.command(&["show", "-"]);
    let shown = Ran::of(show.stdin(file)).ok();
    assert!(
        shown.out.contains("gsa.checkout will be created"),
        "{}",
        shown.out
    );
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}

fn decode(path: &Path) -> Value {
    let bytes = std::fs::read(path).expect("a plan");
    let line = bytes.iter().position(|b| *b == b'\n').expect("a line");
    let unpacked = flate2::read::GzDecoder::new(&bytes[line + 1..]);
    serde_json::from_reader(unpacked).expect("JSON")
}

fn encode(path: &Path, file: &Value) {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    serde_json::to_writer(&mut packer, file).expect("packed");
    let packed = packer.finish().expect("packed");
    let mut bytes = format!("wi-plan 3.0 {}\n", sha256(&packed)).into_bytes();
    bytes.extend(packed);
    std::fs::write(path, bytes).expect("written");
}

/// Somebody else annotates shop/checkout, over the cluster's own API.
fn annotate(served: &Served, key: &str, value: &str) {
    let text = std::fs::read_to_string(served.place.path("kubeconfig")).expect("kubeconfig");
    let config: Value = serde_saphyr::from_str(&text).expect("YAML");
    let cluster = &config["clusters"][0]["cluster"];
    let server = cluster["server"].as_str().expect("a server");
    let ca = cluster["certificate-authority-data"]
        .as_str()
        .expect("a CA");
    let ca = {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD
            .decode(ca)
            .expect("base64")
    };
    let token = config["users"][0]["user"]["token"]
        .as_str()
        .expect("a token");
    let body = json!({ "metadata": { "annotations": { key: value } } });
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .tls_certs_only(reqwest::Certificate::from_pem_bundle(&ca).expect("a CA"))
            .build()
            .expect("a client");
        let answer = client
            .patch(format!(
                "{server}/api/v1/namespaces/shop/serviceaccounts/checkout"
            ))
            .bearer_auth(token)
            .header("content-type", "application/merge-patch+json")
            .body(body.to_string())
            .send()
            .await
            .expect("an answer");
        assert!(answer.status().is_success(), "{}", answer.status());
    });
}

#[test]
fn a_plan_is_saved_over_another_one_and_over_nothing_else() {
    let place = Place::new(SPEC, WORLD);
    for kept in ["wi.yaml", "notes.txt"] {
        place.write("notes.txt", "mine");
        let before = std::fs::read(place.path(kept)).expect(kept);
        let ran = place.wi(&["plan", "wi.yaml", "--out", kept]).fails();
        ran.says(&[kept, "no saved plan"]);
        assert_eq!(std::fs::read(place.path(kept)).expect(kept), before);
    }
    place.write("p.plan", "");
    for _ in 0..2 {
        place.wi(&["plan", "wi.yaml", "--out", "p.plan"]).ok();
    }
    place.wi(&["show", "p.plan"]).ok();
}
