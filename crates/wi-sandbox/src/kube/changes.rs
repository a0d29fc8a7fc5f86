//! The latest writes of a cluster, for watches that begin later.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::Value;

use super::objects::Key;

/// Changes that are remembered for watches that begin later; older ones answer 410 Expired.
const REMEMBERED: usize = 512;

/// One write of an object.
#[derive(Debug, Clone)]
pub struct Change {
    pub revision: u64,
    pub key: Key,
    pub before: Option<Arc<Value>>,
    pub after: Option<Arc<Value>>,
}

/// The latest writes, oldest first.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    pub latest: VecDeque<Arc<Change>>,
    /// All later ones are here.
    pub complete_from: u64,
}

impl Changes {
    /// Of a store that begins at this revision.
    pub fn from(revision: u64) -> Self {
        Self {
            latest: VecDeque::new(),
            complete_from: revision,
        }
    }

    pub fn note(
        &mut self,
        revision: u64,
        key: Key,
        before: Option<Arc<Value>>,
        after: Option<Arc<Value>>,
    ) {
        self.latest.push_back(Arc::new(Change {
            revision,
            key,
            before,
            after,
        }));
        if self.latest.len() > REMEMBERED
            && let Some(oldest) = self.latest.pop_front()
        {
            self.complete_from = oldest.revision;
        }
    }
}
