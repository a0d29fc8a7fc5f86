//! A PodDisruptionBudget as people write it in world files and as it is saved.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::objects::Key;
use super::status::Status;

/// A `PodDisruptionBudget`: how many of its pods have to stay when nodes are drained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("not" = { "required": ["minAvailable", "maxUnavailable"] }))]
pub struct PodDisruptionBudgetState {
    pub name: String,
    #[serde(default = "default_namespace")]
    pub namespace: String,
    /// Its pods, of the same namespace. Absent: none. `{}`: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
    /// How many pods have to be available after an eviction. Not together with `maxUnavailable`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_available: Option<IntOrPercent>,
    /// How many pods may be missing after an eviction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_unavailable: Option<IntOrPercent>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_version: Option<String>,
    /// RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creation_timestamp: Option<String>,
    /// `metadata.managedFields` as the API shows it. Absent: kubectl has applied all of it. Empty: nobody is named for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed_fields: Option<Vec<Value>>,
    /// The rest of the object, in the shape of its manifest.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, Value>,
}

impl Default for PodDisruptionBudgetState {
    fn default() -> Self {
        Self {
            name: String::new(),
            namespace: default_namespace(),
            selector: None,
            min_available: None,
            max_unavailable: None,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            uid: None,
            resource_version: None,
            creation_timestamp: None,
            managed_fields: None,
            extra: BTreeMap::new(),
        }
    }
}

/// `metav1.LabelSelector`: all of it has to hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LabelSelector {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<LabelRequirement>,
}

/// What is asked of one label.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LabelRequirement {
    pub key: String,
    pub operator: LabelOperator,
    /// For `In` and `NotIn`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

/// How a label is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LabelOperator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

/// A number of pods, or a share of them such as `50%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntOrPercent {
    Count(u32),
    /// At most 100.
    Percent(u32),
}

impl IntOrPercent {
    /// How many pods of `total` that is; a share is rounded up.
    pub fn of(self, total: usize) -> usize {
        match self {
            Self::Count(count) => count as usize,
            Self::Percent(percent) => (total * percent as usize).div_ceil(100),
        }
    }
}

impl TryFrom<&Value> for IntOrPercent {
    /// In the words of the API server.
    type Error = &'static str;

    fn try_from(value: &Value) -> Result<Self, Self::Error> {
        let Some(text) = value.as_str() else {
            let count = value.as_i64().ok_or("expected a number or a percentage")?;
            let count = u32::try_from(count).map_err(|_| "must be greater than or equal to 0")?;
            return Ok(Self::Count(count));
        };
        let digits = text.strip_suffix('%').unwrap_or_default();
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(
                "a valid percent string must be a numeric string followed by an ending '%' \
                 (e.g. '1%', regex used for validation is '[0-9]+%')",
            );
        }
        match digits.parse() {
            Ok(percent) if percent <= 100 => Ok(Self::Percent(percent)),
            _ => Err("must not be greater than 100%"),
        }
    }
}

impl Serialize for IntOrPercent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Count(count) => serializer.serialize_u32(*count),
            Self::Percent(percent) => serializer.collect_str(&format_args!("{percent}%")),
        }
    }
}

impl<'de> Deserialize<'de> for IntOrPercent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Self::try_from(&value).map_err(|why| D::Error::custom(format!("{value}: {why}")))
    }
}

impl JsonSchema for IntOrPercent {
    fn schema_name() -> Cow<'static, str> {
        "IntOrPercent".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number of pods, or a share of them such as `50%`.",
            "anyOf": [
                { "type": "integer", "minimum": 0 },
                { "type": "string", "pattern": "^0*(100|[0-9]{1,2})%$" },
            ],
        })
    }
}

/// Reads a list of budgets; one with both limits is an error, as for the API server.
pub fn budgets<'de, D>(deserializer: D) -> Result<Vec<PodDisruptionBudgetState>, D::Error>
where
    D: Deserializer<'de>,
{
    let budgets = Vec::<PodDisruptionBudgetState>::deserialize(deserializer)?;
    let both = budgets
        .iter()
        .find(|budget| budget.min_available.is_some() && budget.max_unavailable.is_some());
    match both {
        Some(budget) => Err(D::Error::custom(format!(
            "PodDisruptionBudget {}/{} has both minAvailable and maxUnavailable; it can have one of them",
            budget.namespace, budget.name
        ))),
        None => Ok(budgets),
    }
}

fn default_namespace() -> String {
    "default".to_owned()
}

/// What the API server refuses in the `spec` of a budget.
pub fn check(key: &Key, spec: &Value) -> Result<(), Status> {
    let invalid = |field: &str, why: &str| Err(Status::invalid(key.kind, &key.name, field, why));
    let limits = ["minAvailable", "maxUnavailable"].map(|field| (field, &spec[field]));
    if limits.iter().all(|(_, limit)| !limit.is_null()) {
        let why =
            format!("Invalid value: {spec}: minAvailable and maxUnavailable cannot be both set");
        return invalid("spec", &why);
    }
    for (field, limit) in limits {
        if limit.is_null() {
            continue;
        }
        // Other types fail before validation, when the object is decoded.
        if limit.as_i64().is_none() && !limit.is_string() {
            return Err(Status::bad_request(format!(
                "spec.{field}: expected an integer or a string, got {limit}"
            )));
        }
        if let Err(why) = IntOrPercent::try_from(limit) {
            return invalid(
                &format!("spec.{field}"),
                &format!("Invalid value: {limit}: {why}"),
            );
        }
    }
    if spec["selector"].is_null() {
        return Ok(());
    }
    let selector: LabelSelector = match serde_json::from_value(spec["selector"].clone()) {
        Ok(selector) => selector,
        Err(error) => {
            let why = format!("Invalid value: {}: {error}", spec["selector"]);
            return invalid("spec.selector", &why);
        }
    };
    for (index, rule) in selector.match_expressions.iter().enumerate() {
        let field = format!("spec.selector.matchExpressions[{index}].values");
        match (rule.operator, rule.values.as_slice()) {
            (LabelOperator::In | LabelOperator::NotIn, []) => {
                let why = "Required value: must be specified when `operator` is 'In' or 'NotIn'";
                return invalid(&field, why);
            }
            (LabelOperator::Exists | LabelOperator::DoesNotExist, [_, ..]) => {
                let why =
                    "Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                return invalid(&field, why);
            }
            _ => {}
        }
    }
    Ok(())
}
