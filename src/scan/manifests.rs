//! What files say of keys that are elsewhere: workloads that expect one, and things that make some.
//!
//! Only files with a word of it are read as YAML, and only what may be shown is kept.

use memchr::memmem;
use serde::Deserialize;
use wi_core::access::{Way, secret_uses};
use wi_core::live::ConfigMaps;
use wi_core::wire::kubernetes::ObjectMeta;
use wi_core::wire::workloads::{WorkloadObject, WorkloadSpec};

/// What files say.
#[derive(Debug, Default)]
pub struct Manifests {
    /// Containers whose variable or flag leads to a Secret.
    pub references: Vec<Reference>,
    /// What makes keys.
    pub makers: Vec<Maker>,
    /// What makes Secrets whose content cannot be seen here.
    pub producers: Vec<Maker>,
}

/// A container that expects a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// The file, and the line that the object begins with.
    pub path: String,
    /// From 1 on.
    pub line: u32,
    /// `Deployment shop/checkout`.
    pub object: String,
    /// The container's name.
    pub container: String,
    /// The variable or flag.
    pub by: String,
    /// The Secret's name.
    pub secret: String,
}

/// Something that makes keys or Secrets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Maker {
    /// The file.
    pub path: String,
    /// From 1 on.
    pub line: u32,
    /// `SealedSecret shop/key`, `google_service_account_key.checkout`.
    pub what: String,
}

/// Kinds of objects that make keys of service accounts.
const MAKERS: [&str; 3] = ["IAMServiceAccountKey", "GcpSaKey", "ServiceAccountKey"];

/// Kinds of objects that make a Secret of something that is not readable here.
const PRODUCERS: [&str; 3] = ["SealedSecret", "ExternalSecret", "ClusterExternalSecret"];

/// The largest document that is read as YAML, in bytes.
const LARGEST: usize = 1 << 20;

impl Manifests {
    pub(super) fn take(&mut self, other: Self) {
        self.references.extend(other.references);
        self.makers.extend(other.makers);
        self.producers.extend(other.producers);
    }

    pub(super) fn sort(&mut self) {
        self.references.sort();
        self.makers.sort();
        self.producers.sort();
    }
}

/// Looks at one file. What is no YAML (a template of Helm's) says nothing.
pub(super) fn read(path: &str, text: &[u8], manifests: &mut Manifests) {
    let ends = |endings: &[&str]| endings.iter().any(|e| path.ends_with(e));
    if ends(&[".tf", ".tf.json"]) {
        terraform(path, text, manifests);
    }
    let words = MAKERS.iter().chain(&PRODUCERS).copied();
    let mut words = words.chain(wi_core::access::credential_variables());
    if !ends(&[".yaml", ".yml", ".json"])
        || memmem::find(text, b"kind").is_none()
        || !words.any(|w| memmem::find(text, w.as_bytes()).is_some())
    {
        return;
    }
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    let mut line = 1;
    for document in documents(text) {
        if document.len() <= LARGEST
            && let Ok(object) = serde_saphyr::from_str::<Object>(document)
        {
            let blank = document
                .lines()
                .take_while(|l| l.trim().is_empty() || l.starts_with("---"));
            let line = line + u32::try_from(blank.count()).unwrap_or_default();
            of_object(path, line, object, manifests);
        }
        line += super::lines(document.as_bytes());
    }
}

/// The fields that are looked at, of an object of any kind. Data of Secrets is not among them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Object {
    kind: String,
    metadata: ObjectMeta,
    spec: Option<serde_json::Value>,
}

/// The documents of a stream of YAML, each with the line that divides it from the one before.
fn documents(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.get(1..).and_then(|r| r.find("\n---"));
        let (document, after) = rest.split_at(end.map_or(rest.len(), |e| e + 2));
        rest = after;
        Some(document)
    })
}

fn of_object(path: &str, line: u32, object: Object, manifests: &mut Manifests) {
    let metadata = object.metadata;
    let namespace = match metadata.namespace.as_str() {
        "" => String::new(),
        name => format!("{name}/"),
    };
    let what = format!("{} {namespace}{}", object.kind, metadata.name);
    let maker = |what: &str| Maker {
        path: path.to_owned(),
        line,
        what: what.to_owned(),
    };
    if MAKERS.contains(&object.kind.as_str()) {
        manifests.makers.push(maker(&what));
    }
    if PRODUCERS.contains(&object.kind.as_str()) {
        manifests.producers.push(maker(&what));
    }
    let Some(Ok(spec)) = object.spec.map(serde_json::from_value::<WorkloadSpec>) else {
        return;
    };
    let namespace = metadata.namespace.clone();
    let workload = WorkloadObject {
        metadata,
        spec,
        ..WorkloadObject::default()
    };
    let pod = &workload.template(&object.kind).spec;
    if pod.containers.is_empty() {
        return;
    }
    for used in secret_uses(pod, &namespace, &ConfigMaps::new()) {
        if let Way::Leads { by, .. } = used.way {
            manifests.references.push(Reference {
                path: path.to_owned(),
                line,
                object: what.clone(),
                container: used.container,
                by,
                secret: used.secret,
            });
        }
    }
}

/// `resource "google_service_account_key" "NAME"`.
fn terraform(path: &str, text: &[u8], manifests: &mut Manifests) {
    const KIND: &[u8] = b"\"google_service_account_key\"";
    for at in memmem::find_iter(text, KIND) {
        let line_start = memchr::memrchr(b'\n', &text[..at]).map_or(0, |p| p + 1);
        if !text[line_start..at]
            .trim_ascii_start()
            .starts_with(b"resource")
        {
            continue;
        }
        let name = text[at + KIND.len()..].split(|b| *b == b'"').nth(1);
        let name = String::from_utf8_lossy(name.unwrap_or_default());
        manifests.makers.push(Maker {
            path: path.to_owned(),
            line: super::lines(&text[..at]) + 1,
            what: format!("google_service_account_key.{name}"),
        });
    }
}
