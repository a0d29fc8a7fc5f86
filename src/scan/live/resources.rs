//! Custom resources that use a key: a row each, with the fields that name a Secret and the way to do
//! without.

use serde_json::Value;

/// A kind.
#[derive(Debug)]
pub struct Row {
    /// The API group.
    pub group: &'static str,
    /// As in URLs.
    pub plural: &'static str,
    /// As in manifests.
    pub kind: &'static str,
    /// Where Secrets are named: fields with dots between them, `[]` for every element of a list, `**` for
    /// any depth. At its end is an object with `name`, or `secretName`, and perhaps `key` and `namespace`;
    /// or the name itself.
    pub fields: &'static [&'static str],
    /// How it does without a key.
    pub keyless: &'static str,
}

const fn row(
    group: &'static str,
    plural: &'static str,
    kind: &'static str,
    fields: &'static [&'static str],
    keyless: &'static str,
) -> Row {
    Row {
        group,
        plural,
        kind,
        fields,
        keyless,
    }
}

const ESO: &[&str] = &["spec.provider.gcpsm.auth.secretRef.secretAccessKeySecretRef"];
const ESO_KEYLESS: &str =
    "auth.workloadIdentity.serviceAccountRef; that service account needs the roles";
const ISSUER: &[&str] = &["spec.acme.solvers[].dns01.cloudDNS.serviceAccountSecretRef"];
const VELERO: &[&str] = &["spec.credential"];
const VELERO_KEYLESS: &str =
    "no credential, config.serviceAccount, and iam.serviceAccounts.signBlob for the account";
const KEDA: &[&str] = &["spec.secretTargetRef[]"];
const PROVIDER: &[&str] = &["spec.credentials.secretRef"];
const WORKFLOW: &[&str] = &["**.gcs.serviceAccountKeySecret"];
const LOGGING: &[&str] = &["spec.gcs.credentials_json.valueFrom.secretKeyRef"];
const CNPG: &[&str] = &["**.googleCredentials.applicationCredentials"];
const CNPG_KEYLESS: &str = "googleCredentials.gkeEnvironment: true";

/// All kinds that are known.
pub const ROWS: &[Row] = &[
    row(
        "external-secrets.io",
        "secretstores",
        "SecretStore",
        ESO,
        ESO_KEYLESS,
    ),
    row(
        "external-secrets.io",
        "clustersecretstores",
        "ClusterSecretStore",
        ESO,
        ESO_KEYLESS,
    ),
    row(
        "cert-manager.io",
        "issuers",
        "Issuer",
        ISSUER,
        "ambient credentials, which are off for Issuers unless cert-manager is told otherwise: without them renewals fail weeks later",
    ),
    row(
        "cert-manager.io",
        "clusterissuers",
        "ClusterIssuer",
        ISSUER,
        "leave the field out: ambient credentials are on for ClusterIssuers",
    ),
    row(
        "velero.io",
        "backupstoragelocations",
        "BackupStorageLocation",
        VELERO,
        VELERO_KEYLESS,
    ),
    row(
        "velero.io",
        "volumesnapshotlocations",
        "VolumeSnapshotLocation",
        VELERO,
        VELERO_KEYLESS,
    ),
    row(
        "keda.sh",
        "triggerauthentications",
        "TriggerAuthentication",
        KEDA,
        "podIdentity.provider: gcp",
    ),
    row(
        "keda.sh",
        "clustertriggerauthentications",
        "ClusterTriggerAuthentication",
        KEDA,
        "podIdentity.provider: gcp",
    ),
    row(
        "core.cnrm.cloud.google.com",
        "configconnectors",
        "ConfigConnector",
        &["spec.credentialSecretName"],
        "spec.googleServiceAccount",
    ),
    row(
        "gcp.upbound.io",
        "providerconfigs",
        "ProviderConfig",
        PROVIDER,
        "source: InjectedIdentity",
    ),
    row(
        "gcp.crossplane.io",
        "providerconfigs",
        "ProviderConfig",
        PROVIDER,
        "source: InjectedIdentity",
    ),
    row(
        "sparkoperator.k8s.io",
        "sparkapplications",
        "SparkApplication",
        &["spec.driver.secrets[]", "spec.executor.secrets[]"],
        "the service accounts of driver and executor",
    ),
    row(
        "argoproj.io",
        "workflowtemplates",
        "WorkflowTemplate",
        WORKFLOW,
        "leave the field out",
    ),
    row(
        "argoproj.io",
        "cronworkflows",
        "CronWorkflow",
        WORKFLOW,
        "leave the field out",
    ),
    row(
        "argoproj.io",
        "workflows",
        "Workflow",
        WORKFLOW,
        "leave the field out",
    ),
    row(
        "postgresql.cnpg.io",
        "clusters",
        "Cluster",
        CNPG,
        CNPG_KEYLESS,
    ),
    row(
        "barmancloud.cnpg.io",
        "objectstores",
        "ObjectStore",
        CNPG,
        CNPG_KEYLESS,
    ),
    row(
        "source.toolkit.fluxcd.io",
        "buckets",
        "Bucket",
        &["spec.secretRef"],
        "provider: gcp",
    ),
    row(
        "image.toolkit.fluxcd.io",
        "imagerepositories",
        "ImageRepository",
        &["spec.secretRef"],
        "provider: gcp",
    ),
    row(
        "logging.banzaicloud.io",
        "outputs",
        "Output",
        LOGGING,
        "leave the field out",
    ),
    row(
        "logging.banzaicloud.io",
        "clusteroutputs",
        "ClusterOutput",
        LOGGING,
        "leave the field out",
    ),
];

