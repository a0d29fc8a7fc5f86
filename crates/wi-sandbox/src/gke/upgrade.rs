//! How the nodes of a pool are recreated: `upgradeSettings`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::serde_help::is_default;

/// How the nodes of a pool are recreated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Upgrade {
    /// A few nodes at a time, or a second set of nodes beside the first.
    #[serde(skip_serializing_if = "is_default")]
    pub strategy: Strategy,
    /// `SURGE`: how many nodes an update may add.
    pub max_surge: u32,
    /// `SURGE`: how many nodes an update may take away at once.
    pub max_unavailable: u32,
    /// `BLUE_GREEN`: its settings.
    #[serde(skip_serializing_if = "is_default")]
    pub blue_green: BlueGreen,
}

impl Default for Upgrade {
    fn default() -> Self {
        Self {
            strategy: Strategy::Surge,
            max_surge: 1,
            max_unavailable: 0,
            blue_green: BlueGreen::default(),
        }
    }
}

/// `upgradeSettings.strategy`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Strategy {
    /// A few nodes at a time.
    #[default]
    Surge,
    /// A second set of nodes beside the first.
    BlueGreen,
    /// Nodes that live for some days are let go at their end.
    ShortLived,
}

/// `upgradeSettings.blueGreenSettings`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct BlueGreen {
    /// How many nodes are drained at a time.
    pub batch_node_count: u32,
    /// How long after each batch.
    pub batch_soak_seconds: u32,
    /// How long after the last batch until the first set goes.
    pub node_pool_soak_seconds: u32,
}

impl Default for BlueGreen {
    fn default() -> Self {
        Self {
            batch_node_count: 1,
            batch_soak_seconds: 0,
            node_pool_soak_seconds: 3600,
        }
    }
}

impl Upgrade {
    /// `upgradeSettings` as the API shows them.
    pub fn show(&self) -> Value {
        if self.strategy == Strategy::BlueGreen {
            let blue_green = &self.blue_green;
            return json!({"strategy": "BLUE_GREEN", "blueGreenSettings": {
                "nodePoolSoakDuration": format!("{}s", blue_green.node_pool_soak_seconds),
                "standardRolloutPolicy": {
                    "batchNodeCount": blue_green.batch_node_count,
                    "batchSoakDuration": format!("{}s", blue_green.batch_soak_seconds),
                },
            }});
        }
        if self.strategy == Strategy::ShortLived {
            return json!({"strategy": "SHORT_LIVED"});
        }
        let mut shown = json!({"strategy": "SURGE"});
        for (field, count) in [
            ("maxSurge", self.max_surge),
            ("maxUnavailable", self.max_unavailable),
        ] {
            if count > 0 {
                shown[field] = count.into();
            }
        }
        shown
    }

    /// Reads `upgradeSettings` of a request; what it leaves out has its default.
    pub fn read(wire: &Value) -> Result<Self, String> {
        let number = |name: &str| match &wire[name] {
            Value::Null => Ok(0),
            value => value
                .as_u64()
                .and_then(|n| u32::try_from(n).ok())
                .ok_or(format!("upgrade_settings.{name} is not a count: {value}")),
        };
        let strategy = match wire["strategy"].as_str().unwrap_or("SURGE") {
            "SURGE" | "NODE_POOL_UPDATE_STRATEGY_UNSPECIFIED" => Strategy::Surge,
            "BLUE_GREEN" => Strategy::BlueGreen,
            "SHORT_LIVED" => Strategy::ShortLived,
            other => {
                return Err(format!(
                    "Invalid value at 'upgrade_settings.strategy': {other}"
                ));
            }
        };
        let seconds = |value: &Value, default: u32| match value.as_str() {
            None => Ok(default),
            Some(text) => text
                .strip_suffix('s')
                .and_then(|n| n.parse().ok())
                .ok_or(format!("Illegal duration format: {text}")),
        };
        let settings = &wire["blueGreenSettings"];
        let policy = &settings["standardRolloutPolicy"];
        let default = BlueGreen::default();
        let (max_surge, max_unavailable) = (number("maxSurge")?, number("maxUnavailable")?);
        if strategy == Strategy::Surge && max_surge + max_unavailable == 0 {
            return Err("max_surge and max_unavailable cannot both be 0.".to_owned());
        }
        Ok(Self {
            strategy,
            max_surge,
            max_unavailable,
            blue_green: BlueGreen {
                batch_node_count: policy["batchNodeCount"]
                    .as_u64()
                    .and_then(|n| u32::try_from(n).ok())
                    .unwrap_or(default.batch_node_count),
                batch_soak_seconds: seconds(&policy["batchSoakDuration"], 0)?,
                node_pool_soak_seconds: seconds(
                    &settings["nodePoolSoakDuration"],
                    default.node_pool_soak_seconds,
                )?,
            },
        })
    }
}
