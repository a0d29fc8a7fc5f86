//! Allow policies: how each kind of resource's policy is read and written, one table row a kind.

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::http::{Api, ApiError, Http, Request};
use crate::identity::{Condition, Resource};

/// An allow policy. What `wi` does not know stays in `rest` and is written back as it was.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bindings: Vec<Binding>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub etag: String,
    /// `version`, `auditConfigs`, `kind`, `resourceId` and whatever comes.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A role, who has it, and when. Member order and casing are the server's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Binding {
    pub role: String,
    #[serde(default)]
    pub members: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<Condition>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// Where a read says that it understands conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    /// `?options.requestedPolicyVersion=3`.
    Query,
    /// `?optionsRequestedPolicyVersion=3`.
    CamelQuery,
    /// `{"options": {"requestedPolicyVersion": 3}}`.
    Body,
}

/// What a write sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    /// `{"policy": …, "updateMask": "bindings,etag"}`: audit settings are not even touched.
    Masked,
    /// The policy itself.
    Bare,
}

/// How the policy of a kind of resource is read and written.
struct Row {
    api: Api,
    read: Method,
    version: Version,
    write: Method,
    body: Body,
    /// The resource, then what makes its policy of it, for reading and for writing.
    path: String,
    get: &'static str,
    set: &'static str,
}

/// The table: a new kind is a new arm.
fn row(resource: &Resource) -> Row {
    let verbs = |api, version, path| Row {
        api,
        read: Method::POST,
        version,
        write: Method::POST,
        body: Body::Masked,
        path,
        get: ":getIamPolicy",
        set: ":setIamPolicy",
    };
    match resource {
        Resource::Project(id) => verbs(
            Api::CloudResourceManager,
            Version::Body,
            format!("v3/projects/{id}"),
        ),
        Resource::ServiceAccount(email) => {
            let project = email
                .project()
                .map_or_else(|| "-".to_owned(), |p| p.to_string());
            let path = format!("v1/projects/{project}/serviceAccounts/{email}");
            verbs(Api::Iam, Version::Query, path)
        }
        Resource::Bucket(name) => Row {
            api: Api::Storage,
            read: Method::GET,
            version: Version::CamelQuery,
            write: Method::PUT,
            body: Body::Bare,
            path: format!("storage/v1/b/{name}"),
            get: "/iam",
            set: "/iam",
        },
    }
}

/// Reads a policy in version 3, so that conditions are seen.
pub async fn read(http: &Http, resource: &Resource) -> Result<Policy, ApiError> {
    let row = row(resource);
    let query = match row.version {
        Version::Query => "?options.requestedPolicyVersion=3",
        Version::CamelQuery => "?optionsRequestedPolicyVersion=3",
        Version::Body => "",
    };
    let url = http.url(row.api, &format!("{}{}{query}", row.path, row.get));
    let mut request = Request::new(row.read, url);
    if row.version == Version::Body {
        request = request.body(json!({"options": {"requestedPolicyVersion": 3}}));
    }
    http.json(request).await
}

/// Writes a policy in version 3 under its etag; answers with the policy as stored.
///
/// A stale etag is an [`ApiError`] with `is_conflict()`: 409 or, for buckets, 412.
pub async fn write(http: &Http, resource: &Resource, policy: &Policy) -> Result<Policy, ApiError> {
    let row = row(resource);
    let mut policy = policy.clone();
    // Written as version 1, a policy would lose its conditions.
    policy.rest.insert("version".to_owned(), 3.into());
    let policy = serde_json::to_value(&policy).unwrap_or_default();
    let body = match row.body {
        Body::Masked => json!({"policy": policy, "updateMask": "bindings,etag"}),
        Body::Bare => policy,
    };
    let url = http.url(row.api, &format!("{}{}", row.path, row.set));
    http.json(Request::new(row.write, url).body(body)).await
}
