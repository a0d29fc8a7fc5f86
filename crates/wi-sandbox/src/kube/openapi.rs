//! `/openapi/v2`: the kinds without their fields, and what a patch takes, as JSON and in the protobuf that client-go
//! asks for and takes nothing else than. kubectl learns from it that the server looks at fields itself.
//!
//! <https://github.com/google/gnostic-models/blob/main/openapiv2/OpenAPIv2.proto>

use serde_json::{Map, Value, json};

use super::kind::{Kind, version_of};
use super::protobuf::Message;

/// The content type of the protobuf form.
pub const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

const OF: &str = "x-kubernetes-group-version-kind";

/// Whether a client asks for the protobuf form; former ones write an `@` in it.
pub fn is_binary(accept: &str) -> bool {
    accept.contains("proto-openapi.spec.v2") && accept.contains("+protobuf")
}

/// The document as JSON.
pub fn json() -> Value {
    let definitions: Map<String, Value> = Kind::ALL
        .into_iter()
        .map(|kind| {
            let definition = json!({ "type": "object", OF: [group_version_kind(kind)] });
            (definition_name(kind), definition)
        })
        .collect();
    let parameters: Vec<Value> = ["dryRun", "fieldManager", "fieldValidation", "force"]
        .into_iter()
        .map(|name| json!({ "in": "query", "name": name, "type": "string", "uniqueItems": true }))
        .collect();
    let paths: Map<String, Value> = Kind::ALL
        .into_iter()
        .map(|kind| {
            let patch = json!({
                "patch": {
                    "parameters": parameters,
                    "x-kubernetes-action": "patch",
                    OF: group_version_kind(kind),
                },
            });
            (item_path(kind), patch)
        })
        .collect();
    json!({
        "swagger": "2.0",
        "info": { "title": "Kubernetes", "version": "v1.32.4-gke.1000000" },
        "paths": paths,
        "definitions": definitions,
    })
}

fn group_version_kind(kind: Kind) -> Value {
    json!({ "group": kind.group(), "version": version_of(kind.group()), "kind": kind.name() })
}

fn definition_name(kind: Kind) -> String {
    let group = match kind.group() {
        "" => "core",
        group => group,
    };
    format!("io.k8s.api.{group}.{}.{}", version_of(group), kind.name())
}

fn item_path(kind: Kind) -> String {
    let namespace = match kind.namespaced() {
        true => "/namespaces/{namespace}",
        false => "",
    };
    let base = match kind.group() {
        "" => "/api/v1".to_owned(),
        group => format!("/apis/{group}/{}", version_of(group)),
    };
    format!("{base}{namespace}/{}/{{name}}", kind.plural())
}

/// The same document in protobuf.
pub fn binary() -> Vec<u8> {
    let document = json();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut info = Message::default();
    info.text(1, &text(&document["info"]["title"]));
    info.text(2, &text(&document["info"]["version"]));
    let mut paths = Message::default();
    for (name, path) in document["paths"].as_object().into_iter().flatten() {
        let mut operation = Message::default();
        for parameter in path["patch"]["parameters"].as_array().into_iter().flatten() {
            let mut query = Message::default();
            query.text(2, "query");
            query.text(4, &text(&parameter["name"]));
            query.text(6, &text(&parameter["type"]));
            // ParametersItem, Parameter, NonBodyParameter, QueryParameterSubSchema.
            operation.message(8, query.within(3).within(2).within(1));
        }
        operation.message(13, extension(&path["patch"][OF]));
        paths.message(2, named(name, operation.within(8)));
    }
    let mut definitions = Message::default();
    for (name, definition) in document["definitions"].as_object().into_iter().flatten() {
        let mut kind = Message::default();
        kind.text(1, &text(&definition["type"]));
        let mut schema = kind.within(22);
        schema.message(31, extension(&definition[OF]));
        definitions.message(1, named(name, schema));
    }
    let mut whole = Message::default();
    whole.text(1, &text(&document["swagger"]));
    whole.message(2, info);
    whole.message(8, paths);
    whole.message(9, definitions);
    whole.into_bytes()
}

/// A `NamedPathItem` or a `NamedSchema`.
fn named(name: &str, value: Message) -> Message {
    let mut named = Message::default();
    named.text(1, name);
    named.message(2, value);
    named
}

/// A `NamedAny`: its value is YAML, which JSON is, too.
fn extension(value: &Value) -> Message {
    let mut any = Message::default();
    any.text(2, &value.to_string());
    named(OF, any)
}
