//! CronJobs: a Job at each time of their schedule, by the simulated clock.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{is_going, jobs, namespace, owner_reference, uid, written};
use crate::clock::{self, Millis};
use crate::kube::kind::Kind;
use crate::kube::manifest;
use crate::kube::objects::Key;
use crate::kube::store::Store;

const MINUTE: Millis = 60_000;
/// A schedule is looked through so far ahead; `0 0 29 2 *` comes within eight years.
const HORIZON: Millis = 8 * 366 * 24 * 60 * MINUTE;

impl Store {
    pub(super) fn run_cron_jobs(&mut self) {
        for (key, cron) in self.all(Kind::CronJob) {
            if !is_going(&cron) {
                self.run_cron_job(&key, &cron);
            }
        }
    }

    fn run_cron_job(&mut self, key: &Key, cron: &Value) {
        let text = cron["spec"]["schedule"].as_str().unwrap_or_default();
        let Some(schedule) = Schedule::parse(text) else {
            return;
        };
        let now = self.time();
        let mut jobs = self.controlled(Kind::Job, cron);
        jobs.sort_by_key(|(_, job)| {
            manifest::text(
                job,
                "/metadata/annotations/batch.kubernetes.io~1cronjob-scheduled-timestamp",
            )
        });
        self.forget_jobs(cron, &jobs);
        let last = cron["status"]["lastScheduleTime"]
            .as_str()
            .and_then(clock::parse);
        let first_seen = match self.works() {
            Some(works) => *works.first_seen.entry(uid(cron)).or_insert(now),
            None => now,
        };
        let since = last.unwrap_or(first_seen);
        let due = schedule.next(since);
        let mut status = cron["status"].clone();
        if !status.is_object() {
            status = json!({});
        }
        let suspended = cron["spec"]["suspend"] == true;
        let active = |jobs: &[(Key, Arc<Value>)]| -> Vec<Value> {
            let running = jobs.iter().filter(|(_, job)| !jobs::has_ended(job));
            running
                .map(|(key, job)| {
                    json!({
                        "apiVersion": "batch/v1", "kind": "Job", "name": key.name,
                        "namespace": key.namespace, "uid": job["metadata"]["uid"],
                    })
                })
                .collect()
        };
        match due {
            Some(at) if at <= now && !suspended => {
                // Of several that were missed, the last is made up for.
                let mut at = at;
                while let Some(next) = schedule.next(at).filter(|next| *next <= now) {
                    at = next;
                }
                status["lastScheduleTime"] = json!(written(at));
                let policy = cron["spec"]["concurrencyPolicy"]
                    .as_str()
                    .unwrap_or("Allow");
                let running = !active(&jobs).is_empty();
                if running && policy == "Replace" {
                    for (job, _) in jobs.iter().filter(|(_, job)| !jobs::has_ended(job)) {
                        self.remove_with_dependents(job);
                    }
                }
                if !running || policy != "Forbid" {
                    self.make_job(cron, at);
                }
            }
            Some(at) if !suspended => self.wake_by_schedule(at),
            _ => {}
        }
        let jobs = self.controlled(Kind::Job, cron);
        let running = active(&jobs);
        if let Some(status) = status.as_object_mut() {
            status.remove("active");
        }
        if !running.is_empty() {
            status["active"] = json!(running);
        }
        let done = jobs.iter().filter(|(_, job)| jobs::is_complete(job));
        let last = done
            .filter_map(|(_, job)| job["status"]["completionTime"].as_str())
            .max();
        if let Some(last) = last {
            status["lastSuccessfulTime"] = json!(last);
        }
        if status == json!({}) {
            status = Value::Null;
        }
        if !(status.is_null() && cron["status"].is_null()) {
            self.set_status(key, status);
        }
    }

    fn make_job(&mut self, cron: &Value, at: Millis) {
        let template = &cron["spec"]["jobTemplate"];
        let mut annotations = template["metadata"]["annotations"].clone();
        annotations["batch.kubernetes.io/cronjob-scheduled-timestamp"] = json!(written(at));
        let job = json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                "name": format!("{}-{}", manifest::name_of(cron), at / MINUTE),
                "namespace": namespace(cron),
                "labels": template["metadata"]["labels"],
                "annotations": annotations,
                "ownerReferences": [owner_reference(Kind::CronJob, cron)],
            },
            "spec": template["spec"],
        });
        let _refused = self.make(Kind::Job, &namespace(cron), job);
    }

    fn forget_jobs(&mut self, cron: &Value, jobs: &[(Key, Arc<Value>)]) {
        for (field, usual, complete) in [
            ("successfulJobsHistoryLimit", 3, true),
            ("failedJobsHistoryLimit", 1, false),
        ] {
            let limit = cron["spec"][field].as_u64().unwrap_or(usual);
            let ended = jobs.iter().filter(|(_, job)| jobs::has_ended(job));
            let of: Vec<&(Key, Arc<Value>)> = ended
                .filter(|(_, job)| jobs::is_complete(job) == complete)
                .collect();
            let surplus = of
                .len()
                .saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
            for (key, _) in of.into_iter().take(surplus) {
                self.remove_with_dependents(key);
            }
        }
    }
}