/// A Secret that an object names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    /// Its namespace; empty: that of the object.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The key of its data; `None`: not said.
    pub key: Option<String>,
    /// The field, as in [`Row::fields`].
    pub field: &'static str,
}

/// The Secrets that an object of this kind names.
pub fn secrets_of(row: &Row, object: &Value) -> Vec<Named> {
    let mut found = Vec::new();
    for field in row.fields {
        let mut ends = Vec::new();
        follow(object, field, &mut ends);
        found.extend(ends.into_iter().filter_map(|end| named(end, field)));
    }
    found.sort();
    found.dedup();
    found
}

fn named(end: &Value, field: &'static str) -> Option<Named> {
    let text = |name: &str| end[name].as_str().map(str::to_owned);
    let name = match end {
        Value::String(name) => name.clone(),
        _ => text("name").or_else(|| text("secretName"))?,
    };
    Some(Named {
        namespace: text("namespace").unwrap_or_default(),
        name,
        key: text("key"),
        field,
    })
}

fn follow<'a>(value: &'a Value, path: &str, ends: &mut Vec<&'a Value>) {
    if path.is_empty() {
        if !value.is_null() {
            ends.push(value);
        }
        return;
    }
    let (step, rest) = path.split_once('.').unwrap_or((path, ""));
    if step == "**" {
        anywhere(value, rest, ends);
    } else if let Some(list) = step.strip_suffix("[]") {
        for element in value[list].as_array().into_iter().flatten() {
            follow(element, rest, ends);
        }
    } else if let Some(next) = value.get(step) {
        follow(next, rest, ends);
    }
}

fn anywhere<'a>(value: &'a Value, path: &str, ends: &mut Vec<&'a Value>) {
    follow(value, path, ends);
    match value {
        Value::Object(map) => map.values().for_each(|v| anywhere(v, path, ends)),
        Value::Array(list) => list.iter().for_each(|v| anywhere(v, path, ends)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(kind: &str, object: &Value) -> Vec<String> {
        let row = ROWS.iter().find(|r| r.kind == kind).expect("a row");
        let named = secrets_of(row, object).into_iter();
        named
            .map(|n| format!("{}/{}#{}", n.namespace, n.name, n.key.unwrap_or_default()))
            .collect()
    }

    #[test]
    fn secrets_are_found_in_their_fields() {
        let store = json!({"spec": {"provider": {"gcpsm": {"auth": {"secretRef": {"secretAccessKeySecretRef": {"name": "k", "key": "sa.json", "namespace": "other"}}}}}}});
        assert_eq!(of("SecretStore", &store), ["other/k#sa.json"]);
        let issuer = json!({"spec": {"acme": {"solvers": [{"dns01": {"cloudDNS": {"project": "p", "serviceAccountSecretRef": {"name": "dns", "key": "key.json"}}}}, {"http01": {}}]}}});
        assert_eq!(of("ClusterIssuer", &issuer), ["/dns#key.json"]);
        let workflow = json!({"spec": {"templates": [{"inputs": {"artifacts": [{"gcs": {"serviceAccountKeySecret": {"name": "wf", "key": "k"}}}]}}]}});
        assert_eq!(of("WorkflowTemplate", &workflow), ["/wf#k"]);
        let connector = json!({"spec": {"credentialSecretName": "kcc"}});
        assert_eq!(of("ConfigConnector", &connector), ["/kcc#"]);
        assert!(of("SecretStore", &json!({"spec": {"provider": {"aws": {}}}})).is_empty());
    }
}
