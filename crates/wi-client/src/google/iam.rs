//! Service accounts: `iam.googleapis.com/v1`.

use futures::stream::{self, Stream, TryStreamExt};
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use wi_core::names::{Email, ProjectId, Role};
use wi_core::wire::iam::{RoleDefinition, ServiceAccount};

use crate::http::{Api, ApiError, Http, ListBudget, Request, Retry};

fn account_url(http: &Http, project: &ProjectId, email: &Email, verb: &str) -> String {
    http.url(
        Api::Iam,
        &format!("v1/projects/{project}/serviceAccounts/{email}{verb}"),
    )
}

/// `projects.serviceAccounts.list`, each account as soon as its page is there; nothing follows an
/// error. Deleted accounts are not listed.
pub fn service_accounts(
    http: &Http,
    project: &ProjectId,
) -> impl Stream<Item = Result<ServiceAccount, ApiError>> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Page {
        accounts: Vec<ServiceAccount>,
        next_page_token: String,
    }
    let pages = stream::try_unfold(
        Some((String::new(), ListBudget::of_pages(super::MOST_PAGES))),
        move |next: Option<(String, ListBudget)>| async move {
            let Some((token, mut budget)) = next else {
                return Ok(None);
            };
            let mut path = format!("v1/projects/{project}/serviceAccounts?pageSize=100");
            if !token.is_empty() {
                path.push_str(&format!("&pageToken={}", wi_core::percent::query(&token)));
            }
            let request = Request::new(Method::GET, http.url(Api::Iam, &path));
            let page: Page = http
                .page(request, &mut budget, |p: &Page| p.accounts.len())
                .await?;
            let next = page.next_page_token;
            let accounts = stream::iter(page.accounts.into_iter().map(Ok));
            let more = !next.is_empty();
            Ok(Some((accounts, more.then_some((next, budget)))))
        },
    );
    pages.try_flatten()
}

/// `projects.serviceAccounts.get`.
pub async fn get_service_account(
    http: &Http,
    project: &ProjectId,
    email: &Email,
) -> Result<ServiceAccount, ApiError> {
    http.json(Request::new(
        Method::GET,
        account_url(http, project, email, ""),
    ))
    .await
}

/// `projects.serviceAccounts.create`. Not tried again when its answer is lost: it may have worked.
pub async fn create_service_account(
    http: &Http,
    project: &ProjectId,
    id: &str,
    display_name: &str,
    description: &str,
) -> Result<ServiceAccount, ApiError> {
    let url = http.url(Api::Iam, &format!("v1/projects/{project}/serviceAccounts"));
    let body = json!({
        "accountId": id,
        "serviceAccount": {"displayName": display_name, "description": description},
    });
    http.json(
        Request::new(Method::POST, url)
            .body(body)
            .retry(Retry::IfRefused),
    )
    .await
}

/// `projects.serviceAccounts.patch`; `None` leaves a field as it is. The mask is part of the body.
pub async fn patch_service_account(
    http: &Http,
    project: &ProjectId,
    email: &Email,
    display_name: Option<&str>,
    description: Option<&str>,
) -> Result<(), ApiError> {
    let mut account = serde_json::Map::new();
    for (field, value) in [("displayName", display_name), ("description", description)] {
        if let Some(value) = value {
            account.insert(field.to_owned(), value.into());
        }
    }
    let mask: Vec<&str> = account.keys().map(String::as_str).collect();
    let body = json!({"updateMask": mask.join(","), "serviceAccount": account});
    let url = account_url(http, project, email, "");
    http.send(&Request::new(Method::PATCH, url).body(body))
        .await
        .map(drop)
}

/// `projects.serviceAccounts.enable`.
pub async fn enable_service_account(
    http: &Http,
    project: &ProjectId,
    email: &Email,
) -> Result<(), ApiError> {
    post(http, project, email, ":enable").await
}

/// `projects.serviceAccounts.disable`.
pub async fn disable_service_account(
    http: &Http,
    project: &ProjectId,
    email: &Email,
) -> Result<(), ApiError> {
    post(http, project, email, ":disable").await
}

/// `projects.serviceAccounts.delete`; it can be undeleted for 30 days.
pub async fn delete_service_account(
    http: &Http,
    project: &ProjectId,
    email: &Email,
) -> Result<(), ApiError> {
    let request = Request::new(Method::DELETE, account_url(http, project, email, ""));
    http.send(&request).await.map(drop)
}

/// `projects.serviceAccounts.undelete`, by unique id: the email does not name a deleted account. Answers with
/// the account that is back.
pub async fn undelete_service_account(
    http: &Http,
    project: &ProjectId,
    unique_id: &str,
) -> Result<ServiceAccount, ApiError> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Answer {
        restored_account: ServiceAccount,
    }
    let url = http.url(
        Api::Iam,
        &format!("v1/projects/{project}/serviceAccounts/{unique_id}:undelete"),
    );
    let request = Request::new(Method::POST, url).body(Value::Object(serde_json::Map::new()));
    Ok(http.json::<Answer>(request).await?.restored_account)
}

