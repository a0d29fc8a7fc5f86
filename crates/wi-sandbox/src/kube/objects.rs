//! All objects at one resourceVersion. A copy costs nothing until one of both is written to, and so does a write
//! that is undone: it says what was there before.

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
#[derive(Debug, Default)]
pub struct Objects {
    kinds: [Arc<OfKind>; Kind::ALL.len()],
    /// While a write may be undone: what was there before each of its steps.
    before: Option<Vec<(Key, Option<Arc<Value>>)>>,
}

impl Clone for Objects {
    /// As they are; a write that is under way is the original's.
    fn clone(&self) -> Self {
        Self {
            kinds: self.kinds.clone(),
            before: None,
        }
    }
}

impl Objects {
    /// From now on writes may be undone.
    pub fn begin(&mut self) {
        self.before = Some(Vec::new());
    }

    /// What was written since then stays.
    pub fn keep(&mut self) {
        self.before = None;
    }

    /// All is as it was then.
    pub fn undo(&mut self) {
        for (key, object) in self.before.take().into_iter().flatten().rev() {
            match object {
                Some(object) => self.map_mut(key.kind).insert(key, object),
                None => self.map_mut(key.kind).remove(&key),
            };
        }
    }

    pub fn get(&self, key: &Key) -> Option<&Arc<Value>> {
        self.map(key.kind).get(key)
    }

    pub fn contains(&self, key: &Key) -> bool {
        self.map(key.kind).contains_key(key)
    }

    pub fn insert(&mut self, key: Key, object: Arc<Value>) {
        let former = self.map_mut(key.kind).insert(key.clone(), object);
        if let Some(before) = &mut self.before {
            before.push((key, former));
        }
    }

    pub fn remove(&mut self, key: &Key) -> Option<Arc<Value>> {
        let former = self.map_mut(key.kind).remove(key);
        if let Some(before) = &mut self.before {
            before.push((key.clone(), former.clone()));
        }
        former
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(objects: &Objects) -> Vec<(String, Value)> {
        let all = objects.iter();
        all.map(|(key, object)| (key.name.clone(), (**object).clone()))
            .collect()
    }

    #[test]
    fn a_write_that_is_undone_leaves_all_as_it_was() {
        let key = |name: &str| Key::new(Kind::Pod, "shop", name);
        let mut objects = Objects::default();
        objects.insert(key("a"), Arc::new(json!(1)));
        objects.insert(key("b"), Arc::new(json!(2)));
        let before = shown(&objects);
        objects.begin();
        objects.insert(key("a"), Arc::new(json!(3)));
        objects.insert(key("a"), Arc::new(json!(4)));
        objects.insert(key("c"), Arc::new(json!(5)));
        objects.remove(&key("c"));
        objects.remove(&key("b"));
        objects.remove(&key("d"));
        let copy = objects.clone();
        objects.undo();
        assert_eq!(shown(&objects), before);
        assert_eq!(shown(&copy), [("a".to_owned(), json!(4))]);
        objects.begin();
        objects.remove(&key("a"));
        objects.keep();
        objects.undo();
        assert_eq!(shown(&objects), before[1..]);
    }
}
