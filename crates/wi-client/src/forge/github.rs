//! GitHub: comments of issues, which pull requests are, and their labels.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};

use super::client::{Client, Failed};
use super::{Comment, Existing, Label, Posted, Report, Target, own};
use wi_core::percent;

/// Who an Actions job is, which may not ask.
const ACTIONS: &str = "github-actions[bot]";

/// How often a comment whose answer was lost is looked for and sent again.
const TRIES: usize = 3;

pub(super) async fn publish(
    client: &Client,
    target: &Target,
    comment: &Comment,
    labels: Option<&BTreeSet<Label>>,
) -> Result<Report, String> {
    let told = |e: &Failed| way_out(target, e);
    let login = login(client).await.map_err(|e| told(&e))?;
    let pull = client
        .get(&format!(
            "/repos/{}/pulls/{}",
            target.repository, target.number
        ))
        .await
        .map_err(|e| told(&e))?;
    let head = pull.body["head"]["sha"].as_str().unwrap_or_default();
    if head != comment.marker.sha {
        return Ok(outdated(format!(
            "the head of {target} is {head}, and not {}",
            comment.marker.sha
        )));
    }
    let mut warnings = Vec::new();
    let mut tries = 0;
    let posted = loop {
        tries += 1;
        let own = match list(client, target, &login, comment).await {
            Ok(Ok(own)) => own,
            Ok(Err(newer)) => return Ok(outdated(newer)),
            Err(e) => return Err(told(&e)),
        };
        match write(client, target, comment, own.last()).await {
            Ok(posted) => {
                minimise_all_but_last(client, &own, &mut warnings).await;
                break posted;
            }
            Err(e) if e.is_forbidden() => break Posted::ReadOnly(told(&e)),
            // It may be there: look before it is sent again.
            Err(Failed::Lost(_)) if tries < TRIES => {}
            Err(e) => return Err(told(&e)),
        }
    };
    if let Some(labels) = labels
        && !matches!(posted, Posted::ReadOnly(_))
        && let Err(e) = set_labels(client, target, labels).await
    {
        warnings.push(format!("the labels could not be set: {}", told(&e)));
    }
    Ok(Report { posted, warnings })
}

fn outdated(why: String) -> Report {
    Report {
        posted: Posted::Outdated(why),
        warnings: Vec::new(),
    }
}

fn way_out(target: &Target, e: &Failed) -> String {
    let message = e.message();
    match e {
        Failed::Refused { status: 401, .. } => {
            format!("{target}: {message}. Is GITHUB_TOKEN set to a token that has not expired?")
        }
        e if e.is_forbidden() => format!(
            "{target}: {message}. The job needs `permissions: {{ pull-requests: write, issues: write }}`; pull requests from forks do not get them"
        ),
        _ => format!("{target}: {message}"),
    }
}

/// Own login; an Actions job may not ask for it, and is always the same.
async fn login(client: &Client) -> Result<String, Failed> {
    match client.get("/user").await {
        Ok(user) => Ok(user.body["login"].as_str().unwrap_or(ACTIONS).to_owned()),
        Err(e) if e.is_forbidden() => Ok(ACTIONS.to_owned()),
        Err(e) => Err(e),
    }
}

async fn list(
    client: &Client,
    target: &Target,
    login: &str,
    comment: &Comment,
) -> Result<Result<Vec<Existing>, String>, Failed> {
    let all = client
        .pages(&format!(
            "/repos/{}/issues/{}/comments?per_page=100",
            target.repository, target.number
        ))
        .await?;
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let all = all.iter().map(|c| {
        let existing = Existing {
            id: c["id"].as_u64().unwrap_or(0),
            node: text(&c["node_id"]),
            url: text(&c["html_url"]),
            body: text(&c["body"]),
        };
        (text(&c["user"]["login"]), existing)
    });
    Ok(own(all, login, comment))
}

/// Into the newest of ours, or a new one; the short text where the whole is too long.
async fn write(
    client: &Client,
    target: &Target,
    comment: &Comment,
    newest: Option<&Existing>,
) -> Result<Posted, Failed> {
    for body in [&comment.body, &comment.short] {
        let text = comment.text(body);
        let result = match newest {
            // GitHub gives line breaks back as it likes.
            Some(old) if old.body.replace("\r\n", "\n").trim_end() == text.trim_end() => {
                return Ok(Posted::Unchanged(old.url.clone()));
            }
            Some(old) => {
                let path = format!("/repos/{}/issues/comments/{}", target.repository, old.id);
                let body = json!({ "body": text });
                match client.change(Method::PATCH, &path, Some(&body)).await {
                    Ok(_) => Ok(Posted::Updated(old.url.clone())),
                    // Somebody has deleted it meanwhile.
                    Err(e) if e.is_gone() => create(client, target, &text).await,
                    Err(e) => Err(e),
                }
            }
            None => create(client, target, &text).await,
        };
        match result {
            Err(e) if e.is_unprocessable() => {}
            result => return result,
        }
    }
    Ok(Posted::TooLong)
}

async fn create(client: &Client, target: &Target, text: &str) -> Result<Posted, Failed> {
    let path = format!(
        "/repos/{}/issues/{}/comments",
        target.repository, target.number
    );
    let made = client.once(&path, &json!({ "body": text })).await?;
    let url = made.body["html_url"].as_str().unwrap_or_default();
    Ok(Posted::Created(url.to_owned()))
}

/// Older ones of ours are folded away; they were made by two jobs at once.
async fn minimise_all_but_last(client: &Client, own: &[Existing], warnings: &mut Vec<String>) {
    let Some((_, older)) = own.split_last() else {
        return;
    };
    for old in older {
        let mutation = "mutation($id: ID!) { minimizeComment(input: { subjectId: $id, classifier: OUTDATED }) { minimizedComment { isMinimized } } }";
        let body = json!({ "query": mutation, "variables": { "id": old.node } });
        let answer = client.change_at(&graphql(client.api()), &body).await;
        let failed = match &answer {
            Ok(answer) if answer.body["errors"].is_null() => continue,
            Ok(answer) => answer.body["errors"].to_string(),
            Err(e) => e.message(),
        };
        warnings.push(format!("{} could not be minimised: {failed}", old.url));
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
