//! A pod uses a key although it has an identity.

use super::prelude::*;
use wi_core::access::{Credential, FileIn, Given, MetadataServer, WhyNot};

pub static RULE: Audited = Audited {
    rule: Rule {
        id: "WI206",
        severity: Severity::High,
        title: "A pod uses a key file although its service account has an identity",
        help: "The key wins over the metadata server, works anywhere and does not expire. Take it out of the template: wi migrate says how, without an outage.",
        can_be_accepted: true,
    },
    reads: &[Read::Pods, Read::ServiceAccounts],
    offline: false,
    decides: "A container reads a credential from a Secret (a variable or flag that leads to one), and its Kubernetes service account is annotated, or has roles in the spec. The configuration of a federation is no key.",
    references: &["OWASP Kubernetes Top 10 2025: K03", "kubescape C-0012", "Google: best practices for managing service account keys"],
    check,
};

fn check(world: &World, out: &mut Out) {
    let mut told = BTreeSet::new();
    for (name, cluster, pod) in world.pods(out) {
        let (namespace, account) = (&pod.metadata.namespace, pod.service_account());
        // As whom it would be without is none of the question.
        let server = Given::Nobody(WhyNot::NoRoles);
        let containers = access::containers(&pod.spec, namespace, &cluster.config_maps, MetadataServer::Gke(&server));
        let by = containers.iter().find_map(|c| match &c.credential {
            Credential::Own(own) => match &own.file {
                Some(FileIn::Secret(secret)) => Some(format!("{} leads to Secret {secret}", own.by)),
                Some(FileIn::SecretStore(_)) => Some(format!("{} leads to a secret store", own.by)),
                Some(FileIn::ConfigMap(map)) => Some(format!("{} leads to ConfigMap {map}", own.by)),
                Some(FileIn::Federation) => None,
                None => Some(format!("{} has it in its value", own.by)),
            },
            _ => None,
        });
        let Some(by) = by else { continue };
        let declared = world.desired.ksa(name, namespace, account);
        let in_spec = declared.is_some_and(|k| k.account.is_some() || k.has_direct_grants);
        let annotated = match out.seen(
            &format!("the Kubernetes service accounts of cluster {name}"),
            &cluster.ksas,
            Read::ServiceAccounts,
        ) {
            Some(ksas) => ksas.get(&(namespace.clone(), account.to_owned())).and_then(annotation).is_some(),
            None => continue,
        };
        if !(in_spec || annotated) || !told.insert((name, namespace.clone(), account.to_owned())) {
            continue;
        }
        let (subject, place) = world.ksa(name, namespace, account);
        let what = format!("its pod {} has a credential of its own, which wins over the identity", pod.metadata.name);
        let found = out.found(&subject, what, place);
        found.evidence.push(by);
        found.fix = Some("wi migrate".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::*;
    use serde_json::json;

    fn pod(account: &str) -> serde_json::Value {
        json!({ "metadata": { "name": "old", "namespace": "shop" }, "spec": {
            "serviceAccountName": account,
            "volumes": [{ "name": "key", "secret": { "secretName": "web-key" } }],
            "containers": [{ "name": "c",
                "env": [{ "name": "GOOGLE_APPLICATION_CREDENTIALS", "value": "/key/key.json" }],
                "volumeMounts": [{ "name": "key", "mountPath": "/key" }] }] } })
    }

    #[test]
    fn fires_just_does_not_and_cannot_tell() {
        three(
            &super::RULE,
            |w| w.pod(pod("web")),
            // Without an identity there is nothing that could take the key's place yet.
            |w| w.pod(pod("default")),
            |w| w.main().pods = refused(),
        );
        three(
            &super::RULE,
            |w| w.pod(pod("web")),
            |_| {},
            |w| {
                w.pod(pod("web"));
                w.main().ksas = refused();
            },
        );
    }
}
