//! A Job for each service account, on a node of its cluster: proof of what cannot be tried from here. It is deleted in any
//! outcome.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use wi_client::kubernetes::Kube;
use wi_core::access::ladder::Rung;
use wi_core::desired::{DesiredKsa, KsaKey};
use wi_core::words::safe;

use super::probe::{self, Names};
use super::{Outcome, Step};

/// How Jobs are run.
#[derive(Debug)]
pub struct Jobs {
    /// The image, in which there is curl.
    pub image: String,
    /// How long a Job may take, from its creation on.
    pub timeout: Duration,
    /// What tells the Jobs of this run.
    pub run: String,
    /// Starts nothing more, and ends what is under way.
    pub stop: CancellationToken,
    /// So many at once.
    turns: Semaphore,
    /// How many there were: pods of one that was tried before may still be there, and are no proof.
    count: AtomicU64,
}

/// Jobs at once, over all clusters: each is a pod that has to find a place.
const AT_ONCE: usize = 20;

/// Between two looks at a Job.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));

/// More of a log is not read.
const LOG: usize = 64 << 10;

/// What says in a container's status that it does not begin.
const STUCK: [&str; 6] = [
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
];

impl Jobs {
    /// Those of a run with an image.
    pub fn new(image: String, timeout: Duration, run: &str) -> Self {
        Self {
            image,
            timeout,
            run: run.rsplit(' ').next().unwrap_or(run).to_owned(),
            stop: CancellationToken::new(),
            turns: Semaphore::new(AT_ONCE),
            count: AtomicU64::new(0),
        }
    }

    /// Tries one service account from a pod.
    pub(super) async fn steps(
        &self,
        kube: &Kube,
        key: &KsaKey,
        ksa: &DesiredKsa,
        hosts: &[String],
    ) -> Vec<Step> {
        let title = format!("a pod of {}", safe(&self.image));
        let untried = |why: String| vec![Step::new(Rung::Pod, Outcome::Untried, &title).why(why)];
        let Ok(_turn) = self.turns.acquire().await else {
            return untried("there is no turn".to_owned());
        };
        if self.stop.is_cancelled() {
            return untried("interrupted".to_owned());
        }
        let mut hasher = DefaultHasher::new();
        self.count.fetch_add(1, Ordering::Relaxed).hash(&mut hasher);
        (
            &self.run,
            &key.cluster,
            key.namespace.as_str(),
            key.name.as_str(),
        )
            .hash(&mut hasher);
        let name = format!("wi-verify-{:08x}", hasher.finish() >> 32);
        let namespace = key.namespace.as_str();
        let names = Names {
            name: &name,
            namespace,
            service_account: key.name.as_str(),
            run: &self.run,
            image: &self.image,
            // It is here that its time ends; the cluster ends it where nobody is here any more.
            seconds: self.timeout.as_secs() + 60,
        };
        let created = kube
            .create_job(namespace, probe::manifest(&names, hosts))
            .await;
        let ran = match created {
            Ok(()) => self.ran(kube, namespace, &name).await,
            Err(e) => Err(format!(
                "the Job could not be created: {}. It takes `create`, `delete` on jobs, `list` on pods and `get` on pods/log: container.jobs.create and so on, as in roles/container.developer",
                e.reason()
            )),
        };
        // A Job whose creation seems to have failed may be there all the same.
        let deleted = kube.delete_job(namespace, &name).await;
        let mut steps = match ran {
            Ok((node, log)) => probe::judge(&log, ksa.account.as_ref(), &ksa.identity.pool, &node),
            Err(why) => untried(why),
        };
        if let Err(e) = deleted {
            let why = format!(
                "it is left behind: {}. kubectl delete job -n {} {name}",
                e.reason(),
                safe(namespace)
            );
            steps.push(Step::new(Rung::Pod, Outcome::Untried, format!("Job {name}")).why(why));
        }
        steps
    }

    /// Waits for the pod's end: the node that it ran on, and its log.
    async fn ran(
        &self,
        kube: &Kube,
        namespace: &str,
        job: &str,
    ) -> Result<(String, String), String> {
        let until = Instant::now() + self.timeout;
        let mut pause = PAUSES.0;
        let mut seen = None;
        loop {
            let pods = kube.pods_of_job(namespace, job).await;
            let pods = pods.map_err(|e| format!("its pod could not be read: {}", e.reason()))?;
            let pod = pods.first();
            let phase = pod
                .and_then(|p| p["status"]["phase"].as_str())
                .unwrap_or_default();
            if let (Some(pod), "Succeeded" | "Failed") = (pod, phase) {
                let name = pod["metadata"]["name"].as_str().unwrap_or_default();
                let log = kube.pod_log(namespace, name, LOG).await;
                let log = log.map_err(|e| format!("its log could not be read: {}", e.reason()))?;
                let node = pod["spec"]["nodeName"].as_str().unwrap_or("its node");
                return Ok((format!("node {}", safe(node)), log));
            }
            if let Some(why) = pod.and_then(stuck) {
                return Err(why);
            }
            seen = pod.cloned().or(seen);
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(match &seen {
                    Some(pod) => not_placed(pod).unwrap_or_else(|| {
                        format!(
                            "it has not ended within {} s (--timeout)",
                            self.timeout.as_secs()
                        )
                    }),
                    None => "no pod was made for it: a quota or an admission webhook may refuse it"
                        .to_owned(),
                });
            }
            tokio::select! {
                () = tokio::time::sleep(pause.min(left)) => {}
                () = self.stop.cancelled() => return Err("interrupted".to_owned()),
            }
            pause = (pause * 2).min(PAUSES.1);
        }
    }
}

/// Why a pod's container does not begin, where that will not change.
fn stuck(pod: &Value) -> Option<String> {
    let states = pod["status"]["containerStatuses"].as_array()?;
    let mut waiting = states.iter().map(|s| &s["state"]["waiting"]);
    let waiting = waiting.find(|w| w["reason"].as_str().is_some_and(|r| STUCK.contains(&r)))?;
    let text = |field: &str| safe(waiting[field].as_str().unwrap_or_default());
    Some(format!("{}: {}", text("reason"), text("message")))
}

/// Why a pod is on no node.
fn not_placed(pod: &Value) -> Option<String> {
    let conditions = pod["status"]["conditions"].as_array()?;
    let mut conditions = conditions.iter();
    let found = conditions.find(|c| c["type"] == "PodScheduled" && c["status"] == "False")?;
    let message = found["message"].as_str().unwrap_or("it is on no node");
    Some(format!("no node takes it: {}", safe(message)))
}
