//! Changes as the resources that Terraform's Google and Kubernetes providers know: their types and
//! the names of their arguments, so that policies written for those hold here, too.

use serde_json::{Map, Value, json};
use wi_core::names::ClusterPath;
use wi_core::plan::{AccountChange, Action, Attribute, Change, KubeChange, What};
use wi_core::resource::Resource;
use wi_core::wire::kubernetes::ObjectMeta;
use wi_core::wire::upgrade::UpgradeSettings;

/// A change's resource.
pub(super) struct Values {
    pub kind: String,
    pub before: Option<Map<String, Value>>,
    pub after: Option<Map<String, Value>>,
    pub removal: Option<&'static str>,
}

/// The type in Terraform's Google provider, and its arguments for the names of the resource.
/// `*` stands for all names, joined.
const IAM_MEMBERS: [(&str, &str, &[&str]); 25] = [
    ("project", "project", &["project"]),
    ("folder", "folder", &["folder"]),
    ("organization", "organization", &["org_id"]),
    ("serviceaccount", "service_account", &["service_account_id"]),
    ("bucket", "storage_bucket", &["bucket"]),
    (
        "managedfolder",
        "storage_managed_folder",
        &["bucket", "managed_folder"],
    ),
    ("secret", "secret_manager_secret", &["project", "secret_id"]),
    (
        "regional-secret",
        "secret_manager_regional_secret",
        &["project", "location", "secret_id"],
    ),
    ("topic", "pubsub_topic", &["project", "topic"]),
    (
        "subscription",
        "pubsub_subscription",
        &["project", "subscription"],
    ),
    ("dataset", "bigquery_dataset", &["project", "dataset_id"]),
    (
        "table",
        "bigquery_table",
        &["project", "dataset_id", "table_id"],
    ),
    ("keyring", "kms_key_ring", &["key_ring_id", "*"]),
    ("key", "kms_crypto_key", &["crypto_key_id", "*"]),
    (
        "spanner-instance",
        "spanner_instance",
        &["project", "instance"],
    ),
    (
        "spanner",
        "spanner_database",
        &["project", "instance", "database"],
    ),
    (
        "repository",
        "artifact_registry_repository",
        &["project", "location", "repository"],
    ),
    (
        "run",
        "cloud_run_v2_service",
        &["project", "location", "name"],
    ),
    (
        "run-job",
        "cloud_run_v2_job",
        &["project", "location", "name"],
    ),
    (
        "queue",
        "cloud_tasks_queue",
        &["project", "location", "name"],
    ),
    (
        "function",
        "cloudfunctions2_function",
        &["project", "location", "cloud_function"],
    ),
    (
        "bigtable-instance",
        "bigtable_instance",
        &["project", "instance"],
    ),
    (
        "bigtable",
        "bigtable_table",
        &["project", "instance", "table"],
    ),
    ("snapshot", "pubsub_snapshot", &["project", "snapshot"]),
    ("schema", "pubsub_schema", &["project", "schema"]),
];

/// The resource of a change, before and after.
pub(super) fn of(change: &Change) -> Values {
    let mut removal = None;
    let (kind, before, after) = match &change.what {
        What::ClusterPool {
            path, before, pool, ..
        } => {
            let values = |pool: &str| {
                let mut values = cluster(path);
                let config = if pool.is_empty() {
                    json!([])
                } else {
                    json!([{ "workload_pool": pool }])
                };
                values.insert("workload_identity_config".to_owned(), config);
                values
            };
            (
                "google_container_cluster".to_owned(),
                values(before),
                values(pool),
            )
        }
        What::NodePool {
            path,
            node_pool,
            before,
            ..
        } => {
            let values = |mode: &str| {
                let mut values = node_pool_of(path, node_pool);
                let config = if mode.is_empty() {
                    json!([{ "workload_metadata_config": [] }])
                } else {
                    json!([{ "workload_metadata_config": [{ "mode": mode }] }])
                };
                values.insert("node_config".to_owned(), config);
                values
            };
            (
                "google_container_node_pool".to_owned(),
                values(before),
                values(wi_core::desired::GKE_METADATA),
            )
        }
        What::RestoreSettings {
            path,
            node_pool,
            own,
            ..
        } => {
            let mut after = node_pool_of(path, node_pool);
            after.insert("upgrade_settings".to_owned(), upgrade_settings(own));
            (
                "google_container_node_pool".to_owned(),
                node_pool_of(path, node_pool),
                after,
            )
        }
        What::Account {
            project,
            email,
            change: what,
        } => {
            removal = match what {
                AccountChange::Disable => Some("disable"),
                AccountChange::Delete => Some("delete"),
                _ => None,
            };
            let values = |side: fn(&Attribute) -> Option<&String>| {
                let mut values = Map::new();
                values.insert("project".to_owned(), project.to_string().into());
                values.insert("account_id".to_owned(), email.account_id().into());
                values.insert("email".to_owned(), email.to_string().into());
                overlay(&mut values, &change.attributes, side);
                values
            };
            (
                "google_service_account".to_owned(),
                values(|a| a.before.as_ref()),
                values(|a| a.after.as_ref()),
            )
        }
        What::Binding { key, members } => {
            let (kind, mut values) = iam_member(&key.resource);
            values.insert("role".to_owned(), key.role.to_string().into());
            let member = members.first().cloned().unwrap_or_default();
            values.insert("member".to_owned(), member.into());
            if let Some(c) = &key.condition {
                let condition = json!([{
                    "title": c.title,
                    "description": c.description,
                    "expression": c.expression,
                }]);
                values.insert("condition".to_owned(), condition);
            }
            (kind, values.clone(), values)
        }
        What::Namespace(write) => {
            let (before, after) = kubernetes(write);
            ("kubernetes_namespace".to_owned(), before, after)
        }
        What::Ksa { change: write, .. } => {
            let (before, after) = kubernetes(write);
            ("kubernetes_service_account".to_owned(), before, after)
        }
    };
    Values {
        kind,
        before: (change.action != Action::Create).then_some(before),
        after: (change.action != Action::Delete).then_some(after),
        removal,
    }
}

