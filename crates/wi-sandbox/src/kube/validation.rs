//! What the API refuses in an object: fields that are not known, names, labels, annotations, budgets.

use serde_json::{Value, json};

use super::kind::Kind;
use super::objects::Key;
use super::status::Status;
use super::{budget, names};

/// The largest sum of annotations, keys included, in bytes.
const ANNOTATIONS: usize = 256 << 10;

/// A body, and what the server warns of in it.
pub struct Body {
    pub value: Value,
    pub warnings: Vec<String>,
}

/// `fieldValidation`: what is done about fields that are not known, or given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validation {
    Ignore,
    Warn,
    Strict,
}

impl Validation {
    /// What is warned of.
    pub fn warnings(self, told: Vec<String>) -> Vec<String> {
        match self {
            Self::Ignore => Vec::new(),
            _ => told,
        }
    }
}

/// The top-level fields of a kind.
fn known_fields(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::ConfigMap => &[
            "apiVersion",
            "kind",
            "metadata",
            "data",
            "binaryData",
            "immutable",
        ],
        Kind::Secret => &[
            "apiVersion",
            "kind",
            "metadata",
            "data",
            "stringData",
            "type",
            "immutable",
        ],
        Kind::ControllerRevision => &["apiVersion", "kind", "metadata", "data", "revision"],
        Kind::EndpointSlice => &[
            "apiVersion",
            "kind",
            "metadata",
            "addressType",
            "endpoints",
            "ports",
        ],
        Kind::ServiceAccount => &[
            "apiVersion",
            "kind",
            "metadata",
            "secrets",
            "imagePullSecrets",
            "automountServiceAccountToken",
        ],
        _ => &["apiVersion", "kind", "metadata", "spec", "status"],
    }
}

