//! Who keeps an object elsewhere, and would undo what is changed live.

use crate::wire::kubernetes::ObjectMeta;

/// A label or an annotation by which a tool marks what it keeps, and the tool.
const MARKS: [(&str, &str); 10] = [
    ("argocd.argoproj.io/tracking-id", "Argo CD"),
    ("argocd.argoproj.io/instance", "Argo CD"),
    ("meta.helm.sh/release-name", "Helm"),
    ("helm.toolkit.fluxcd.io/name", "Flux"),
    ("kustomize.toolkit.fluxcd.io/name", "Flux"),
    ("configmanagement.gke.io/managed", "Config Sync"),
    ("kapp.k14s.io/app", "kapp"),
    ("objectset.rio.cattle.io/owner-name", "Rancher"),
    ("addonmanager.kubernetes.io/mode", "GKE"),
    ("skaffold.dev/run-id", "Skaffold"),
];

/// How managers of fields are called, from their beginning on, and the tool.
const MANAGERS: [(&str, &str); 11] = [
    ("argocd-controller", "Argo CD"),
    ("helm", "Helm"),
    ("Helm", "Helm"),
    ("kustomize-controller", "Flux"),
    ("helm-controller", "Flux"),
    ("configsync", "Config Sync"),
    ("Terraform", "Terraform"),
    ("HashiCorp", "Terraform"),
    ("pulumi", "Pulumi"),
    ("flagger", "Flagger"),
    ("rollouts-controller", "Argo Rollouts"),
];

/// Who keeps the object: `Argo CD (shop:apps/Deployment:shop/checkout)`, `Rollout web`. `None`: nobody that
/// can be told.
pub fn owner(meta: &ObjectMeta) -> Option<String> {
    if let Some(owner) = meta.controller().or_else(|| meta.owner_references.first()) {
        return Some(format!("{} {}", owner.kind, owner.name));
    }
    let marked = MARKS.iter().find_map(|(mark, tool)| {
        let value = meta
            .annotations
            .get(*mark)
            .or_else(|| meta.labels.get(*mark))?;
        Some(format!("{tool} ({value})"))
    });
    marked.or_else(|| {
        let by_label = meta.labels.get("app.kubernetes.io/managed-by");
        let managers = meta.managed_fields.iter().map(|m| m.manager.as_str());
        let mut all = managers.chain(by_label.map(String::as_str));
        let tool = all.find_map(|m| MANAGERS.iter().find(|(start, _)| m.starts_with(start)));
        tool.map(|(_, tool)| (*tool).to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner_of(yaml: &str) -> Option<String> {
        owner(&serde_saphyr::from_str(yaml).expect("metadata"))
    }

    #[test]
    fn owner_is_told_by_references_marks_and_managers() {
        for (meta, expected) in [
            (
                "{ ownerReferences: [{ kind: Rollout, name: web, controller: true }] }",
                "Rollout web",
            ),
            (
                "{ annotations: { argocd.argoproj.io/tracking-id: \"shop:apps/Deployment:shop/web\" } }",
                "Argo CD (shop:apps/Deployment:shop/web)",
            ),
            (
                "{ labels: { app.kubernetes.io/managed-by: Helm }, annotations: { meta.helm.sh/release-name: shop } }",
                "Helm (shop)",
            ),
            ("{ labels: { app.kubernetes.io/managed-by: Helm } }", "Helm"),
            (
                "{ labels: { kustomize.toolkit.fluxcd.io/name: apps } }",
                "Flux (apps)",
            ),
            (
                "{ managedFields: [{ manager: kubectl-edit }, { manager: argocd-controller }] }",
                "Argo CD",
            ),
            (
                "{ managedFields: [{ manager: HashiCorp, operation: Apply }] }",
                "Terraform",
            ),
        ] {
            assert_eq!(owner_of(meta).as_deref(), Some(expected), "{meta}");
        }
        for meta in [
            "{ name: web }",
            "{ labels: { app: helm }, managedFields: [{ manager: kubectl-client-side-apply }] }",
        ] {
            assert_eq!(owner_of(meta), None, "{meta}");
        }
    }
}
