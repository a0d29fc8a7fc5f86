//! What kinds values are of, and which a schema takes.

use serde_json::Value as Json;

use super::tree::{Node, Span, Value};

/// Whether a schema takes values of a value's kind.
pub fn accepts_kind(schema: &Json, node: &Node) -> bool {
    match node.value {
        Value::Null => takes(schema, "null"),
        Value::Bool(_) => takes(schema, "boolean"),
        Value::Number(ref text) if text.parse::<u64>().is_ok() => takes(schema, "integer"),
        Value::Number(_) => takes(schema, "number"),
        Value::Text(_) => takes(schema, "string"),
        Value::List(_) => takes(schema, "array"),
        Value::Map(_) => takes(schema, "object"),
        Value::Unread => false,
    }
}

/// Whether a schema takes values of this kind, as JSON Schema calls it.
pub fn takes(schema: &Json, kind: &str) -> bool {
    match &schema["type"] {
        Json::String(only) => only == kind,
        Json::Array(kinds) => kinds.iter().any(|k| k == kind),
        _ => true,
    }
}

/// The kinds that a value may be of.
pub fn in_words(options: &[&Json]) -> String {
    let wanted: Vec<&str> = [
        ("string", "a text"),
        ("integer", "a whole number"),
        ("boolean", "true or false"),
        ("object", "a map"),
        ("array", "a list"),
    ]
    .into_iter()
    .filter(|(kind, _)| options.iter().any(|o| takes(o, kind)))
    .map(|(_, words)| words)
    .collect();
    wanted.join(" or ")
}

/// A value that is no map or list, as it is written in this text: `yes` and `0x10` are a boolean and
/// a number.
pub fn written(node: &Node, text: &str) -> String {
    let end = node.span.start.saturating_add(node.span.len);
    let here = text.get(node.span.start..end).map(str::trim);
    match &node.value {
        Value::Number(_) | Value::Bool(_)
            if here.is_some_and(|h| !h.is_empty() && !h.starts_with(['*', '&', '!'])) =>
        {
            here.unwrap_or_default().to_owned()
        }
        Value::Text(text) | Value::Number(text) => text.clone(),
        Value::Bool(b) => b.to_string(),
        _ => "…".to_owned(),
    }
}

/// The text that was meant by a lone key with nothing after it, where a text would do.
pub fn with_a_colon(node: &Node, options: &[&Json]) -> Option<(String, Span)> {
    let [(key, only)] = node.entries() else {
        return None;
    };
    let texts = options.iter().any(|o| takes(o, "string"));
    let is_field = options
        .iter()
        .any(|o| o["properties"].get(&key.text).is_some() || o["additionalProperties"].is_object());
    let nothing = matches!(only.value, Value::Null);
    (texts && nothing && !is_field).then(|| (key.text.clone(), key.span))
}