/// `projects.serviceAccounts.get` by unique id: whatever its email is.
pub async fn get_by_unique_id(
    http: &Http,
    project: &ProjectId,
    unique_id: &str,
) -> Result<ServiceAccount, ApiError> {
    let url = http.url(
        Api::Iam,
        &format!("v1/projects/{project}/serviceAccounts/{unique_id}"),
    );
    http.json(Request::new(Method::GET, url)).await
}

/// `projects.serviceAccounts.delete` by unique id: of an account whose email is another one's now, too.
pub async fn delete_by_unique_id(
    http: &Http,
    project: &ProjectId,
    unique_id: &str,
) -> Result<(), ApiError> {
    let url = http.url(
        Api::Iam,
        &format!("v1/projects/{project}/serviceAccounts/{unique_id}"),
    );
    let request = Request::new(Method::DELETE, url);
    http.send(&request).await.map(drop)
}

async fn post(http: &Http, project: &ProjectId, email: &Email, verb: &str) -> Result<(), ApiError> {
    let request = Request::new(Method::POST, account_url(http, project, email, verb))
        .body(Value::Object(serde_json::Map::new()));
    http.send(&request).await.map(drop)
}

/// `roles.get`, `projects.roles.get` or `organizations.roles.get`: whether the role can be granted.
/// A custom role that was deleted is there for a while, marked.
pub async fn role_exists(http: &Http, role: &Role) -> Result<bool, ApiError> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Answer {
        deleted: bool,
    }
    let url = http.url(Api::Iam, &format!("v1/{role}"));
    match http.json::<Answer>(Request::new(Method::GET, url)).await {
        Ok(answer) => Ok(!answer.deleted),
        Err(e) if e.is_not_found() => Ok(false),
        Err(e) => Err(e),
    }
}

/// As [`role_exists`], with what it permits.
///
/// A predefined role permits something: an answer that says otherwise is not used.
pub async fn get_role(http: &Http, role: &Role) -> Result<RoleDefinition, ApiError> {
    let url = http.url(Api::Iam, &format!("v1/{role}"));
    let answer: RoleDefinition = http.json(Request::new(Method::GET, url.clone())).await?;
    if role.as_str().starts_with("roles/") && answer.included_permissions.is_empty() {
        let why = format!("the answer does not say what {role} permits");
        return Err(ApiError::without_answer("GET", &url, why));
    }
    Ok(answer)
}

/// `roles.list` with what each permits: all predefined roles.
pub async fn predefined_roles(http: &Http) -> Result<Vec<RoleDefinition>, ApiError> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Page {
        roles: Vec<RoleDefinition>,
        next_page_token: String,
    }
    let mut all = Vec::new();
    let mut token = String::new();
    let mut budget = ListBudget::of_pages(super::MOST_PAGES);
    loop {
        let mut path = "v1/roles?view=FULL&pageSize=1000".to_owned();
        if !token.is_empty() {
            path.push_str(&format!("&pageToken={}", wi_core::percent::query(&token)));
        }
        let request = Request::new(Method::GET, http.url(Api::Iam, &path));
        let page: Page = http
            .page(request, &mut budget, |p: &Page| p.roles.len())
            .await?;
        all.extend(page.roles);
        token = page.next_page_token;
        if token.is_empty() {
            return Ok(all);
        }
    }
}

/// `projects.locations.global.workloadIdentityPools.get` of a project's own pool: its state.
pub async fn workload_pool_state(http: &Http, project: &ProjectId) -> Result<String, ApiError> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Pool {
        state: String,
        disabled: bool,
    }
    let path = format!(
        "v1/projects/{project}/locations/global/workloadIdentityPools/{}",
        project.workload_pool()
    );
    let pool: Pool = http
        .json(Request::new(Method::GET, http.url(Api::Iam, &path)))
        .await?;
    Ok(if pool.disabled {
        "DISABLED".to_owned()
    } else {
        pool.state
    })
}

/// Who the access token belongs to: the email that `tokeninfo` knows, or that the credentials name.
/// Federated tokens have none.
pub async fn caller(http: &Http) -> Option<String> {
    match of_token(http).await {
        Some(email) => Some(email),
        None => http.identity().await.ok()?.account,
    }
}

async fn of_token(http: &Http) -> Option<String> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct TokenInfo {
        email: String,
    }
    let token = http.access_token().await?;
    let url = http.url(Api::Oauth2, "tokeninfo");
    let mut request = Request::new(Method::POST, url);
    // In the body, never in the URL: URLs are logged.
    request.form = Some(format!("access_token={}", wi_core::percent::query(&token)));
    let info = http.json::<TokenInfo>(request).await.ok()?;
    (!info.email.is_empty()).then_some(info.email)
}
