//! Resources that are granted on: whether the caller may.

use std::collections::BTreeSet;

use futures::future::join_all;
use wi_client::google::policies;
use wi_client::http::Http;
use wi_core::desired::Desired;
use wi_core::names::ProjectId;
use wi_core::resource::{Resource, Write};

use super::{Caller, Check, Section, State, grants, list, remedy};

/// Resources that are granted on, other than projects and the spec's own accounts.
pub(super) async fn of_resources(
    http: &Http,
    desired: &Desired,
    caller: &Caller,
) -> Option<Section> {
    let resources: BTreeSet<&Resource> = desired
        .bindings
        .keys()
        .map(|b| &b.resource)
        .filter(|r| matches!(r, Resource::Named(_)))
        .collect();
    if resources.is_empty() {
        return None;
    }
    let checks = join_all(resources.into_iter().map(async |resource| {
        let kind = resource.kind();
        let write = kind.permission;
        let read = write.replace("setIamPolicy", "getIamPolicy");
        let fine = |what: String| Check {
            state: State::Fine,
            what,
            fix: None,
        };
        if kind.write == Write::AccessList {
            // The API cannot be asked about a dataset; most have it on the project.
            let project = resource.names().into_iter().next().unwrap_or_default();
            let on_project = match ProjectId::parse(&project) {
                Ok(id) => may(http, &Resource::Project(id), write).await,
                Err(_) => false,
            };
            if on_project {
                return fine(format!("{resource}: may be granted on"));
            }
            return Check {
                state: State::Doubtful,
                fix: grants::command(resource, kind.admin, &caller.member()),
                ..fine(format!(
                    "{resource}: {write} is missing on its project, and BigQuery cannot be asked whether the dataset itself gives it"
                ))
            };
        }
        let asked = BTreeSet::from([read.clone(), write.to_owned()]);
        match policies::test_permissions(http, resource, &asked).await {
            Ok(Some(held)) if asked.is_subset(&held) => {
                fine(format!("{resource}: may be granted on"))
            }
            Ok(held) => {
                let held = held.unwrap_or_default();
                let missing: Vec<&str> = asked.difference(&held).map(String::as_str).collect();
                Check {
                    state: State::Failed,
                    what: format!("{resource}: {} missing", list(&missing)),
                    fix: grants::command(resource, kind.admin, &caller.member()),
                }
            }
            Err(e) if e.is_api_off() => Check {
                state: State::Failed,
                fix: e.command(),
                what: format!("{resource}: {}", e.message),
            },
            Err(e) => Check {
                state: State::Failed,
                what: format!("{resource}: {}", e.reason()),
                fix: if e.is_not_found() {
                    Some("Make it, or correct its name in the spec".to_owned())
                } else {
                    remedy(&e, grants::command(resource, kind.admin, &caller.member()))
                },
            },
        }
    }))
    .await;
    Some(Section {
        title: "Resources".to_owned(),
        checks,
    })
}

async fn may(http: &Http, resource: &Resource, permission: &str) -> bool {
    let asked = BTreeSet::from([permission.to_owned()]);
    let held = policies::test_permissions(http, resource, &asked).await;
    held.is_ok_and(|held| held.is_some_and(|h| h.contains(permission)))
}
