//! What namespaces and Kubernetes service accounts have in common: the object as it was, and the whole
//! configuration that is applied.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::desired::GSA_ANNOTATION;
use crate::digest::sha256;
use crate::names::KubeName;
use crate::plan::Attribute;
use crate::plan::ownership::{ADOPTED, FORMER, MANAGED_BY, OWNER, copied_mark};
use crate::wire::kubernetes::{FIELD_MANAGER, ObjectMeta};

/// Labels and annotations whose values are told; of all others only that they changed.
const TOLD: [&str; 5] = [MANAGED_BY, OWNER, ADOPTED, FORMER, GSA_ANNOTATION];

/// An object as the plan saw it. Anything can be in labels and annotations of other tools, a secret too:
/// of their values there is `value DIGEST`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Was {
    /// Another object of the same name has another one.
    pub uid: String,
    /// The server's version of it.
    pub resource_version: String,
    /// By key.
    pub labels: BTreeMap<String, String>,
    /// By key.
    pub annotations: BTreeMap<String, String>,
    /// Whether it is being deleted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub going: bool,
    /// Who else than `wi` owns the annotation that names the Google service account. It is changed without
    /// their consent only where the object is ours, and stays theirs when it is released.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub annotation_managers: Vec<String>,
    /// Whether the mark that it carries is not `wi`'s own writing, and so does not count.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub copied_mark: bool,
}

/// To whom the server gives all that an object has which nobody is named for, when it is applied for the
/// first time: one that was made without labels and annotations (`kubectl create serviceaccount`) has no
/// `managedFields`, nor gets any by later updates (`kubectl annotate`).
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// Field managers other than `wi` that own the Google service account annotation, if it is set.
pub(in crate::plan) fn annotation_managers(meta: &ObjectMeta) -> Vec<String> {
    if !meta.annotations.contains_key(GSA_ANNOTATION) {
        return Vec::new();
    }
    let entries = meta.managed_fields.iter();
    let owners = entries.filter(|m| m.owns_annotation(GSA_ANNOTATION));
    let owners: BTreeSet<&str> = owners.map(|m| m.manager.as_str()).collect();
    if owners.is_empty() {
        return vec![BEFORE_FIRST_APPLY.to_owned()]; // it is somebody's, all the same
    }
    let others = owners.into_iter().filter(|m| *m != FIELD_MANAGER);
    others.map(str::to_owned).collect()
}

impl From<&ObjectMeta> for Was {
    fn from(meta: &ObjectMeta) -> Self {
        let told = |values: &BTreeMap<String, String>| {
            let shown = |(key, value): (&String, &String)| {
                let value = if TOLD.contains(&key.as_str()) {
                    value.clone()
                } else {
                    format!("value {}", &sha256(value.as_bytes())[..12])
                };
                (key.clone(), value)
            };
            values.iter().map(shown).collect()
        };
        Self {
            uid: meta.uid.clone(),
            resource_version: meta.resource_version.clone(),
            labels: told(&meta.labels),
            annotations: told(&meta.annotations),
            going: !meta.deletion_timestamp.is_empty(),
            annotation_managers: annotation_managers(meta),
            copied_mark: copied_mark(meta).is_some(),
        }
    }
}

impl Was {
    /// The spec whose mark it carries, where that counts.
    pub fn owner(&self) -> Option<&str> {
        let mark = self.annotations.get(OWNER).map(String::as_str);
        mark.filter(|_| !self.copied_mark)
    }

    /// The Google service account in its annotation, as it is written there.
    pub fn account(&self) -> Option<&str> {
        self.annotations.get(GSA_ANNOTATION).map(String::as_str)
    }

    /// Whether nobody else than `wi` owns the annotation that is there.
    pub fn annotation_is_ours(&self) -> bool {
        self.account().is_some() && self.annotation_managers.is_empty()
    }

    /// The Google service account that it acted as before this spec had it, where another one is written now.
    pub fn former_account(&self) -> Option<&str> {
        self.annotations.get(FORMER).map(String::as_str)
    }

    /// As a plan rests on it.
    pub fn state(&self) -> Value {
        let mut state = json!({
            "uid": self.uid,
            "labels": self.labels,
            "annotations": self.annotations,
        });
        if self.going {
            state["beingDeleted"] = true.into();
        }
        if !self.annotation_managers.is_empty() {
            state["annotationOwnedBy"] = json!(self.annotation_managers);
        }
        if self.copied_mark {
            state["markIsCopied"] = true.into();
        }
        state
    }

    /// Just that it was there.
    pub(super) fn timeless(&self) -> Self {
        Self::default()
    }

    fn ours(values: &BTreeMap<String, String>) -> Map<String, Value> {
        let is_ours = |(k, _): &(&String, &String)| TOLD.contains(&k.as_str());
        let ours = values.iter().filter(is_ours);
        ours.map(|(k, v)| (k.clone(), v.clone().into())).collect()
    }
}

/// The whole configuration of an object with the marks of `owner`.
pub(super) fn configuration(
    kind: &str,
    name: &KubeName,
    namespace: Option<&KubeName>,
    owner: &str,
    account: Option<&str>,
    adopted: bool,
) -> Value {
    let mut annotations = Map::new();
    annotations.insert(OWNER.to_owned(), owner.into());
    if let Some(account) = account {
        annotations.insert(GSA_ANNOTATION.to_owned(), account.into());
    }
    if adopted {
        annotations.insert(ADOPTED.to_owned(), "true".into());
    }
    let mut metadata = json!({
        "name": name.as_str(),
        "labels": { MANAGED_BY: "wi" },
        "annotations": annotations,
    });
    if let Some(namespace) = namespace {
        metadata["namespace"] = namespace.as_str().into();
    }
    json!({"apiVersion": "v1", "kind": kind, "metadata": metadata})
}

/// A configuration without any field of ours, which releases an object.
pub(super) fn released(kind: &str, name: &KubeName, namespace: Option<&KubeName>) -> Value {
    let mut metadata = json!({ "name": name.as_str() });
    if let Some(namespace) = namespace {
        metadata["namespace"] = namespace.as_str().into();
    }
    json!({"apiVersion": "v1", "kind": kind, "metadata": metadata})
}

/// What becomes of an annotation, if anything.
pub(super) fn annotation(name: &str, was: Option<&Was>, after: Option<&str>) -> Option<Attribute> {
    let before = match name {
        OWNER => was.and_then(Was::owner),
        _ => was
            .and_then(|w| w.annotations.get(name))
            .map(String::as_str),
    };
    let shown = before.map(|value| if value.is_empty() { "\"\"" } else { value }); // set, to nothing
    (before != after).then(|| Attribute::new(name, shown, after))
}

/// As Terraform has it: `metadata`, before.
pub(super) fn terraform_before(
    was: Option<&Was>,
    name: &KubeName,
    namespace: Option<&KubeName>,
) -> Map<String, Value> {
    let metadata = was.map_or(Value::Null, |was| {
        let mut shown = json!({
            "name": name.as_str(),
            "labels": Was::ours(&was.labels),
            "annotations": Was::ours(&was.annotations),
        });
        if let Some(namespace) = namespace {
            shown["namespace"] = namespace.as_str().into();
        }
        shown
    });
    Map::from_iter([("metadata".to_owned(), json!([metadata]))])
}

/// As Terraform has it: `metadata`, after. Labels and annotations of others are nobody's business here.
pub(super) fn terraform_after(configuration: Option<Value>) -> Map<String, Value> {
    let metadata = configuration.map_or(Value::Null, |mut object| object["metadata"].take());
    Map::from_iter([("metadata".to_owned(), json!([metadata]))])
}
