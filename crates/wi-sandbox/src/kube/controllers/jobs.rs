//! Jobs: pods that work until enough of them have succeeded, or too many have failed.

use serde_json::{Value, json};

use super::pods::{is_active, of_template};
use super::{conditions_of, is_going, namespace, seconds, set_condition, written};
use crate::clock;
use crate::kube::kind::Kind;
use crate::kube::manifest::is_ready;
use crate::kube::objects::Key;
use crate::kube::store::Store;

impl Store {
    pub(super) fn run_jobs(&mut self) {
        for (key, job) in self.all(Kind::Job) {
            if !is_going(&job) {
                self.run_job(&key, &job);
            }
        }
    }

    fn run_job(&mut self, key: &Key, job: &Value) {
        let ended = has_ended(job);
        if ended {
            return self.forget_job(key, job);
        }
        let now = self.time();
        let pods = self.claim_pods(Kind::Job, job);
        let with = |phase: &str| {
            let with = pods
                .iter()
                .filter(|(_, pod)| pod["status"]["phase"] == phase);
            i64::try_from(with.count()).unwrap_or(0)
        };
        let (succeeded, failed) = (with("Succeeded"), with("Failed"));
        let running: Vec<&Key> = pods
            .iter()
            .filter(|(_, pod)| is_active(pod))
            .map(|(key, _)| key)
            .collect();
        let ready = pods
            .iter()
            .filter(|(_, pod)| is_active(pod) && is_ready(pod))
            .count();
        let parallelism = job["spec"]["parallelism"].as_i64().unwrap_or(1);
        let completions = job["spec"]["completions"].as_i64().unwrap_or(1);
        let suspended = job["spec"]["suspend"] == true;
        let mut status = json!({ "ready": ready });
        if !job["status"]["startTime"].is_null() {
            status["startTime"] = job["status"]["startTime"].clone();
        } else if !suspended {
            status["startTime"] = json!(written(now));
        }
        let mut conditions = conditions_of(job);
        let stamp = self.stamp();
        let mut end = |kind: &str, reason: &str, message: &str| {
            let condition =
                json!({ "type": kind, "status": "True", "reason": reason, "message": message });
            set_condition(&mut conditions, condition, &stamp, false);
        };
        let started = status["startTime"]
            .as_str()
            .and_then(clock::parse)
            .unwrap_or(now);
        let deadline = job["spec"]["activeDeadlineSeconds"].as_i64();
        let over = deadline.map(|limit| started + seconds(limit));
        let limit = job["spec"]["backoffLimit"].as_i64().unwrap_or(6);
        let mut active = i64::try_from(running.len()).unwrap_or(0);
        if succeeded >= completions {
            end(
                "Complete",
                "CompletionsReached",
                "Reached expected number of succeeded pods",
            );
            status["completionTime"] = json!(written(now));
        } else if over.is_some_and(|over| over <= now) {
            end(
                "Failed",
                "DeadlineExceeded",
                "Job was active longer than specified deadline",
            );
            active = 0;
            for key in running {
                self.end_pod(key);
            }
        } else if failed > limit {
            end(
                "Failed",
                "BackoffLimitExceeded",
                "Job has reached the specified backoff limit",
            );
        } else if suspended {
            active = 0;
            for key in running {
                self.end_pod(key);
            }
        } else {
            if let Some(over) = over {
                self.wake(over);
            }
            let wanted = parallelism.min(completions - succeeded);
            let missing = wanted - active;
            for _ in 0..missing {
                let mut pod = of_template(Kind::Job, job, &job["spec"]["template"]);
                pod["metadata"]["labels"]["batch.kubernetes.io/job-name"] = json!(key.name);
                // A pod that cannot be made is told by events alone.
                if self.make(Kind::Pod, &namespace(job), pod).is_ok() {
                    active += 1;
                }
            }
        }
        for (field, figure) in [
            ("active", active),
            ("succeeded", succeeded),
            ("failed", failed),
        ] {
            if figure > 0 {
                status[field] = json!(figure);
            }
        }
        if !conditions.is_empty() {
            status["conditions"] = json!(conditions);
        }
        self.set_status(key, status);
    }

    /// A Job that has ended goes with its pods, where it says when.
    fn forget_job(&mut self, key: &Key, job: &Value) {
        let Some(ttl) = job["spec"]["ttlSecondsAfterFinished"].as_i64() else {
            return;
        };
        let ended = job["status"]["completionTime"]
            .as_str()
            .and_then(clock::parse);
        let since = ended.unwrap_or_else(|| self.time());
        let at = since + seconds(ttl);
        if at > self.time() {
            return self.wake(at);
        }
        self.remove_with_dependents(key);
    }
}

/// Whether a Job is complete or has failed.
pub fn has_ended(job: &Value) -> bool {
    conditions_of(job)
        .iter()
        .any(|c| c["status"] == "True" && (c["type"] == "Complete" || c["type"] == "Failed"))
}

/// Whether a Job has succeeded.
pub fn is_complete(job: &Value) -> bool {
    let conditions = conditions_of(job);
    let mut conditions = conditions.iter();
    conditions.any(|c| c["status"] == "True" && c["type"] == "Complete")
}
