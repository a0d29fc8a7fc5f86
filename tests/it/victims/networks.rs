//! Pods whom a NetworkPolicy lets go to the metadata server of Compute Engine, and not to that of GKE.

use serde_json::{Value, json};

use super::{SPEC, assert_fate, fates, moves, pod, world};

/// To the outside, and to the metadata server at this address and port.
fn policy(name: &str, pods: &Value, address: &str, port: u16) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": { "name": name, "namespace": "shop" },
        "spec": { "podSelector": pods, "policyTypes": ["Egress"], "egress": [
            { "to": [{ "ipBlock": { "cidr": format!("{address}/32") } }], "ports": [{ "port": port }] },
            { "to": [{ "ipBlock": { "cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"] } }] },
        ] },
    })
}

fn cluster(network: Value, policies: &[Value]) -> Value {
    let mut with_label = pod("let", "shop", "own", &json!({}));
    with_label["labels"] = json!({ "to": "gke" });
    let keyed = json!({ "hostNetwork": true });
    world(&json!({
        "extra": network,
        "namespaces": { "shop": { "serviceAccounts": { "own": {} } } },
        "objects": policies,
        "pods": [
            pod("web", "shop", "own", &json!({})),
            with_label,
            pod("agent", "shop", "own", &keyed),
        ],
    }))
}

fn calico() -> Value {
    json!({ "networkPolicy": { "enabled": true, "provider": "CALICO" } })
}

fn plan(world: &Value) -> Value {
    super::plan(SPEC, world, &[])
}

const GAINS: &str = "acme-prod/shop/own";

#[test]
fn whom_a_policy_keeps_from_the_metadata_server_loses_and_is_named() {
    let to_vms = policy("egress", &json!({}), "169.254.169.254", 80);
    let to_gke = policy(
        "gke",
        &json!({ "matchLabels": { "to": "gke" } }),
        "169.254.169.252",
        988,
    );
    let plan = plan(&cluster(calico(), &[to_vms, to_gke]));
    let fates = fates(&plan, "p");
    assert_fate(
        &fates,
        "shop/StatefulSet/web",
        "loses",
        "NetworkPolicy egress does not let it go to the metadata server of GKE: allow egress to 169.254.169.252/32, TCP ports 988 and 987",
    );
    // One more policy lets it; on the host's network none holds.
    assert_fate(&fates, "shop/StatefulSet/let", "gets", GAINS);
    assert_fate(&fates, "shop/StatefulSet/agent", "keeps", "network");
    assert!(!moves(&plan, "p"), "it is held back");
}

#[test]
fn where_no_policy_changes_anything_nobody_is_held_back() {
    let to_vms = || policy("egress", &json!({}), "169.254.169.254", 80);
    let to_gke = || policy("egress", &json!({}), "169.254.169.252", 988);
    for (network, policies) in [
        // Nothing enforces it.
        (json!({}), vec![to_vms()]),
        // Dataplane V2 matches before the address is translated.
        (
            json!({ "networkConfig": { "datapathProvider": "ADVANCED_DATAPATH" } }),
            vec![to_vms()],
        ),
        (calico(), vec![to_vms(), to_gke()]),
        // It has reached no metadata server yet.
        (calico(), vec![policy("egress", &json!({}), "10.0.0.1", 80)]),
        (calico(), vec![]),
    ] {
        let plan = plan(&cluster(network.clone(), &policies));
        assert_fate(&fates(&plan, "p"), "shop/StatefulSet/web", "gets", GAINS);
        assert!(moves(&plan, "p"), "{network}");
    }
}

#[test]
fn policies_that_cannot_be_read_hold_the_node_pool_back() {
    let mut world = cluster(calico(), &[]);
    world["faults"] = json!([{ "match": "GET *networkpolicies*", "denied": true }]);
    let unread = plan(&world);
    assert!(!moves(&unread, "p"));
    let told = unread["wi"]["unread"].to_string();
    assert!(
        told.contains("the NetworkPolicies of cluster.main"),
        "{told}"
    );
    let accepted = super::plan(SPEC, &world, &["--accept-loss"]);
    assert!(moves(&accepted, "p"));
}
