//! As Config Connector and Kubernetes have it: YAML documents.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::names::Names;
use super::project_of;
use crate::address::BindingKey;
use crate::desired::{Desired, GSA_ANNOTATION};
use crate::names::Member;
use crate::resource::Resource;

const VERSION: &str = "iam.cnrm.cloud.google.com/v1beta1";

/// Documents of YAML; a resource that is deleted again is left alone at Google (`deletion-policy: abandon`).
///
/// # Errors
///
/// The number of a workload pool's project is not among `numbers`, by the pool's name.
pub fn config_connector(
    desired: &Desired,
    numbers: &BTreeMap<String, u64>,
) -> Result<String, String> {
    let mut documents = Vec::new();
    let mut names = Names::new('-', 200);
    let annotations = |project: &str| {
        json!({
            "cnrm.cloud.google.com/project-id": project,
            "cnrm.cloud.google.com/deletion-policy": "abandon",
        })
    };
    for account in desired.accounts.values().filter(|a| a.managed) {
        let mut spec = json!({ "resourceID": account.email.account_id() });
        if let Some(display_name) = &account.display_name {
            spec["displayName"] = display_name.clone().into();
        }
        documents.push((
            String::new(),
            json!({
                "apiVersion": VERSION, "kind": "IAMServiceAccount",
                "metadata": { "name": names.give(account.email.account_id()), "annotations": annotations(account.project.as_str()) },
                "spec": spec,
            }),
        ));
    }
    let mut names = Names::new('-', 200);
    for key in desired.bindings.keys() {
        let short = key.role.as_str().rsplit('/').next().unwrap_or_default();
        let Some(reference) = reference(&key.resource) else {
            documents.push((
                format!(
                    "# {} of {} on {}: wi knows no IAMPolicyMember for it",
                    key.role, key.member, key.resource
                ),
                Value::Null,
            ));
            continue;
        };
        let Some(member) = member(key, numbers)? else {
            continue;
        };
        let mut spec =
            json!({ "member": member, "role": key.role.as_str(), "resourceRef": reference });
        if let Some(condition) = &key.condition {
            let mut of = json!({ "title": condition.title, "expression": condition.expression });
            if !condition.description.is_empty() {
                of["description"] = condition.description.clone().into();
            }
            spec["condition"] = of;
        }
        let name = names.give(&format!("{}-{short}-{}", key.member, key.resource));
        documents.push((
            String::new(),
            json!({
                "apiVersion": VERSION, "kind": "IAMPolicyMember",
                "metadata": { "name": name, "annotations": { "cnrm.cloud.google.com/deletion-policy": "abandon" } },
                "spec": spec,
            }),
        ));
    }
    // What is the same on several clusters is one document.
    let mut ksas: BTreeMap<String, (Value, BTreeSet<&str>)> = BTreeMap::new();
    for (key, ksa) in desired.ksas.iter().filter(|(_, ksa)| !ksa.existing) {
        let mut metadata =
            json!({ "name": key.name.as_str(), "namespace": key.namespace.as_str() });
        if let Some(account) = &ksa.account {
            metadata["annotations"] = json!({ GSA_ANNOTATION: account.as_str() });
        }
        let object = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata });
        let of = ksas
            .entry(object.to_string())
            .or_insert((object, BTreeSet::new()));
        of.1.insert(&key.cluster);
    }
    for (object, on) in ksas.into_values() {
        let on: Vec<&str> = on.into_iter().collect();
        documents.push((format!("# on {}", on.join(", ")), object));
    }
    let mut out = String::from(
        "# What the spec asks for, for Config Connector and Kubernetes. What is there already is taken over by its name.\n",
    );
    for (remark, document) in documents {
        if !document.is_null() {
            out.push_str("---\n");
        }
        if !remark.is_empty() {
            out.push_str(&remark);
            out.push('\n');
        }
        if !document.is_null() {
            // JSON is YAML: each document is one value, whatever texts are in it.
            out.push_str(&format!("{document:#}\n"));
        }
    }
    Ok(out)
}

/// A member as IAM writes it; `None`: nobody any more.
fn member(key: &BindingKey, numbers: &BTreeMap<String, u64>) -> Result<Option<String>, String> {
    let number = |pool: &str| {
        let number = numbers.get(pool).copied();
        number.ok_or_else(|| {
            format!(
                "the number of the project {} is not known",
                project_of(pool)
            )
        })
    };
    Ok(Some(match &key.member {
        Member::ServiceAccount(email) => format!("serviceAccount:{email}"),
        Member::Ksa(ksa) if key.is_impersonation() => ksa.legacy_member(),
        Member::Ksa(ksa) => ksa.principal(number(&ksa.pool)?),
        Member::Set(set) => set.member(number(&set.pool)?),
        Member::Other(member) => member.clone(),
        Member::DeletedServiceAccount { .. } => return Ok(None),
    }))
}

/// How Config Connector refers to a resource that it has not made.
fn reference(resource: &Resource) -> Option<Value> {
    let names = resource.names();
    let full = resource.full_name();
    // `//SERVICE/projects/…`.
    let relative = full.trim_start_matches("//").split_once('/')?.1;
    let (kind, external) = match resource.kind().short {
        "project" => ("Project", format!("projects/{}", names.first()?)),
        "folder" => ("Folder", format!("folders/{}", names.first()?)),
        "organization" => ("Organization", names.first()?.clone()),
        "serviceaccount" => {
            let Resource::ServiceAccount(email) = resource else {
                return None;
            };
            let project = email.project()?;
            (
                "IAMServiceAccount",
                format!("projects/{project}/serviceAccounts/{email}"),
            )
        }
        "bucket" => ("StorageBucket", names.first()?.clone()),
        "secret" => ("SecretManagerSecret", relative.to_owned()),
        "topic" => ("PubSubTopic", relative.to_owned()),
        "subscription" => ("PubSubSubscription", relative.to_owned()),
        "dataset" => ("BigQueryDataset", relative.to_owned()),
        "keyring" => ("KMSKeyRing", relative.to_owned()),
        "key" => ("KMSCryptoKey", relative.to_owned()),
        "repository" => ("ArtifactRegistryRepository", relative.to_owned()),
        _ => return None,
    };
    Some(json!({ "kind": kind, "external": external }))
}
