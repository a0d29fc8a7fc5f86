//! Which field was meant by a word that is none, and what the schema says about fields.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::called::Called;

/// Words that people use for fields, where they are not like the field's own.
const WORDS: &[(&str, &str)] = &[
    ("gsas", "googleServiceAccounts"),
    ("gsa", "impersonates"),
    ("googleServiceAccount", "impersonates"),
    ("ksas", "serviceAccounts"),
    ("name", "account"),
    ("on", "resource"),
    ("parallel", "maxParallel"),
    ("permissions", "grants"),
    ("pools", "nodePools"),
    ("region", "location"),
    ("roles", "grants"),
    ("serviceAccount", "impersonates"),
    ("tags", "labels"),
    ("until", "expires"),
    ("zone", "location"),
];

/// Words that ask for what another field would, in another way: the word, the field, the way.
const OTHER_WAYS: &[(&str, &str, &str)] = &[(
    "include",
    "exclude",
    "To take some node pools only, write a list: nodePools: [NAME].",
)];

/// Maps of texts: labels, and selectors of them.
pub const LABELS: &[&str] = &["labels", "resourceLabels", "clusters", "select"];

/// What a reference in the schema points at.
pub fn resolved<'a>(root: &'a Json, schema: &'a Json) -> &'a Json {
    match schema["$ref"].as_str().and_then(|r| r.strip_prefix('#')) {
        Some(pointer) => root.pointer(pointer).unwrap_or(schema),
        None => schema,
    }
}

/// What the schema says about a field.
pub fn description(schema: &Json) -> Option<String> {
    schema["description"].as_str().map(|d| d.replace('\n', " "))
}

/// The values that a text may have, if the schema lists them.
pub fn values(schema: &Json) -> Option<Vec<&str>> {
    let values = schema["enum"].as_array()?;
    Some(values.iter().filter_map(Json::as_str).collect())
}

/// Whether an empty text says something.
pub fn may_be_empty(called: Called<'_>) -> bool {
    match called {
        Called::Field(of, field) => {
            LABELS.contains(&of) || matches!(field, "description" | "displayName")
        }
        _ => false,
    }
}

/// `a, b or c`.
pub fn one_of(values: &[&str]) -> String {
    match values {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}

/// The field that a word stands for, though there is another way to say it.
pub fn in_place_of(word: &str) -> Option<&'static str> {
    let way = OTHER_WAYS.iter().find(|(w, ..)| *w == word)?;
    Some(way.1)
}

/// The one of the fields that are missing that was meant.
pub fn field<'a>(word: &str, missing: &[&'a str]) -> Option<&'a str> {
    if in_place_of(word).is_some() {
        return None;
    }
    let by_word = |wanted: &str| missing.iter().copied().find(|m| *m == wanted);
    WORDS
        .iter()
        .filter(|(w, _)| *w == word)
        .find_map(|(_, field)| by_word(field))
        .or_else(|| nearest(word, missing.iter().copied()))
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

/// A hint for a field that is none here: another way, or where there is one of this name.
pub fn elsewhere(root: &Json, word: &str) -> Option<String> {
    if let Some((.., way)) = OTHER_WAYS.iter().find(|(w, ..)| *w == word) {
        return Some((*way).to_owned());
    }
    let mut places = BTreeSet::new();
    walk(root, root, "", &mut |place, field| {
        if field == word {
            let of = place.split('.').rfind(|part| *part != "NAME");
            places.insert(of.unwrap_or_default().to_owned());
        }
    });
    let place = places.pop_first().filter(|_| places.is_empty())?;
    Some(format!(
        "`{word}` is a field of {place}: is this line indented as it should be?"
    ))
}

/// Visits all fields of the schema, with the path of what they are fields of.
fn walk<'a>(root: &'a Json, schema: &'a Json, path: &str, visit: &mut dyn FnMut(&str, &str)) {
    let schema = resolved(root, schema);
    let options = schema["anyOf"].as_array().into_iter().flatten();
    for option in options.chain(schema.get("items")) {
        walk(root, option, path, visit);
    }
    if schema["additionalProperties"].is_object() {
        walk(
            root,
            &schema["additionalProperties"],
            &format!("{path}.NAME"),
            visit,
        );
    }
    for (field, property) in schema["properties"].as_object().into_iter().flatten() {
        visit(path, field);
        let dot = if path.is_empty() { "" } else { "." };
        walk(root, property, &format!("{path}{dot}{field}"), visit);
    }
}

/// What the schema says about several fields, a line each.
pub fn descriptions(fields: &[&str], schema: &Json) -> Option<String> {
    let lines: Option<Vec<String>> = fields
        .iter()
        .map(|f| Some(format!("{f}: {}", description(&schema["properties"][f])?)))
        .collect();
    Some(lines?.join("\n"))
}

/// The schemas that a value may have.
pub fn options_of<'a>(root: &'a Json, schema: &'a Json) -> Vec<&'a Json> {
    let resolved = resolved(root, schema);
    match resolved["anyOf"].as_array() {
        Some(options) => options.iter().flat_map(|o| options_of(root, o)).collect(),
        None => vec![resolved],
    }
}
