//! Reads what `kubectl create namespace`, `create serviceaccount`, `create token`, `create pdb` and `auth can-i` send
//! since 1.32: Kubernetes protobuf (generated.proto of k8s.io/api/core/v1, policy/v1 and others). Of the metadata,
//! only names, labels, annotations and the lock fields are there to read in such requests.

use serde_json::{Map, Value, json};

use super::kind::Kind;

/// What the envelope `runtime.Unknown` begins with.
const MAGIC: &[u8] = b"k8s\0";

/// The object as JSON, `None` for a kind or an encoding that is not read here.
pub fn object(kind: Kind, body: &[u8]) -> Option<Value> {
    let raw = bytes(body.strip_prefix(MAGIC)?, 2)?;
    let mut object = json!({
        "apiVersion": kind.api_version(),
        "kind": kind.name(),
        "metadata": metadata(bytes(raw, 1).unwrap_or_default())?,
    });
    match kind {
        Kind::Namespace => {}
        Kind::ServiceAccount => {
            for field in fields(raw)? {
                match field {
                    (4, Wire::Number(automount)) => {
                        object["automountServiceAccountToken"] = json!(automount != 0);
                    }
                    (1, _) => {}
                    _ => return None,
                }
            }
        }
        Kind::PodDisruptionBudget => {
            object["spec"] = budget_spec(bytes(raw, 2).unwrap_or_default())?;
        }
        // Their specs are not decoded, and must not be lost in silence.
        _ => return None,
    }
    Some(object)
}

/// What matters here of a `meta.v1.DeleteOptions`, which client-go sends with deletes.
#[derive(Debug, Default)]
pub struct DeleteOptions {
    pub uid: Option<String>,
    pub resource_version: Option<String>,
    pub propagation: Option<String>,
    pub grace_period_seconds: Option<i64>,
    pub dry_run: bool,
}

/// Reads a `meta.v1.DeleteOptions`; `None` for another encoding.
pub fn delete_options(body: &[u8]) -> Option<DeleteOptions> {
    let raw = bytes(body.strip_prefix(MAGIC)?, 2).unwrap_or_default();
    let mut options = DeleteOptions::default();
    for field in fields(raw)? {
        match field {
            (2, Wire::Bytes(preconditions)) => {
                let read = |number| bytes(preconditions, number).and_then(text);
                options.uid = read(1).filter(|uid| !uid.is_empty()).map(str::to_owned);
                options.resource_version = read(2).filter(|v| !v.is_empty()).map(str::to_owned);
            }
            (1, Wire::Number(seconds)) => {
                options.grace_period_seconds = i64::try_from(seconds).ok()
            }
            (4, Wire::Bytes(policy)) => options.propagation = text(policy).map(str::to_owned),
            (5, Wire::Bytes(stage)) => options.dry_run |= stage == b"All",
            _ => {}
        }
    }
    Some(options)
}

/// The spec of a `TokenRequest` (k8s.io/api/authentication/v1), which `kubectl create token` sends.
pub fn token_request(body: &[u8]) -> Option<Value> {
    let raw = bytes(body.strip_prefix(MAGIC)?, 2)?;
    let (mut spec, mut audiences) = (json!({}), Vec::new());
    for field in fields(bytes(raw, 2).unwrap_or_default())? {
        match field {
            (1, Wire::Bytes(audience)) => audiences.push(text(audience)?),
            (3, Wire::Bytes(object)) => {
                let read =
                    |number| Some(text(bytes(object, number).unwrap_or_default())?.to_owned());
                spec["boundObjectRef"] = json!({
                    "kind": read(1)?, "apiVersion": read(2)?, "name": read(3)?, "uid": read(4)?,
                });
            }
            (4, Wire::Number(seconds)) => spec["expirationSeconds"] = json!(seconds.cast_signed()),
            _ => return None,
        }
    }
    spec["audiences"] = json!(audiences);
    Some(json!({ "kind": "TokenRequest", "spec": spec }))
}

/// The spec of a `SelfSubjectAccessReview` (k8s.io/api/authorization/v1), which `kubectl auth can-i` sends.
pub fn access_review(body: &[u8]) -> Option<Value> {
    let raw = bytes(body.strip_prefix(MAGIC)?, 2)?;
    let spec = bytes(raw, 2).unwrap_or_default();
    let read = |message: &[u8], names: &[(u64, &str)]| -> Option<Value> {
        let mut found = Map::new();
        for (number, name) in names {
            let value = text(bytes(message, *number).unwrap_or_default())?;
            found.insert((*name).to_owned(), json!(value));
        }
        Some(Value::Object(found))
    };
    let mut review = json!({ "kind": "SelfSubjectAccessReview", "spec": {} });
    if let Some(asked) = bytes(spec, 1) {
        let names = [
            (1, "namespace"),
            (2, "verb"),
            (3, "group"),
            (4, "version"),
            (5, "resource"),
            (6, "subresource"),
            (7, "name"),
        ];
        review["spec"]["resourceAttributes"] = read(asked, &names)?;
    }
    if let Some(asked) = bytes(spec, 2) {
        let names = [(1, "path"), (2, "verb")];
        review["spec"]["nonResourceAttributes"] = read(asked, &names)?;
    }
    Some(review)
}

