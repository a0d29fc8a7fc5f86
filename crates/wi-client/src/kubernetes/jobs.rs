//! Jobs that are made to try something, and go again.

use http::Method;
use serde_json::{Value, json};
use wi_core::percent;

use super::{Kube, REACHABLE_WITHIN};
use crate::http::{ApiError, Request};

impl Kube {
    /// Creates a Job of a manifest. One of that name that is there already is what a lost answer left behind: no error.
    pub async fn create_job(&self, namespace: &str, manifest: Value) -> Result<(), ApiError> {
        let namespace = percent::segment(namespace);
        let url = self.url(&format!("/apis/batch/v1/namespaces/{namespace}/jobs"));
        let mut request = Request::new(Method::POST, url).body(manifest);
        request.connect_within = Some(REACHABLE_WITHIN);
        match self.http.json::<Value>(request).await {
            Err(e) if e.code != 409 => Err(e),
            _ => Ok(()),
        }
    }

    /// The pods of a Job, with all that they have.
    pub async fn pods_of_job(&self, namespace: &str, job: &str) -> Result<Vec<Value>, ApiError> {
        let path = format!("/api/v1/namespaces/{}/pods", percent::segment(namespace));
        let selector = percent::query(&format!("job-name={job}"));
        self.list(
            &path,
            &format!("&labelSelector={selector}"),
            "application/json",
        )
        .await
    }

    /// What a pod has written, `most` bytes of it.
    pub async fn pod_log(
        &self,
        namespace: &str,
        pod: &str,
        most: usize,
    ) -> Result<String, ApiError> {
        let (namespace, pod) = (percent::segment(namespace), percent::segment(pod));
        let url = self.url(&format!(
            "/api/v1/namespaces/{namespace}/pods/{pod}/log?limitBytes={most}"
        ));
        let mut request = Request::new(Method::GET, url);
        request.accept = "text/plain, */*";
        let bytes = self.http.send(&request).await?;
        Ok(String::from_utf8_lossy(&bytes[..bytes.len().min(most)]).into_owned())
    }

    /// Deletes a Job with its pods; one that is gone is no error.
    pub async fn delete_job(&self, namespace: &str, name: &str) -> Result<(), ApiError> {
        let (namespace, name) = (percent::segment(namespace), percent::segment(name));
        let url = self.url(&format!(
            "/apis/batch/v1/namespaces/{namespace}/jobs/{name}"
        ));
        let body = json!({
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "gracePeriodSeconds": 0,
        });
        let request = Request::new(Method::DELETE, url).body(body);
        match self.http.send(&request).await {
            Err(e) if !e.is_not_found() => Err(e),
            _ => Ok(()),
        }
    }
}
