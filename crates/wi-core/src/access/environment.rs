//! The value of a variable in a container: literal, from elsewhere, or not to be known.

use std::collections::{BTreeMap, BTreeSet};

use super::variables::{LOGINS, VARIABLES};
use crate::live::{ConfigMaps, Seen};
use crate::wire::pods::{Container, EnvVar, PodSpec};

/// What a variable holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// It is not set, or to nothing.
    Unset,
    /// This, which may be a secret.
    Known(String),
    /// What this Secret has. An optional one may not be there.
    OfSecret { name: String, optional: bool },
    /// What this ConfigMap has, which was not read, or why it could not be.
    OfConfigMap { name: String, why: String },
    /// Put together from what is only known when the pod runs.
    Computed,
}

/// A container's environment.
pub(super) struct Environment<'a> {
    pub container: &'a Container,
    pub namespace: &'a str,
    pub config_maps: &'a ConfigMaps,
}

impl Environment<'_> {
    /// The value that the container's program sees: `env` wins over `envFrom`, the last of a name over
    /// those before it.
    pub fn value(&self, name: &str) -> Value {
        self.value_among(&self.container.env, name)
    }

    /// Secrets all of whose keys are variables. What they are called is not looked at.
    pub fn whole_secrets(&self) -> impl Iterator<Item = &str> {
        let from = self.container.env_from.iter();
        from.filter_map(|f| Some(f.secret_ref.as_ref()?.name.as_str()))
    }

    /// A ConfigMap all of whose keys are variables, and that was not read, with why.
    pub fn unread_config_map(&self) -> Option<(&str, String)> {
        self.container.env_from.iter().find_map(|from| {
            let name = from.config_map_ref.as_ref()?.name.as_str();
            match self.config_map(name) {
                Err(why) => Some((name, why)),
                Ok(_) => None,
            }
        })
    }

    /// `$(NAME)` in a text replaced as Kubernetes does; `None` where a value is not known here.
    pub fn expanded(&self, text: &str) -> Option<String> {
        self.expanded_with(&self.container.env, text)
    }

    fn value_among(&self, env: &[EnvVar], name: &str) -> Value {
        if let Some(at) = env.iter().rposition(|e| e.name == name) {
            return self.of_entry(&env[..at], &env[at]);
        }
        let from = self.container.env_from.iter().rev();
        from.filter_map(|f| {
            Some((
                f.config_map_ref.as_ref()?,
                name.strip_prefix(f.prefix.as_str())?,
            ))
        })
        .find_map(|(map, key)| match self.config_map(&map.name) {
            Ok(data) => known(data.and_then(|d| d.get(key))?.clone()),
            Err(_) => None, // told by `unread_config_map`
        })
        .unwrap_or(Value::Unset)
    }

    /// Of an entry of `env`, which sees those before it.
    fn of_entry(&self, before: &[EnvVar], entry: &EnvVar) -> Value {
        let Some(source) = &entry.value_from else {
            return match self.expanded_with(before, &entry.value) {
                Some(value) => known(value).unwrap_or(Value::Unset),
                None => Value::Computed,
            };
        };
        if let Some(secret) = &source.secret_key_ref {
            return Value::OfSecret {
                name: secret.name.clone(),
                optional: secret.optional,
            };
        }
        let Some(map) = &source.config_map_key_ref else {
            return Value::Computed;
        };
        match self.config_map(&map.name) {
            Ok(data) => data
                .and_then(|d| d.get(&map.key))
                .and_then(|value| known(value.clone()))
                .unwrap_or(Value::Unset),
            Err(why) => Value::OfConfigMap {
                name: map.name.clone(),
                why,
            },
        }
    }

    fn config_map(&self, name: &str) -> Result<Option<&BTreeMap<String, String>>, String> {
        let key = (self.namespace.to_owned(), name.to_owned());
        match self.config_maps.get(&key) {
            Some(Seen::Found(data)) => Ok(Some(data)),
            Some(Seen::Absent) => Ok(None),
            Some(Seen::Unknown(why)) => Err(why.to_string()),
            None => Err("it was not read".to_owned()),
        }
    }

    fn expanded_with(&self, before: &[EnvVar], text: &str) -> Option<String> {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                out.push('$');
                rest = after;
            } else if let Some((name, after)) =
                rest.strip_prefix('(').and_then(|r| r.split_once(')'))
            {
                match self.value_among(before, name) {
                    Value::Known(value) => out.push_str(&value),
                    Value::Unset => out.push_str(&format!("$({name})")),
                    _ => return None,
                }
                rest = after;
            } else {
                out.push('$');
            }
        }
        out.push_str(rest);
        Some(out)
    }
}

fn known(value: String) -> Option<Value> {
    (!value.is_empty()).then_some(Value::Known(value))
}

/// The ConfigMaps of its namespace that a pod's identity depends on, each with the keys that matter:
/// what is read beside them is thrown away. A whole ConfigMap of variables matters only where a volume
/// could have the file that one of them names.
pub fn config_maps_asked(pod: &PodSpec) -> BTreeMap<&str, BTreeSet<String>> {
    let mut asked: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let names = || VARIABLES.iter().map(|v| v.name).chain(LOGINS);
    for (_, container) in super::all_of(pod) {
        for entry in container
            .env
            .iter()
            .filter(|e| names().any(|n| n == e.name))
        {
            let source = entry.value_from.as_ref();
            if let Some(map) = source.and_then(|s| s.config_map_key_ref.as_ref()) {
                asked.entry(&map.name).or_default().insert(map.key.clone());
            }
        }
        if container.volume_mounts.is_empty() {
            continue;
        }
        for from in &container.env_from {
            if let Some(map) = &from.config_map_ref {
                let keys =
                    names().filter_map(|n| Some(n.strip_prefix(from.prefix.as_str())?.to_owned()));
                asked.entry(&map.name).or_default().extend(keys);
            }
        }
    }
    asked
}
