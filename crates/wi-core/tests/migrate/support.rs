//! Templates, and what is wanted of them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use wi_core::live::{ConfigMaps, Seen};
use wi_core::migrate::edit::{Edited, Wanted, without_keys};
use wi_core::migrate::{Accept, DataKey};

/// Secrets: `checkout-key` has a key alone, `mixed` a key and a password.
pub struct Around {
    pub keys: BTreeSet<DataKey>,
    pub secrets: BTreeMap<String, BTreeSet<String>>,
    pub config_maps: ConfigMaps,
    pub project: Option<&'static str>,
    pub mixed_nodes: bool,
    pub accept: BTreeSet<Accept>,
}

impl Around {
    pub fn new() -> Self {
        let key = |secret: &str| (secret.to_owned(), "key.json".to_owned());
        let data = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        Self {
            keys: [key("checkout-key"), key("mixed")].into(),
            secrets: [
                ("checkout-key".to_owned(), data(&["key.json"])),
                ("mixed".to_owned(), data(&["key.json", "password"])),
            ]
            .into(),
            config_maps: ConfigMaps::new(),
            project: None,
            mixed_nodes: false,
            accept: BTreeSet::new(),
        }
    }

    pub fn accepting(accept: Accept) -> Self {
        Self {
            accept: [accept].into(),
            ..Self::new()
        }
    }

    pub fn with_map(mut self, name: &str, data: &[(&str, &str)]) -> Self {
        let data = data.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let place = ("shop".to_owned(), name.to_owned());
        self.config_maps.insert(place, Seen::Found(data.collect()));
        self
    }

    pub fn edit(&self, template: &Value) -> Edited {
        without_keys(template, &self.wanted())
    }

    pub fn wanted(&self) -> Wanted<'_> {
        Wanted {
            namespace: "shop",
            keys: &self.keys,
            secrets: &self.secrets,
            config_maps: &self.config_maps,
            project: self.project,
            mixed_nodes: self.mixed_nodes,
            accept: &self.accept,
        }
    }
}

/// A template whose pods' spec is this.
pub fn template(spec: &str) -> Value {
    let spec: Value = serde_saphyr::from_str(spec).expect("a spec");
    serde_json::json!({"metadata": {"labels": {"app": "web"}}, "spec": spec})
}

/// What stands against it, in words.
pub fn traps(edited: &Edited) -> Vec<String> {
    edited.traps.iter().map(ToString::to_string).collect()
}
