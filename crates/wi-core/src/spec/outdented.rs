//! Fields of an entry that are indented as the entry is, and so look like entries: the commonest slip of
//! all in YAML.

use serde_json::Value as Json;

use super::kinds::accepts_kind;
use super::suggest::options_of;
use super::tree::{Key, Node, Span, Value};

/// A field that was put where it belongs.
pub struct Outdented {
    /// Its key.
    pub field: String,
    pub span: Span,
    /// The entry that it is of.
    pub entry: String,
}

/// Puts fields that look like entries of a map back into the entry before them. `entry` is the schema of
/// the map's entries.
pub fn put_back(root: &Json, entry: &Json, entries: &mut Vec<(Key, Node)>) -> Vec<Outdented> {
    let options = options_of(root, entry);
    let Some(map) = options.iter().find(|o| o["properties"].is_object()) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut index = 1;
    while index < entries.len() {
        let (key, value) = &entries[index];
        let is_field = map["properties"].get(&key.text).is_some_and(|property| {
            let kinds = options_of(root, property);
            kinds.iter().any(|o| accepts_kind(o, value)) && !may_be_entry(map, value)
        });
        let (before, owner) = &entries[index - 1];
        let is_free = match &owner.value {
            Value::Null => true,
            Value::Map(fields) => fields.iter().all(|(k, _)| k.text != key.text),
            _ => false,
        };
        if !is_field || !is_free {
            index += 1;
            continue;
        }
        found.push(Outdented {
            field: key.text.clone(),
            span: key.span,
            entry: before.text.clone(),
        });
        let field = entries.remove(index);
        let owner = &mut entries[index - 1].1;
        match &mut owner.value {
            Value::Map(fields) => fields.push(field),
            other => *other = Value::Map(vec![field]),
        }
    }
    found
}

/// Whether a value can be an entry of its own: nothing, or a map of an entry's fields.
fn may_be_entry(map: &Json, value: &Node) -> bool {
    let is_field = |(key, _): &(Key, Node)| map["properties"].get(&key.text).is_some();
    match &value.value {
        Value::Null => true,
        Value::Map(fields) => fields.iter().all(is_field),
        _ => false,
    }
}
