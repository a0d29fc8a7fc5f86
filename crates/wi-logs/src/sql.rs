//! BigQuery SQL that brings the entries of a log sink's dataset down to as many rows as there are facts, so that
//! terabytes are read where they lie. Each row is an entry that stands for many: `wi logs scan --from-bigquery`
//! reads it as it reads entries, by the same detectors and into the same baseline.

use crate::when::{self, Micros};

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Query<'a> {
    /// `PROJECT.DATASET`.
    pub dataset: &'a str,
    /// From when on; `None`: all that is there.
    pub since: Option<Micros>,
    /// Until when.
    pub until: Option<Micros>,
    /// Whether there is one table a day, as sinks make them without `--use-partitioned-tables`.
    pub by_day: bool,
}

/// The tables that a sink makes.
const TABLES: [&str; 2] = [
    "cloudaudit_googleapis_com_data_access",
    "cloudaudit_googleapis_com_activity",
];

/// Labels and changes of policies are columns only once there was one: they are taken out of the whole. That reads
/// all columns, which is much of data access and little of activity.
const CHANGED: &str = "CAST(JSON_QUERY(TO_JSON_STRING(protopayload_auditlog), '$.servicedata_v1_iam.policyDelta') AS STRING)";

/// What names an entry, and what detectors look at; the same for many entries.
const KEYS: [(&str, &str); 18] = [
    ("logName", "logName"),
    ("resource_type", "resource.type"),
    (
        "project_id",
        "JSON_VALUE(TO_JSON_STRING(resource.labels), '$.project_id')",
    ),
    (
        "email_id",
        "JSON_VALUE(TO_JSON_STRING(resource.labels), '$.email_id')",
    ),
    (
        "unique_id",
        "JSON_VALUE(TO_JSON_STRING(resource.labels), '$.unique_id')",
    ),
    ("service", "protopayload_auditlog.serviceName"),
    ("method", "protopayload_auditlog.methodName"),
    ("code", "protopayload_auditlog.status.code"),
    (
        "email",
        "protopayload_auditlog.authenticationInfo.principalEmail",
    ),
    (
        "subject",
        "protopayload_auditlog.authenticationInfo.principalSubject",
    ),
    (
        "key_name",
        "protopayload_auditlog.authenticationInfo.serviceAccountKeyName",
    ),
    ("caller", "protopayload_auditlog.requestMetadata.callerIp"),
    (
        "agent",
        "protopayload_auditlog.requestMetadata.callerSuppliedUserAgent",
    ),
    (
        "network",
        "JSON_VALUE(TO_JSON_STRING(protopayload_auditlog.requestMetadata), '$.callerNetwork')",
    ),
    (
        "host",
        "protopayload_auditlog.requestMetadata.requestAttributes.host",
    ),
    (
        "delegation",
        "TO_JSON_STRING(protopayload_auditlog.authenticationInfo.serviceAccountDelegationInfo)",
    ),
    (
        "regions",
        "TO_JSON_STRING(protopayload_auditlog.resourceLocation.currentLocations)",
    ),
    // Only of tokens: of all else each entry has another.
    (
        "metadata",
        "CASE WHEN protopayload_auditlog.serviceName = 'iamcredentials.googleapis.com' THEN protopayload_auditlog.metadataJson END",
    ),
];

/// The name of the object, where it counts: of accounts, and of what is changed.
const OBJECT: &str = "CASE WHEN logName LIKE '%activity' OR protopayload_auditlog.resourceName LIKE '%/serviceAccounts/%' THEN protopayload_auditlog.resourceName END";

impl Query<'_> {
    /// The query.
    pub fn text(&self) -> String {
        let columns = |changed: &'static str| {
            let own = [("object", OBJECT), ("changed", changed)];
            KEYS.into_iter().chain(own)
        };
        let tables: Vec<String> = TABLES
            .iter()
            .map(|table| {
                let changed = match table.ends_with("activity") {
                    true => CHANGED,
                    false => "CAST(NULL AS STRING)",
                };
                let columns: Vec<String> = columns(changed)
                    .map(|(name, of)| format!("{of} AS {name}"))
                    .collect();
                self.table(table, &columns.join(",\n      "))
            })
            .collect();
        let names: Vec<&str> = columns(CHANGED).map(|(name, _)| name).collect();
        let names = names.join(", ");
        format!(
            "-- Made by wi logs sql. Save the result as JSON lines, then: wi logs scan --from-bigquery FILE\n\
             WITH found AS (\n{}\n),\n\
             -- Sinks deliver an entry at least once.\n\
             once AS (\n  SELECT DISTINCT * FROM found\n)\n\
             SELECT\n  \
             logName,\n  \
             MIN(at) AS timestamp,\n  \
             MAX(at) AS wi_last,\n  \
             COUNT(*) AS wi_calls,\n  \
             STRUCT(resource_type AS type, STRUCT(project_id AS project_id, email_id AS email_id, unique_id AS unique_id) AS labels) AS resource,\n  \
             STRUCT(\n    \
             service AS serviceName,\n    \
             method AS methodName,\n    \
             object AS resourceName,\n    \
             STRUCT(code AS code) AS status,\n    \
             STRUCT(email AS principalEmail, subject AS principalSubject, key_name AS serviceAccountKeyName, delegation AS wi_delegation) AS authenticationInfo,\n    \
             STRUCT(caller AS callerIp, agent AS callerSuppliedUserAgent, network AS callerNetwork, STRUCT(host AS host) AS requestAttributes) AS requestMetadata,\n    \
             metadata AS metadataJson,\n    \
             regions AS wi_regions,\n    \
             changed AS wi_changed\n  \
             ) AS protopayload_auditlog\n\
             FROM once\n\
             GROUP BY {names}, day, minute\n",
            tables.join("\n  UNION ALL\n")
        )
    }

    fn table(&self, table: &str, columns: &str) -> String {
        let star = if self.by_day { "_*" } else { "" };
        let mut bounds = vec!["protopayload_auditlog.methodName IS NOT NULL".to_owned()];
        if let Some(since) = self.since {
            bounds.push(format!("timestamp >= TIMESTAMP '{}'", when::rfc3339(since)));
            if self.by_day {
                let day = when::date(when::day_of(since)).replace('-', "");
                bounds.push(format!("_TABLE_SUFFIX >= '{day}'"));
            }
        }
        if let Some(until) = self.until {
            bounds.push(format!("timestamp < TIMESTAMP '{}'", when::rfc3339(until)));
            if self.by_day {
                let day = when::date(when::day_of(until)).replace('-', "");
                bounds.push(format!("_TABLE_SUFFIX <= '{day}'"));
            }
        }
        let dataset = self.dataset;
        // Days are counted by themselves; so are minutes of denials, which come in bursts, and of changes.
        format!(
            "  SELECT\n      {columns},\n      insertId,\n      timestamp AS at,\n      TIMESTAMP_TRUNC(timestamp, DAY) AS day,\n      CASE WHEN protopayload_auditlog.status.code = 7 OR logName LIKE '%activity' THEN TIMESTAMP_TRUNC(timestamp, MINUTE) END AS minute\n  FROM `{dataset}.{table}{star}`\n  WHERE {}",
            bounds.join(" AND ")
        )
    }
}
