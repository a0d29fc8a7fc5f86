//! proto3 JSON as Google's APIs read and write it: `schema.json` has their methods and the fields of
//! each message, taken from the discovery documents by `make.py`.

use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::errors::ApiError;

/// A method of an API: what it takes and answers.
#[derive(Debug, Deserialize)]
pub struct Method {
    id: String,
    verb: String,
    path: String,
    request: Option<String>,
    response: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Tables {
    lenient: Vec<String>,
    methods: Vec<Method>,
    types: HashMap<String, BTreeMap<String, String>>,
}

fn tables() -> &'static Tables {
    static TABLES: OnceLock<Tables> = OnceLock::new();
    TABLES.get_or_init(|| serde_json::from_str(include_str!("schema.json")).expect("its own table"))
}

/// The method behind a verb and a decoded path, if the tables have it.
pub fn method(verb: &str, path: &str) -> Option<&'static Method> {
    let path = path.trim_start_matches('/');
    let all = tables().methods.iter();
    let fitting = all.filter(|method| method.verb == verb && fits(&method.path, path));
    // `topics/*` fits `topics/T:getIamPolicy`, too.
    fitting.max_by_key(|method| method.path.contains(':'))
}

/// Whether a message (`container.Cluster`) has a field of this name.
pub fn has_field(message: &str, field: &str) -> bool {
    let fields = tables().types.get(message);
    fields.is_some_and(|fields| fields.contains_key(field))
}

/// Whether a path is of this pattern, in which `*` stands for a segment.
pub fn fits(pattern: &str, path: &str) -> bool {
    let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return true,
            (Some(pattern), Some(segment)) if segment_fits(pattern, segment) => {}
            _ => return false,
        }
    }
}

/// `*`, `*:verb` or a word. A segment with a colon is taken for a verb only where the pattern has one.
fn segment_fits(pattern: &str, segment: &str) -> bool {
    match pattern.strip_prefix('*') {
        Some(verb) => segment
            .strip_suffix(verb)
            .is_some_and(|name| !name.is_empty()),
        None => pattern == segment,
    }
}