/// The times of a schedule, in UTC.
#[derive(Debug)]
pub struct Schedule {
    minutes: BTreeSet<i64>,
    hours: BTreeSet<i64>,
    days: BTreeSet<i64>,
    months: BTreeSet<i64>,
    weekdays: BTreeSet<i64>,
    /// Whether days of the month and of the week are both limited: then either counts.
    either: bool,
}

impl Schedule {
    /// Five fields, or `@hourly` and its like. `None`: it is no schedule.
    pub fn parse(text: &str) -> Option<Self> {
        let text = match text.trim() {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            other => other,
        };
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields.as_slice() else {
            return None;
        };
        let mut weekdays = field(weekday, 0, 7, &WEEKDAYS)?;
        if weekdays.remove(&7) {
            weekdays.insert(0);
        }
        let all = |text: &str| text.starts_with('*') || text == "?";
        Some(Self {
            minutes: field(minute, 0, 59, &[])?,
            hours: field(hour, 0, 23, &[])?,
            days: field(day, 1, 31, &[])?,
            months: field(month, 1, 12, &MONTHS)?,
            weekdays,
            either: !all(day) && !all(weekday),
        })
    }

    /// The first time after a moment.
    fn next(&self, after: Millis) -> Option<Millis> {
        let mut at = after - after.rem_euclid(MINUTE) + MINUTE;
        let end = after + HORIZON;
        while at <= end {
            let time = jiff::Timestamp::from_millisecond(at).ok()?;
            let time = time.to_zoned(jiff::tz::TimeZone::UTC);
            let day = self.days.contains(&i64::from(time.day()));
            let weekday = i64::from(time.weekday().to_sunday_zero_offset());
            let weekday = self.weekdays.contains(&weekday);
            let on = if self.either {
                day || weekday
            } else {
                day && weekday
            };
            if !on || !self.months.contains(&i64::from(time.month())) {
                let whole = 24 * 60 * MINUTE;
                at = at - at.rem_euclid(whole) + whole;
            } else if !self.hours.contains(&i64::from(time.hour())) {
                let whole = 60 * MINUTE;
                at = at - at.rem_euclid(whole) + whole;
            } else if self.minutes.contains(&i64::from(time.minute())) {
                return Some(at);
            } else {
                at += MINUTE;
            }
        }
        None
    }
}

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// One field: `*`, `5`, `1-5`, `*/15`, `mon-fri`, and lists of these.
fn field(text: &str, from: i64, to: i64, names: &[&str]) -> Option<BTreeSet<i64>> {
    let number = |text: &str| -> Option<i64> {
        let named = names
            .iter()
            .position(|name| text.eq_ignore_ascii_case(name));
        let named = named.and_then(|at| i64::try_from(at).ok());
        let offset = if names.len() == 12 { 1 } else { 0 };
        let number = named.map(|at| at + offset).or_else(|| text.parse().ok())?;
        (from..=to).contains(&number).then_some(number)
    };
    let mut all = BTreeSet::new();
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse::<usize>().ok().filter(|step| *step > 0)?),
            None => (part, 1),
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" || range == "?" => (from, to),
            Some((first, last)) => (number(first)?, number(last)?),
            None if part.contains('/') => (number(range)?, to),
            None => (number(range)?, number(range)?),
        };
        if first > last {
            return None;
        }
        all.extend((first..=last).step_by(step));
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(schedule: &str, after: &str) -> String {
        let schedule = Schedule::parse(schedule).expect("a schedule");
        let at = schedule.next(clock::parse(after).expect("a time"));
        clock::text(at.expect("it comes"))
    }

    #[test]
    fn the_next_time_is_after_and_not_at_a_moment() {
        let noon = "2026-11-30T12:00:00Z"; // a Monday
        for (schedule, expected) in [
            ("0 12 * * *", "2026-12-01T12:00:00Z"),
            ("*/15 * * * *", "2026-11-30T12:15:00Z"),
            ("5,10 12-13 * * *", "2026-11-30T12:05:00Z"),
            ("0 0 * * sun", "2026-12-06T00:00:00Z"),
            ("0 0 * * 7", "2026-12-06T00:00:00Z"),
            ("0 0 13 * 5", "2026-12-04T00:00:00Z"), // either, where both are said
            ("0 0 29 2 *", "2028-02-29T00:00:00Z"),
            ("@monthly", "2026-12-01T00:00:00Z"),
            ("0 8 * jan *", "2027-01-01T08:00:00Z"),
        ] {
            assert_eq!(next(schedule, noon), expected, "{schedule}");
        }
    }

    #[test]
    fn what_is_no_schedule_is_none() {
        for text in [
            "",
            "* * * *",
            "60 * * * *",
            "*/0 * * * *",
            "5-1 * * * *",
            "x * * * *",
        ] {
            assert!(Schedule::parse(text).is_none(), "{text}");
        }
    }
}