fn metadata(message: &[u8]) -> Option<Value> {
    let mut meta = Map::new();
    for (number, wire) in fields(message)? {
        let Wire::Bytes(value) = wire else { continue };
        let name = match number {
            1 => "name",
            2 => "generateName",
            3 => "namespace",
            5 => "uid",
            6 => "resourceVersion",
            11 | 12 => {
                let map = if number == 11 {
                    "labels"
                } else {
                    "annotations"
                };
                let (key, entry) = pair(value)?;
                let map = meta.entry(map).or_insert_with(|| json!({}));
                map[key] = json!(entry);
                continue;
            }
            _ => continue,
        };
        // An empty string is how proto2 of Kubernetes writes a field that is not set.
        if !value.is_empty() {
            meta.insert(name.to_owned(), json!(text(value)?));
        }
    }
    Some(Value::Object(meta))
}

/// `policy.v1.PodDisruptionBudgetSpec`.
fn budget_spec(message: &[u8]) -> Option<Value> {
    let mut spec = json!({});
    for (number, wire) in fields(message)? {
        let Wire::Bytes(value) = wire else {
            return None;
        };
        match number {
            1 => spec["minAvailable"] = int_or_string(value)?,
            2 => spec["selector"] = label_selector(value)?,
            3 => spec["maxUnavailable"] = int_or_string(value)?,
            4 => spec["unhealthyPodEvictionPolicy"] = json!(text(value)?),
            _ => return None,
        }
    }
    Some(spec)
}

/// `intstr.IntOrString`: the type (0 for a number), the number, the string.
fn int_or_string(message: &[u8]) -> Option<Value> {
    let (mut is_text, mut number, mut string) = (false, 0, "");
    for field in fields(message)? {
        match field {
            (1, Wire::Number(kind)) => is_text = kind == 1,
            // Negative numbers are 64 bits of two's complement, whatever their type.
            (2, Wire::Number(bits)) => number = bits.cast_signed(),
            (3, Wire::Bytes(value)) => string = text(value)?,
            _ => return None,
        }
    }
    Some(if is_text {
        json!(string)
    } else {
        json!(number)
    })
}

/// `meta.v1.LabelSelector`.
fn label_selector(message: &[u8]) -> Option<Value> {
    let mut selector = json!({});
    let mut rules = Vec::new();
    for field in fields(message)? {
        match field {
            (1, Wire::Bytes(entry)) => {
                let (label, value) = pair(entry)?;
                selector["matchLabels"][label] = json!(value);
            }
            (2, Wire::Bytes(rule)) => rules.push(label_requirement(rule)?),
            _ => return None,
        }
    }
    if !rules.is_empty() {
        selector["matchExpressions"] = json!(rules);
    }
    Some(selector)
}

/// `meta.v1.LabelSelectorRequirement`.
fn label_requirement(message: &[u8]) -> Option<Value> {
    let mut rule = json!({});
    let mut values = Vec::new();
    for (number, wire) in fields(message)? {
        let Wire::Bytes(value) = wire else {
            return None;
        };
        match number {
            1 => rule["key"] = json!(text(value)?),
            2 => rule["operator"] = json!(text(value)?),
            3 => values.push(text(value)?),
            _ => return None,
        }
    }
    if !values.is_empty() {
        rule["values"] = json!(values);
    }
    Some(rule)
}

/// An entry of a map of strings.
fn pair(entry: &[u8]) -> Option<(&str, &str)> {
    let key = text(bytes(entry, 1).unwrap_or_default())?;
    let value = text(bytes(entry, 2).unwrap_or_default())?;
    Some((key, value))
}

/// A message that is written.
#[derive(Debug, Default)]
pub struct Message(Vec<u8>);

impl Message {
    /// A string.
    pub fn text(&mut self, number: u64, text: &str) {
        self.bytes(number, text.as_bytes());
    }

    /// A message in this one.
    pub fn message(&mut self, number: u64, message: Self) {
        self.bytes(number, &message.0);
    }

    /// The message that has this one alone.
    pub fn within(self, number: u64) -> Self {
        let mut outer = Self::default();
        outer.message(number, self);
        outer
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn bytes(&mut self, number: u64, bytes: &[u8]) {
        self.varint(number << 3 | 2);
        self.varint(u64::try_from(bytes.len()).unwrap_or_default());
        self.0.extend_from_slice(bytes);
    }

    fn varint(&mut self, mut number: u64) {
        loop {
            let low = number.to_le_bytes()[0] & 0x7f;
            number >>= 7;
            if number == 0 {
                return self.0.push(low);
            }
            self.0.push(low | 0x80);
        }
    }
}

enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The first length-delimited field of a number.
fn bytes(message: &[u8], wanted: u64) -> Option<&[u8]> {
    fields(message)?.into_iter().find_map(|field| match field {
        (number, Wire::Bytes(value)) if number == wanted => Some(value),
        _ => None,
    })
}

/// The fields of a message in their order; `None` when it is not well formed.
fn fields(mut message: &[u8]) -> Option<Vec<(u64, Wire<'_>)>> {
    let mut fields = Vec::new();
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        let wire = match tag & 7 {
            0 => Wire::Number(varint(&mut message)?),
            2 => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                let (value, rest) = message.split_at_checked(length)?;
                message = rest;
                Wire::Bytes(value)
            }
            _ => return None,
        };
        fields.push((tag >> 3, wire));
    }
    Some(fields)
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = message.split_first()?;
        *message = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok()
}
