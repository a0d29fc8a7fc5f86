//! `wi verify --mode job`: what a pod proves of its node, the metadata server and the network; and that nothing stays.

use std::io::{BufReader, Read};
use std::process::Command;

use serde_json::{Value, json};

use super::{has_no_token, not_held, pair, served, steps};
use crate::support::served::Served;
use crate::support::{line_with, spawn};

const JOB: [&str; 5] = [
    "verify",
    "--mode",
    "job",
    "--image",
    "mirror.example.com/curl:8",
];

/// Clusters that run Jobs of an image that is curl.
fn with_jobs(edit: impl FnOnce(&mut Value)) -> Served {
    served(|world| {
        // Jobs go by themselves a minute after their end.
        world["timeScale"] = json!(1);
        world["apps"] = json!([{"image": "mirror.example.com/curl:*", "curl": true}]);
        for cluster in world["clusters"].as_array_mut().expect("clusters") {
            cluster["controllers"] = json!({"jobSeconds": 0, "podStopSeconds": 0});
        }
        edit(world);
    })
}

/// What is left of Jobs in the clusters.
fn left(served: &Served) -> bool {
    let world = serde_json::to_string(&served.sandbox.snapshot()).expect("a world");
    world.contains("wi-verify-")
}

fn json(served: &Served, more: &[&str]) -> (Option<i32>, Value) {
    let ran = served.wi(&[&JOB[..], more, &["--format", "json"]].concat());
    has_no_token(served, &ran);
    let value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{}{}", ran.out, ran.err));
    (ran.code, value)
}

#[test]
fn a_job_proves_the_node_the_metadata_server_and_the_network_and_is_gone() {
    let served = with_jobs(|_| ());
    let (code, found) = json(&served, &[]);
    assert_eq!(code, Some(0), "{found:#}");
    assert_eq!(found["mode"], "job");
    let titles: Vec<String> = steps(&found, "eu", "web")
        .into_iter()
        .map(|(_, _, t)| t)
        .collect();
    for part in [
        "web-app@acme-prod.iam.gserviceaccount.com",
        "token from the metadata server",
        "storage.googleapis.com from the pod",
        "secretmanager.googleapis.com from the pod",
    ] {
        assert!(
            titles.iter().any(|t| t.contains(part)),
            "{part}: {titles:?}"
        );
    }
    // As itself the pool stands for it.
    let itself = steps(&found, "us", "reporter");
    assert!(
        itself
            .iter()
            .any(|(link, _, title)| link == "9-node-pool"
                && title.ends_with("acme-prod.svc.id.goog")),
        "{itself:?}"
    );
    assert!(!left(&served));
    served
        .wi(&JOB)
        .ok()
        .says(&["from a pod of mirror.example.com/curl:8"]);
    served
        .wi(&["verify", "--mode", "job"])
        .fails()
        .says(&["--image"]);
}

#[test]
fn a_pod_that_is_its_node_or_is_cut_off_or_refused_is_told_by_its_link() {
    let served = with_jobs(|world| {
        // Nodes of before the metadata server, and pods that may not leave their namespace.
        world["clusters"][0]["nodePools"][0]["workloadMetadata"] = json!("GCE_METADATA");
        world["clusters"][1]["objects"] = json!([{
            "kind": "NetworkPolicy",
            "metadata": {"name": "closed", "namespace": "shop"},
            "spec": {"podSelector": {}, "policyTypes": ["Egress"]},
        }]);
    });
    let (code, found) = json(&served, &["--cluster", "eu", "--cluster", "us"]);
    assert_eq!(code, Some(2), "{found:#}");
    assert_eq!(not_held(&found, "eu", "web"), pair("9-node-pool", "broken"));
    let whole = found.to_string();
    assert!(
        whole.contains("node's identity") && whole.contains("42-compute@developer"),
        "{found:#}"
    );
    let cut = not_held(&found, "us", "web");
    assert!(
        cut.iter()
            .all(|(link, outcome)| link == "26-network" && outcome == "broken")
            && cut.len() > 1,
        "{cut:?}"
    );
    assert!(
        whole.contains("Could not resolve host: metadata.google.internal"),
        "{found:#}"
    );
    assert!(!left(&served));
}

#[test]
fn a_job_that_cannot_be_tried_proves_nothing_and_what_cannot_be_deleted_is_named() {
    let served = with_jobs(|world| {
        world["clusters"][1]["controllers"]["jobSeconds"] = json!(10_000_000);
    });
    let (code, found) = json(&served, &["--timeout", "1s", "--cluster", "us", "shop/web"]);
    assert_eq!(code, Some(1), "{found:#}");
    assert_eq!(not_held(&found, "us", "web"), pair("1-pod", "untried"));
    assert!(!left(&served));
    // Another image prints something else.
    let other = [
        "verify",
        "--mode",
        "job",
        "--image",
        "busybox",
        "--cluster",
        "eu",
        "shop/web",
    ];
    served
        .wi(&other)
        .fails()
        .says(&["is there curl in the image?"]);
    served.inject(&json!({"match": "DELETE *jobs/wi-verify-", "denied": true}));
    let ran = served
        .wi(&[&JOB[..], &["--cluster", "eu", "shop/web"]].concat())
        .fails();
    ran.says(&["it is left behind", "kubectl delete job -n shop wi-verify-"]);
    served.sandbox.heal();
    served.inject(&json!({"match": "POST *batch/v1/namespaces/shop/jobs", "denied": true}));
    let ran = served
        .wi(&[&JOB[..], &["--cluster", "eu", "shop/web"]].concat())
        .fails();
    ran.says(&["the Job could not be created"]);
}

#[test]
fn one_interrupt_leaves_no_job_behind() {
    let served = with_jobs(|world| {
        for cluster in world["clusters"].as_array_mut().expect("clusters") {
            cluster["controllers"]["jobSeconds"] = json!(10_000_000);
        }
    });
    let mut child = spawn(&mut served.command(&[&JOB[..], &["-v"]].concat()));
    let mut stderr = BufReader::new(child.stderr.take().expect("stderr"));
    line_with(&mut stderr, "labelSelector=job-name");
    assert!(left(&served), "there is something to leave behind");
    let pid = child.id().to_string();
    let sent = Command::new("kill").args(["-INT", &pid]).status();
    assert!(sent.expect("kill").success());
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).expect("read");
    assert_eq!(child.wait().expect("it ends").code(), Some(1));
    assert!(rest.contains("Interrupt received"), "{rest}");
    assert!(!left(&served));
}
