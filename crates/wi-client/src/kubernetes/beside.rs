//! What goes by the labels of pods in a namespace, and Deployments that stand beside others: made, found again, taken away.

use http::Method;
use serde_json::{Value, json};
use wi_core::live::around::Around;
use wi_core::percent;
use wi_core::wire::budgets::Budget;
use wi_core::wire::kubernetes::FIELD_MANAGER;
use wi_core::wire::workloads::{WORKLOAD_KINDS, WorkloadKind};

use super::{Kube, in_namespace};
use crate::http::{ApiError, Request};

/// Custom resources by which the pods of a namespace are watched, and the collection of each.
const MONITORS: [(&str, &str); 2] = [
    ("PodMonitor", "/apis/monitoring.coreos.com/v1/podmonitors"),
    (
        "PodMonitoring",
        "/apis/monitoring.googleapis.com/v1/podmonitorings",
    ),
];

/// What is not kept by a selector of its own: Jobs and CronJobs, whose pods are known by a label made for each.
const BY_OWN_LABEL: [&str; 2] = ["Job", "CronJob"];

impl Kube {
    /// Objects of a kind that makes pods, of all namespaces, that have a label, with all that they have, every page.
    pub async fn list_labelled(
        &self,
        kind: &WorkloadKind,
        label: &str,
        value: &str,
    ) -> Result<Vec<Value>, ApiError> {
        let query = selector(label, value);
        self.list(kind.path, &query, "application/json").await
    }

    /// The pods of one namespace that have a label, with all that they have, every page.
    pub async fn list_pods_labelled(
        &self,
        namespace: &str,
        label: &str,
        value: &str,
    ) -> Result<Vec<Value>, ApiError> {
        let path = format!("/api/v1/namespaces/{namespace}/pods");
        let query = selector(label, value);
        self.list(&path, &query, "application/json").await
    }

    /// What goes by the labels of pods in a namespace. `by_policies`: NetworkPolicies are enforced in the cluster.
    ///
    /// # Errors
    /// The first list that could not be read.
    pub async fn around(&self, namespace: &str, by_policies: bool) -> Result<Around, ApiError> {
        let of = async |collection: &str| -> Result<Vec<Value>, ApiError> {
            let path = in_namespace(collection, namespace);
            self.list(&path, "", "application/json").await
        };
        let mut around = Around::default();
        around.services(&of("/api/v1/services").await?);
        for kind in WORKLOAD_KINDS {
            if !BY_OWN_LABEL.contains(&kind.kind) {
                around.takers(kind.kind, &of(kind.path).await?);
            }
        }
        for (kind, path) in MONITORS {
            match of(path).await {
                Ok(all) => around.takers(kind, &all),
                // The cluster does not know the kind.
                Err(e) if e.is_not_found() => {}
                Err(e) => return Err(e),
            }
        }
        let budgets = in_namespace("/apis/policy/v1/poddisruptionbudgets", namespace);
        let budgets: Vec<Budget> = self.list(&budgets, "", "application/json").await?;
        around.budgets(budgets);
        around.autoscalers(&of("/apis/autoscaling/v2/horizontalpodautoscalers").await?);
        if by_policies {
            around.policies(namespace, &self.list_all_network_policies().await?);
        }
        Ok(around)
    }

    /// Makes an object that makes pods; it is answered 409 where there is one of that name. Answers with the object.
    pub async fn create_workload(
        &self,
        kind: &WorkloadKind,
        namespace: &str,
        object: &Value,
    ) -> Result<Value, ApiError> {
        let path = in_namespace(kind.path, namespace);
        let url = self.url(&format!(
            "{path}?fieldManager={FIELD_MANAGER}&fieldValidation=Strict{}",
            self.stage()
        ));
        let request = Request::new(Method::POST, url).body(object.clone());
        self.http.json(request).await
    }

    /// Deletes the object of this name if it is the one with this uid, and the pods that it made after it.
    pub async fn delete_workload(
        &self,
        kind: &WorkloadKind,
        namespace: &str,
        name: &str,
        uid: &str,
    ) -> Result<(), ApiError> {
        let name = percent::segment(name);
        let path = format!("{}/{name}", in_namespace(kind.path, namespace));
        let mut body = json!({
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": uid},
            "propagationPolicy": "Background",
        });
        if self.is_dry_run() {
            body["dryRun"] = json!(["All"]);
        }
        let request = Request::new(Method::DELETE, self.url(&path)).body(body);
        self.http.send(&request).await.map(drop)
    }
}

fn selector(label: &str, value: &str) -> String {
    let selector = format!("{label}={value}");
    format!("&labelSelector={}", percent::query(&selector))
}
