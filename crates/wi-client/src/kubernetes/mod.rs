//! The few Kubernetes calls that `wi` makes, on the one HTTP layer.

mod beside;
mod ca_error;
mod connect;
mod jobs;
mod kubeconfig;
pub mod pod;
mod scanning;

use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use wi_core::live::ReachedBy;
use wi_core::spec::model::Endpoint;
use wi_core::wire::budgets::Budget;
use wi_core::wire::kubernetes::{FIELD_MANAGER, ObjectMeta};
use wi_core::wire::network::NetworkPolicy;
use wi_core::wire::pods::Pod;
use wi_core::wire::workloads::{WorkloadKind, WorkloadObject};

pub use ca_error::CaError;
pub use connect::ConnectError;
pub use kubeconfig::{Fault, KubeconfigError};

use crate::google::workload;
use crate::http::{ApiError, Http, ListBudget, Request};
use wi_core::percent;

/// A control plane that nothing connects to for so long is not reachable from here, as private ones
/// often are: the plan goes on without it.
const REACHABLE_WITHIN: Duration = Duration::from_secs(3);

const LIST_METADATA: &str =
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
const ONE_METADATA: &str =
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";

/// The API server of one cluster. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Kube {
    http: Http,
    base: String,
    reached_by: ReachedBy,
    /// Who it is asked as; `None`: as Google knows the caller.
    user: Option<String>,
    /// Whether what vouches for the server says that it is the cluster.
    is_proven: bool,
    /// Writes are tried, and nothing is kept.
    dry_run: bool,
}

/// An object of which only the metadata is read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Metadata {
    metadata: ObjectMeta,
}

impl Kube {
    /// How it is reached.
    pub fn reached_by(&self) -> &ReachedBy {
        &self.reached_by
    }

    /// Whether it is reached by an address of the cluster's own network.
    pub fn is_private(&self) -> bool {
        matches!(self.reached_by, ReachedBy::Endpoint(Endpoint::Private, _))
    }

    /// The user of a kubeconfig that has rights there by RBAC alone: `user dev of FILE`. `None` where the caller is
    /// who Google knows, and has rights by IAM, too.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Whether it is the cluster that GKE means: by an address and the CA that GKE names, or by a name that public
    /// authorities vouch for. A kubeconfig can lead anywhere.
    pub fn is_proven(&self) -> bool {
        self.is_proven
    }

    /// The same server, which carries each write out up to where it would be kept: conflicts, quotas and admission
    /// are answered, and its answer is the object as it would be.
    ///
    /// <https://kubernetes.io/docs/reference/using-api/api-concepts/#dry-run>
    pub fn dry_run(&self) -> Self {
        Self {
            dry_run: true,
            ..self.clone()
        }
    }

