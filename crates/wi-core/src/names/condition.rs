//! Conditions of bindings.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// The condition of a binding (`google.type.Expr`). Two bindings with different conditions are different
/// bindings.
///
/// Those of others may lack a title, and have fields that no spec has (`location`): all of it is read, is
/// part of what the condition is, and is written back as it came.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, schemars::JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Condition {
    /// A short title, shown in the console.
    pub title: String,
    /// What it is for.
    #[schemars(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The CEL expression.
    pub expression: String,
    /// The fields that no spec has, as the text of a JSON object; empty where there are none.
    #[schemars(skip)]
    pub rest: String,
}

impl Condition {
    /// That of `expires`: until the beginning of a day (`2027-01-01`, UTC) or until a time
    /// (`2027-01-01T12:00:00Z`). `None`: it is neither.
    pub fn until(text: &str) -> Option<Self> {
        let end = match text.parse::<jiff::civil::Date>() {
            Ok(day) => day.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp(),
            Err(_) => text.parse::<jiff::Timestamp>().ok()?,
        };
        Some(Self {
            title: format!("until-{text}"),
            description: String::new(),
            expression: format!("request.time < timestamp(\"{end}\")"),
            rest: String::new(),
        })
    }

    /// What it is called: its title, or its expression where it has none.
    pub fn name(&self) -> &str {
        if self.title.is_empty() {
            &self.expression
        } else {
            &self.title
        }
    }
}

impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut fields = serde_json::Map::<String, Value>::deserialize(deserializer)?;
        // What is no text stays where it is, among the rest.
        let mut take = |name: &str| match fields.remove(name) {
            Some(Value::String(text)) => text,
            Some(other) => {
                fields.insert(name.to_owned(), other);
                String::new()
            }
            None => String::new(),
        };
        let (title, description) = (take("title"), take("description"));
        let expression = take("expression");
        let rest = match fields.is_empty() {
            true => String::new(),
            false => Value::Object(fields).to_string(),
        };
        Ok(Self {
            title,
            description,
            expression,
            rest,
        })
    }
}

impl Serialize for Condition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields: serde_json::Map<String, Value> = match self.rest.as_str() {
            "" => serde_json::Map::new(),
            rest => serde_json::from_str(rest).map_err(serde::ser::Error::custom)?,
        };
        let known = [
            ("title", &self.title),
            ("description", &self.description),
            ("expression", &self.expression),
        ];
        for (name, text) in known.into_iter().filter(|(_, text)| !text.is_empty()) {
            fields.insert(name.to_owned(), text.as_str().into());
        }
        fields.serialize(serializer)
    }
}
