//! What Google tells of the use of keys: Cloud Monitoring, the Activity Analyzer, audit logs.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use jiff::Timestamp;
use serde::Deserialize;
use wi_core::names::ProjectId;
use wi_core::percent;

use super::logging::{Entries, First};
use crate::http::{Api, ApiError, Http, ListBudget, Request, Retry};

/// Events of keys in a time, as far as Cloud Monitoring has them.
#[derive(Debug, Clone, Default)]
pub struct KeyEvents {
    /// By key id: the end of the last interval with an event, and how many events there were.
    pub by_key: BTreeMap<String, (Timestamp, u64)>,
    /// Why this is not all of it.
    pub partial: Option<String>,
}

/// `timeSeries.list` of `authn_events_count`, hour by hour: one query for all keys of a project.
pub async fn key_events(
    http: &Http,
    project: &ProjectId,
    from: Timestamp,
    to: Timestamp,
) -> Result<KeyEvents, ApiError> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Page {
        time_series: Vec<Series>,
        next_page_token: String,
        execution_errors: Vec<serde_json::Value>,
        unreachable: Vec<String>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Series {
        metric: Labels,
        points: Vec<Point>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Labels {
        labels: BTreeMap<String, String>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Point {
        interval: Interval,
        value: Value,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Interval {
        end_time: String,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Value {
        int64_value: String,
    }
    let filter = "metric.type=\"iam.googleapis.com/service_account/key/authn_events_count\"";
    let base = format!(
        "v3/projects/{project}/timeSeries?filter={}&interval.startTime={}&interval.endTime={}&aggregation.alignmentPeriod=3600s&aggregation.perSeriesAligner=ALIGN_SUM&view=FULL&pageSize=1000",
        percent::query(filter),
        percent::query(&from.to_string()),
        percent::query(&to.to_string())
    );
    let mut events = KeyEvents::default();
    let (mut token, mut budget) = (String::new(), ListBudget::of_pages(super::MOST_PAGES));
    loop {
        let mut path = base.clone();
        if !token.is_empty() {
            path.push_str(&format!("&pageToken={}", percent::query(&token)));
        }
        let request = Request::new(Method::GET, http.url(Api::Monitoring, &path));
        let page: Page = http
            .page(request, &mut budget, |p: &Page| p.time_series.len())
            .await?;
        if !page.execution_errors.is_empty() || !page.unreachable.is_empty() {
            let where_from = page.unreachable.join(", ");
            events.partial = Some(format!(
                "Cloud Monitoring could not reach all of it {where_from}"
            ));
        }
        for series in page.time_series {
            let Some(key) = series.metric.labels.get("key_id") else {
                continue;
            };
            for point in series.points {
                let count: u64 = point.value.int64_value.parse().unwrap_or_default();
                let Ok(end) = point.interval.end_time.parse::<Timestamp>() else {
                    continue;
                };
                if count > 0 {
                    let known = events.by_key.entry(key.clone()).or_insert((end, 0));
                    *known = (known.0.max(end), known.1 + count);
                }
            }
        }
        token = page.next_page_token;
        if token.is_empty() {
            return Ok(events);
        }
    }
}

/// Last days of use, as far as the Activity Analyzer has them.
#[derive(Debug, Clone, Default)]
pub struct KeyActivities {
    /// By key id.
    pub last: BTreeMap<String, Timestamp>,
    /// What is observed: the earliest start and the latest end.
    pub observed: Option<(Timestamp, Timestamp)>,
}

/// `activities:query` of `serviceAccountKeyLastAuthentication`: all keys of a project, deleted ones too.
pub async fn key_activities(http: &Http, project: &ProjectId) -> Result<KeyActivities, ApiError> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Page {
        activities: Vec<Activity>,
        next_page_token: String,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Activity {
        full_resource_name: String,
        observation_period: Period,
        activity: Last,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Period {
        start_time: String,
        end_time: String,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Last {
        last_authenticated_time: String,
    }
    let mut found = KeyActivities::default();
    let (mut token, mut budget) = (String::new(), ListBudget::of_pages(super::MOST_PAGES));
    loop {
        let mut path = format!(
            "v1/projects/{project}/locations/global/activityTypes/serviceAccountKeyLastAuthentication/activities:query?pageSize=1000"
        );
        if !token.is_empty() {
            path.push_str(&format!("&pageToken={}", percent::query(&token)));
        }
        let request = Request::new(Method::GET, http.url(Api::PolicyAnalyzer, &path));
        let page: Page = http
            .page(request, &mut budget, |p: &Page| p.activities.len())
            .await?;
        for activity in page.activities {
            let period = &activity.observation_period;
            if let (Ok(start), Ok(end)) = (period.start_time.parse(), period.end_time.parse()) {
                let known = found.observed.get_or_insert((start, end));
                *known = (known.0.min(start), known.1.max(end));
            }
            let id = activity.full_resource_name.rsplit('/').next();
            if let (Some(id), Ok(at)) = (id, activity.activity.last_authenticated_time.parse()) {
                found.last.insert(id.to_owned(), at);
            }
        }
        token = page.next_page_token;
        if token.is_empty() {
            return Ok(found);
        }
    }
}

/// Who called with a key, by the Data Access logs of a project: addresses and programs, each with how
/// often, and since when was looked. An empty answer proves nothing: these logs are off by default.
pub async fn key_callers(
    http: &Http,
    project: &ProjectId,
    key_name: &str,
    from: Timestamp,
) -> Result<BTreeMap<String, usize>, ApiError> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Entry {
        proto_payload: Payload,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Payload {
        method_name: String,
        request_metadata: About,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct About {
        caller_ip: String,
        caller_supplied_user_agent: String,
    }
    let filter = format!(
        "logName=\"projects/{project}/logs/cloudaudit.googleapis.com%2Fdata_access\" AND timestamp>=\"{from}\" AND protoPayload.authenticationInfo.serviceAccountKeyName=\"//iam.googleapis.com/{key_name}\""
    );
    let mut callers = BTreeMap::new();
    let mut pages = Entries::new(project, filter, First::Newest, 20);
    while let Some(page) = pages.next(http, Retry::Always).await? {
        for entry in page {
            // What has another shape names nobody.
            let payload = serde_json::from_value::<Entry>(entry)
                .unwrap_or_default()
                .proto_payload;
            let about = payload.request_metadata;
            let mut caller = match about.caller_ip.as_str() {
                "" => "an address that is not told".to_owned(),
                ip => ip.to_owned(),
            };
            if !about.caller_supplied_user_agent.is_empty() {
                caller.push_str(&format!(" ({})", about.caller_supplied_user_agent));
            }
            caller.push_str(&format!(", {}", payload.method_name));
            *callers.entry(caller).or_default() += 1;
        }
    }
    Ok(callers)
}

/// Who disabled or enabled a key last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyChange {
    /// When.
    pub at: Timestamp,
    /// Whether that disabled it.
    pub disables: bool,
    /// Whose call it was.
    pub by: String,
    /// The program.
    pub agent: String,
}

/// The last change of each of these keys, by the Admin Activity logs of their account's project, which are always on
/// and kept for 400 days. One that is not told of is not among them.
pub async fn key_changes(
    http: &Http,
    project: &ProjectId,
    ids: &BTreeSet<String>,
    from: Timestamp,
) -> Result<BTreeMap<String, KeyChange>, ApiError> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Entry {
        timestamp: String,
        proto_payload: Payload,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Payload {
        method_name: String,
        resource_name: String,
        request: Asked,
        status: Status,
        authentication_info: Who,
        request_metadata: About,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Asked {
        name: String,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Status {
        code: i64,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Who {
        principal_email: String,
        principal_subject: String,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct About {
        caller_supplied_user_agent: String,
    }
    let filter = format!(
        "logName=\"projects/{project}/logs/cloudaudit.googleapis.com%2Factivity\" AND timestamp>=\"{from}\" AND protoPayload.serviceName=\"iam.googleapis.com\" AND protoPayload.methodName:\"ServiceAccountKey\""
    );
    let mut found = BTreeMap::new();
    let mut pages = Entries::new(project, filter, First::Newest, 50);
    while let Some(page) = pages.next(http, Retry::Always).await? {
        for entry in page {
            // What has another shape names no key.
            let entry = serde_json::from_value::<Entry>(entry).unwrap_or_default();
            let payload = entry.proto_payload;
            let disables = payload.method_name.ends_with("DisableServiceAccountKey");
            let enables = payload.method_name.ends_with("EnableServiceAccountKey");
            // One that was refused has changed nothing.
            if !(disables || enables) || payload.status.code != 0 {
                continue;
            }
            let names = [&payload.resource_name, &payload.request.name];
            let id = names.iter().find_map(|n| Some(n.rsplit_once("/keys/")?.1));
            let (Some(id), Ok(at)) = (id, entry.timestamp.parse()) else {
                continue;
            };
            if !ids.contains(id) || found.contains_key(id) {
                continue; // the newest comes first
            }
            let who = payload.authentication_info;
            let by = match who.principal_email.as_str() {
                "" => who.principal_subject,
                email => email.to_owned(),
            };
            let change = KeyChange {
                at,
                disables,
                by,
                agent: payload.request_metadata.caller_supplied_user_agent,
            };
            found.insert(id.to_owned(), change);
        }
        if found.len() == ids.len() {
            break;
        }
    }
    Ok(found)
}
