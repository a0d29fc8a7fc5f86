//! Google service accounts: created, changed, disabled.

use crate::gcp::iam::{self, ServiceAccount};
use crate::identity::{Email, ProjectId};
use crate::live::owner_in_description;
use crate::plan::AccountChange;

use super::Context;

pub(super) async fn change(
    context: &Context,
    address: &str,
    project: &ProjectId,
    email: &Email,
    change: &AccountChange,
) -> Result<(), String> {
    match change {
        AccountChange::Create {
            display_name,
            description,
        } => {
            create(context, project, email, display_name, description).await?;
            wait_until_visible(context, address, project, email).await
        }
        AccountChange::Update {
            display_name,
            description,
            enable,
        } => {
            let now = get(context, project, email).await?;
            let owner = owner_in_description(&now.description);
            if owner.is_some_and(|o| o != context.plan.owner) {
                return Err(format!(
                    "{email} was taken by another owner since it was planned: {}. Plan again",
                    now.description
                ));
            }
            // Adoption appends to the description that the plan saw.
            if let Some(after) = description {
                let as_planned = now.description == *after
                    || after
                        .strip_prefix(now.description.as_str())
                        .is_some_and(|rest| rest.trim_start().starts_with("[wi:"));
                if !as_planned {
                    return Err(format!(
                        "the description of {email} has changed since it was planned. Plan again"
                    ));
                }
            }
            if display_name.is_some() || description.is_some() {
                iam::patch_service_account(
                    &context.http,
                    project,
                    email,
                    display_name.as_deref(),
                    description.as_deref(),
                )
                .await
                .map_err(|e| e.for_user())?;
            }
            if *enable {
                iam::enable_service_account(&context.http, project, email)
                    .await
                    .map_err(|e| e.for_user())?;
            }
            Ok(())
        }
        AccountChange::Disable => {
            let now = get(context, project, email).await?;
            if owner_in_description(&now.description) != Some(context.plan.owner.as_str()) {
                return Err(format!(
                    "{email} does not carry our mark any more. Plan again"
                ));
            }
            iam::disable_service_account(&context.http, project, email)
                .await
                .map_err(|e| e.for_user())
        }
    }
}

async fn get(
    context: &Context,
    project: &ProjectId,
    email: &Email,
) -> Result<ServiceAccount, String> {
    iam::get_service_account(&context.http, project, email)
        .await
        .map_err(|e| e.for_user())
}

async fn create(
    context: &Context,
    project: &ProjectId,
    email: &Email,
    display_name: &str,
    description: &str,
) -> Result<(), String> {
    let created = iam::create_service_account(
        &context.http,
        project,
        email.account_id(),
        display_name,
        description,
    )
    .await;
    match created {
        Ok(_) => Ok(()),
        // A try whose answer was lost, or a run that was killed, may have made it.
        Err(e) if e.code == 409 => {
            let now = get(context, project, email).await?;
            if now.description == description {
                Ok(())
            } else {
                Err(format!(
                    "{email} was created by somebody else since it was planned. Plan again"
                ))
            }
        }
        Err(e) => Err(e.for_user()),
    }
}

/// IAM is eventually consistent: a new account may not be found for a minute or more.
async fn wait_until_visible(
    context: &Context,
    address: &str,
    project: &ProjectId,
    email: &Email,
) -> Result<(), String> {
    let mut wait = context.propagation_wait();
    loop {
        match iam::get_service_account(&context.http, project, email).await {
            Ok(_) => return Ok(()),
            // IAM hides what it does not know behind a 403.
            Err(e) if e.is_not_found() || e.code == 403 => {
                context
                    .progress
                    .still(address, "waiting until IAM knows it");
                if !wait.again().await {
                    return Err(format!(
                        "{email} was created, but IAM still does not find it: {}",
                        e.for_user()
                    ));
                }
            }
            Err(e) => return Err(e.for_user()),
        }
    }
}