fn cluster(path: &ClusterPath) -> Map<String, Value> {
    let mut values = Map::new();
    values.insert("project".to_owned(), path.project.to_string().into());
    values.insert("location".to_owned(), path.location.clone().into());
    values.insert("name".to_owned(), path.name.clone().into());
    values
}

fn node_pool_of(path: &ClusterPath, node_pool: &str) -> Map<String, Value> {
    let mut values = cluster(path);
    values.insert("cluster".to_owned(), path.name.clone().into());
    values.insert("name".to_owned(), node_pool.into());
    values
}

fn upgrade_settings(settings: &UpgradeSettings) -> Value {
    json!([{
        "strategy": settings.strategy,
        "max_surge": settings.max_surge,
        "max_unavailable": settings.max_unavailable,
    }])
}

/// Attributes by their API names, in Terraform's spelling.
fn overlay(
    values: &mut Map<String, Value>,
    attributes: &[Attribute],
    side: fn(&Attribute) -> Option<&String>,
) {
    for attribute in attributes {
        let name = match attribute.name.as_str() {
            "displayName" => "display_name",
            "email" | "description" | "disabled" => &attribute.name,
            _ => continue,
        };
        let value = match side(attribute).map(String::as_str) {
            Some(text @ ("true" | "false")) if name == "disabled" => (text == "true").into(),
            Some(text) => text.into(),
            None => Value::Null,
        };
        values.insert(name.to_owned(), value);
    }
}

fn iam_member(resource: &Resource) -> (String, Map<String, Value>) {
    let short = resource.kind().short;
    let names = resource.names();
    let mut values = Map::new();
    let Some((_, kind, arguments)) = IAM_MEMBERS.iter().find(|(s, ..)| *s == short) else {
        values.insert("resource".to_owned(), resource.full_name().into());
        return (
            format!("google_{}_iam_member", short.replace('-', "_")),
            values,
        );
    };
    match (resource, arguments) {
        (Resource::ServiceAccount(email), _) => {
            let project = email.project().map_or("-".to_owned(), |p| p.to_string());
            let id = format!("projects/{project}/serviceAccounts/{email}");
            values.insert(arguments[0].to_owned(), id.into());
        }
        (_, [argument, "*"]) => {
            values.insert((*argument).to_owned(), names.join("/").into());
        }
        _ => {
            for (argument, name) in arguments.iter().zip(&names) {
                let value = match *argument {
                    "folder" => format!("folders/{name}"),
                    _ => name.clone(),
                };
                values.insert((*argument).to_owned(), value.into());
            }
        }
    }
    (format!("google_{kind}_iam_member"), values)
}

/// Labels and annotations that `wi` sets; those of others are nobody's business here.
fn kubernetes(write: &KubeChange) -> (Map<String, Value>, Map<String, Value>) {
    let wrap = |metadata: Value| {
        let mut values = Map::new();
        values.insert("metadata".to_owned(), json!([metadata]));
        values
    };
    let before = write.before.as_ref().map_or(Value::Null, ours);
    let after = write.object.as_ref().map_or(Value::Null, |object| {
        let metadata = &object["metadata"];
        let mut shown = Map::new();
        for key in ["name", "namespace", "labels", "annotations"] {
            if let Some(value) = metadata.get(key) {
                shown.insert(key.to_owned(), value.clone());
            }
        }
        Value::Object(shown)
    });
    (wrap(before), wrap(after))
}

fn ours(meta: &ObjectMeta) -> Value {
    use wi_core::desired::GSA_ANNOTATION;
    use wi_core::plan::marks::{ADOPTED, MANAGED_BY, OWNER};
    let told = |values: &std::collections::BTreeMap<String, String>| -> Map<String, Value> {
        values
            .iter()
            .filter(|(k, _)| [OWNER, ADOPTED, MANAGED_BY, GSA_ANNOTATION].contains(&k.as_str()))
            .map(|(k, v)| (k.clone(), v.clone().into()))
            .collect()
    };
    let mut shown = json!({
        "name": meta.name,
        "labels": told(&meta.labels),
        "annotations": told(&meta.annotations),
    });
    if !meta.namespace.is_empty() {
        shown["namespace"] = meta.namespace.clone().into();
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use wi_core::resource::KINDS;

    #[test]
    fn every_kind_of_resource_has_its_type_and_arguments() {
        for kind in &KINDS {
            let (_, name, arguments) = IAM_MEMBERS
                .iter()
                .find(|(short, ..)| *short == kind.short)
                .unwrap_or_else(|| panic!("{} has no row", kind.short));
            let names = kind.full.matches("{}").count();
            assert!(
                arguments.last() == Some(&"*") || arguments.len() == names,
                "{name}: {arguments:?} for {names} names"
            );
        }
    }
}