    /// Whether writes are tried only.
    pub fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The end of a write's query.
    fn stage(&self) -> &'static str {
        if self.dry_run { "&dryRun=All" } else { "" }
    }

    /// All namespaces: metadata only, every page.
    pub async fn list_namespaces(&self) -> Result<Vec<ObjectMeta>, ApiError> {
        self.list_metadata("/api/v1/namespaces").await
    }

    /// All service accounts of all namespaces: metadata only, every page.
    pub async fn list_service_accounts(&self) -> Result<Vec<ObjectMeta>, ApiError> {
        self.list_metadata("/api/v1/serviceaccounts").await
    }

    /// The service accounts of one namespace: metadata only, every page.
    pub async fn list_service_accounts_of(
        &self,
        namespace: &str,
    ) -> Result<Vec<ObjectMeta>, ApiError> {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts");
        self.list_metadata(&path).await
    }

    /// All nodes: metadata only, every page.
    pub async fn list_nodes(&self) -> Result<Vec<ObjectMeta>, ApiError> {
        self.list_metadata("/api/v1/nodes").await
    }

    /// The pods of one namespace, every page.
    pub async fn list_pods_of(&self, namespace: &str) -> Result<Vec<Pod>, ApiError> {
        let path = format!("/api/v1/namespaces/{namespace}/pods");
        self.list(&path, "", "application/json").await
    }

    /// All pods of all namespaces, every page.
    pub async fn list_pods(&self) -> Result<Vec<Pod>, ApiError> {
        self.list("/api/v1/pods", "", "application/json").await
    }

    /// All PodDisruptionBudgets of all namespaces, every page.
    pub async fn list_budgets(&self) -> Result<Vec<Budget>, ApiError> {
        self.list(
            "/apis/policy/v1/poddisruptionbudgets",
            "",
            "application/json",
        )
        .await
    }

    /// All objects of a kind that makes pods, of all namespaces, every page.
    pub async fn list_workloads(
        &self,
        kind: &WorkloadKind,
    ) -> Result<Vec<WorkloadObject>, ApiError> {
        self.list(kind.path, "", "application/json").await
    }

    /// All objects of a kind that makes pods, of one namespace, every page.
    pub async fn list_workloads_of(
        &self,
        kind: &WorkloadKind,
        namespace: &str,
    ) -> Result<Vec<WorkloadObject>, ApiError> {
        let path = in_namespace(kind.path, namespace);
        self.list(&path, "", "application/json").await
    }

    /// One pod.
    pub async fn get_pod(&self, namespace: &str, name: &str) -> Result<Pod, ApiError> {
        self.get_whole(&format!("/api/v1/namespaces/{namespace}/pods/{name}"))
            .await
    }

    /// One object that makes pods.
    pub async fn get_workload(
        &self,
        kind: &WorkloadKind,
        namespace: &str,
        name: &str,
    ) -> Result<WorkloadObject, ApiError> {
        let of_namespace = in_namespace(kind.path, namespace);
        self.get_whole(&format!("{of_namespace}/{name}")).await
    }

    /// One object that makes pods, with all that it has: values of variables may be secrets.
    pub async fn get_workload_whole(
        &self,
        kind: &WorkloadKind,
        namespace: &str,
        name: &str,
    ) -> Result<Value, ApiError> {
        self.get_whole(&format!("{}/{name}", in_namespace(kind.path, namespace)))
            .await
    }

    /// All objects of a kind that makes pods, of one namespace, with all that they have, every page.
    pub async fn list_whole(
        &self,
        kind: &WorkloadKind,
        namespace: &str,
    ) -> Result<Vec<Value>, ApiError> {
        let path = in_namespace(kind.path, namespace);
        self.list(&path, "", "application/json").await
    }

    /// All pods of one namespace, with all that they have, every page.
    pub async fn list_pods_whole(&self, namespace: &str) -> Result<Vec<Value>, ApiError> {
        let path = format!("/api/v1/namespaces/{namespace}/pods");
        self.list(&path, "", "application/json").await
    }

    /// JSON Patch (RFC 6902) of an object that makes pods; it is answered 422 where a `test` of it does not hold. Answers
    /// with the object as it is then.
    pub async fn patch_workload(
        &self,
        kind: &WorkloadKind,
        namespace: &str,
        name: &str,
        operations: &[Value],
    ) -> Result<Value, ApiError> {
        let path = format!("{}/{name}", in_namespace(kind.path, namespace));
        let url = self.url(&format!(
            "{path}?fieldManager={FIELD_MANAGER}&fieldValidation=Strict{}",
            self.stage()
        ));
        let mut request = Request::new(Method::PATCH, url).body(Value::from(operations));
        request.content_type = "application/json-patch+json";
        self.http.json(request).await
    }

    /// One node.
    pub async fn get_node(&self, name: &str) -> Result<ObjectMeta, ApiError> {
        self.get(&format!("/api/v1/nodes/{name}")).await
    }

    /// The NetworkPolicies of one namespace, every page.
    pub async fn list_network_policies(
        &self,
        namespace: &str,
    ) -> Result<Vec<NetworkPolicy>, ApiError> {
        let path = format!("/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies");
        self.list(&path, "", "application/json").await
    }

    /// Those of all namespaces.
    pub async fn list_all_network_policies(&self) -> Result<Vec<NetworkPolicy>, ApiError> {
        let path = "/apis/networking.k8s.io/v1/networkpolicies";
        self.list(path, "", "application/json").await
    }

    async fn get_whole<T: DeserializeOwned + Send + 'static>(
        &self,
        path: &str,
    ) -> Result<T, ApiError> {
        let mut request = Request::new(Method::GET, self.url(path));
        request.connect_within = Some(REACHABLE_WITHIN);
        self.http.json(request).await
    }

    /// The texts of one ConfigMap, by key.
    pub async fn get_config_map(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<BTreeMap<String, String>, ApiError> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct ConfigMap {
            data: BTreeMap<String, String>,
        }
        let path = format!("/api/v1/namespaces/{namespace}/configmaps/{name}");
        let request = Request::new(Method::GET, self.url(&path));
        Ok(self.http.json::<ConfigMap>(request).await?.data)
    }

    async fn list_metadata(&self, path: &str) -> Result<Vec<ObjectMeta>, ApiError> {
        let items: Vec<Metadata> = self.list(path, "", LIST_METADATA).await?;
        Ok(items.into_iter().map(|i| i.metadata).collect())
    }

    /// Every page of a list. A `continue` that has expired (410) starts the list over, once.
    pub(crate) async fn list<T: DeserializeOwned + Send + 'static>(
        &self,
        path: &str,
        query: &str,
        accept: &'static str,
    ) -> Result<Vec<T>, ApiError> {
        let mut items = Vec::new();
        let mut token = String::new();
        let mut started_over = false;
        let mut budget = ListBudget::default();
        loop {
            let mut url = self.url(&format!("{path}?limit=500{query}"));
            if !token.is_empty() {
                url.push_str(&format!("&continue={}", percent::query(&token)));
            }
            let mut request = Request::new(Method::GET, url);
            request.accept = accept;
            request.connect_within = Some(REACHABLE_WITHIN);
            let count = |page: &Page<T>| page.items.as_ref().map_or(0, Vec::len);
            match self.http.page(request, &mut budget, count).await {
                Ok(page) => {
                    items.extend(page.items.unwrap_or_default());
                    token = page.metadata.r#continue;
                    if token.is_empty() {
                        return Ok(items);
                    }
                }
                Err(e) if e.code == 410 && !started_over => {
                    started_over = true;
                    items.clear();
                    token.clear();
                }
                Err(e) => return Err(e),
            }
        }
    }

    async fn get(&self, path: &str) -> Result<ObjectMeta, ApiError> {
        let mut request = Request::new(Method::GET, self.url(path));
        request.accept = ONE_METADATA;
        Ok(self.http.json::<Metadata>(request).await?.metadata)
    }

    /// `SelfSubjectAccessReview`: whether the caller may do `verb` on `resource` of an API group (`""`:
    /// the core) in a namespace, which RoleBindings give rights in; `""`: in all of them.
    pub async fn may(
        &self,
        verb: &str,
        group: &str,
        resource: &str,
        namespace: &str,
    ) -> Result<bool, ApiError> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Review {
            status: Status,
        }
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Status {
            allowed: bool,
        }
        let url = self.url("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews");
        let body = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {"verb": verb, "group": group, "resource": resource, "namespace": namespace}},
        });
        let mut request = Request::new(Method::POST, url).body(body);
        request.connect_within = Some(REACHABLE_WITHIN);
        Ok(self.http.json::<Review>(request).await?.status.allowed)
    }

    /// One namespace.
    pub async fn get_namespace(&self, name: &str) -> Result<ObjectMeta, ApiError> {
        self.get(&format!("/api/v1/namespaces/{name}")).await
    }

    /// One service account.
    pub async fn get_service_account(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<ObjectMeta, ApiError> {
        self.get(&format!(
            "/api/v1/namespaces/{namespace}/serviceaccounts/{name}"
        ))
        .await
    }

    /// Server-side apply as [`FIELD_MANAGER`]: `object` is the whole applied configuration. `force`
    /// takes fields over from other managers. Answers with whether it was made by this call, too.
    pub async fn apply_namespace(
        &self,
        object: &Value,
        force: bool,
    ) -> Result<(ObjectMeta, bool), ApiError> {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        self.apply(&format!("/api/v1/namespaces/{name}"), object, force)
            .await
    }

    /// As [`Kube::apply_namespace`], for a service account. It is created if it is not there.
    pub async fn apply_service_account(
        &self,
        object: &Value,
        force: bool,
    ) -> Result<(ObjectMeta, bool), ApiError> {
        let metadata = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
        let path = format!(
            "/api/v1/namespaces/{}/serviceaccounts/{}",
            metadata("namespace"),
            metadata("name")
        );
        self.apply(&path, object, force).await
    }

    async fn apply(
        &self,
        path: &str,
        object: &Value,
        force: bool,
    ) -> Result<(ObjectMeta, bool), ApiError> {
        let url = self.url(&format!(
            "{path}?fieldManager={FIELD_MANAGER}&force={force}&fieldValidation=Strict{}",
            self.stage()
        ));
        let mut request = Request::new(Method::PATCH, url).body(object.clone());
        request.content_type = "application/apply-patch+yaml";
        let (object, made) = self.http.json_made::<Metadata>(request).await?;
        Ok((object.metadata, made))
    }

    /// A merge patch on a namespace: removes what another manager owns.
    pub async fn patch_namespace(&self, name: &str, patch: &Value) -> Result<ObjectMeta, ApiError> {
        self.merge(&format!("/api/v1/namespaces/{name}"), patch)
            .await
    }

    /// As [`Kube::patch_namespace`], on a service account.
    pub async fn patch_service_account(
        &self,
        namespace: &str,
        name: &str,
        patch: &Value,
    ) -> Result<ObjectMeta, ApiError> {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}");
        self.merge(&path, patch).await
    }

    async fn merge(&self, path: &str, patch: &Value) -> Result<ObjectMeta, ApiError> {
        let url = self.url(&format!(
            "{path}?fieldManager={FIELD_MANAGER}{}",
            self.stage()
        ));
        let mut request = Request::new(Method::PATCH, url).body(patch.clone());
        request.content_type = "application/merge-patch+json";
        Ok(self.http.json::<Metadata>(request).await?.metadata)
    }

    /// `create` of a service account's `token` subresource: a token of it for an audience, of ten minutes, which is the
    /// shortest that the API server gives.
    pub async fn create_token(
        &self,
        namespace: &str,
        name: &str,
        audience: &str,
    ) -> Result<workload::Token, ApiError> {
        #[derive(Deserialize)]
        struct Answer {
            status: Status,
        }
        #[derive(Deserialize)]
        struct Status {
            token: workload::Token,
        }
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token");
        let body = json!({
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"audiences": [audience], "expirationSeconds": 600},
        });
        // Nothing is kept of it there: a second try does no harm.
        let mut request = Request::new(Method::POST, self.url(&path)).body(body);
        request.connect_within = Some(REACHABLE_WITHIN);
        Ok(self.http.secret::<Answer>(request).await?.status.token)
    }

    /// Deletes the Secret of this name if it is the one with this uid, in this version.
    pub async fn delete_secret(
        &self,
        namespace: &str,
        name: &str,
        uid: &str,
        version: &str,
    ) -> Result<(), ApiError> {
        let (namespace, name) = (percent::segment(namespace), percent::segment(name));
        let path = format!("/api/v1/namespaces/{namespace}/secrets/{name}");
        let mut body = json!({
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": uid, "resourceVersion": version},
        });
        if self.dry_run {
            body["dryRun"] = json!(["All"]);
        }
        let request = Request::new(Method::DELETE, self.url(&path)).body(body);
        self.http.send(&request).await.map(drop)
    }

    /// Deletes the pod of this name if it is the one with this uid.
    pub async fn delete_pod(&self, namespace: &str, name: &str, uid: &str) -> Result<(), ApiError> {
        let (namespace, name) = (percent::segment(namespace), percent::segment(name));
        let path = format!("/api/v1/namespaces/{namespace}/pods/{name}");
        let mut body = json!({
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": uid},
        });
        if self.dry_run {
            body["dryRun"] = json!(["All"]);
        }
        let request = Request::new(Method::DELETE, self.url(&path)).body(body);
        self.http.send(&request).await.map(drop)
    }

    /// Deletes just the object that was seen, in the version that was seen.
    pub async fn delete_service_account(&self, seen: &ObjectMeta) -> Result<(), ApiError> {
        let path = format!(
            "/api/v1/namespaces/{}/serviceaccounts/{}",
            seen.namespace, seen.name
        );
        let mut body = json!({
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": seen.uid, "resourceVersion": seen.resource_version},
        });
        if self.dry_run {
            body["dryRun"] = json!(["All"]); // a body stands for all of the query
        }
        let request = Request::new(Method::DELETE, self.url(&path)).body(body);
        self.http.send(&request).await.map(drop)
    }
}

/// The path of a namespace's collection by that of all namespaces.
fn in_namespace(collection: &str, namespace: &str) -> String {
    match collection.rsplit_once('/') {
        Some((group, plural)) => format!("{group}/namespaces/{namespace}/{plural}"),
        None => collection.to_owned(),
    }
}

/// A page of a list.
#[derive(Debug, Deserialize)]
struct Page<T> {
    #[serde(default)]
    metadata: ListMeta,
    /// Go writes an empty list as null.
    #[serde(default = "Option::default")]
    items: Option<Vec<T>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ListMeta {
    r#continue: String,
}
