//! Checks a document's shape against the JSON Schema: fields that do not exist, kinds of values,
//! fields that are missing, keys that are there twice. The schema is the only list of fields.
//!
//! What is told is fixed in the tree where it is clear what was meant, and marked where it is not:
//! the checks that follow see all that there is to see, and tell nothing that only follows.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value as Json;

use super::called::Called;
use super::coerce::Wrong;
use super::diagnostics::{Diagnostic, Source};
use super::kinds::{self, accepts_kind};
use super::migration;
use super::outdented;
use super::suggest;
use super::tree::{Key, Node, Span, Value};

/// The check of one document.
pub struct SchemaCheck<'a> {
    pub root: &'a Json,
    pub source: &'a Arc<Source>,
    pub mistakes: &'a mut Vec<Diagnostic>,
}

/// What a key of a map is to the schema.
enum Role<'a> {
    /// It has a value of this schema.
    Of(&'a Json),
    /// It is there again.
    Again(Span, Option<&'a Json>),
    /// There is no such field; this one was meant.
    Misspelt(&'a str, &'a Json),
    /// There is no such field.
    Unknown,
}

impl<'a> SchemaCheck<'a> {
    /// Adds a mistake at a place.
    fn add(
        &mut self,
        code: &'static str,
        span: Span,
        message: String,
        label: &str,
        help: Option<String>,
    ) {
        self.mistakes.push(Diagnostic {
            code,
            message,
            help,
            label: Some((Arc::clone(self.source), span, label.to_owned())),
            other: None,
        });
    }

    /// Checks a value against a schema.
    pub fn check(&mut self, node: &mut Node, schema: &'a Json, called: Called<'_>) {
        let options = suggest::options_of(self.root, schema);
        if matches!(node.value, Value::Null) {
            self.check_nothing(node, schema, &options, called);
            return;
        }
        let Some(option) = options.iter().find(|o| accepts_kind(o, node)) else {
            self.wrong_kind(node, schema, &options, called);
            return;
        };
        if let Some((text, span)) = kinds::with_a_colon(node, &options) {
            self.add(
                "wrong_type",
                span,
                format!("`{text}:` is a key without a value"),
                "followed by a colon",
                Some(format!("Take the colon off: {text}")),
            );
            node.value = Value::Text(text);
            return self.check(node, schema, called);
        }
        match &mut node.value {
            Value::Map(_) => self.check_map(node, option, called),
            Value::List(items) => {
                for item in items {
                    let name = item.get("name").and_then(Node::text).map(str::to_owned);
                    let called = Called::Item(called.field(), name.as_deref());
                    self.check(item, &option["items"], called);
                }
            }
            Value::Text(text) => {
                let values = suggest::values(option);
                if let Some(values) = values.filter(|v| !v.contains(&text.as_str())) {
                    let text = text.clone();
                    self.not_one_of(node, &text, &values, called);
                } else if text.trim().is_empty() && !suggest::may_be_empty(called) {
                    self.empty_text(node, schema, called);
                }
            }
            _ => {}
        }
    }

    /// Nothing is as good as an empty map, unless that would lack something.
    fn check_nothing(
        &mut self,
        node: &mut Node,
        schema: &'a Json,
        options: &[&'a Json],
        called: Called<'_>,
    ) {
        let map = options.iter().find(|o| o["type"] == "object");
        if let Called::Item(..) = called {
            let message = format!("{called} is empty");
            let help = "Give it a value, or take the line out.".to_owned();
            self.add(
                "missing_field",
                at_least_one(node.span),
                message,
                "nothing",
                Some(help),
            );
            node.value = Value::Unread;
        } else if let (Some(map), true) = (map, options.len() > 1) {
            let lacks = map["required"].as_array().is_some_and(|r| !r.is_empty());
            self.required(node.span, map, called, |_| false);
            if lacks {
                node.value = Value::Unread;
            }
        } else if !options.iter().any(|o| accepts_kind(o, node)) {
            self.wrong_kind(node, schema, options, called);
        }
    }

    fn check_map(&mut self, node: &mut Node, schema: &'a Json, called: Called<'_>) {
        let span = node.span;
        let Value::Map(entries) = &mut node.value else {
            return;
        };
        for found in outdented::put_back(self.root, &schema["additionalProperties"], entries) {
            let field = &found.field;
            self.add(
                "unknown_field",
                found.span,
                format!(
                    "`{field}` is indented as `{}` is, and not as a field of it",
                    found.entry
                ),
                "further in?",
                Some(format!(
                    "Indent `{field}` as the other fields of `{}`.",
                    found.entry
                )),
            );
        }
        let roles = roles(entries, schema);
        for ((key, value), role) in entries.iter_mut().zip(roles) {
            if let Some((name, _)) = key.text.split_once([' ', '{', '['])
                && key.text.contains(['{', '['])
                && !name.is_empty()
            {
                let message = format!("after `{name}` a `:` is missing");
                let help = format!("Write {name}: before the bracket.");
                self.add("yaml", key.span, message, "here", Some(help));
                key.text = name.to_owned();
                value.value = Value::Unread;
                continue;
            }
            let (schema, name) = match role {
                Role::Of(property) => (property, key.text.as_str()),
                Role::Again(first, property) => {
                    self.again(key, first);
                    match property {
                        Some(property) => (property, key.text.as_str()),
                        None => continue,
                    }
                }
                Role::Misspelt(field, property) => {
                    self.unknown_field(key, Some(field), schema, called);
                    field.clone_into(&mut key.text);
                    // A value of another kind is none for this field: it has been told enough.
                    if !suggest::options_of(self.root, property)
                        .iter()
                        .any(|o| accepts_kind(o, value))
                    {
                        value.value = Value::Unread;
                        continue;
                    }
                    (property, field)
                }
                Role::Unknown => {
                    self.unknown_field(key, None, schema, called);
                    key.known = false;
                    continue;
                }
            };
            self.check(value, schema, Called::Field(called.field(), name));
        }
        let there: Vec<&str> = entries
            .iter()
            .map(|(k, _)| suggest::in_place_of(&k.text).unwrap_or(&k.text))
            .collect();
        self.required(span, schema, called, |field| there.contains(&field));
    }

    fn empty_text(&mut self, node: &mut Node, schema: &'a Json, called: Called<'_>) {
        let help = suggest::description(schema)
            .unwrap_or_else(|| "Give it a value, or take it out.".to_owned());
        self.add(
            "missing_field",
            at_least_one(node.span),
            format!("{called} is empty"),
            "an empty text",
            Some(help),
        );
        node.value = Value::Unread;
    }

    fn again(&mut self, key: &Key, first: Span) {
        self.mistakes.push(Diagnostic {
            code: "duplicate_key",
            message: format!("`{}` is there twice", key.text),
            help: Some("Keep one of the two, or merge them.".to_owned()),
            label: Some((Arc::clone(self.source), key.span, "again here".to_owned())),
            other: Some((Arc::clone(self.source), first, "first here".to_owned())),
        });
    }

    /// Tells of the fields that have to be there.
    fn required(
        &mut self,
        span: Span,
        schema: &'a Json,
        called: Called<'_>,
        is_there: impl Fn(&str) -> bool,
    ) {
        let required = schema["required"].as_array().into_iter().flatten();
        let lacking: Vec<&str> = required
            .filter_map(Json::as_str)
            .filter(|field| !is_there(field))
            .collect();
        let (label, help) = match lacking.as_slice() {
            [] => return,
            [one] => (
                format!("`{one}` is needed here"),
                suggest::description(&schema["properties"][one]),
            ),
            several => (
                "they are needed here".to_owned(),
                suggest::descriptions(several, schema),
            ),
        };
        let lacking: Vec<String> = lacking.iter().map(|f| format!("no `{f}`")).collect();
        let message = format!("{called} has {}", lacking.join(" and "));
        self.add("missing_field", at_least_one(span), message, &label, help);
    }

    fn unknown_field(
        &mut self,
        key: &Key,
        meant: Option<&str>,
        schema: &'a Json,
        called: Called<'_>,
    ) {
        if schema["properties"].get("until").is_some()
            && let Some(help) = migration::later_field(&key.text)
        {
            let message = format!("`{}` of a migration is not built yet", key.text);
            self.add(
                "migration",
                key.span,
                message,
                "take it out",
                Some(help.to_owned()),
            );
            return;
        }
        let label = match meant {
            Some(near) => format!("did you mean `{near}`?"),
            None => "not a field".to_owned(),
        };
        let fields: Vec<&str> = schema["properties"]
            .as_object()
            .into_iter()
            .flat_map(|p| p.keys())
            .map(String::as_str)
            .collect();
        let help = match suggest::elsewhere(self.root, &key.text).filter(|_| meant.is_none()) {
            Some(hint) => hint,
            None => format!("There are: {}.", fields.join(", ")),
        };
        self.add(
            "unknown_field",
            key.span,
            format!("{called} has no field `{}`", key.text),
            &label,
            Some(help),
        );
    }

    fn not_one_of(&mut self, node: &mut Node, text: &str, values: &[&str], called: Called<'_>) {
        let label = match suggest::nearest(text, values.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "not one of its values".to_owned(),
        };
        self.add(
            "name",
            node.span,
            format!("{called} cannot be `{text}`"),
            &label,
            Some(format!("Write {}.", suggest::one_of(values))),
        );
        node.value = Value::Unread;
    }

    fn wrong_kind(
        &mut self,
        node: &mut Node,
        schema: &'a Json,
        options: &[&'a Json],
        called: Called<'_>,
    ) {
        if let (Value::Bool(_) | Value::Number(_), Some(values)) =
            (&node.value, options.iter().find_map(|o| suggest::values(o)))
        {
            let written = kinds::written(node, &self.source.text);
            self.not_one_of(node, &written, &values, called);
            return;
        }
        let wanted = kinds::in_words(options);
        let wrong = Wrong {
            root: self.root,
            text: &self.source.text,
            node,
            schema,
            options,
            called,
        };
        let (help, value) = wrong.otherwise();
        let (kind, label) = match &node.value {
            // A number is not a whole number, but that would be a riddle.
            Value::Number(number) if wanted.contains("number") => {
                (number.as_str(), "not a whole number".to_owned())
            }
            _ => (node.kind(), format!("this is {}", node.kind())),
        };
        let message = format!("{called} must be {wanted}, not {kind}");
        self.add("wrong_type", node.span, message, &label, help);
        node.value = value.unwrap_or(Value::Unread);
        if options.iter().any(|o| accepts_kind(o, node)) {
            self.check(node, schema, called);
        }
    }
}

/// What the keys of a map are to its schema.
fn roles<'a>(entries: &[(Key, Node)], schema: &'a Json) -> Vec<Role<'a>> {
    let properties = schema["properties"].as_object();
    let property = |name: &str| {
        let extra = Some(&schema["additionalProperties"]).filter(|s| s.is_object());
        properties.and_then(|p| p.get(name)).or(extra)
    };
    let mut seen: HashMap<&str, (usize, Span)> = HashMap::with_capacity(entries.len());
    for (index, (key, _)) in entries.iter().enumerate() {
        seen.entry(&key.text).or_insert((index, key.span));
    }
    let mut missing: Vec<&'a str> = properties
        .into_iter()
        .flat_map(|p| p.keys())
        .map(String::as_str)
        .filter(|p| !seen.contains_key(p))
        .collect();
    let mut roles = Vec::with_capacity(entries.len());
    for (index, (key, _)) in entries.iter().enumerate() {
        let (first, place) = seen[key.text.as_str()];
        let role = match property(&key.text) {
            known if first != index => Role::Again(place, known),
            Some(known) => Role::Of(known),
            None => match suggest::field(&key.text, &missing) {
                Some(field) => {
                    missing.retain(|m| *m != field);
                    Role::Misspelt(field, &schema["properties"][field])
                }
                None => Role::Unknown,
            },
        };
        roles.push(role);
    }
    roles
}

fn at_least_one(span: Span) -> Span {
    Span {
        len: span.len.max(1),
        ..span
    }
}
