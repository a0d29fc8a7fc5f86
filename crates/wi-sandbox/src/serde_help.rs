//! How the world file leaves out what says nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

/// For `skip_serializing_if`: what has its default need not be written.
pub fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// `acme-prod:` with nothing after it is null in YAML; people mean one with defaults.
pub fn nullable_values<'de, D, T>(deserializer: D) -> Result<BTreeMap<String, T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    let map = BTreeMap::<String, Option<T>>::deserialize(deserializer)?;
    Ok(map
        .into_iter()
        .map(|(name, value)| (name, value.unwrap_or_default()))
        .collect())
}
