//! GitLab: notes of merge requests, and their labels.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};

use super::client::{Client, Failed};
use super::request::{Existing, Request};
use super::{Label, Target};
use wi_core::percent;

/// A merge request.
pub(super) struct MergeRequest {
    client: Client,
    path: String,
    web: String,
    login: String,
    head: String,
    labels: Value,
}

impl Request for MergeRequest {
    async fn open(client: Client, target: &Target) -> Result<Self, Failed> {
        let path = format!(
            "/projects/{}/merge_requests/{}",
            percent::query(&target.repository),
            target.number
        );
        let user = client.get("/user").await?;
        let mut request = client.get(&path).await?.body;
        Ok(Self {
            login: text(&user.body["username"]),
            head: text(&request["sha"]),
            web: text(&request["web_url"]),
            labels: request["labels"].take(),
            client,
            path,
        })
    }

    fn head(&self) -> &str {
        &self.head
    }

    fn login(&self) -> &str {
        &self.login
    }

    async fn comments(&self) -> Result<Vec<(String, Existing)>, Failed> {
        let path = format!(
            "{}/notes?per_page=100&sort=asc&order_by=created_at",
            self.path
        );
        let all = self.client.pages(&path).await?;
        let comment = |note: &Value| {
            let id = note["id"].as_u64().unwrap_or(0);
            let existing = Existing {
                id,
                node: String::new(),
                url: self.url(id),
                body: text(&note["body"]),
            };
            (text(&note["author"]["username"]), existing)
        };
        Ok(all.iter().map(comment).collect())
    }

    async fn create(&self, comment: &str) -> Result<String, Failed> {
        let path = format!("{}/notes", self.path);
        let made = self.client.once(&path, &json!({ "body": comment })).await?;
        Ok(self.url(made.body["id"].as_u64().unwrap_or(0)))
    }

    async fn rewrite(&self, old: &Existing, comment: &str) -> Result<(), Failed> {
        let note = format!("{}/notes/{}", self.path, old.id);
        let body = json!({ "body": comment });
        let changed = self.client.change(Method::PUT, &note, Some(&body)).await;
        changed.map(drop)
    }

    /// GitLab cannot minimise a note: it becomes a line.
    async fn put_behind(&self, old: &Existing, newest: &Existing) -> Result<(), Failed> {
        let line = format!("_The plan is [in a newer comment]({})._", newest.url);
        self.rewrite(old, &line).await
    }

    async fn set_labels(&self, labels: &BTreeSet<Label>) -> Result<(), Failed> {
        set_labels(&self.client, &self.path, &self.labels, labels).await
    }

    fn way_out(is_expired: bool) -> &'static str {
        match is_expired {
            true => ". Is GITLAB_TOKEN set to a token with the scope `api` that has not expired?",
            false => ". The token needs the scope `api`, and the role Reporter or more",
        }
    }
}

impl MergeRequest {
    fn url(&self, note: u64) -> String {
        format!("{}#note_{note}", self.web)
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// GitLab makes labels that it does not know.
async fn set_labels(
    client: &Client,
    path: &str,
    there: &Value,
    labels: &BTreeSet<Label>,
) -> Result<(), Failed> {
    let has = |label: Label| {
        there
            .as_array()
            .is_some_and(|all| all.iter().any(|l| l == label.name()))
    };
    let names = |wanted: &dyn Fn(Label) -> bool| -> Vec<&str> {
        Label::ALL
            .into_iter()
            .filter(|l| wanted(*l))
            .map(Label::name)
            .collect()
    };
    let add = names(&|l| labels.contains(&l) && !has(l));
    let remove = names(&|l| !labels.contains(&l) && has(l));
    if add.is_empty() && remove.is_empty() {
        return Ok(());
    }
    let body = json!({ "add_labels": add.join(","), "remove_labels": remove.join(",") });
    client.change(Method::PUT, path, Some(&body)).await?;
    Ok(())
}
