//! What is in Secrets and ConfigMaps. Their bytes stay in memory that is zeroed; what leaves this file is
//! names.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Deserialize;
use wi_keys::Found;
use zeroize::Zeroizing;

use super::Opened;

/// A Secret or a ConfigMap, whose texts are in the bytes that it was read from.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Object<'a> {
    #[serde(borrow)]
    metadata: Meta<'a>,
    #[serde(borrow)]
    data: Option<BTreeMap<Cow<'a, str>, Text<'a>>>,
    #[serde(borrow)]
    binary_data: Option<BTreeMap<Cow<'a, str>, Text<'a>>>,
}

/// A text that is borrowed where JSON does not escape it, and zeroed where it is a copy.
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Cow<'de, str>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Cow<'de, str>, E> {
                Ok(Cow::Borrowed(text))
            }

            fn visit_str<E>(self, text: &str) -> Result<Cow<'de, str>, E> {
                Ok(Cow::Owned(text.to_owned()))
            }
        }
        deserializer.deserialize_str(Visitor).map(Text)
    }
}

impl Drop for Text<'_> {
    fn drop(&mut self) {
        if let Cow::Owned(text) = &mut self.0 {
            zeroize::Zeroize::zeroize(text);
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Meta<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    namespace: Cow<'a, str>,
    #[serde(borrow)]
    creation_timestamp: Cow<'a, str>,
    #[serde(borrow)]
    uid: Cow<'a, str>,
    #[serde(borrow)]
    resource_version: Cow<'a, str>,
    managed_fields: Vec<Managed>,
    owner_references: Vec<Owner>,
    labels: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Managed {
    manager: String,
    time: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Owner {
    kind: String,
    name: String,
}

/// What was found in one object.
pub struct Content {
    pub namespace: String,
    pub name: String,
    pub opened: Opened,
    /// By the key of its data.
    pub found: Vec<(String, Found)>,
    pub is_partial: bool,
}

/// One object. The error does not quote it.
pub fn one(body: &[u8]) -> Result<Content, String> {
    let object: Object<'_> = serde_json::from_slice(body).map_err(|_| unreadable())?;
    Ok(content(object))
}

/// A page of a list, and the token of the next; empty: that was the last.
pub fn page(body: &[u8]) -> Result<(Vec<Content>, String), String> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Page<'a> {
        metadata: ListMeta,
        #[serde(borrow)]
        items: Option<Vec<Object<'a>>>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct ListMeta {
        r#continue: String,
    }
    let page: Page<'_> = serde_json::from_slice(body).map_err(|_| unreadable())?;
    let items = page.items.unwrap_or_default();
    let contents = items.into_iter().map(content).collect();
    Ok((contents, page.metadata.r#continue))
}

fn unreadable() -> String {
    "the answer is not what the API documents".to_owned()
}

fn content(object: Object<'_>) -> Content {
    let data = object.data.unwrap_or_default();
    let binary = object.binary_data.unwrap_or_default();
    // All together, so that an email in one key of the data and a private key in another are joined.
    let length: usize = data
        .iter()
        .chain(&binary)
        .map(|(k, v)| k.len() + v.0.len() + 4)
        .sum();
    let mut text = Zeroizing::new(Vec::with_capacity(length));
    let mut starts: Vec<(usize, &str)> = Vec::new();
    for (key, value) in data.iter().chain(&binary) {
        starts.push((text.len(), key));
        text.extend_from_slice(key.as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value.0.as_bytes());
        text.extend_from_slice(b"\n");
    }
    let scan = wi_keys::scan(&text);
    let found = scan.found.into_iter().map(|found| {
        let at = starts.partition_point(|(start, _)| *start <= found.offset);
        let key = starts.get(at.saturating_sub(1)).map_or("", |(_, key)| key);
        (key.to_owned(), found)
    });
    let found: Vec<(String, Found)> = found.collect();
    let whole = found.iter().filter(|(key, _)| {
        let value = data.get(key.as_str()).or_else(|| binary.get(key.as_str()));
        value.is_some_and(|value| is_one_key(&value.0))
    });
    let whole_keys = whole.map(|(key, _)| key.clone()).collect();
    Content {
        found,
        is_partial: scan.is_partial,
        opened: Opened {
            data: data
                .keys()
                .chain(binary.keys())
                .map(|k| k.clone().into_owned())
                .collect(),
            whole_keys,
            uid: object.metadata.uid.clone().into_owned(),
            version: object.metadata.resource_version.clone().into_owned(),
            changed: changed(&object.metadata),
            made_by: made_by(&object.metadata),
        },
        namespace: object.metadata.namespace.into_owned(),
        name: object.metadata.name.into_owned(),
    }
}

/// Whether a Secret's value is a key file and nothing beside.
fn is_one_key(value: &str) -> bool {
    #[derive(Deserialize)]
    struct File<'a> {
        #[serde(borrow, rename = "type")]
        kind: Cow<'a, str>,
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(value.len()));
    let decoded = STANDARD.decode_vec(value, &mut bytes);
    decoded.is_ok()
        && serde_json::from_slice::<File<'_>>(&bytes).is_ok_and(|f| f.kind == "service_account")
}

/// When it was last written, as far as its managers tell.
fn changed(meta: &Meta<'_>) -> Option<Timestamp> {
    let times = meta.managed_fields.iter().map(|m| m.time.as_str());
    let times = times.chain([&*meta.creation_timestamp]);
    times.filter_map(|t| t.parse().ok()).max()
}

/// Tools that make Secrets, by the manager or the label that they leave.
const MAKERS: [(&str, &str); 8] = [
    ("helm", "Helm"),
    ("argocd-controller", "Argo CD"),
    ("kustomize-controller", "Flux"),
    ("external-secrets", "External Secrets"),
    ("Terraform", "Terraform"),
    ("HashiCorp", "Terraform"),
    ("configmanagement.gke.io", "Config Sync"),
    ("secrets-store.csi.k8s.io", "the Secrets Store CSI driver"),
];

/// What would make it again, or change it back.
fn made_by(meta: &Meta<'_>) -> Option<String> {
    if let Some(owner) = meta.owner_references.first() {
        return Some(format!("{} {}", owner.kind, owner.name));
    }
    let managers = meta.managed_fields.iter().map(|m| m.manager.as_str());
    let labels = meta
        .labels
        .iter()
        .flat_map(|(k, v)| [k.as_str(), v.as_str()]);
    let mut marks = managers.chain(labels);
    marks.find_map(|mark| {
        let maker = MAKERS.iter().find(|(part, _)| mark.starts_with(part));
        maker.map(|(_, name)| (*name).to_owned())
    })
}
