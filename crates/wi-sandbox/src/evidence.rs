//! What services tell of the use of keys: Cloud Monitoring's series and the Activity Analyzer's last days. All of it comes from the `uses` of the world's keys; each has its own lag and reach.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::clock::{Millis, parse, text};
use super::errors::ApiError;
use super::request::Request;
use super::state::{State, email};
use super::world::{AccountKey, KeyUse};

const HOUR: Millis = 3_600_000;
const DAY: Millis = 24 * HOUR;

/// The metric that there is.
const METRIC: &str = "iam.googleapis.com/service_account/key/authn_events_count";

/// Series are kept for six weeks, activities for ninety days.
const METRIC_KEPT: Millis = 42 * DAY;
const ACTIVITY_KEPT: Millis = 90 * DAY;

/// `monitoring.googleapis.com/v3/projects/P/timeSeries`.
pub fn time_series(state: &State, project: &str, request: &Request) -> Result<Value, ApiError> {
    let project = in_project(state, project, "monitoring.timeSeries.list")?;
    let filter = request.query("filter").unwrap_or_default();
    if !filter.contains("metric.type") {
        return Err(ApiError::invalid(
            "Field filter had an invalid value: it names no metric.type.",
        ));
    }
    let time = |name: &str| request.query(name).and_then(parse);
    let (Some(from), Some(to)) = (time("interval.startTime"), time("interval.endTime")) else {
        return Err(ApiError::invalid("Field interval had an invalid value."));
    };
    let period = match request.query("aggregation.alignmentPeriod") {
        None => 600_000,
        Some(period) => {
            period
                .strip_suffix('s')
                .and_then(|s| s.parse::<Millis>().ok())
                .filter(|s| *s >= 60)
                .ok_or_else(|| {
                    ApiError::invalid("Field aggregation.alignmentPeriod had an invalid value.")
                })?
                * 1000
        }
    };
    let now = state.clock.now();
    let seen_until = now - Millis::from(state.world.evidence.metric_lag_seconds) * 1000;
    let (from, until) = (from.max(now - METRIC_KEPT), to.min(seen_until));
    let mut series = Vec::new();
    if filter.contains(&format!("\"{METRIC}\"")) {
        for (unique_id, _, key) in keys(state, &project) {
            let mut buckets: BTreeMap<Millis, u64> = BTreeMap::new();
            for (at, used) in uses(key).filter(|(at, _)| (from..=until).contains(at)) {
                *buckets.entry(at / period * period).or_default() += used.count;
            }
            // The newest first, as the API has them.
            let points: Vec<Value> = buckets
                .into_iter()
                .rev()
                .map(|(start, count)| {
                    json!({
                        "interval": { "startTime": text(start), "endTime": text(start + period) },
                        "value": { "int64Value": count.to_string() },
                    })
                })
                .collect();
            if !points.is_empty() {
                series.push(json!({
                    "metric": { "type": METRIC, "labels": { "key_id": key.id } },
                    "resource": {
                        "type": "iam_service_account",
                        "labels": { "project_id": project, "unique_id": unique_id },
                    },
                    "metricKind": "DELTA",
                    "valueType": "INT64",
                    "points": points,
                }));
            }
        }
    }
    let mut answer = json!({});
    if !series.is_empty() {
        answer["timeSeries"] = series.into();
    }
    if !state.world.evidence.unreachable.is_empty() {
        answer["unreachable"] = json!(state.world.evidence.unreachable);
    }
    Ok(answer)
}

/// `policyanalyzer.googleapis.com/v1/projects/P/locations/global/activityTypes/T/activities:query`.
pub fn activities(
    state: &State,
    project: &str,
    kind: &str,
    request: &Request,
) -> Result<Value, ApiError> {
    let project = in_project(
        state,
        project,
        "policyanalyzer.serviceAccountKeyLastAuthenticationActivities.query",
    )?;
    let of_accounts = kind == "serviceAccountLastAuthentication";
    if !of_accounts && kind != "serviceAccountKeyLastAuthentication" {
        return Err(ApiError::invalid(format!("Unknown activity type {kind}.")));
    }
    let now = state.clock.now();
    let midnight = |at: Millis| at / DAY * DAY + 7 * HOUR;
    let end = midnight(now - Millis::from(state.world.evidence.activity_lag_days) * DAY);
    let start = midnight(now - ACTIVITY_KEPT);
    let mut last: BTreeMap<(String, String), Option<Millis>> = BTreeMap::new();
    for (unique_id, account, key) in keys(state, &project) {
        let mut name = format!("//iam.googleapis.com/projects/{project}/serviceAccounts/{account}");
        if !of_accounts {
            name.push_str(&format!("/keys/{}", key.id));
        }
        let used = uses(key).map(|(at, _)| at);
        let used = used.filter(|at| (start..end).contains(at)).max();
        let entry = last.entry((name, unique_id.to_owned())).or_default();
        *entry = (*entry).max(used);
    }
    let number = state.number(&project).to_string();
    let names: Vec<&str> = last.keys().map(|(name, _)| name.as_str()).collect();
    let (page, next) = request.page(names.into_iter(), (100, 1000))?;
    let shown: Vec<Value> = last
        .iter()
        .filter(|((name, _), _)| page.contains(&name.as_str()))
        .map(|((name, unique_id), used)| {
            let field = if of_accounts {
                "serviceAccount"
            } else {
                "serviceAccountKey"
            };
            let mut activity = json!({ field: {
                "fullResourceName": name,
                "projectNumber": number,
                "serviceAccountId": unique_id,
            }});
            if let Some(used) = used {
                activity["lastAuthenticatedTime"] = text(midnight(*used)).into();
            }
            json!({
                "fullResourceName": name,
                "activityType": kind,
                "observationPeriod": { "startTime": text(start), "endTime": text(end) },
                "activity": activity,
            })
        })
        .collect();
    let mut answer = json!({});
    if !shown.is_empty() {
        answer["activities"] = shown.into();
    }
    if let Some(next) = next {
        answer["nextPageToken"] = next.into();
    }
    Ok(answer)
}

/// All keys of a project, deleted ones too, with the account's unique id and email.
pub(super) fn keys<'a>(
    state: &'a State,
    project: &'a str,
) -> impl Iterator<Item = (&'a str, String, &'a AccountKey)> {
    let accounts = state.world.projects[project].service_accounts.iter();
    accounts.flat_map(move |(id, account)| {
        let of = move |key| (account.unique_id.as_str(), email(project, id), key);
        account.keys.iter().map(of)
    })
}

pub(super) fn uses(key: &AccountKey) -> impl Iterator<Item = (Millis, &KeyUse)> {
    key.uses.iter().filter_map(|u| Some((parse(&u.at)?, u)))
}

pub(super) fn in_project(
    state: &State,
    project: &str,
    permission: &str,
) -> Result<String, ApiError> {
    let id = state.project(project);
    id.ok_or_else(|| ApiError::permission(permission, &format!("projects/{project}")))
}
