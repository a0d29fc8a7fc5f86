//! HorizontalPodAutoscalers of CPU: by the pods that the *selector* of their target means, whoever made them.
//!
//! <https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#algorithm-details>

use serde_json::{Value, json};

use super::{count, is_going, namespace, replicas, seconds, set_condition, uid, written};
use crate::clock::Millis;
use crate::kube::kind::Kind;
use crate::kube::manifest::is_ready;
use crate::kube::objects::Key;
use crate::kube::selector::selects;
use crate::kube::store::Store;

/// `--horizontal-pod-autoscaler-sync-period`.
const PERIOD: i64 = 15;
/// `--horizontal-pod-autoscaler-tolerance`.
const TOLERANCE: f64 = 0.1;
/// `--horizontal-pod-autoscaler-downscale-stabilization`.
const STABILIZATION: i64 = 300;

impl Store {
    pub(super) fn run_autoscalers(&mut self) {
        let (now, period) = (self.time(), seconds(PERIOD));
        let all = self.all(Kind::HorizontalPodAutoscaler);
        if !all.is_empty() {
            self.wake_by_schedule(now - now.rem_euclid(period) + period);
        }
        for (key, scaler) in all {
            if !is_going(&scaler) {
                self.run_autoscaler(&key, &scaler, now - now.rem_euclid(period));
            }
        }
    }

    fn run_autoscaler(&mut self, key: &Key, scaler: &Value, tick: Millis) {
        let target = &scaler["spec"]["scaleTargetRef"];
        let kind = match target["kind"].as_str() {
            Some("Deployment") => Kind::Deployment,
            Some("StatefulSet") => Kind::StatefulSet,
            Some("ReplicaSet") => Kind::ReplicaSet,
            _ => return,
        };
        // Once a period.
        let id = uid(scaler);
        let advice = self
            .works()
            .and_then(|w| w.advice.get(&id).cloned())
            .unwrap_or_default();
        if advice.last().is_some_and(|(at, _)| *at >= tick) {
            return;
        }
        let name = target["name"].as_str().unwrap_or_default();
        let target = Key::new(kind, &namespace(scaler), name);
        let Some(scaled) = self.objects.get(&target).cloned() else {
            return;
        };
        let current = replicas(&scaled);
        let least = scaler["spec"]["minReplicas"].as_i64().unwrap_or(1);
        let most = count(scaler, "/spec/maxReplicas");
        let mut wanted = current;
        let mut measured = None;
        if current > 0
            && let Some(goal) = goal_of(scaler)
        {
            let (average, pods) = self.utilization(&scaled);
            measured = average;
            if let Some(average) = average {
                let ratio = average / goal;
                if (ratio - 1.0).abs() > TOLERANCE {
                    wanted = rounded_up(ratio * f64::from(pods));
                }
            }
        }
        let window = scaler["spec"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"]
            .as_i64()
            .unwrap_or(STABILIZATION);
        let mut advice: Vec<(Millis, i64)> = advice
            .into_iter()
            .filter(|(at, _)| *at > tick - seconds(window.max(PERIOD)))
            .collect();
        if advice.is_empty() {
            // What was there before it was first looked at counts, too.
            advice.push((tick - 1, current));
        }
        advice.push((tick, wanted));
        // It goes down no further than it has wanted to within the window.
        let recent = advice.iter().filter(|(at, _)| *at > tick - seconds(window));
        let highest = recent.map(|(_, wanted)| *wanted).max().unwrap_or(wanted);
        if wanted < current {
            wanted = highest.max(wanted).min(current);
        }
        if current > 0 {
            wanted = wanted.clamp(least, most.max(least));
        }
        if let Some(works) = self.works() {
            works.advice.insert(id, advice);
        }
        let mut status = scaler["status"].clone();
        if !status.is_object() {
            status = json!({});
        }
        if wanted != current {
            let mut object = (*scaled).clone();
            object["spec"]["replicas"] = json!(wanted);
            self.set_object(&target, object, crate::kube::fields::SCALE);
            status["lastScaleTime"] = json!(written(self.time()));
        }
        status["observedGeneration"] = json!(1);
        status["currentReplicas"] = json!(current);
        status["desiredReplicas"] = json!(wanted);
        if let Some(average) = measured {
            status["currentMetrics"] = json!([{ "type": "Resource", "resource": {
                "name": "cpu", "current": { "averageUtilization": rounded_up(average.floor()) },
            }}]);
        }
        let mut conditions = super::conditions_of(scaler);
        let active = match (current, measured) {
            (0, _) => {
                json!({ "type": "ScalingActive", "status": "False", "reason": "ScalingDisabled",
                "message": "scaling is disabled since the replica count of the target is zero" })
            }
            (_, None) => {
                json!({ "type": "ScalingActive", "status": "False", "reason": "FailedGetResourceMetric",
                "message": "the HPA was unable to compute the replica count: no metrics returned from resource metrics API" })
            }
            _ => json!({ "type": "ScalingActive", "status": "True", "reason": "ValidMetricFound",
                "message": "the HPA was able to successfully calculate a replica count from cpu resource utilization" }),
        };
        set_condition(&mut conditions, active, &self.stamp(), false);
        status["conditions"] = json!(conditions);
        self.set_status(key, status);
    }

    /// The average utilization of the ready pods that the target's selector means, in percent, and how many they are.
    fn utilization(&self, target: &Value) -> (Option<f64>, u32) {
        let place = namespace(target);
        let selector = &target["spec"]["selector"];
        let pods = self
            .objects
            .from(Key::new(Kind::Pod, &place, ""))
            .take_while(|(key, _)| key.namespace == place)
            .filter(|(_, pod)| selects(selector, pod) && is_ready(pod) && !is_going(pod));
        let measured: Vec<f64> = pods
            .filter_map(|(_, pod)| self.health_of(pod).utilization)
            .collect();
        let count = u32::try_from(measured.len()).unwrap_or(u32::MAX);
        let sum: f64 = measured.iter().sum();
        ((count > 0).then(|| sum / f64::from(count)), count)
    }
}

/// The CPU utilization that is aimed at, in percent.
fn goal_of(scaler: &Value) -> Option<f64> {
    let metrics = scaler["spec"]["metrics"].as_array()?;
    let cpu = metrics.iter().find(|m| m["resource"]["name"] == "cpu")?;
    cpu["resource"]["target"]["averageUtilization"].as_f64()
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "numbers of pods and percents"
)]
fn rounded_up(number: f64) -> i64 {
    number.ceil() as i64
}