/// What a field holds.
enum Kind<'a> {
    Message(&'a str),
    List(&'a str),
    Map(&'a str),
    Enum(&'a str),
    Text,
    Bool,
    Int32,
    Int64,
    Float,
    Any,
}

fn kind(text: &str) -> Kind<'_> {
    let inner = || &text[1..text.len() - 1];
    match text.as_bytes().first() {
        Some(b'#') => Kind::Message(&text[1..]),
        Some(b'[') => Kind::List(inner()),
        Some(b'{') => Kind::Map(inner()),
        Some(b'A'..=b'Z') => Kind::Enum(text),
        _ => match text {
            "string" => Kind::Text,
            "boolean" => Kind::Bool,
            "integer" => Kind::Int32,
            "int64" | "uint64" => Kind::Int64,
            "number" => Kind::Float,
            _ => Kind::Any,
        },
    }
}

impl Method {
    /// A body in its canonical form: camelCase names, enums by name, 64-bit numbers as strings, no nulls.
    ///
    /// # Errors
    /// 400 with a violation for each name that the message does not have and each value that it cannot hold.
    pub fn read(&self, body: Value) -> Result<Value, ApiError> {
        let Some(request) = &self.request else {
            return Ok(body);
        };
        let api = self.id.split('.').next().unwrap_or_default();
        let mut reader = Reader {
            lenient: tables().lenient.iter().any(|lenient| lenient == api),
            violations: Vec::new(),
        };
        let read = reader.value(request, body, "");
        if reader.violations.is_empty() {
            return Ok(read);
        }
        Err(refused(&reader.violations))
    }

    /// What is in an answer that its type does not have, or has otherwise.
    pub fn misfits(&self, answer: &Value) -> Vec<String> {
        let mut wrong = Vec::new();
        match &self.response {
            Some(response) => misfits(response, answer, &self.id, &mut wrong),
            None => wrong.extend((*answer != json!({})).then(|| format!("{}: no answer", self.id))),
        }
        wrong
    }

    /// An answer with numbers for its enums: `$alt=json;enum-encoding=int`.
    pub fn with_numbers(&self, mut answer: Value) -> Value {
        if let Some(response) = &self.response {
            number_enums(response, &mut answer);
        }
        answer
    }
}

fn refused(violations: &[(String, String)]) -> ApiError {
    let lines: Vec<&str> = violations.iter().map(|(_, text)| text.as_str()).collect();
    let mut error = ApiError::invalid(lines.join("\n"));
    let shown: Vec<Value> = violations
        .iter()
        .map(|(field, text)| match field.as_str() {
            "" => json!({ "description": text }),
            field => json!({ "field": field, "description": text }),
        })
        .collect();
    error.details.push(json!({
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": shown,
    }));
    error
}

/// Reads one body, and notes what is wrong with it.
struct Reader {
    /// Older APIs ignore names that they do not know.
    lenient: bool,
    /// Path (`policy.bindings[0]`) and text.
    violations: Vec<(String, String)>,
}

impl Reader {
    fn value(&mut self, expected: &str, value: Value, path: &str) -> Value {
        match (kind(expected), value) {
            (Kind::Any, value) => value,
            (Kind::Message(name), Value::Object(fields)) => self.message(name, fields, path),
            (Kind::List(inner), Value::Array(items)) => {
                let items = items.into_iter().enumerate();
                items
                    .map(|(at, item)| self.value(inner, item, &format!("{path}[{at}]")))
                    .collect()
            }
            (Kind::Map(inner), Value::Object(fields)) => fields
                .into_iter()
                .map(|(key, value)| {
                    let at = format!("{path}[{key}]");
                    let value = self.value(inner, value, &at);
                    (key, value)
                })
                .collect(),
            (Kind::Enum(names), value) => self.one_of(names, value, path),
            (Kind::Text, value @ Value::String(_)) | (Kind::Bool, value @ Value::Bool(_)) => value,
            (Kind::Float, value @ Value::Number(_)) => value,
            (number @ (Kind::Int32 | Kind::Int64), value) => match (whole(&value), number) {
                (Some(whole), Kind::Int64) => whole.to_string().into(),
                (Some(whole), _) if i32::try_from(whole).is_ok() => whole.into(),
                _ => self.wrong(expected, value, path),
            },
            (_, value) => self.wrong(expected, value, path),
        }
    }

    fn message(&mut self, name: &str, fields: Map<String, Value>, path: &str) -> Value {
        let Some(known) = tables().types.get(name) else {
            return Value::Object(fields);
        };
        let mut read = Map::new();
        for (field, value) in fields {
            let canonical = match known.contains_key(&field) {
                true => field.clone(),
                false => camel(&field),
            };
            let Some(expected) = known.get(&canonical).or_else(|| known.get("*")) else {
                if !self.lenient {
                    let place = match path {
                        "" => String::new(),
                        path => format!(" at '{path}'"),
                    };
                    let text = format!(
                        "Invalid JSON payload received. Unknown name \"{field}\"{place}: Cannot find field."
                    );
                    self.violations.push((path.to_owned(), text));
                }
                continue;
            };
            if value.is_null() {
                continue;
            }
            let at = match path {
                "" => snake(&canonical),
                path => format!("{path}.{}", snake(&canonical)),
            };
            let value = self.value(expected, value, &at);
            read.insert(canonical, value);
        }
        Value::Object(read)
    }

    fn one_of(&mut self, names: &str, value: Value, path: &str) -> Value {
        let mut known = names.split('|');
        let name = match &value {
            Value::String(text) => known.find(|name| name == text),
            Value::Number(number) => number
                .as_u64()
                .and_then(|n| usize::try_from(n).ok())
                .and_then(|n| known.nth(n)),
            _ => None,
        };
        match name {
            Some(name) => name.into(),
            None => self.wrong("enum", value, path),
        }
    }

    fn wrong(&mut self, expected: &str, value: Value, path: &str) -> Value {
        let kind = match kind(expected) {
            Kind::Message(name) => format!("type.googleapis.com/{name}"),
            Kind::List(_) => "TYPE_REPEATED".to_owned(),
            Kind::Map(_) => "TYPE_MAP".to_owned(),
            Kind::Text => "TYPE_STRING".to_owned(),
            Kind::Bool => "TYPE_BOOL".to_owned(),
            Kind::Int32 => "TYPE_INT32".to_owned(),
            Kind::Int64 => "TYPE_INT64".to_owned(),
            Kind::Float => "TYPE_DOUBLE".to_owned(),
            Kind::Enum(_) | Kind::Any => "TYPE_ENUM".to_owned(),
        };
        let text = match path {
            "" => {
                "Invalid JSON payload received. Unknown name \"\": Root element must be a message."
                    .to_owned()
            }
            path => format!("Invalid value at '{path}' ({kind}), {value}"),
        };
        self.violations.push((path.to_owned(), text));
        Value::Null
    }
}

/// A whole number, written as a number or as a string.
fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.as_i64().or_else(|| {
            // 3.0 is whole, too.
            let float = number.as_f64()?;
            format!("{float}").parse().ok()
        }),
        _ => None,
    }
}