/// The fields of `ObjectMeta`.
const META: [&str; 15] = [
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// The paths of the fields that the kind does not have, directives of a strategic merge patch aside.
fn unknown(kind: Kind, body: &Value) -> Vec<String> {
    let names = |value: &Value| -> Vec<String> {
        let fields = value.as_object().into_iter().flatten();
        fields.map(|(name, _)| name.clone()).collect()
    };
    let top = names(body)
        .into_iter()
        .filter(|name| !known_fields(kind).contains(&name.as_str()));
    let meta = names(&body["metadata"])
        .into_iter()
        .filter(|name| !META.contains(&name.as_str()))
        .map(|name| format!("metadata.{name}"));
    let of_a_patch = |path: &String| path.starts_with('$') || path.starts_with("metadata.$");
    top.chain(meta).filter(|path| !of_a_patch(path)).collect()
}

fn drop_fields(body: &mut Value, paths: &[String]) {
    for path in paths {
        let (place, name) = match path.split_once('.') {
            Some((_, name)) => (&mut body["metadata"], name),
            None => (&mut *body, path.as_str()),
        };
        if let Some(map) = place.as_object_mut() {
            map.remove(name);
        }
    }
}

/// A body as the kind has it: fields that it does not have are dropped and told of, or refused.
/// `told` is what is wrong with it already.
pub fn fields(
    kind: Kind,
    mut body: Value,
    told: Vec<String>,
    validation: Validation,
) -> Result<Body, Status> {
    shape(kind, &body)?;
    let unknown = unknown(kind, &body);
    drop_fields(&mut body, &unknown);
    let unknown = unknown.iter().map(|path| format!("unknown field {path:?}"));
    let told: Vec<String> = told.into_iter().chain(unknown).collect();
    if validation == Validation::Strict && !told.is_empty() {
        let name = kind.name();
        let message = format!(
            "{name} in version \"v1\" cannot be handled as a {name}: strict decoding error: {}",
            told.join(", ")
        );
        return Err(Status::bad_request(message));
    }
    Ok(Body {
        value: body,
        warnings: validation.warnings(told),
    })
}

/// A merge patch, in the same way; what is refused is refused in other words.
pub fn patch(kind: Kind, mut patch: Value, validation: Validation) -> Result<Body, Status> {
    shape(kind, &patch)?;
    let unknown = unknown(kind, &patch);
    drop_fields(&mut patch, &unknown);
    let told: Vec<String> = unknown
        .iter()
        .map(|path| format!("unknown field {path:?}"))
        .collect();
    if validation == Validation::Strict && !told.is_empty() {
        let patched = patch.to_string(); // a real server quotes the whole patched object
        let why = format!(
            "Invalid value: {patched:?}: strict decoding error: {}",
            told.join(", ")
        );
        return Err(Status::refused_patch(&why));
    }
    Ok(Body {
        value: patch,
        warnings: validation.warnings(told),
    })
}

/// An applied configuration, which has a type. It is refused in words of its own, and as an error of
/// the server's, whatever `fieldValidation` says.
pub fn applied(kind: Kind, body: &Value) -> Result<(), Status> {
    if !body.is_object() && !body.is_null() {
        let message = "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array into Go value of type map[string]interface {}";
        return Err(Status::bad_request(message));
    }
    let word = |field: &str| body[field].as_str().unwrap_or_default();
    if word("apiVersion") != kind.api_version() || word("kind") != kind.name() {
        let version = match word("apiVersion") {
            with_group if with_group.contains('/') => with_group.to_owned(),
            version => format!("/{version}"),
        };
        let message = format!("invalid object type: {version}, Kind={}", word("kind"));
        return Err(Status::bad_request(message));
    }
    let meta = &body["metadata"];
    let wrong = |what: String| {
        let version = match kind.group() {
            "" => "/v1".to_owned(),
            group => format!("{group}/v1"),
        };
        let message = format!(
            "failed to create typed patch object ({}/{}; {version}, Kind={}): {what}",
            meta["namespace"].as_str().unwrap_or_default(),
            meta["name"].as_str().unwrap_or_default(),
            kind.name(),
        );
        Err(Status::new(500, "", message))
    };
    if let Some(path) = unknown(kind, body).first() {
        return wrong(format!(".{path}: field not declared in schema"));
    }
    if !meta.is_object() && !meta.is_null() {
        return wrong(format!(".metadata: expected map, got {meta}"));
    }
    for field in ["labels", "annotations"] {
        for (name, value) in meta[field].as_object().into_iter().flatten() {
            if !value.is_string() && !value.is_null() {
                return wrong(format!(
                    ".metadata.{field}.{name}: expected string, got &value.valueUnstructured{{Value:{value}}}"
                ));
            }
        }
    }
    Ok(())
}

/// Type, and the parts that have to be maps.
pub fn shape(kind: Kind, body: &Value) -> Result<(), Status> {
    let Some(object) = body.as_object() else {
        let message = format!(
            "the object provided is unrecognized (must be of type {}): couldn't get version/kind; json parse error: json: cannot unmarshal it into Go value of type struct",
            kind.name()
        );
        return Err(Status::bad_request(message));
    };
    for (field, expected) in [("apiVersion", &*kind.api_version()), ("kind", kind.name())] {
        if let Some(found) = object.get(field).filter(|found| *found != expected) {
            let message = format!(
                "the {field} in the data ({found}) does not match the expected {expected:?}"
            );
            return Err(Status::bad_request(message));
        }
    }
    for field in ["metadata", "spec", "status"] {
        if let Some(found) = object
            .get(field)
            .filter(|found| !found.is_object() && !found.is_null())
        {
            return Err(Status::bad_request(format!(
                "{field}: expected map, got {found}"
            )));
        }
    }
    Ok(())
}

/// The name of a new object.
pub fn name(key: &Key) -> Result<(), Status> {
    let refused = |reason, why: &str| {
        Err(Status::invalid_as(
            key.kind,
            &key.name,
            "metadata.name",
            reason,
            why,
        ))
    };
    if key.name.is_empty() {
        let why = "Required value: name or generateName is required";
        return refused("FieldValueRequired", why);
    }
    let checked = match key.kind {
        Kind::Namespace => names::label(&key.name),
        _ => names::subdomain(&key.name),
    };
    match checked {
        Ok(()) => Ok(()),
        Err(why) => refused(
            "FieldValueInvalid",
            &format!("Invalid value: {:?}: {why}", key.name),
        ),
    }
}

/// Whether a body is meant for the object of the URL.
pub fn place(key: &Key, body: &Value) -> Result<(), Status> {
    let found = |field: &str| body["metadata"][field].as_str().unwrap_or_default();
    if !found("name").is_empty() && found("name") != key.name {
        return Err(Status::bad_request(format!(
            "the name of the object ({}) does not match the name on the URL ({})",
            found("name"),
            key.name
        )));
    }
    if key.kind.namespaced()
        && !found("namespace").is_empty()
        && found("namespace") != key.namespace
    {
        let message =
            "the namespace of the provided object does not match the namespace sent on the request";
        return Err(Status::bad_request(message));
    }
    Ok(())
}

/// Name, namespace, labels, annotations and spec of a body that is to be stored under `key`.
pub fn object(key: &Key, body: &Value) -> Result<(), Status> {
    place(key, body)?;
    let meta = &body["metadata"];
    for field in ["labels", "annotations"] {
        let entries = match &meta[field] {
            Value::Null => continue,
            Value::Object(entries) => entries,
            _ => {
                return Err(Status::bad_request(format!(
                    "metadata.{field} is not a map"
                )));
            }
        };
        let path = format!("metadata.{field}");
        let refused = |text: &str, why: String| {
            let why = format!("Invalid value: {text:?}: {why}");
            Status::invalid(key.kind, &key.name, &path, &why)
        };
        let mut size = 0;
        for (name, value) in entries {
            let Some(value) = value.as_str() else {
                let kind = key.kind.name();
                let message = format!(
                    "{kind} in version \"v1\" cannot be handled as a {kind}: json: cannot unmarshal {value} into Go struct field ObjectMeta.{path} of type string"
                );
                return Err(Status::bad_request(message));
            };
            size += name.len() + value.len();
            // Keys of annotations may have capitals in their prefix.
            let checked = match field {
                "labels" => name.clone(),
                _ => name.to_lowercase(),
            };
            names::qualified(&checked).map_err(|why| refused(name, why))?;
            if field == "labels" {
                names::value(value).map_err(|why| refused(value, why))?;
            }
        }
        if field == "annotations" && size > ANNOTATIONS {
            let why = format!("Too long: may not be more than {ANNOTATIONS} bytes");
            let reason = "FieldValueTooLong";
            return Err(Status::invalid_as(key.kind, &key.name, &path, reason, &why));
        }
    }
    if key.kind == Kind::PodDisruptionBudget {
        budget::check(key, &body["spec"])?;
    }
    Ok(())
}

/// A body without what says nothing: fields that are null, and maps in `metadata` with nothing in them.
pub fn tidied(mut body: Value) -> Value {
    let empty = json!({});
    if let Some(map) = body.as_object_mut() {
        map.retain(|_, value| !value.is_null());
    }
    if let Some(meta) = body["metadata"].as_object_mut() {
        meta.retain(|_, value| !value.is_null() && *value != empty);
    }
    body
}
