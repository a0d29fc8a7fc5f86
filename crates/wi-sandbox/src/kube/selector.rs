//! Selectors: which objects a list is asked for, and which pods a budget counts.

use serde_json::Value;

use super::budget::{LabelOperator, LabelSelector};
use super::kind::Kind;
use super::names;
use super::status::Status;

/// One requirement of a selector.
#[derive(Debug)]
pub struct Requirement {
    place: Place,
    test: Test,
}

#[derive(Debug)]
enum Place {
    Label(String),
    /// A JSON pointer.
    Field(&'static str),
}

#[derive(Debug)]
enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
}

impl Requirement {
    pub fn admits(&self, object: &Value) -> bool {
        let value = match &self.place {
            Place::Label(label) => object["metadata"]["labels"].get(label),
            Place::Field(pointer) => object.pointer(pointer),
        };
        let shown = value.map(|value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(), // spec.unschedulable=true
        });
        let value = shown.as_deref();
        // A field that is not set compares as the empty string; a label that is not set does not.
        let value = match self.place {
            Place::Field(_) => Some(value.unwrap_or_default()),
            Place::Label(_) => value,
        };
        match &self.test {
            Test::In(allowed) => value.is_some_and(|value| allowed.iter().any(|one| one == value)),
            Test::NotIn(refused) => {
                value.is_none_or(|value| refused.iter().all(|one| one != value))
            }
            Test::Exists => value.is_some(),
            Test::Absent => value.is_none(),
        }
    }
}

/// The requirements of `labelSelector`.
pub fn by_labels(selector: &str) -> Result<Vec<Requirement>, Status> {
    terms(selector)
        .into_iter()
        .map(|term| {
            let unreadable =
                || Status::bad_request(format!("unable to parse requirement: {term:?}"));
            let (label, test) = if let Some(label) = term.strip_prefix('!') {
                (label, Test::Absent)
            } else if let Some((head, values)) = term.split_once('(') {
                let values = values.strip_suffix(')').ok_or_else(unreadable)?;
                let values = values
                    .split(',')
                    .map(|value| value.trim().to_owned())
                    .collect();
                let mut words = head.split_whitespace();
                match (words.next(), words.next(), words.next()) {
                    (Some(label), Some("in"), None) => (label, Test::In(values)),
                    (Some(label), Some("notin"), None) => (label, Test::NotIn(values)),
                    _ => return Err(unreadable()),
                }
            } else {
                equality(&term).unwrap_or((&term, Test::Exists))
            };
            let label = label.trim();
            if label.is_empty() || label.contains(char::is_whitespace) {
                return Err(unreadable());
            }
            names::qualified(label).map_err(|_| unreadable())?;
            if let Test::In(values) | Test::NotIn(values) = &test {
                for value in values {
                    names::value(value).map_err(|why| {
                        Status::bad_request(format!(
                            "unable to parse requirement: values[0][{label}]: Invalid value: {value:?}: {why}"
                        ))
                    })?;
                }
            }
            Ok(Requirement {
                place: Place::Label(label.to_owned()),
                test,
            })
        })
        .collect()
}

/// The requirements of a selector in an object.
pub fn by_selector(selector: &LabelSelector) -> Vec<Requirement> {
    let labels = selector
        .match_labels
        .iter()
        .map(|(label, value)| (label, Test::In(vec![value.clone()])));
    let expressions = selector.match_expressions.iter().map(|rule| {
        let values = || rule.values.clone();
        let test = match rule.operator {
            LabelOperator::In => Test::In(values()),
            LabelOperator::NotIn => Test::NotIn(values()),
            LabelOperator::Exists => Test::Exists,
            LabelOperator::DoesNotExist => Test::Absent,
        };
        (&rule.key, test)
    });
    labels
        .chain(expressions)
        .map(|(label, test)| Requirement {
            place: Place::Label(label.clone()),
            test,
        })
        .collect()
}

/// Whether the `podSelector` of a NetworkPolicy means a pod; an empty one means all.
pub fn means_pod(selector: &Value, pod: &Value) -> bool {
    let read: Option<LabelSelector> = serde_json::from_value(selector.clone()).ok();
    let rules = read.map(|read| by_selector(&read)).unwrap_or_default();
    rules.iter().all(|rule| rule.admits(pod))
}

/// Whether a selector of an object means what has these labels; an empty one of a workload means nothing.
pub fn selects(selector: &Value, object: &Value) -> bool {
    let read: Option<LabelSelector> = serde_json::from_value(selector.clone()).ok();
    read.is_some_and(|read| {
        let rules = by_selector(&read);
        !rules.is_empty() && rules.iter().all(|rule| rule.admits(object))
    })
}

/// The requirements of `fieldSelector`.
pub fn by_fields(kind: Kind, selector: &str) -> Result<Vec<Requirement>, Status> {
    terms(selector)
        .into_iter()
        .map(|term| {
            let (field, test) = equality(&term).ok_or_else(|| {
                Status::bad_request(format!(
                    "invalid selector: '{term}'; can't understand '{term}'"
                ))
            })?;
            let pointer = match (field, kind) {
                ("metadata.name", _) => "/metadata/name",
                ("metadata.namespace", _) => "/metadata/namespace",
                ("status.phase", Kind::Pod | Kind::Namespace) => "/status/phase",
                ("spec.nodeName", Kind::Pod) => "/spec/nodeName",
                ("spec.serviceAccountName", Kind::Pod) => "/spec/serviceAccountName",
                ("spec.restartPolicy", Kind::Pod) => "/spec/restartPolicy",
                ("spec.schedulerName", Kind::Pod) => "/spec/schedulerName",
                ("spec.hostNetwork", Kind::Pod) => "/spec/hostNetwork",
                ("status.podIP", Kind::Pod) => "/status/podIP",
                ("type", Kind::Secret) => "/type",
                ("spec.unschedulable", Kind::Node) => "/spec/unschedulable",
                _ => {
                    let message = match kind {
                        Kind::Namespace | Kind::Node | Kind::Pod => {
                            format!("field label not supported: {field}")
                        }
                        _ => format!(
                            "{field:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
                        ),
                    };
                    return Err(Status::bad_request(message));
                }
            };
            Ok(Requirement {
                place: Place::Field(pointer),
                test,
            })
        })
        .collect()
}

/// `a=b`, `a==b`, `a!=b`.
fn equality(term: &str) -> Option<(&str, Test)> {
    if let Some((key, value)) = term.split_once("!=") {
        return Some((key.trim(), Test::NotIn(vec![value.trim().to_owned()])));
    }
    let (key, value) = term.split_once("==").or_else(|| term.split_once('='))?;
    Some((key.trim(), Test::In(vec![value.trim().to_owned()])))
}

/// The comma-separated terms, commas in parentheses aside.
fn terms(selector: &str) -> Vec<String> {
    let mut terms = vec![String::new()];
    let mut depth = 0_usize;
    for character in selector.chars() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                terms.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(term) = terms.last_mut() {
            term.push(character);
        }
    }
    terms
        .into_iter()
        .map(|term| term.trim().to_owned())
        .filter(|term| !term.is_empty())
        .collect()
}
