//! All objects at one resourceVersion. A copy costs nothing until one of both is written to.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::kind::Kind;

/// Names one object; the order is that of lists.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub kind: Kind,
    /// Empty for kinds without a namespace.
    pub namespace: String,
    pub name: String,
}

impl Key {
    pub fn new(kind: Kind, namespace: &str, name: &str) -> Self {
        Self {
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }
}

type OfKind = BTreeMap<Key, Arc<Value>>;

/// The objects, those of each kind by themselves: a write to a service account copies no pods.
#[derive(Debug, Clone, Default)]
pub struct Objects {
    kinds: [Arc<OfKind>; Kind::ALL.len()],
}

impl Objects {
    pub fn get(&self, key: &Key) -> Option<&Arc<Value>> {
        self.map(key.kind).get(key)
    }

    pub fn contains(&self, key: &Key) -> bool {
        self.map(key.kind).contains_key(key)
    }

    pub fn insert(&mut self, key: Key, object: Arc<Value>) {
        self.map_mut(key.kind).insert(key, object);
    }

    pub fn remove(&mut self, key: &Key) -> Option<Arc<Value>> {
        self.map_mut(key.kind).remove(key)
    }

    /// The objects of a kind, by namespace and name.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = (&Key, &Arc<Value>)> {
        self.map(kind).iter()
    }

    /// Those of a kind from this key on.
    pub fn from(&self, key: Key) -> impl Iterator<Item = (&Key, &Arc<Value>)> {
        self.map(key.kind).range(key..)
    }

    /// All objects, kind by kind.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Arc<Value>)> {
        self.kinds.iter().flat_map(|map| map.iter())
    }

    fn map(&self, kind: Kind) -> &OfKind {
        &self.kinds[kind as usize]
    }

    fn map_mut(&mut self, kind: Kind) -> &mut OfKind {
        Arc::make_mut(&mut self.kinds[kind as usize])
    }
}
