//! Checks a document's shape against the JSON Schema: fields that do not exist, kinds of values,
//! fields that are missing, keys that are there twice. The schema is the only list of fields.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value as Json;

use super::report::{Mistake, Source};
use super::tree::{Node, Span, Value};

/// The check of one document.
pub struct Shape<'a> {
    pub root: &'a Json,
    pub source: &'a Arc<Source>,
    pub mistakes: &'a mut Vec<Mistake>,
}

impl<'a> Shape<'a> {
    /// Adds a mistake at a place.
    fn add(
        &mut self,
        code: &'static str,
        span: Span,
        message: String,
        label: &str,
        help: Option<String>,
    ) {
        self.mistakes.push(Mistake {
            code,
            message,
            help,
            label: Some((Arc::clone(self.source), span, label.to_owned())),
            other: None,
        });
    }

    fn resolve(&self, schema: &'a Json) -> &'a Json {
        match schema["$ref"].as_str().and_then(|r| r.strip_prefix('#')) {
            Some(pointer) => self.root.pointer(pointer).unwrap_or(schema),
            None => schema,
        }
    }

    /// Checks `node`, which is called `name`, against `schema`.
    pub fn check(&mut self, node: &Node, schema: &'a Json, name: &str) {
        let schema = self.resolve(schema);
        let choice = schema.get("anyOf").or_else(|| schema.get("oneOf"));
        if let Some(options) = choice.and_then(Json::as_array) {
            let options: Vec<&Json> = options.iter().map(|o| self.resolve(o)).collect();
            // Nothing is as good as an empty map, unless that would lack something.
            if let (Value::Null, Some(map)) =
                (&node.value, options.iter().find(|o| o["type"] == "object"))
            {
                return self.required(node, map, name, |_| false);
            }
            match options.iter().find(|o| accepts_kind(o, node)) {
                Some(option) => self.check(node, option, name),
                None => self.wrong_kind(node, &options, name),
            }
            return;
        }
        if !accepts_kind(schema, node) {
            self.wrong_kind(node, &[schema], name);
            return;
        }
        match &node.value {
            Value::Map(entries) => self.check_map(node, entries, schema, name),
            Value::List(items) => {
                for item in items {
                    self.check(item, &schema["items"], name);
                }
            }
            _ => {}
        }
    }

    fn check_map(
        &mut self,
        node: &Node,
        entries: &[(super::tree::Key, Node)],
        schema: &'a Json,
        name: &str,
    ) {
        let mut seen: HashMap<&str, Span> = HashMap::with_capacity(entries.len());
        let properties = schema["properties"].as_object();
        for (key, value) in entries {
            if let Some(first) = seen.insert(&key.text, key.span) {
                self.mistakes.push(Mistake {
                    code: "duplicate_key",
                    message: format!("`{}` is there twice", key.text),
                    help: Some("Keep one of the two, or merge them.".to_owned()),
                    label: Some((Arc::clone(self.source), key.span, "again here".to_owned())),
                    other: Some((Arc::clone(self.source), first, "first here".to_owned())),
                });
                continue;
            }
            match properties.and_then(|p| p.get(&key.text)) {
                Some(property) => self.check(value, property, &key.text),
                None if schema["additionalProperties"].is_object() => {
                    self.check(value, &schema["additionalProperties"], &key.text);
                }
                None => self.unknown_field(key, properties, name),
            }
        }
        self.required(node, schema, name, |field| seen.contains_key(field));
    }

    /// Tells of the fields that have to be there.
    fn required(
        &mut self,
        node: &Node,
        schema: &'a Json,
        name: &str,
        is_there: impl Fn(&str) -> bool,
    ) {
        for required in schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Json::as_str)
        {
            if !is_there(required) {
                let span = Span {
                    len: node.span.len.max(1),
                    ..node.span
                };
                self.add(
                    "missing_field",
                    span,
                    format!("{} has no `{required}`", called(name)),
                    &format!("`{required}` is needed here"),
                    description(&schema["properties"][required]),
                );
            }
        }
    }

    fn unknown_field(
        &mut self,
        key: &super::tree::Key,
        properties: Option<&serde_json::Map<String, Json>>,
        name: &str,
    ) {
        let fields: Vec<&str> = properties
            .into_iter()
            .flat_map(|p| p.keys())
            .map(String::as_str)
            .collect();
        let (label, help) = if let Some(near) = nearest(&key.text, fields.iter().copied()) {
            (format!("did you mean `{near}`?"), None)
        } else {
            ("not a field".to_owned(), None)
        };
        let help = help.or_else(|| Some(format!("There are: {}.", fields.join(", "))));
        self.add(
            "unknown_field",
            key.span,
            format!("{} has no field `{}`", called(name), key.text),
            &label,
            help,
        );
    }

    fn wrong_kind(&mut self, node: &Node, options: &[&Json], name: &str) {
        let mut wanted: Vec<&str> = options
            .iter()
            .flat_map(|option| kinds(option))
            .filter(|k| *k != "null")
            .map(in_words)
            .collect();
        wanted.dedup();
        let help = match (&node.value, wanted.contains(&"a text")) {
            (Value::Number(_), true) if name == "project" => {
                Some("Give the project's id, such as acme-prod, not its number.".to_owned())
            }
            (Value::Number(written), true) if matches!(name, "soak" | "deadline") => {
                Some(format!("Give it a unit: {written}m"))
            }
            (Value::Number(written), true) => Some(format!("Quote it: \"{written}\"")),
            (Value::Bool(written), true) => Some(format!("Quote it: \"{written}\"")),
            (Value::Null, _) => Some("Give it a value, or take the line out.".to_owned()),
            _ => None,
        };
        self.add(
            "wrong_type",
            node.span,
            format!(
                "{} must be {}, not {}",
                called(name),
                wanted.join(" or "),
                node.kind()
            ),
            &format!("this is {}", node.kind()),
            help,
        );
    }
}

/// A thing of the spec by its name, or the spec itself.
fn called(name: &str) -> String {
    if name == super::WHOLE {
        name.to_owned()
    } else {
        format!("`{name}`")
    }
}

fn description(schema: &Json) -> Option<String> {
    schema["description"].as_str().map(str::to_owned)
}

fn kinds(schema: &Json) -> Vec<&str> {
    match &schema["type"] {
        Json::String(kind) => vec![kind],
        Json::Array(kinds) => kinds.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    }
}

fn in_words(kind: &str) -> &str {
    match kind {
        "string" => "a text",
        "object" => "a map",
        "array" => "a list",
        "boolean" => "true or false",
        "integer" => "a whole number",
        other => other,
    }
}

fn accepts_kind(schema: &Json, node: &Node) -> bool {
    let kind = match node.value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(ref text) if text.parse::<u64>().is_ok() => "integer",
        Value::Number(_) => "number",
        Value::Text(_) => "string",
        Value::List(_) => "array",
        Value::Map(_) => "object",
    };
    match &schema["type"] {
        Json::String(only) => only == kind,
        Json::Array(kinds) => kinds.iter().any(|k| k == kind),
        _ => true,
    }
}

/// The name that was most likely meant.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    known
        .map(|k| (strsim::jaro_winkler(&lower, &k.to_lowercase()), k))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, k)| k)
}
