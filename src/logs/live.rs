//! Audit logs where they are: `entries:list`, slice of time after slice of time. A project's quota is some
//! sixty pages a minute; where it is used up, the slices become shorter.

use std::time::Duration;

use wi_client::google::logging::{Entries, First};
use wi_client::google::policies;
use wi_client::http::{ApiError, Http, Retry};
use wi_core::findings::NotSeen;
use wi_core::names::ProjectId;
use wi_core::resource::Resource;
use wi_logs::collect::Collector;
use wi_logs::detect::thousands;
use wi_logs::entry::Entry;
use wi_logs::when::{self, DAY, MINUTE, Micros};

/// Of one slice; no slice has more.
const MOST_PAGES: usize = 10_000;

/// Slices are no longer and no shorter.
const LONGEST: Micros = DAY;
const SHORTEST: Micros = MINUTE;

/// What Google lets one read a minute, as far as is known.
const PER_MINUTE: u64 = 60_000;

/// What is to be read.
#[derive(Debug)]
pub struct Wanted {
    /// Of which projects.
    pub projects: Vec<ProjectId>,
    /// What, but for the time.
    pub filter: String,
    /// From when on.
    pub since: Micros,
    /// Until when.
    pub until: Micros,
    /// So many entries at most.
    pub most: u64,
}

/// Reads the logs of all projects, one after another, and tells what could not be read.
pub async fn read(
    http: &Http,
    wanted: &Wanted,
    into: &mut Collector,
    say: &mut dyn FnMut(&str),
) -> Vec<NotSeen> {
    let mut not_seen = Vec::new();
    let mut left = wanted.most;
    for project in &wanted.projects {
        let mut told = |what: String, why: String| not_seen.push(NotSeen { what, why });
        match of_project(http, wanted, project, &mut left, into, say).await {
            Ok(None) => {}
            Ok(Some(from)) => told(
                format!(
                    "audit logs of project {project} from {} on",
                    when::shown(from)
                ),
                format!(
                    "--max-entries {} is reached: raise it, ask for less (--since), or read an export",
                    thousands(wanted.most)
                ),
            ),
            Err(e) => told(format!("audit logs of project {project}"), e.to_string()),
        }
    }
    not_seen
}

/// Answers with the moment from which on nothing was read, if that is not all.
async fn of_project(
    http: &Http,
    wanted: &Wanted,
    project: &ProjectId,
    left: &mut u64,
    into: &mut Collector,
    say: &mut dyn FnMut(&str),
) -> Result<Option<Micros>, ApiError> {
    let (mut from, mut length) = (wanted.since, LONGEST);
    // After a refusal the next request waits as long as it is asked to.
    let mut retry = Retry::UnlessQuota;
    let mut is_estimated = false;
    while from < wanted.until {
        let to = (from + length).min(wanted.until);
        let time = |at| when::rfc3339(at);
        let filter = format!(
            "({}) AND timestamp>=\"{}\" AND timestamp<\"{}\"",
            wanted.filter,
            time(from),
            time(to)
        );
        let mut entries = Entries::new(project, filter, First::Oldest, MOST_PAGES);
        let mut count = 0;
        let mut last = from;
        let refused = loop {
            match entries.next(http, retry).await {
                Ok(None) => break false,
                Ok(Some(page)) => {
                    retry = Retry::UnlessQuota;
                    // An empty page with a token is no end.
                    for value in page {
                        let text = value.to_string();
                        let Some(entry) = Entry::parse(text.as_bytes()) else {
                            continue;
                        };
                        last = entry.at().unwrap_or(last).max(last);
                        if *left == 0 {
                            return Ok(Some(last));
                        }
                        *left -= 1;
                        count += 1;
                        into.add(&entry);
                    }
                }
                Err(e) if (e.code == 429 || e.is_quota()) && retry == Retry::UnlessQuota => {
                    break true;
                }
                Err(e) => return Err(e),
            }
        };
        if refused {
            // What was read of the slice is known: it goes on where it ended, with less at once.
            from = last;
            length = (length / 2).max(SHORTEST);
            retry = Retry::Always;
            say(&format!(
                "Cloud Logging's quota of project {project} is used up: asking for {} at a time.\n",
                span(length)
            ));
            continue;
        }
        if !is_estimated && count > 0 {
            is_estimated = true;
            let slices = (wanted.until - from) as f64 / (to - from).max(1) as f64;
            let all = (count as f64 * slices) as u64;
            if all > PER_MINUTE {
                say(&format!(
                    "About {} entries of project {project}, {} minutes: an export is faster.\n",
                    thousands(all),
                    all.div_ceil(PER_MINUTE)
                ));
            }
        }
        from = to;
    }
    Ok(None)
}

fn span(length: Micros) -> String {
    let minutes = length / MINUTE;
    match minutes >= 120 {
        true => format!("{} hours", minutes / 60),
        false => wi_core::words::counted(usize::try_from(minutes).unwrap_or(1), "minute"),
    }
}

/// Reads `7d`, `36h` or `90m`.
pub fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u64 = number.parse().ok().filter(|n| *n > 0)?;
    let seconds = match unit {
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    number.checked_mul(seconds).map(Duration::from_secs)
}

/// Audit logs that are off, by the project's own policy and those above it, which say so, too: each with the change
/// that turns them on.
pub async fn switched_off(http: &Http, projects: &[ProjectId]) -> (Vec<String>, Vec<NotSeen>) {
    let (mut off, mut not_seen) = (Vec::new(), Vec::new());
    for project in projects {
        let policy = match policies::read(http, &Resource::Project(project.clone())).await {
            Ok(policy) => policy,
            Err(e) => {
                not_seen.push(NotSeen {
                    what: format!("which audit logs of project {project} are on"),
                    why: e.to_string(),
                });
                continue;
            }
        };
        let configs = policy.rest.get("auditConfigs").and_then(|c| c.as_array());
        let has = |service: &str, kind: &str| {
            let is = |config: &&serde_json::Value| {
                config["service"] == service || config["service"] == "allServices"
            };
            let logs = configs.into_iter().flatten().filter(is);
            let mut kinds =
                logs.flat_map(|c| c["auditLogConfigs"].as_array().into_iter().flatten());
            kinds.any(|k| k["logType"] == kind)
        };
        let lacking: Vec<String> = [
            ("iam.googleapis.com", "ADMIN_READ"),
            ("iam.googleapis.com", "DATA_READ"),
            ("sts.googleapis.com", "ADMIN_READ"),
        ]
        .iter()
        .filter(|(service, kind)| !has(service, kind))
        .map(|(service, kind)| format!("{kind} of {service}"))
        .collect();
        if !lacking.is_empty() {
            off.push(format!(
                "Audit logs of project {project} are off ({}), unless a folder or the organization has them on: tokens that are made are in no log. Add to auditConfigs of its policy {{\"service\":\"iam.googleapis.com\",\"auditLogConfigs\":[{{\"logType\":\"ADMIN_READ\"}},{{\"logType\":\"DATA_READ\"}}]}} and {{\"service\":\"sts.googleapis.com\",\"auditLogConfigs\":[{{\"logType\":\"ADMIN_READ\"}}]}}: gcloud projects get-iam-policy {project} --format=json > policy.json, then gcloud projects set-iam-policy {project} policy.json",
                lacking.join(", ")
            ));
        }
    }
    (off, not_seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(duration("7d"), Some(Duration::from_secs(7 * 86_400)));
        assert_eq!(duration("36h"), Some(Duration::from_secs(36 * 3600)));
        for wrong in ["", "7", "d", "0d", "-1d", "7w", "7é"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }
}
