//! What GKE itself runs on the nodes, and fits to the metadata server without anybody's doing.

use crate::wire::kubernetes::ObjectMeta;

/// Namespaces that GKE makes and runs its own programs in. Its users may make others that begin with
/// `gke-`, and run what they like in `kube-system`, and in `kube-public`, `kube-node-lease` and
/// `gmp-public`, where GKE runs nothing.
const NAMESPACES: [&str; 12] = [
    "gke-gmp-system",
    "gke-managed-checkpointing",
    "gke-managed-cim",
    "gke-managed-dpv2-observability",
    "gke-managed-filestorecsi",
    "gke-managed-lustrecsi",
    "gke-managed-metrics-server",
    "gke-managed-networking-dra-driver",
    "gke-managed-parallelstorecsi",
    "gke-managed-system",
    "gke-managed-volumepopulator",
    "gmp-system",
];

/// The label `k8s-app` of what GKE runs in `kube-system`.
const APPS: [&str; 24] = [
    "calico-node",
    "calico-node-autoscaler",
    "calico-typha",
    "calico-typha-autoscaler",
    "cilium",
    "event-exporter",
    "fluentbit-gke",
    "gcp-compute-persistent-disk-csi-driver",
    "gcp-filestore-csi-driver",
    "gcs-fuse-csi-driver",
    "gke-metadata-server",
    "gke-metrics-agent",
    "glbc",
    "image-package-extractor",
    "ip-masq-agent",
    "konnectivity-agent",
    "konnectivity-agent-cpha",
    "kube-dns",
    "kube-dns-autoscaler",
    "metrics-server",
    "netd",
    "node-local-dns",
    "nvidia-gpu-device-plugin",
    "tpu-device-plugin",
];

/// Whether GKE runs it: by the names of its namespaces, and in `kube-system` by the marks of its own
/// programs. `metas` are the metadata of the pod, of its template, of what makes it: whatever is at hand.
pub fn is_gke_own<'a>(namespace: &str, metas: impl IntoIterator<Item = &'a ObjectMeta>) -> bool {
    if namespace != "kube-system" {
        return NAMESPACES.contains(&namespace);
    }
    metas.into_iter().any(|meta| {
        meta.annotations
            .contains_key("components.gke.io/component-name")
            || meta.labels.contains_key("addonmanager.kubernetes.io/mode")
            || meta.annotations.contains_key("kubernetes.io/config.mirror")
            || meta.owner_references.iter().any(|o| o.kind == "Node")
            || meta
                .labels
                .get("k8s-app")
                .is_some_and(|app| APPS.contains(&app.as_str()))
    })
}
