//! Lists: selectors, pages, and the consistent snapshot behind the pages of one list.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::status::Status;
use super::store::{Key, Kind, Objects, Store};

/// Snapshots kept for running lists; older ones answer 410 Expired.
const SNAPSHOTS: usize = 16;

/// The query of a list.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    /// `None` for all namespaces.
    pub namespace: Option<String>,
    pub label_selector: String,
    pub field_selector: String,
    /// Zero for no limit.
    pub limit: usize,
    pub continue_token: String,
}

/// One page.
#[derive(Debug)]
pub struct Page {
    pub items: Vec<Arc<Value>>,
    pub resource_version: u64,
    /// Empty on the last page.
    pub continue_token: String,
    /// Left out under selectors, as by the API.
    pub remaining: Option<usize>,
}

/// What a continue token holds.
#[derive(Debug, Serialize, Deserialize)]
struct Token {
    /// The snapshot; `None` goes on in the current state.
    revision: Option<u64>,
    namespace: String,
    name: String,
}

impl Token {
    fn encode(&self) -> String {
        let json = serde_json::json!(self).to_string();
        URL_SAFE_NO_PAD.encode(json)
    }

    fn decode(token: &str) -> Option<Self> {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token).ok()?).ok()
    }
}

impl Store {
    /// One page of a list.
    ///
    /// # Errors
    /// 400 for a selector that cannot be read; 410 for a token whose snapshot is gone, with a fresh
    /// token where the place in the list is known.
    pub fn list(&mut self, kind: Kind, query: &ListQuery) -> Result<Page, Status> {
        let labels = parse_label_selector(&query.label_selector)?;
        let fields = parse_field_selector(kind, &query.field_selector)?;
        let (revision, objects, after) = self.snapshot(kind, &query.continue_token)?;
        let mut matching: Vec<(&Key, &Arc<Value>)> = objects
            .range(Key::new(kind, "", "")..)
            .take_while(|(key, _)| key.kind == kind)
            .filter(|(key, _)| after.as_ref().is_none_or(|after| *key > after))
            .filter(|(key, _)| {
                query
                    .namespace
                    .as_ref()
                    .is_none_or(|wanted| *wanted == key.namespace)
            })
            .filter(|(_, object)| labels.iter().all(|rule| rule.admits(object)))
            .filter(|(_, object)| fields.iter().all(|rule| rule.admits(object)))
            .collect();
        let limit = if query.limit == 0 {
            matching.len()
        } else {
            query.limit
        };
        let rest = matching.len().saturating_sub(limit);
        matching.truncate(limit);
        let continue_token = match matching.last() {
            Some((key, _)) if rest > 0 => Token {
                revision: Some(revision),
                namespace: key.namespace.clone(),
                name: key.name.clone(),
            }
            .encode(),
            _ => String::new(),
        };
        let items = matching
            .into_iter()
            .map(|(key, object)| self.with_status(key, object))
            .collect();
        let selected = !(query.label_selector.is_empty() && query.field_selector.is_empty());
        if rest > 0 && !self.snapshots.iter().any(|(known, _)| *known == revision) {
            self.snapshots.push_back((revision, objects));
            if self.snapshots.len() > SNAPSHOTS {
                self.snapshots.pop_front();
            }
        }
        Ok(Page {
            items,
            resource_version: revision,
            continue_token,
            remaining: (rest > 0 && !selected).then_some(rest),
        })
    }

    /// The objects that a list reads, and the key after which it goes on.
    fn snapshot(&self, kind: Kind, token: &str) -> Result<(u64, Objects, Option<Key>), Status> {
        if token.is_empty() {
            return Ok((self.revision, self.objects.clone(), None));
        }
        let token = Token::decode(token).ok_or_else(|| Status::expired(None))?;
        let after = Key::new(kind, &token.namespace, &token.name);
        let Some(revision) = token.revision.filter(|revision| *revision != self.revision) else {
            return Ok((self.revision, self.objects.clone(), Some(after)));
        };
        let kept = self.snapshots.iter().find(|(known, _)| *known == revision);
        match kept {
            Some((_, objects)) => Ok((revision, objects.clone(), Some(after))),
            None => Err(Status::expired(Some(
                Token {
                    revision: None,
                    ..token
                }
                .encode(),
            ))),
        }
    }

    /// Forgets the snapshots of running lists, as compaction does after some minutes.
    pub fn compact(&mut self) {
        self.snapshots.clear();
    }
}

/// One requirement of a selector.
#[derive(Debug)]
struct Requirement {
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
    fn admits(&self, object: &Value) -> bool {
        let value = match &self.place {
            Place::Label(label) => object["metadata"]["labels"].get(label),
            Place::Field(pointer) => object.pointer(pointer),
        };
        let value = value.and_then(Value::as_str);
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

fn parse_label_selector(selector: &str) -> Result<Vec<Requirement>, Status> {
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
            Ok(Requirement {
                place: Place::Label(label.to_owned()),
                test,
            })
        })
        .collect()
}

fn parse_field_selector(kind: Kind, selector: &str) -> Result<Vec<Requirement>, Status> {
    terms(selector)
        .into_iter()
        .map(|term| {
            let (field, test) = equality(&term)
                .ok_or_else(|| Status::bad_request(format!("invalid field selector: {term:?}")))?;
            let pointer = match (field, kind) {
                ("metadata.name", _) => "/metadata/name",
                ("metadata.namespace", _) => "/metadata/namespace",
                ("status.phase", Kind::Pod | Kind::Namespace) => "/status/phase",
                ("spec.nodeName", Kind::Pod) => "/spec/nodeName",
                ("spec.serviceAccountName", Kind::Pod) => "/spec/serviceAccountName",
                _ => {
                    let message = format!("field label not supported: {field}");
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
