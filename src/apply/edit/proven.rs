//! What is proven before a pod does without its key, and of pods that do.

use serde_json::Value;
use wi_client::kubernetes::Kube;
use wi_core::address::{Address, KsaKey};
use wi_core::desired::Desired;
use wi_core::live::templates::TemplateSeen;
use wi_core::migrate::edit::{METADATA_NODES, Step};
use wi_core::migrate::rollout::Health;
use wi_core::reason::Reason;
use wi_core::spec::migration::Accept;

use crate::apply::Context;
use crate::apply::proof;
use crate::verify::Outcome;

/// Before a pod does without its key: Google gives the account to whoever has a token of the Kubernetes service account. A
/// pod that is ready says nothing of that.
pub(super) async fn identity(
    context: &Context,
    address: &Address,
    key: &KsaKey,
    desired: &Desired,
    accepts_unproven: bool,
) -> Result<(), Reason> {
    let told = |what: &str| context.observer.still(address, what);
    let wait = context.limits.propagation;
    let proof = proof::identity(&context.http, desired, key, wait, &told).await;
    let Some((outcome, why)) = proof.as_ref().and_then(proof::why) else {
        return match proof {
            Some(_) => Ok(()),
            None => Err("its Kubernetes service account is not in the spec".into()),
        };
    };
    if outcome == Outcome::Broken {
        return Err(format!("nothing was changed: {why}").into());
    }
    if accepts_unproven {
        told(&format!("that was accepted: {why}"));
        return Ok(());
    }
    let accept = Accept::Unproven.name();
    Err(format!("nothing was changed: {why} (accept: [{accept}] goes on without)").into())
}

/// Whether pods that are ready are who they are to be: by their Kubernetes service account, without the key, and on nodes
/// with the GKE metadata server.
pub(super) async fn of_pods(
    kube: &Kube,
    workload: &TemplateSeen,
    service_account: &str,
    pods: &[&Value],
) -> Health {
    for pod in pods {
        let name = pod["metadata"]["name"].as_str().unwrap_or_default();
        let account = pod["spec"]["serviceAccountName"].as_str();
        if account != Some(service_account) {
            return Health::Fails(format!(
                "the new pod {name} runs as another Kubernetes service account"
            ));
        }
        let all = Accept::ALL.into_iter().collect();
        let edited = workload.edited(pod, &all);
        if !edited.steps.iter().all(is_of_nodes) {
            return Health::Fails(format!(
                "the new pod {name} has the key all the same: something gives it to each pod"
            ));
        }
        if !workload.mixed_nodes {
            continue;
        }
        let node = pod["spec"]["nodeName"].as_str().unwrap_or_default();
        match kube.get_node(node).await {
            Ok(node) if node.labels.get(METADATA_NODES).is_some_and(|v| v == "true") => {}
            Ok(_) => {
                return Health::Fails(format!(
                    "the new pod {name} is on a node without the GKE metadata server: it would be the node"
                ));
            }
            Err(e) => {
                return Health::Waits(format!("node {node} could not be read: {}", e.reason()));
            }
        }
    }
    Health::Ready
}

fn is_of_nodes(step: &Step) -> bool {
    matches!(step, Step::SelectNodes)
}
