//! GitHub: comments of issues, which pull requests are, and their labels.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};

use super::client::{Client, Failed};
use super::request::{Existing, Request};
use super::{Label, Target};
use wi_core::percent;

/// Who an Actions job is, which may not ask.
const ACTIONS: &str = "github-actions[bot]";

/// A pull request.
pub(super) struct PullRequest {
    client: Client,
    target: Target,
    login: String,
    head: String,
}

impl Request for PullRequest {
    async fn open(client: Client, target: &Target) -> Result<Self, Failed> {
        let login = login(&client).await?;
        let path = format!("/repos/{}/pulls/{}", target.repository, target.number);
        let pull = client.get(&path).await?;
        Ok(Self {
            head: text(&pull.body["head"]["sha"]),
            target: target.clone(),
            client,
            login,
        })
    }

    fn head(&self) -> &str {
        &self.head
    }

    fn login(&self) -> &str {
        &self.login
    }

    async fn comments(&self) -> Result<Vec<(String, Existing)>, Failed> {
        let path = format!("{}/comments?per_page=100", self.issue());
        let all = self.client.pages(&path).await?;
        let comment = |c: &Value| {
            let existing = Existing {
                id: c["id"].as_u64().unwrap_or(0),
                node: text(&c["node_id"]),
                url: text(&c["html_url"]),
                body: text(&c["body"]),
            };
            (text(&c["user"]["login"]), existing)
        };
        Ok(all.iter().map(comment).collect())
    }

    async fn create(&self, comment: &str) -> Result<String, Failed> {
        let path = format!("{}/comments", self.issue());
        let made = self.client.once(&path, &json!({ "body": comment })).await?;
        Ok(text(&made.body["html_url"]))
    }

    async fn rewrite(&self, old: &Existing, comment: &str) -> Result<(), Failed> {
        let path = format!(
            "/repos/{}/issues/comments/{}",
            self.target.repository, old.id
        );
        let body = json!({ "body": comment });
        let changed = self.client.change(Method::PATCH, &path, Some(&body)).await;
        changed.map(drop)
    }

    /// Folded away.
    async fn put_behind(&self, old: &Existing, _newest: &Existing) -> Result<(), Failed> {
        let mutation = "mutation($id: ID!) { minimizeComment(input: { subjectId: $id, classifier: OUTDATED }) { minimizedComment { isMinimized } } }";
        let body = json!({ "query": mutation, "variables": { "id": old.node } });
        let url = graphql(self.client.api());
        let answer = self.client.change_at(&url, &body).await?;
        match &answer.body["errors"] {
            Value::Null => Ok(()),
            // GraphQL refuses with 200.
            errors => Err(Failed::Refused {
                status: 200,
                message: errors.to_string(),
            }),
        }
    }

    async fn set_labels(&self, labels: &BTreeSet<Label>) -> Result<(), Failed> {
        set_labels(&self.client, &self.target, labels).await
    }

    fn way_out(is_expired: bool) -> &'static str {
        match is_expired {
            true => ". Is GITHUB_TOKEN set to a token that has not expired?",
            false => {
                ". The job needs `permissions: { pull-requests: write, issues: write }`; pull requests from forks do not get them"
            }
        }
    }
}

impl PullRequest {
    /// Which it is, too.
    fn issue(&self) -> String {
        format!(
            "/repos/{}/issues/{}",
            self.target.repository, self.target.number
        )
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Own login; an Actions job may not ask for it, and is always the same.
async fn login(client: &Client) -> Result<String, Failed> {
    match client.get("/user").await {
        Ok(user) => Ok(user.body["login"].as_str().unwrap_or(ACTIONS).to_owned()),
        Err(e) if e.is_forbidden() => Ok(ACTIONS.to_owned()),
        Err(e) => Err(e),
    }
}

/// `https://HOST/api/v3` has its GraphQL API at `https://HOST/api/graphql`.
fn graphql(api: &str) -> String {
    match api.strip_suffix("/api/v3") {
        Some(server) => format!("{server}/api/graphql"),
        None => format!("{api}/graphql"),
    }
}

async fn set_labels(
    client: &Client,
    target: &Target,
    labels: &BTreeSet<Label>,
) -> Result<(), Failed> {
    let of_issue = format!(
        "/repos/{}/issues/{}/labels",
        target.repository, target.number
    );
    let there: BTreeSet<String> = client
        .pages(&format!("{of_issue}?per_page=100"))
        .await?
        .iter()
        .filter_map(|l| l["name"].as_str().map(str::to_owned))
        .collect();
    let missing: Vec<Label> = labels
        .iter()
        .copied()
        .filter(|l| !there.contains(l.name()))
        .collect();
    for label in &missing {
        make_label(client, target, *label).await?;
    }
    if !missing.is_empty() {
        let names: Vec<&str> = missing.iter().map(|l| l.name()).collect();
        client
            .change(Method::POST, &of_issue, Some(&json!({ "labels": names })))
            .await?;
    }
    for stale in Label::ALL {
        if there.contains(stale.name()) && !labels.contains(&stale) {
            let path = format!("{of_issue}/{}", percent::query(stale.name()));
            match client.change(Method::DELETE, &path, None).await {
                Err(e) if !e.is_gone() => return Err(e),
                _ => {}
            }
        }
    }
    Ok(())
}

/// A label that is there keeps the colour that somebody gave it.
async fn make_label(client: &Client, target: &Target, label: Label) -> Result<(), Failed> {
    let path = format!("/repos/{}/labels", target.repository);
    match client
        .get(&format!("{path}/{}", percent::query(label.name())))
        .await
    {
        Ok(_) => return Ok(()),
        Err(Failed::Refused { status: 404, .. }) => {}
        Err(e) => return Err(e),
    }
    let body = json!({
        "name": label.name(),
        "color": label.colour(),
        "description": label.description(),
    });
    match client.change(Method::POST, &path, Some(&body)).await {
        // Made by another job at the same time.
        Err(Failed::Refused { status: 422, .. }) | Ok(_) => Ok(()),
        Err(e) => Err(e),
    }
}
