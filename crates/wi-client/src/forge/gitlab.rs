//! GitLab: notes of merge requests, and their labels.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};

use super::client::{Client, Failed};
use super::{Comment, Existing, Label, Posted, Report, Target, own};
use wi_core::percent;

/// How often a note whose answer was lost is looked for and sent again.
const TRIES: usize = 3;

pub(super) async fn publish(
    client: &Client,
    target: &Target,
    comment: &Comment,
    labels: Option<&BTreeSet<Label>>,
) -> Result<Report, String> {
    let told = |e: &Failed| way_out(target, e);
    let path = format!(
        "/projects/{}/merge_requests/{}",
        percent::query(&target.repository),
        target.number
    );
    let user = client.get("/user").await.map_err(|e| told(&e))?;
    let login = user.body["username"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let request = client.get(&path).await.map_err(|e| told(&e))?;
    let head = request.body["sha"].as_str().unwrap_or_default();
    let outdated = |why: String| Report {
        posted: Posted::Outdated(why),
        warnings: Vec::new(),
    };
    if head != comment.marker.sha {
        return Ok(outdated(format!(
            "the head of {target} is {head}, and not {}",
            comment.marker.sha
        )));
    }
    let web = request.body["web_url"].as_str().unwrap_or_default();
    let mut warnings = Vec::new();
    let mut tries = 0;
    let posted = loop {
        tries += 1;
        let own = match list(client, &path, web, &login, comment).await {
            Ok(Ok(own)) => own,
            Ok(Err(newer)) => return Ok(outdated(newer)),
            Err(e) => return Err(told(&e)),
        };
        match write(client, &path, web, comment, own.last()).await {
            Ok(posted) => {
                supersede_all_but_last(client, &path, &own, &mut warnings).await;
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
        && let Err(e) = set_labels(client, &path, &request.body["labels"], labels).await
    {
        warnings.push(format!("the labels could not be set: {}", told(&e)));
    }
    Ok(Report { posted, warnings })
}

fn way_out(target: &Target, e: &Failed) -> String {
    let message = e.message();
    match e {
        Failed::Refused { status: 401, .. } => format!(
            "{target}: {message}. Is GITLAB_TOKEN set to a token with the scope `api` that has not expired?"
        ),
        e if e.is_forbidden() => format!(
            "{target}: {message}. The token needs the scope `api`, and the role Reporter or more"
        ),
        _ => format!("{target}: {message}"),
    }
}

async fn list(
    client: &Client,
    path: &str,
    web: &str,
    login: &str,
    comment: &Comment,
) -> Result<Result<Vec<Existing>, String>, Failed> {
    let all = client
        .pages(&format!(
            "{path}/notes?per_page=100&sort=asc&order_by=created_at"
        ))
        .await?;
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let all = all.iter().map(|note| {
        let id = note["id"].as_u64().unwrap_or(0);
        let existing = Existing {
            id,
            node: String::new(),
            url: format!("{web}#note_{id}"),
            body: text(&note["body"]),
        };
        (text(&note["author"]["username"]), existing)
    });
    Ok(own(all, login, comment))
}

/// Into the newest of ours, or a new one; the short text where the whole is too long.
async fn write(
    client: &Client,
    path: &str,
    web: &str,
    comment: &Comment,
    newest: Option<&Existing>,
) -> Result<Posted, Failed> {
    for body in [&comment.body, &comment.short] {
        let text = comment.text(body);
        let result = match newest {
            Some(old) if old.body.trim_end() == text.trim_end() => {
                return Ok(Posted::Unchanged(old.url.clone()));
            }
            Some(old) => {
                let note = format!("{path}/notes/{}", old.id);
                let body = json!({ "body": text });
                match client.change(Method::PUT, &note, Some(&body)).await {
                    Ok(_) => Ok(Posted::Updated(old.url.clone())),
                    // Somebody has deleted it meanwhile.
                    Err(e) if e.is_gone() => create(client, path, web, &text).await,
                    Err(e) => Err(e),
                }
            }
            None => create(client, path, web, &text).await,
        };
        match result {
            Err(e) if e.is_unprocessable() => {}
            result => return result,
        }
    }
    Ok(Posted::TooLong)
}

async fn create(client: &Client, path: &str, web: &str, text: &str) -> Result<Posted, Failed> {
    let notes = format!("{path}/notes");
    let made = client.once(&notes, &json!({ "body": text })).await?;
    let id = made.body["id"].as_u64().unwrap_or(0);
    Ok(Posted::Created(format!("{web}#note_{id}")))
}

/// GitLab cannot minimise a note: older ones of ours become a line.
async fn supersede_all_but_last(
    client: &Client,
    path: &str,
    own: &[Existing],
    warnings: &mut Vec<String>,
) {
    let Some((newest, older)) = own.split_last() else {
        return;
    };
    for old in older {
        let body =
            json!({ "body": format!("_The plan is [in a newer comment]({})._", newest.url) });
        let note = format!("{path}/notes/{}", old.id);
        if let Err(e) = client.change(Method::PUT, &note, Some(&body)).await {
            warnings.push(format!(
                "{} could not be superseded: {}",
                old.url,
                e.message()
            ));
        }
    }
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