/// `update_mask` is `updateMask`.
fn camel(snake: &str) -> String {
    let mut out = String::with_capacity(snake.len());
    let mut up = false;
    for c in snake.chars() {
        match c {
            '_' => up = true,
            c if up => {
                out.push(c.to_ascii_uppercase());
                up = false;
            }
            c => out.push(c),
        }
    }
    out
}

/// `updateMask` is `update_mask`.
fn snake(camel: &str) -> String {
    let mut out = String::with_capacity(camel.len() + 4);
    for c in camel.chars() {
        if c.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// Modes that node pools of years ago have, which the documents have no more.
fn is_of_former_pools(path: &str, mode: &str) -> bool {
    path.ends_with(".workloadMetadataConfig.mode") && matches!(mode, "SECURE" | "EXPOSE")
}

fn misfits(expected: &str, value: &Value, path: &str, wrong: &mut Vec<String>) {
    let fits = match (kind(expected), value) {
        (Kind::Any, _) | (Kind::Text, Value::String(_)) | (Kind::Bool, Value::Bool(_)) => true,
        (Kind::Float, value) => value.is_number(),
        (Kind::Int32, value) => value.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
        // 64 bits do not fit a JavaScript number.
        (Kind::Int64, Value::String(text)) => text.parse::<i64>().is_ok(),
        (Kind::Enum(names), Value::String(text)) => {
            names.split('|').any(|name| name == text) || is_of_former_pools(path, text)
        }
        (Kind::Message(name), Value::Object(fields)) => {
            let known = tables().types.get(name);
            for (field, value) in fields {
                let at = format!("{path}.{field}");
                match known.and_then(|known| known.get(field).or_else(|| known.get("*"))) {
                    Some(expected) => misfits(expected, value, &at, wrong),
                    None => wrong.push(format!("{at} is in no {name}")),
                }
            }
            true
        }
        (Kind::List(inner), Value::Array(items)) => {
            for item in items {
                misfits(inner, item, &format!("{path}[]"), wrong);
            }
            true
        }
        (Kind::Map(inner), Value::Object(fields)) => {
            for (key, value) in fields {
                misfits(inner, value, &format!("{path}[{key}]"), wrong);
            }
            true
        }
        _ => false,
    };
    if !fits {
        wrong.push(format!("{path}: {value} is no {expected}"));
    }
}

fn number_enums(expected: &str, value: &mut Value) {
    match (kind(expected), value) {
        (Kind::Message(name), Value::Object(fields)) => {
            let Some(known) = tables().types.get(name) else {
                return;
            };
            for (field, value) in fields {
                if let Some(expected) = known.get(field).or_else(|| known.get("*")) {
                    number_enums(expected, value);
                }
            }
        }
        (Kind::List(inner), Value::Array(items)) => {
            items.iter_mut().for_each(|item| number_enums(inner, item));
        }
        (Kind::Map(inner), Value::Object(fields)) => {
            fields
                .values_mut()
                .for_each(|item| number_enums(inner, item));
        }
        (Kind::Enum(names), value) => {
            let number = names.split('|').position(|name| value == name);
            if let Some(number) = number {
                *value = number.into();
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update() -> &'static Method {
        method("PUT", "/v1/projects/p/locations/l/clusters/c").expect("in the table")
    }

    #[test]
    fn any_spelling_of_proto3_json_is_read() {
        let read = update()
            .read(json!({"update": {"desired_workload_identity_config": {"workload_pool": "p.svc.id.goog"}, "etag": null}}))
            .expect("read");
        let wanted =
            json!({"update": {"desiredWorkloadIdentityConfig": {"workloadPool": "p.svc.id.goog"}}});
        assert_eq!(read, wanted);
        let pool =
            method("PUT", "/v1/projects/p/locations/l/clusters/c/nodePools/n").expect("there");
        let read = pool
            .read(json!({"workloadMetadataConfig": {"mode": 2}, "diskSizeGb": "100"}))
            .expect("read");
        let wanted =
            json!({"workloadMetadataConfig": {"mode": "GKE_METADATA"}, "diskSizeGb": "100"});
        assert_eq!(read, wanted);
    }

    #[test]
    fn what_a_message_cannot_hold_is_told_with_its_place() {
        let error = update()
            .read(json!({"update": {"desiredWorkloadIdentityConfig": {"workloadPool": 5}, "colour": 1}}))
            .expect_err("refused");
        assert_eq!(error.code, 400);
        assert_eq!(
            error.message,
            "Invalid JSON payload received. Unknown name \"colour\" at 'update': Cannot find field.\n\
             Invalid value at 'update.desired_workload_identity_config.workload_pool' (TYPE_STRING), 5"
        );
    }

    #[test]
    fn what_an_answer_has_and_its_type_has_not_is_told_with_its_place() {
        let get = method("GET", "/v1/projects/p/zones/z/clusters/c").expect("in the table");
        let fine = json!({"status": "RUNNING", "resourceLabels": {"a": "b"}, "currentNodeCount": 3,
            "nodePools": [{"name": "p", "progress": {"metrics": [{"intValue": "3"}]}}]});
        let progress = [
            "container.projects.zones.clusters.get.nodePools[].progress is in no container.NodePool",
        ];
        assert_eq!(get.misfits(&fine), progress);
        for (odd, at) in [
            (
                json!({"status": "MOVING"}),
                ".status: \"MOVING\" is no STATUS_UNSPECIFIED",
            ),
            (
                json!({"resourceLabels": {"a": 1}}),
                ".resourceLabels[a]: 1 is no string",
            ),
            (
                json!({"currentNodeCount": "3"}),
                ".currentNodeCount: \"3\" is no integer",
            ),
            (
                json!({"nodePools": {}}),
                ".nodePools: {} is no [#container.NodePool]",
            ),
            (json!([]), ": [] is no #container.Cluster"),
        ] {
            let misfits = get.misfits(&odd);
            assert!(
                misfits.len() == 1 && misfits[0].contains(at),
                "{at}: {misfits:?}"
            );
        }
    }

    #[test]
    fn a_verb_of_its_own_goes_before_a_name_with_a_colon_in_it() {
        let of = |path: &str| method("GET", path).map(|m| m.id.as_str());
        assert_eq!(
            of("/v1/projects/p/topics/t:getIamPolicy"),
            Some("pubsub.projects.topics.getIamPolicy")
        );
        assert_eq!(
            of("/v1/projects/p/topics/t"),
            Some("pubsub.projects.topics.get")
        );
        assert_eq!(
            of("/v1/projects/example.com:p"),
            Some("cloudresourcemanagerv1.projects.get")
        );
    }

    #[test]
    fn enums_are_numbers_where_that_was_asked_for() {
        let get = method("GET", "/v1/projects/p/zones/z/clusters/c").expect("in the table");
        let shown =
            get.with_numbers(json!({"status": "RUNNING", "nodePools": [{"status": "ERROR"}]}));
        assert_eq!(shown, json!({"status": 2, "nodePools": [{"status": 6}]}));
    }
}
