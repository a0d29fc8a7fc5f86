//! Lists: pages, and the consistent snapshot behind the pages of one list.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::disruption;
use super::kind::Kind;
use super::objects::{Key, Objects};
use super::selector;
use super::status::Status;
use super::store::Store;

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

/// What a continue token holds, as the API server writes it.
#[derive(Debug, Serialize, Deserialize)]
struct Token {
    v: String,
    /// The snapshot; -1 goes on in the current state.
    rv: i64,
    /// The last key of the page, `[NAMESPACE/]NAME`, and a zero.
    start: String,
}

impl Token {
    fn after(revision: i64, key: &Key) -> Self {
        let start = match key.namespace.as_str() {
            "" => format!("{}\0", key.name),
            namespace => format!("{namespace}/{}\0", key.name),
        };
        Self {
            v: "meta.k8s.io/v1".to_owned(),
            rv: revision,
            start,
        }
    }

    fn encode(&self) -> String {
        let json = serde_json::json!(self).to_string();
        URL_SAFE_NO_PAD.encode(json)
    }

    fn decode(token: &str) -> Result<Self, Status> {
        let refused = |why: &str| {
            Status::bad_request(format!(
                "invalid continue token: continue key is not valid: {why}"
            ))
        };
        let json = URL_SAFE_NO_PAD.decode(token.trim_end_matches('='));
        let json = json.map_err(|e| refused(&e.to_string()))?;
        let token: Self = serde_json::from_slice(&json).map_err(|e| refused(&e.to_string()))?;
        if token.v != "meta.k8s.io/v1" {
            return Err(refused("server does not recognize this encoded version"));
        }
        Ok(token)
    }

    fn key(&self, kind: Kind) -> Key {
        let start = self.start.trim_end_matches('\0');
        let (namespace, name) = start.rsplit_once('/').unwrap_or(("", start));
        Key::new(kind, namespace, name)
    }
}

impl Store {
    /// One page of a list.
    ///
    /// # Errors
    /// 400 for a selector or a token that cannot be read; 410 for a token whose snapshot is gone, with
    /// a fresh token.
    pub fn list(&mut self, kind: Kind, query: &ListQuery) -> Result<Page, Status> {
        let labels = selector::by_labels(&query.label_selector)?;
        let fields = selector::by_fields(kind, &query.field_selector)?;
        let (revision, objects, after) = self.snapshot(kind, &query.continue_token)?;
        let mut matching: Vec<(&Key, &Arc<Value>)> = objects
            .of_kind(kind)
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
            Some((key, _)) if rest > 0 => {
                let revision = i64::try_from(revision).unwrap_or(i64::MAX);
                Token::after(revision, key).encode()
            }
            _ => String::new(),
        };
        let items = matching
            .into_iter()
            .map(|(_, object)| disruption::shown(&objects, kind, object))
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
        let token = Token::decode(token)?;
        let after = token.key(kind);
        let revision = u64::try_from(token.rv).ok();
        let Some(revision) = revision.filter(|revision| *revision != self.revision) else {
            return Ok((self.revision, self.objects.clone(), Some(after)));
        };
        let kept = self.snapshots.iter().find(|(known, _)| *known == revision);
        match kept {
            Some((_, objects)) => Ok((revision, objects.clone(), Some(after))),
            None => Err(Status::expired(Token { rv: -1, ..token }.encode())),
        }
    }

    /// Forgets the snapshots of running lists, as compaction does after some minutes.
    pub fn compact(&mut self) {
        self.snapshots.clear();
    }
}
