//! What a scan for keys reads of a cluster. Nothing here asks for more of a Secret than it is told to.

use std::collections::BTreeMap;

use http::Method;
use serde::Deserialize;
use serde_json::Value;
use wi_core::percent;
use zeroize::Zeroizing;

use super::Kube;
use crate::http::{ApiError, Request};

/// Cells of a table alone. Its default, as metadata do, brings the annotations, and in those of
/// `kubectl apply` is the whole Secret.
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

/// So many Secrets at once: each may have a MiB.
const PAGE: usize = 50;

impl Kube {
    /// How many Secrets there are of each type. No object and no data leaves the server.
    pub async fn count_secrets(&self) -> Result<BTreeMap<String, usize>, ApiError> {
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        struct Table {
            metadata: super::ListMeta,
            column_definitions: Vec<Column>,
            rows: Option<Vec<Row>>,
        }
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Column {
            name: String,
        }
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Row {
            cells: Vec<Value>,
        }
        let mut counts = BTreeMap::new();
        let mut token = String::new();
        loop {
            let mut path = "/api/v1/secrets?includeObject=None&limit=500".to_owned();
            if !token.is_empty() {
                path.push_str(&format!("&continue={}", percent::query(&token)));
            }
            let mut request = Request::new(Method::GET, self.url(&path));
            request.accept = TABLE;
            let table: Table = self.http.json(request).await?;
            let kind = table
                .column_definitions
                .iter()
                .position(|c| c.name == "Type");
            for row in table.rows.unwrap_or_default() {
                let cell = kind.and_then(|at| row.cells.get(at)?.as_str());
                *counts
                    .entry(cell.unwrap_or_default().to_owned())
                    .or_default() += 1;
            }
            token = table.metadata.r#continue;
            if token.is_empty() {
                return Ok(counts);
            }
        }
    }

    /// A Secret as the server writes it, JSON, in memory that is zeroed.
    pub async fn secret(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Zeroizing<Vec<u8>>, ApiError> {
        let (namespace, name) = (percent::segment(namespace), percent::segment(name));
        let path = format!("/api/v1/namespaces/{namespace}/secrets/{name}");
        let request = Request::new(Method::GET, self.url(&path));
        Ok(Zeroizing::new(self.http.send(&request).await?))
    }

    /// A page of all Secrets, as [`Kube::secret`]; `token` is that of the page before.
    pub async fn secrets(&self, token: &str) -> Result<Zeroizing<Vec<u8>>, ApiError> {
        let mut path = format!("/api/v1/secrets?limit={PAGE}");
        if !token.is_empty() {
            path.push_str(&format!("&continue={}", percent::query(token)));
        }
        let request = Request::new(Method::GET, self.url(&path));
        Ok(Zeroizing::new(self.http.send(&request).await?))
    }

    /// A ConfigMap as the server writes it, in memory that is zeroed: people put keys there.
    pub async fn config_map(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Zeroizing<Vec<u8>>, ApiError> {
        let (namespace, name) = (percent::segment(namespace), percent::segment(name));
        let path = format!("/api/v1/namespaces/{namespace}/configmaps/{name}");
        let request = Request::new(Method::GET, self.url(&path));
        Ok(Zeroizing::new(self.http.send(&request).await?))
    }

    /// The groups that the server has, each with the version that it prefers.
    pub async fn groups(&self) -> Result<BTreeMap<String, String>, ApiError> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct List {
            groups: Vec<Group>,
        }
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        struct Group {
            name: String,
            preferred_version: Version,
        }
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Version {
            version: String,
        }
        let request = Request::new(Method::GET, self.url("/apis"));
        let list: List = self.http.json(request).await?;
        let groups = list.groups.into_iter();
        Ok(groups
            .map(|g| (g.name, g.preferred_version.version))
            .collect())
    }

    /// All custom resources of a kind, whole, every page.
    pub async fn custom(
        &self,
        group: &str,
        version: &str,
        plural: &str,
    ) -> Result<Vec<Value>, ApiError> {
        let path = format!("/apis/{group}/{}/{plural}", percent::segment(version));
        self.list(&path, "", "application/json").await
    }
}
