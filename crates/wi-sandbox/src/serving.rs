//! The Kubernetes APIs of the clusters: each on a port of its own, from the start or from the cluster's creation.

use std::sync::{Arc, Weak};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::calls::Call;
use super::faults::Verdict;
use super::gke::cluster::Cluster;
use super::kube::{self, Healths, KubeCluster};
use super::samples;
use super::shared::Core;
use super::state::RunningKube;
use super::timeline;
use super::tokens;

/// Serves the clusters that are not served yet. Within a runtime.
///
/// # Errors
/// When no port or no certificate can be had.
pub fn serve_clusters(core: &Arc<Core>) -> std::io::Result<()> {
    // Two requests at once do not serve one cluster twice.
    let mut all = core.served();
    let new: Vec<Cluster> = {
        let state = core.state();
        let clusters = state.world.clusters.iter();
        clusters
            .filter(|cluster| !state.kubes.contains_key(&cluster.key()))
            .cloned()
            .collect()
    };
    for cluster in new {
        let kube = KubeCluster::new(cluster.kube());
        kube.schedule();
        kube.reconcile(core.state().clock.now(), Healths::new());
        let api = api(core, &kube, &cluster);
        let served = api.clone().serve()?;
        let running = RunningKube {
            kube,
            api,
            endpoint: served.addr.to_string(),
            ca: STANDARD.encode(&served.ca_pem),
        };
        core.state().kubes.insert(cluster.key(), running);
        all.push((cluster.key(), served));
    }
    Ok(())
}

/// The API of one cluster. The core owns it, so it knows the core only weakly.
fn api(core: &Arc<Core>, kube: &KubeCluster, cluster: &Cluster) -> kube::Api {
    let weak: Weak<Core> = Arc::downgrade(core);
    let name = format!("{}/{}/{}", cluster.project, cluster.location, cluster.name);
    let below = format!("/kubernetes/{name}");
    let (accepting, changing, judging) = (weak.clone(), weak.clone(), weak.clone());
    let (shaking, counting, issuing) = (weak.clone(), weak.clone(), weak);
    let key = cluster.key();
    let api = kube.api(
        Arc::new(move |token| accepting.upgrade().is_some_and(|core| core.token == token)),
        Arc::new(move || {
            if let Some(core) = changing.upgrade() {
                let mut state = core.state();
                samples::take(&mut state, "a write to a Kubernetes API");
                timeline::advance(&mut state);
                drop(state);
                core.moved.notify_one();
                core.changed.notify_one();
            }
        }),
        Arc::new(move |request| match judging.upgrade() {
            Some(core) => core.judge(request),
            None => Verdict::default(),
        }),
    );
    kube::Api {
        handshake: Arc::new(move || shaking.upgrade()?.judge(&format!("TLS {name}")).tls),
        on_call: Arc::new(move |method, uri, body, status| {
            if let Some(core) = counting.upgrade() {
                let path = format!("{below}{}", uri.path());
                let (method, query) = (method.as_str(), uri.query().unwrap_or_default());
                core.record(&Call {
                    method,
                    path: &path,
                    query,
                    body,
                    status,
                    agent: "",
                });
            }
        }),
        issue: Arc::new(move |claims| match issuing.upgrade() {
            Some(core) => tokens::of_cluster(&mut core.state(), &key, claims),
            None => String::new(),
        }),
        ahead: jiff::SignedDuration::from_secs(core.state().world.clock_ahead_seconds),
        ..api
    }
}
