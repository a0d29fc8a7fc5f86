//! Which clusters: by name, or by labels as kubectl selects.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Which clusters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// All.
    All,
    /// Those with these names.
    Names(BTreeSet<String>),
    /// Those whose labels meet all of these.
    Labels(Vec<Requirement>),
}

/// What a label must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requirement {
    /// One of these.
    In(String, BTreeSet<String>),
    /// None of these, or not there.
    NotIn(String, BTreeSet<String>),
    /// There.
    Exists(String),
    /// Not there.
    Missing(String),
}

/// Why a text is no selector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SelectorError {
    /// A `)` comes first.
    Unopened,
    /// A `(` has no end.
    Unclosed,
    /// What stands in the place of a label's key.
    NoKey(String),
    /// A part with a list that is neither `in` nor `notin`.
    NoRelation(String),
}

impl fmt::Display for SelectorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unopened => f.write_str("a `)` without its `(`"),
            Self::Unclosed => f.write_str("a `(` without its `)`"),
            Self::NoKey(text) => write!(f, "`{text}` is not the key of a label"),
            Self::NoRelation(part) => {
                write!(f, "`{part}` is neither `KEY in (…)` nor `KEY notin (…)`")
            }
        }
    }
}

impl std::error::Error for SelectorError {}

impl Requirement {
    fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        match self {
            Self::In(key, values) => labels.get(key).is_some_and(|v| values.contains(v)),
            Self::NotIn(key, values) => labels.get(key).is_none_or(|v| !values.contains(v)),
            Self::Exists(key) => labels.contains_key(key),
            Self::Missing(key) => !labels.contains_key(key),
        }
    }
}

impl Selector {
    /// Whether it selects a cluster of this name and these labels.
    pub fn selects(&self, name: &str, labels: &BTreeMap<String, String>) -> bool {
        match self {
            Self::All => true,
            Self::Names(names) => names.contains(name),
            Self::Labels(requirements) => requirements.iter().all(|r| r.holds(labels)),
        }
    }

    /// All of these labels.
    pub fn labels(labels: BTreeMap<String, String>) -> Self {
        Self::Labels(
            labels
                .into_iter()
                .map(|(key, value)| Requirement::In(key, BTreeSet::from([value])))
                .collect(),
        )
    }

    /// Reads `all`, or a selector as kubectl takes it.
    ///
    /// # Errors
    /// [`SelectorError`], which names the part.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        if text.trim() == "all" {
            return Ok(Self::All);
        }
        let requirements = split(text)?.into_iter().map(requirement);
        requirements.collect::<Result<_, _>>().map(Self::Labels)
    }
}

/// At commas that are in no parentheses.
fn split(text: &str) -> Result<Vec<&str>, SelectorError> {
    let mut parts = Vec::new();
    let (mut start, mut depth) = (0, 0_u32);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.checked_sub(1).ok_or(SelectorError::Unopened)?,
            ',' if depth == 0 => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    if depth > 0 {
        return Err(SelectorError::Unclosed);
    }
    parts.push(text[start..].trim());
    Ok(parts)
}

fn requirement(part: &str) -> Result<Requirement, SelectorError> {
    let key = |text: &str| {
        let text = text.trim();
        let ok = !text.is_empty()
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
        if ok {
            Ok(text.to_owned())
        } else {
            Err(SelectorError::NoKey(text.to_owned()))
        }
    };
    let one = |value: &str| BTreeSet::from([value.trim().to_owned()]);
    if let Some(missing) = part.strip_prefix('!') {
        return Ok(Requirement::Missing(key(missing)?));
    }
    if let Some((k, v)) = part.split_once("!=") {
        return Ok(Requirement::NotIn(key(k)?, one(v)));
    }
    if let Some((k, v)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return Ok(Requirement::In(key(k)?, one(v)));
    }
    if let Some(list) = part.strip_suffix(')')
        && let Some((head, list)) = list.split_once('(')
    {
        let values: BTreeSet<String> = list.split(',').map(|v| v.trim().to_owned()).collect();
        let mut words = head.split_whitespace();
        return match (words.next(), words.next(), words.next()) {
            (Some(k), Some("in"), None) => Ok(Requirement::In(key(k)?, values)),
            (Some(k), Some("notin"), None) => Ok(Requirement::NotIn(key(k)?, values)),
            _ => Err(SelectorError::NoRelation(part.to_owned())),
        };
    }
    Ok(Requirement::Exists(key(part)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selects(selector: &str, labels: &[(&str, &str)]) -> bool {
        let labels = labels
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        Selector::parse(selector)
            .expect(selector)
            .selects("main", &labels)
    }

    #[test]
    fn selectors_mean_what_they_mean_to_kubectl() {
        let prod = [("env", "prod"), ("ring", "1")];
        for yes in [
            "all",
            "env=prod",
            "env==prod",
            "env = prod , ring=1",
            "env in (prod, staging)",
            "env",
            "!legacy",
            "legacy!=yes",
            "legacy notin (yes)",
            "ring notin (2, 3),env in (prod)",
        ] {
            assert!(selects(yes, &prod), "{yes}");
        }
        for no in [
            "env=dev",
            "env!=prod",
            "env in (dev)",
            "env notin (prod)",
            "!env",
            "legacy",
            "env=prod,ring=2",
        ] {
            assert!(!selects(no, &prod), "{no}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for nonsense in [
            "",
            "env in (prod",
            "env prod)",
            "env of (a)",
            "a b",
            "=x",
            "env,,ring",
        ] {
            assert!(Selector::parse(nonsense).is_err(), "{nonsense}");
        }
    }
}
