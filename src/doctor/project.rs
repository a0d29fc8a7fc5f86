//! A project: which APIs are off in it, and which permissions are missing.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::TryStreamExt;
use wi_client::google::{assets, iam, policies, projects, services};
use wi_client::http::{ApiError, Http};
use wi_core::desired::Desired;
use wi_core::names::ProjectId;
use wi_core::resource::Resource;
use wi_core::spec::model::{Access, OnRemove};
use wi_core::wire::container::ClusterList;

use super::needs::{ACCOUNTS, CLUSTERS, DELETION, GRANTS, Need, POLICY};
use super::{Caller, Section, State, list, remedy};

pub(super) async fn of_project(
    http: &Http,
    desired: &Desired,
    project: &ProjectId,
    clusters: Option<&Result<ClusterList, ApiError>>,
    caller: &Caller,
) -> Section {
    let mut section = Section::new(format!("Project {project}"));
    let accounts: Vec<_> = desired
        .accounts
        .values()
        .filter(|a| a.managed && a.project == *project)
        .collect();
    let resource = Resource::Project(project.clone());
    let mut needs: Vec<&Need> = POLICY.iter().collect();
    if desired.bindings.keys().any(|b| b.resource == resource) {
        needs.push(&GRANTS);
    }
    if clusters.is_some() {
        needs.extend(&CLUSTERS);
    }
    if !accounts.is_empty() {
        needs.extend(&ACCOUNTS);
        if accounts
            .iter()
            .any(|a| a.on_remove == Some(OnRemove::Delete))
        {
            needs.push(&DELETION);
        }
    }
    // An API that is off refuses all that it is asked.
    let first_account = async {
        if accounts.is_empty() {
            return Ok(());
        }
        let mut listed = std::pin::pin!(iam::service_accounts(http, project));
        listed.try_next().await.map(drop)
    };
    let mut asked: BTreeSet<String> = needs.iter().map(|n| n.permission.to_owned()).collect();
    asked.insert(assets::PERMISSION.to_owned());
    let services = services_of(desired, project, !accounts.is_empty());
    let (listed, ancestors, held, disabled) = tokio::join!(
        first_account,
        projects::ancestors(http, project),
        policies::test_permissions(http, &resource, &asked),
        services::disabled(http, project, &services)
    );
    let errors = [
        clusters.and_then(|c| c.as_ref().err()).cloned(),
        listed.err(),
        // A plan does without.
        ancestors.err().filter(ApiError::is_api_off),
    ];
    let (refused, failed): (Vec<_>, Vec<_>) =
        errors.into_iter().flatten().partition(ApiError::is_api_off);
    apis(&mut section, project, refused, disabled, caller);
    for e in failed {
        let fix = remedy(&e, None);
        section.add(State::Failed, e.reason().into(), fix);
    }
    let held = match held {
        Ok(held) => held.unwrap_or_default(),
        Err(e) => {
            let what = format!("its permissions could not be asked for: {}", e.reason());
            let command = format!("gcloud projects describe {project}");
            let fix = match e.code {
                404 => Some(command),
                _ => remedy(&e, Some(command)),
            };
            section.add(State::Failed, what, fix);
            return section;
        }
    };
    if !held.contains(assets::PERMISSION) {
        section.add(
            State::Doubtful,
            format!(
                "wi plan: {} is missing (optional): grants on resources that the spec no longer names are not found",
                assets::PERMISSION
            ),
            Some(caller.grant(project, assets::ROLE)),
        );
    }
    for to_apply in [false, true] {
        let command = if to_apply { "wi apply" } else { "wi plan" };
        let mut missing: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let mut all = 0;
        for need in needs.iter().filter(|n| n.to_apply == to_apply) {
            all += 1;
            if !held.contains(need.permission) {
                missing.entry(need.role).or_default().push(need.permission);
            }
        }
        if missing.is_empty() && all > 0 {
            let what = format!("{command}: all {all} permissions");
            section.add(State::Fine, what, None);
        }
        for (role, permissions) in missing {
            let what = format!("{command}: {} missing", list(&permissions));
            section.add(State::Failed, what, Some(caller.grant(project, role)));
        }
    }
    section
}

/// The APIs without which nothing works in a project: those that `wi` calls there, and the one that
/// pods get the tokens of their accounts from.
fn services_of(desired: &Desired, project: &ProjectId, has_accounts: bool) -> BTreeSet<String> {
    let clusters = || {
        let all = desired.clusters.iter();
        all.filter(|(_, c)| c.managed && c.path.project == *project)
    };
    let impersonates = desired.ksas.iter().any(|(key, ksa)| {
        ksa.account.is_some() && clusters().any(|(name, _)| *name == key.cluster)
    });
    let gateway = clusters().any(|(_, c)| c.access == Access::ConnectGateway);
    [
        ("container.googleapis.com", clusters().next().is_some()),
        ("iam.googleapis.com", has_accounts),
        ("iamcredentials.googleapis.com", impersonates),
        ("connectgateway.googleapis.com", gateway),
        (assets::SERVICE, true),
    ]
    .into_iter()
    .filter(|(_, needed)| *needed)
    .map(|(service, _)| service.to_owned())
    .collect()
}

/// Which APIs are off: those that refused for it, and those that Service Usage names.
fn apis(
    section: &mut Section,
    project: &ProjectId,
    refused: Vec<ApiError>,
    disabled: Result<BTreeSet<String>, ApiError>,
    caller: &Caller,
) {
    let mut off: BTreeMap<String, String> = refused
        .into_iter()
        .map(|e| (e.command().unwrap_or_default(), e.message))
        .collect();
    let asked = match disabled {
        Ok(services) => {
            for service in services {
                if service == assets::SERVICE {
                    let command = format!("gcloud services enable {service} --project {project}");
                    section.add(
                        State::Doubtful,
                        format!("{service} is off (optional): grants on resources that the spec no longer names are not found"),
                        Some(command),
                    );
                    continue;
                }
                let what = match service.as_str() {
                    "iamcredentials.googleapis.com" => format!(
                        "{service} is off: pods get the tokens of their Google service accounts from it"
                    ),
                    _ => format!("{service} is off"),
                };
                let command = format!("gcloud services enable {service} --project {project}");
                off.entry(command).or_insert(what);
            }
            None
        }
        Err(e) => Some(e),
    };
    if let (true, None) = (off.is_empty(), &asked) {
        section.add(
            State::Fine,
            "the APIs that are needed are on".to_owned(),
            None,
        );
    }
    for (command, what) in off {
        section.add(State::Failed, what, Some(command).filter(|c| !c.is_empty()));
    }
    if let Some(e) = asked {
        let what = format!("which APIs are on could not be asked: {}", e.message);
        let grant = caller.grant(project, "roles/serviceusage.serviceUsageViewer");
        section.add(State::Unseen, what, remedy(&e, Some(grant)));
    }
}
