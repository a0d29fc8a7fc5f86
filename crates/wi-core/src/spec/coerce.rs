//! The way out for a value of a kind that cannot be. The help that is shown and the value that is read in
//! its place are made together, so that they cannot differ.

use serde_json::Value as Json;

use super::called::Called;
use super::kinds::{accepts_kind, takes, written};
use super::suggest::{LABELS, description, options_of, values};
use super::tree::{Key, Node, Value};

/// Fields whose numbers and booleans are texts that only lack quotes.
const QUOTED: [&str; 6] = [
    "context",
    "description",
    "displayName",
    "folder",
    "name",
    "title",
];

/// A help, and what is read in the value's place if that is clear.
type WayOut = Option<(String, Option<Value>)>;

/// A value of a kind that its schema does not take.
pub struct Wrong<'a, 'n> {
    /// The whole schema.
    pub root: &'a Json,
    /// The text that it is in.
    pub text: &'n str,
    /// The value.
    pub node: &'n Node,
    /// Its schema, as the field has it.
    pub schema: &'a Json,
    /// What that comes down to.
    pub options: &'n [&'a Json],
    /// What the value is called.
    pub called: Called<'n>,
}

impl<'a> Wrong<'a, '_> {
    /// The way out, and what is read in the value's place.
    pub fn otherwise(&self) -> (Option<String>, Option<Value>) {
        let found = match &self.node.value {
            Value::Null => self.nothing(),
            Value::Bool(_) | Value::Number(_) if self.wants("string").is_some() => {
                self.number_for_text()
            }
            Value::Text(text) if self.wants("boolean").is_some() => self.boolean(text.trim()),
            Value::Text(text) if self.wants("integer").is_some() => self.number(text.trim()),
            Value::Text(text) if self.wants("array").is_some() => self.text_for_list(text.trim()),
            Value::Text(text) => self.text_for_map(text.trim()),
            Value::List(items) if self.wants("string").is_some() => self.list_for_text(items),
            Value::List(items) => self.list_for_map(items),
            Value::Map(entries) if self.wants("array").is_some() => self.map_for_list(entries),
            Value::Map(entries) if self.wants("string").is_some() => self.map_for_text(entries),
            _ => None,
        };
        match found {
            Some((help, value)) => (Some(help), value),
            None => (description(self.schema), None),
        }
    }

    /// The schema for values of this kind.
    fn wants(&self, kind: &str) -> Option<&'a Json> {
        self.options.iter().copied().find(|o| takes(o, kind))
    }

    /// `FIELD: `, before the value that is to be written.
    fn field(&self) -> String {
        match self.called {
            Called::Field(_, field) => format!("{field}: "),
            _ => String::new(),
        }
    }

    fn write(&self, text: &str, value: Value) -> WayOut {
        Some((format!("Write {}{text}", self.field()), Some(value)))
    }

    /// Of a label `KEY=VALUE` all is the key.
    fn nothing(&self) -> WayOut {
        if let Called::Field(of, field) = self.called
            && LABELS.contains(&of)
            && let Some((key, value)) = field.split_once('=')
        {
            return Some((format!("Write {key}: {value}"), None));
        }
        Some(("Give it a value, or take the line out.".to_owned(), None))
    }

    fn number_for_text(&self) -> WayOut {
        let written = written(self.node, self.text);
        let quotes_help = match self.called {
            Called::Field(of, field) => LABELS.contains(&of) || QUOTED.contains(&field),
            _ => false,
        };
        match self.called.field() {
            "project" => Some((
                "Give the project's id, such as acme-prod, not its number.".to_owned(),
                None,
            )),
            "soak" | "deadline" => {
                let text = format!("{written}m");
                Some((format!("Give it a unit: {text}"), Some(Value::Text(text))))
            }
            _ if quotes_help => Some((
                format!("Quote it: \"{written}\""),
                Some(Value::Text(written)),
            )),
            _ => None,
        }
    }

    /// What YAML 1.1 took for a boolean is a text in YAML 1.2.
    fn boolean(&self, text: &str) -> WayOut {
        match text.to_lowercase().as_str() {
            "yes" | "y" | "on" | "true" => self.write("true", Value::Bool(true)),
            "no" | "n" | "off" | "false" => self.write("false", Value::Bool(false)),
            _ => Some((format!("Write {}true or false.", self.field()), None)),
        }
    }

    fn number(&self, text: &str) -> WayOut {
        let number: u64 = text.parse().ok()?;
        let help = format!("Take the quotes off: {}{number}", self.field());
        Some((help, Some(Value::Number(number.to_string()))))
    }

    fn text_for_list(&self, text: &str) -> WayOut {
        let items = options_of(self.root, &self.wants("array")?["items"]);
        if !items.iter().any(|o| accepts_kind(o, self.node)) {
            let field = items.iter().find_map(|map| main_field(map, text))?;
            let item = Node {
                value: Value::Map(vec![(key_at(self.node, field), self.text_here(text))]),
                span: self.node.span,
            };
            return self.write(&format!("[{{ {field}: {text} }}]"), Value::List(vec![item]));
        }
        let end = self.node.span.start.saturating_add(self.node.span.len);
        let lines = self
            .text
            .get(self.node.span.start..end)
            .unwrap_or_default()
            .trim();
        if lines.contains('\n') {
            let lines = lines.lines().map(str::trim).filter(|l| !l.is_empty());
            let nodes = lines.map(|line| self.text_here(line)).collect();
            return Some((
                "Write a `- ` before each line.".to_owned(),
                Some(Value::List(nodes)),
            ));
        }
        // Of a list that lacks one of its brackets the other is left.
        let text = text.trim_matches(['[', ']']);
        let items: Vec<&str> = text.split(',').map(str::trim).collect();
        let nodes = items.iter().map(|item| self.text_here(item)).collect();
        self.write(&format!("[{}]", items.join(", ")), Value::List(nodes))
    }

    fn text_for_map(&self, text: &str) -> WayOut {
        let map = self.wants("object")?;
        if map["properties"].get("expression").is_some() {
            let help = format!(
                "Write {}{{ title: NAME, expression: '{text}' }}",
                self.field()
            );
            return Some((help, None));
        }
        if map["properties"].get("maxParallel").is_some() {
            return Some((format!("Write {{ name: {text}, clusters: … }}"), None));
        }
        if map["properties"]
            .get(text)
            .is_some_and(|p| takes(p, "boolean"))
        {
            let flag = Node {
                value: Value::Bool(true),
                span: self.node.span,
            };
            let entry = (key_at(self.node, text), flag);
            return self.write(&format!("{{ {text}: true }}"), Value::Map(vec![entry]));
        }
        if map["properties"].get("grants").is_some() && text.contains("roles/") {
            let list = Value::List(vec![self.text_here(text)]);
            let entry = (
                key_at(self.node, "grants"),
                Node {
                    value: list,
                    span: self.node.span,
                },
            );
            return self.write(&format!("{{ grants: [{text}] }}"), Value::Map(vec![entry]));
        }
        let (key, value) = if map["additionalProperties"].is_object() {
            let (key, value) = text.split_once('=').filter(|_| !text.contains(','))?;
            (key.trim(), value.trim())
        } else {
            (main_field(map, text)?, text)
        };
        let entry = (key_at(self.node, key), self.text_here(value));
        self.write(&format!("{{ {key}: {value} }}"), Value::Map(vec![entry]))
    }

    fn list_for_text(&self, items: &[Node]) -> WayOut {
        let texts: Vec<&str> = items.iter().map(Node::text).collect::<Option<_>>()?;
        match (texts.as_slice(), self.called) {
            ([one], _) => self.write(one, Value::Text((*one).to_owned())),
            ([_, _, ..], Called::Field(of @ ("clusters" | "select"), key)) => {
                let help = format!("Write a selector: {of}: {key} in ({})", texts.join(", "));
                Some((help, None))
            }
            _ => None,
        }
    }

    fn list_for_map(&self, items: &[Node]) -> WayOut {
        let map = self.wants("object")?;
        let inner = options_of(self.root, &map["additionalProperties"]);
        if !map["additionalProperties"].is_object() {
            return self.list_for_fields(items, map);
        }
        let Some(named) = inner.iter().find(|o| takes(o, "object")) else {
            let help = format!(
                "Write a key and a value for each: {}{{ KEY: VALUE }}",
                self.field()
            );
            return Some((help, None));
        };
        // Lists of things with a name, as in Kubernetes' manifests.
        let keeps_name = named["properties"].get("name").is_some();
        let mut entries = Vec::new();
        for item in items {
            let (name, value) = match item.get("name") {
                Some(name) => {
                    let mut fields = item.entries().to_vec();
                    fields.retain(|(k, _)| keeps_name || k.text != "name");
                    (name, Value::Map(fields))
                }
                None => (item, Value::Null),
            };
            let value = Node {
                value,
                span: item.span,
            };
            entries.push((key_at(name, name.text()?), value));
        }
        let Some((first, _)) = entries.first() else {
            let help = format!("They go by name: {}{{ NAME: {{ … }} }}", self.field());
            return Some((help, None));
        };
        let help = format!("They go by name: write `{}:`, without a `- `.", first.text);
        Some((help, Some(Value::Map(entries))))
    }

    /// A list where a map with certain fields belongs.
    fn list_for_fields(&self, items: &[Node], map: &'a Json) -> WayOut {
        if let [one] = items
            && has_fields(map, one.entries())
        {
            return Some((
                "Write it without the `- `.".to_owned(),
                Some(one.value.clone()),
            ));
        }
        if let [one] = items
            && let Some(text) = one.text()
        {
            return self.text_for_map(text);
        }
        let whole = |field: &&str| {
            options_of(self.root, &map["properties"][*field]["items"])
                .iter()
                .any(|o| items.iter().all(|item| has_fields(o, item.entries())))
        };
        let field = required(map).into_iter().find(whole)?;
        let help = format!("Write `{field}:` before it.");
        let entry = (key_at(self.node, field), self.node.clone());
        Some((help, Some(Value::Map(vec![entry]))))
    }

    fn map_for_list(&self, entries: &[(Key, Node)]) -> WayOut {
        let inner = options_of(self.root, &self.wants("array")?["items"]);
        let (first, _) = entries.first()?;
        if inner.iter().any(|o| has_fields(o, entries)) {
            let help = "It is a list: put a `- ` before it.".to_owned();
            return Some((help, Some(Value::List(vec![self.node.clone()]))));
        }
        if let Some(named) = self.named_items(&inner, entries) {
            let help = format!(
                "It is a list: write `- name: {0}` in place of `{0}:`.",
                first.text
            );
            return Some((help, Some(Value::List(named))));
        }
        let only_keys = entries.iter().all(|(_, v)| matches!(v.value, Value::Null));
        if !only_keys || !inner.iter().any(|o| takes(o, "string")) {
            return None;
        }
        let items = entries.iter().map(|(k, _)| Node {
            value: Value::Text(k.text.clone()),
            span: k.span,
        });
        let help = format!("It is a list: write `- {}`, without the colon.", first.text);
        Some((help, Some(Value::List(items.collect()))))
    }

    /// Entries by name as the items of a list, for items that have a name.
    fn named_items(&self, inner: &[&Json], entries: &[(Key, Node)]) -> Option<Vec<Node>> {
        inner.iter().find(|o| required(o).contains(&"name"))?;
        let item = |(key, value): &(Key, Node)| {
            let Value::Map(fields) = &value.value else {
                return None;
            };
            let name = Node {
                value: Value::Text(key.text.clone()),
                span: key.span,
            };
            let mut fields = fields.clone();
            fields.insert(0, (key_at(&name, "name"), name));
            Some(Node {
                value: Value::Map(fields),
                span: value.span,
            })
        };
        entries.iter().map(item).collect()
    }

    fn map_for_text(&self, entries: &[(Key, Node)]) -> WayOut {
        let [(_, only)] = entries else { return None };
        let text = only.text()?;
        self.write(text, Value::Text(text.to_owned()))
    }

    fn text_here(&self, text: &str) -> Node {
        Node {
            value: Value::Text(text.to_owned()),
            span: self.node.span,
        }
    }
}

/// The fields that a map needs.
fn required(map: &Json) -> Vec<&str> {
    let fields = map["required"].as_array().into_iter().flatten();
    fields.filter_map(Json::as_str).collect()
}

/// Whether these are fields of a map.
fn has_fields(map: &Json, entries: &[(Key, Node)]) -> bool {
    let is_field = |(key, _): &(Key, Node)| map["properties"].get(&key.text).is_some();
    !entries.is_empty() && entries.iter().all(is_field)
}

/// The field that a text in place of a whole map is for, if the map needs no other.
fn main_field(map: &Json, text: &str) -> Option<&'static str> {
    let fits = |property: &Json| values(property).is_none_or(|v| v.contains(&text));
    match required(map).as_slice() {
        ["location"] => Some("location"),
        // What has an email has a project as well.
        [] => ["email", "endpoint", "impersonates", "project"]
            .into_iter()
            .find(|field| map["properties"].get(field).is_some_and(fits))
            .filter(|field| *field != "email" || text.contains('@')),
        _ => None,
    }
}

fn key_at(node: &Node, text: &str) -> Key {
    Key {
        text: text.to_owned(),
        span: node.span,
        known: true,
    }
}
