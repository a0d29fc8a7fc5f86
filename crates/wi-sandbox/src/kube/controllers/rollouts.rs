//! What is told of how far a rollout is: the figures in a status and the condition `Progressing`.

use serde_json::{Value, json};

use super::{conditions_of, count, replicas, seconds, set_condition, uid};
use crate::clock::Millis;
use crate::kube::clockwork::Counts;
use crate::kube::manifest;
use crate::kube::objects::Key;
use crate::kube::store::Store;

impl Store {
    /// Writes a Deployment's status. `new`: the ReplicaSet of its template; `failure`: why pods cannot be made.
    pub(super) fn set_deployment_status(
        &mut self,
        key: &Key,
        deployment: &Value,
        counts: Counts,
        new: Option<&Value>,
        max_unavailable: i64,
        failure: Option<Value>,
    ) {
        let wanted = replicas(deployment);
        let stamp = self.stamp();
        let mut status = json!({ "observedGeneration": count(deployment, "/metadata/generation") });
        for (field, figure) in [
            ("replicas", counts.replicas),
            ("updatedReplicas", counts.updated),
            ("readyReplicas", counts.ready),
            ("availableReplicas", counts.available),
            (
                "unavailableReplicas",
                (counts.replicas.max(wanted) - counts.available).max(0),
            ),
        ] {
            if figure > 0 {
                status[field] = json!(figure);
            }
        }
        let mut conditions = conditions_of(deployment);
        let enough = counts.available >= wanted - max_unavailable;
        let available = match enough {
            true => json!({
                "type": "Available", "status": "True", "reason": "MinimumReplicasAvailable",
                "message": "Deployment has minimum availability.",
            }),
            false => json!({
                "type": "Available", "status": "False", "reason": "MinimumReplicasUnavailable",
                "message": "Deployment does not have minimum availability.",
            }),
        };
        set_condition(&mut conditions, available, &stamp, true);
        if let Some(progress) = self.progressing(deployment, counts, new) {
            set_condition(&mut conditions, progress, &stamp, true);
        }
        conditions.retain(|c| c["type"] != "ReplicaFailure");
        conditions.extend(failure);
        status["conditions"] = json!(conditions);
        self.set_status(key, status);
    }

    fn progressing(
        &mut self,
        deployment: &Value,
        counts: Counts,
        new: Option<&Value>,
    ) -> Option<Value> {
        let told = |status: &str, reason: &str, message: String| {
            Some(json!({
                "type": "Progressing", "status": status, "reason": reason, "message": message,
            }))
        };
        if deployment["spec"]["paused"] == true {
            return told(
                "Unknown",
                "DeploymentPaused",
                "Deployment is paused".to_owned(),
            );
        }
        let wanted = replicas(deployment);
        let new = new.map(manifest::name_of).unwrap_or_default();
        let former = conditions_of(deployment);
        let former = former.iter().find(|c| c["type"] == "Progressing");
        let reason = former
            .and_then(|c| c["reason"].as_str())
            .unwrap_or_default();
        let complete =
            counts.updated == wanted && counts.replicas == wanted && counts.available == wanted;
        let (id, now) = (uid(deployment), self.time());
        let generation = count(deployment, "/metadata/generation");
        let observed = count(deployment, "/status/observedGeneration");
        let works = self.works()?;
        if complete {
            works.progress.insert(id, (now, counts));
            let message = format!("ReplicaSet {new:?} has successfully progressed.");
            return told("True", "NewReplicaSetAvailable", message);
        }
        let (since, before) = *works.progress.entry(id.clone()).or_insert((now, counts));
        // A new template starts the clock again.
        let got_on = counts.is_progress(before)
            || generation != observed
            || matches!(reason, "DeploymentPaused" | "NewReplicaSetAvailable" | "");
        let since = if got_on { now } else { since };
        works.progress.insert(id, (since, counts));
        let limit = deployment["spec"]["progressDeadlineSeconds"]
            .as_i64()
            .unwrap_or(600);
        let deadline: Millis = since + seconds(limit);
        if deadline <= now {
            let message = format!("ReplicaSet {new:?} has timed out progressing.");
            return told("False", "ProgressDeadlineExceeded", message);
        }
        self.wake(deadline);
        if got_on && counts.updated == 0 && reason.is_empty() {
            let message = format!("Created new replica set {new:?}");
            return told("True", "NewReplicaSetCreated", message);
        }
        let message = format!("ReplicaSet {new:?} is progressing.");
        told("True", "ReplicaSetUpdated", message)
    }
}
