//! How GKE recreates the nodes of a pool, and how these settings are kept in a label while a run
//! has its own.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// `NodePool.upgradeSettings`. What `wi` does not know stays in `rest`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UpgradeSettings {
    /// `SURGE` (or empty), `BLUE_GREEN` or `SHORT_LIVED`.
    pub strategy: String,
    pub max_surge: u32,
    pub max_unavailable: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blue_green_settings: Option<BlueGreenSettings>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BlueGreenSettings {
    /// How long the first set of nodes is kept after the last batch: `3600s`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub node_pool_soak_duration: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standard_rollout_policy: Option<RolloutPolicy>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RolloutPolicy {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_node_count: Option<u32>,
    /// From 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_percentage: Option<f64>,
    /// `0s`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub batch_soak_duration: String,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// Cluster labels that hold a node pool's own upgrade settings start so; the pool's name follows.
pub const RESTORE_LABEL: &str = "wi-restore-";

impl UpgradeSettings {
    /// What GKE does where nothing is set: one surge node.
    pub fn gke_default() -> Self {
        Self {
            strategy: "SURGE".to_owned(),
            max_surge: 1,
            ..Self::default()
        }
    }

    /// Whether a second set of nodes is made beside the first.
    pub fn is_blue_green(&self) -> bool {
        self.strategy == "BLUE_GREEN"
    }

    /// Whether nodes are made and drained by `max_surge` and `max_unavailable`.
    pub fn is_surge(&self) -> bool {
        let by_default = ["", "NODE_POOL_UPDATE_STRATEGY_UNSPECIFIED"];
        self.strategy == "SURGE" || by_default.contains(&self.strategy.as_str())
    }

    /// Whether nodes are left to run to their end: those of flex-start and queued provisioning.
    /// <https://cloud.google.com/kubernetes-engine/docs/concepts/node-pool-upgrade-strategies>
    pub fn is_short_lived(&self) -> bool {
        self.strategy == "SHORT_LIVED"
    }

    /// Neither a node more nor a node fewer: GKE cannot recreate any.
    pub fn moves_nothing(&self) -> bool {
        self.is_surge() && self.max_surge == 0 && self.max_unavailable == 0
    }

    /// In how many rounds so many nodes are recreated.
    pub fn rounds(&self, nodes: u64) -> u64 {
        let at_once = match self.blue_green_settings.as_ref() {
            Some(settings) if self.is_blue_green() => {
                let policy = settings.standard_rollout_policy.as_ref();
                match policy.map(|p| (p.batch_node_count, p.batch_percentage)) {
                    Some((Some(count), _)) => u64::from(count),
                    #[expect(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        clippy::cast_precision_loss,
                        reason = "a share of a count of nodes"
                    )]
                    Some((None, Some(share))) => (nodes as f64 * share).ceil() as u64,
                    _ => 1,
                }
            }
            _ => u64::from(self.max_surge) + u64::from(self.max_unavailable),
        };
        nodes.div_ceil(at_once.max(1))
    }

    /// Whether the strategy is one of those that this was written for.
    pub fn is_known(&self) -> bool {
        self.is_surge() || matches!(self.strategy.as_str(), "BLUE_GREEN" | "SHORT_LIVED")
    }

    /// As a label's value (up to 63 lower-case letters, digits, `-`), or `None` for settings that
    /// would not come back the same.
    pub fn to_label(&self) -> Option<String> {
        let known = matches!(self.strategy.as_str(), "" | "SURGE" | "BLUE_GREEN");
        if !known || !self.rest.is_empty() {
            return None;
        }
        if !self.is_blue_green() {
            return Some(format!("surge-{}-{}", self.max_surge, self.max_unavailable));
        }
        let settings = self.blue_green_settings.clone().unwrap_or_default();
        let policy = settings.standard_rollout_policy.unwrap_or_default();
        if !settings.rest.is_empty() || !policy.rest.is_empty() {
            return None;
        }
        let whole_seconds = |duration: &str| match duration {
            "" => Some("d".to_owned()),
            text => {
                let seconds: u64 = text.strip_suffix('s')?.parse().ok()?;
                Some(format!("{seconds}s"))
            }
        };
        let batch = match (policy.batch_node_count, policy.batch_percentage) {
            (Some(count), None) => format!("c{count}"),
            (None, Some(share)) => {
                let per_mille = share * 1000.0;
                if (per_mille - per_mille.round()).abs() > 1e-9 {
                    return None;
                }
                format!("p{per_mille:.0}")
            }
            (None, None) => "d".to_owned(),
            (Some(_), Some(_)) => return None,
        };
        Some(format!(
            "blue-green-{batch}-{}-{}",
            whole_seconds(&policy.batch_soak_duration)?,
            whole_seconds(&settings.node_pool_soak_duration)?
        ))
    }

    /// Reads a label's value back.
    pub fn from_label(value: &str) -> Option<Self> {
        if let Some(surge) = value.strip_prefix("surge-") {
            let (max_surge, max_unavailable) = surge.split_once('-')?;
            return Some(Self {
                strategy: "SURGE".to_owned(),
                max_surge: max_surge.parse().ok()?,
                max_unavailable: max_unavailable.parse().ok()?,
                ..Self::default()
            });
        }
        let mut parts = value.strip_prefix("blue-green-")?.split('-');
        let (batch, batch_soak, soak) = (parts.next()?, parts.next()?, parts.next()?);
        let duration = |text: &str| match text {
            "d" => String::new(),
            text => text.to_owned(),
        };
        let mut policy = RolloutPolicy {
            batch_soak_duration: duration(batch_soak),
            ..RolloutPolicy::default()
        };
        match batch.split_at_checked(1)? {
            ("c", count) => policy.batch_node_count = Some(count.parse().ok()?),
            ("p", share) => policy.batch_percentage = Some(share.parse::<f64>().ok()? / 1000.0),
            _ => {}
        }
        Some(Self {
            strategy: "BLUE_GREEN".to_owned(),
            blue_green_settings: Some(BlueGreenSettings {
                node_pool_soak_duration: duration(soak),
                standard_rollout_policy: (policy != RolloutPolicy::default()).then_some(policy),
                ..BlueGreenSettings::default()
            }),
            ..Self::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn settings_come_back_from_their_label() {
        let all = [
            json!({"strategy": "SURGE", "maxSurge": 1, "maxUnavailable": 0}),
            json!({"strategy": "SURGE", "maxSurge": 0, "maxUnavailable": 20}),
            json!({"strategy": "BLUE_GREEN", "maxSurge": 0, "maxUnavailable": 0, "blueGreenSettings": {
                "nodePoolSoakDuration": "604800s",
                "standardRolloutPolicy": {"batchNodeCount": 100, "batchSoakDuration": "86400s"}}}),
            json!({"strategy": "BLUE_GREEN", "maxSurge": 0, "maxUnavailable": 0, "blueGreenSettings": {
                "standardRolloutPolicy": {"batchPercentage": 0.125}}}),
        ];
        for wire in all {
            let settings: UpgradeSettings = serde_json::from_value(wire.clone()).expect("settings");
            let label = settings.to_label().expect("a label");
            assert!(label.len() <= 63, "{label}");
            let back = UpgradeSettings::from_label(&label).expect("settings");
            assert_eq!(serde_json::to_value(&back).expect("wire"), wire, "{label}");
        }
    }

    #[test]
    fn settings_that_a_label_cannot_hold_have_none() {
        for wire in [
            json!({"strategy": "BLUE_GREEN", "blueGreenSettings": {"autoscaledRolloutPolicy": {}}}),
            json!({"strategy": "BLUE_GREEN", "blueGreenSettings": {"nodePoolSoakDuration": "1.5s"}}),
            json!({"strategy": "SHORT_LIVED"}),
        ] {
            let settings: UpgradeSettings = serde_json::from_value(wire).expect("settings");
            assert_eq!(settings.to_label(), None);
        }
    }

    #[test]
    fn rounds() {
        let surge = |max_surge, max_unavailable| UpgradeSettings {
            max_surge,
            max_unavailable,
            ..UpgradeSettings::gke_default()
        };
        assert_eq!(surge(1, 0).rounds(3), 3);
        assert_eq!(surge(2, 1).rounds(7), 3);
        assert_eq!(surge(1, 0).rounds(0), 0);
    }
}
