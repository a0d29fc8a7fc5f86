//! JSON into values, with the fields that are given twice: the server tells of them.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// A body, and the paths of the fields that are in it twice (`metadata.name`); the last one counts.
#[derive(Debug, Default)]
pub struct Decoded {
    pub value: Value,
    pub twice: Vec<String>,
}

/// Reads JSON.
///
/// # Errors
/// Those of serde_json.
pub fn json(text: &[u8]) -> Result<Decoded, serde_json::Error> {
    let twice = RefCell::new(Vec::new());
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let place = Place {
        path: String::new(),
        twice: &twice,
    };
    let value = place.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(Decoded {
        value,
        twice: twice.into_inner(),
    })
}

/// Where in the body a value is.
struct Place<'a> {
    path: String,
    twice: &'a RefCell<Vec<String>>,
}

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Place<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Place {
            path: format!("{}[{}]", self.path, list.len()),
            twice: self.twice,
        })? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            let path = match self.path.as_str() {
                "" => name.clone(),
                above => format!("{above}.{name}"),
            };
            if map.contains_key(&name) {
                self.twice.borrow_mut().push(path.clone());
            }
            let value = fields.next_value_seed(Place {
                path,
                twice: self.twice,
            })?;
            map.insert(name, value);
        }
        Ok(map.into())
    }
}
