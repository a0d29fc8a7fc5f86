//! CronJobs: a Job at each time of their schedule, by the simulated clock.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{is_going, jobs, namespace, owner_reference, uid, written};
use crate::clock::{self, Millis};
use crate::kube::kind::Kind;
use crate::kube::manifest;
use crate::kube::objects::Key;
use crate::kube::schedule::Schedule;
use crate::kube::store::Store;

const MINUTE: Millis = 60_000;

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
