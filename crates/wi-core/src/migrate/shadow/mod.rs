//! A second Deployment beside one that has a key: the same template without it, one pod, which shows whether the workload
//! can do without before a pod of its own has to. In the dark nothing is sent to it; then it gets a share of the requests.
//!
//! [`labels`] says which labels keep it in the dark, or out of it; [`traps`] what stands against it; [`object`] what it is; [`decide`] what is to
//! be done with it next, by what is live and by nothing else; [`standing`] what its pods prove.

pub mod decide;
pub mod labels;
pub mod object;
pub mod standing;
pub mod traps;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::sha256;
use crate::live::shadows::ShadowSeen;
use crate::names::Email;
use crate::wire::kubernetes::{FIELD_MANAGER, OWNER, ObjectMeta};

/// The annotation of a shadow that says whose it is.
pub const MARK: &str = "wi/shadow-of";

/// The label of a shadow and of its pods; its value is made of the name of the Deployment beside which it stands.
pub const LABEL: &str = "wi/shadow";

/// The longest name of a shadow, and value of its label.
const LONGEST: usize = 63;

/// How far a shadow is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    /// Nothing is sent to it.
    Dark,
    /// It gets a share of the requests.
    Canary,
}

impl Stage {
    /// As the spec calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dark => "shadow",
            Self::Canary => "canary",
        }
    }
}

/// The annotation's value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mark {
    /// The account whose key it does without.
    pub account: Email,
    /// The name of the Deployment beside which it stands.
    pub name: String,
    /// That one's uid.
    pub uid: String,
    /// That one's revision, from whose template it was made.
    pub revision: String,
    /// How far it is.
    pub stage: Stage,
}

impl Mark {
    /// That of an object which `wi` has made: a copy of it has the text from somebody else, and is nobody's shadow.
    pub fn of(meta: &ObjectMeta) -> Option<Self> {
        let mut managers = meta.managed_fields.iter();
        let is_made = managers.any(|m| m.manager == FIELD_MANAGER && m.owns_annotation(MARK));
        let text = meta.annotations.get(MARK).filter(|_| is_made)?;
        serde_json::from_str(text).ok()
    }

    /// As the annotation has it.
    pub fn text(&self) -> String {
        // A map with texts for keys can always be written.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl ShadowSeen {
    /// Its metadata.
    pub fn meta(&self) -> ObjectMeta {
        super::templates::meta(&self.object.0)
    }

    /// Its mark; `None`: it is no shadow of `wi`'s.
    pub fn mark(&self) -> Option<Mark> {
        Mark::of(&self.meta())
    }

    /// The Kubernetes service account of its pods.
    pub fn service_account(&self) -> String {
        let pod = &self.object.0["spec"]["template"]["spec"];
        let of = |field: &str| pod[field].as_str().filter(|name| !name.is_empty());
        let name = of("serviceAccountName").or_else(|| of("serviceAccount"));
        name.unwrap_or("default").to_owned()
    }

    /// The spec that made it.
    pub fn owner(&self) -> Option<String> {
        self.meta().annotations.get(OWNER).cloned()
    }
}

/// The name of the shadow of a Deployment.
pub fn name_of(original: &str) -> String {
    fitting(original, "-wi")
}

/// The value of its label.
pub fn label_of(original: &str) -> String {
    fitting(original, "")
}

/// What is too long ends with a digest of all of it.
fn fitting(name: &str, end: &str) -> String {
    if name.len() + end.len() <= LONGEST {
        return format!("{name}{end}");
    }
    let digest: String = sha256(name.as_bytes()).chars().take(8).collect();
    let kept: String = name
        .chars()
        .take(LONGEST - end.len() - digest.len() - 1)
        .collect();
    format!("{}-{digest}{end}", kept.trim_end_matches(['-', '.', '_']))
}

/// The labels of the pods of a Deployment.
pub fn own_labels(original: &Value) -> BTreeMap<String, String> {
    let labels = &original["spec"]["template"]["metadata"]["labels"];
    serde_json::from_value(labels.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_fit_and_differ() {
        assert_eq!(name_of("web"), "web-wi");
        assert_eq!(label_of("web"), "web");
        let long = format!("{}-a", "x".repeat(62));
        let other = format!("{}-b", "x".repeat(62));
        for name in [name_of(&long), label_of(&long)] {
            assert!(name.len() <= 63, "{name}");
        }
        assert_ne!(name_of(&long), name_of(&other));
        assert_ne!(label_of(&long), label_of(&other));
    }

    #[test]
    fn copied_mark_is_none() {
        let mark = r#"{"account":"a@p.iam.gserviceaccount.com","name":"web","uid":"1","revision":"3","stage":"dark"}"#;
        let of = |manager: &str| -> ObjectMeta {
            let fields = json!({"f:metadata": {"f:annotations": {format!("f:{MARK}"): {}}}});
            serde_json::from_value(json!({
                "annotations": {MARK: mark},
                "managedFields": [{"manager": manager, "operation": "Update", "fieldsV1": fields}],
            }))
            .expect("metadata")
        };
        assert_eq!(Mark::of(&of("wi")).expect("a mark").text(), mark);
        assert_eq!(Mark::of(&of("kubectl-client-side-apply")), None);
    }
}
